// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A frame cut at every byte: by the link, by its sender, and by the end of the
 * first fragment. */
#include "../frames/shapes.h"
#include "program.h"

static struct program program;

static const struct {
	const char *name;
	const struct shape *shape;
} cut_shapes[] = {
	{ "IPv4", &shape_ipv4 },
	{ "IPv6", &shape_ipv6 },
	{ "IPv4, a tag", &shape_ipv4_vlan },
	{ "IPv6, a tag", &shape_ipv6_vlan },
	{ "96 records", &shape_full_ipv6_vlan },
	{ "probe", &shape_probe },
	{ "12 pages in 49 KB", &shape_big },
	{ "sealed", &shape_sealed },
};

#define CUT_SHAPE_CNT	SHAPE_CNT_OF(cut_shapes)

/* A frame without a whole UDP header is foreign: it goes to the kernel. */
static enum pt_verdict want_of_cut(const struct frame *f, __u32 sz,
				   __u32 whole_sz)
{
	if (sz < f->hdr_off)
		return PT_VERDICT_PASSED;
	return sz < whole_sz ? PT_VERDICT_TRUNCATED : PT_VERDICT_STEERED;
}

static void assert_cut(const char *name, __u32 sz, enum pt_verdict is,
		       enum pt_verdict want)
{
	char what[80];

	snprintf(what, sizeof(what), "%s, cut to %u bytes", name, sz);
	assert_verdict(what, is, want);
}

/* The lengths promise more bytes than the frame has. */
static void test_cut_by_the_link(void **state)
{
	static struct frame f;

	(void)state;
	for (size_t i = 0; i < CUT_SHAPE_CNT; i++) {
		__u32 whole_sz;

		frame_build(&f, cut_shapes[i].shape);
		whole_sz = f.sz;
		for (f.sz = ETH_HLEN; f.sz <= whole_sz; f.sz++) {
			struct outcome o = program_run(&program, &f, 0);

			assert_cut(cut_shapes[i].name, f.sz, o.verdict,
				   want_of_cut(&f, f.sz, whole_sz));
		}
	}
}

/* IP's and UDP's lengths are right, the frame header promises more. */
static void test_cut_by_the_sender(void **state)
{
	static struct frame f;

	(void)state;
	for (size_t i = 0; i < CUT_SHAPE_CNT; i++) {
		__u32 whole_sz;

		frame_build(&f, cut_shapes[i].shape);
		whole_sz = f.sz;
		for (f.sz = f.hdr_off; f.sz <= whole_sz; f.sz++) {
			struct outcome o;

			frame_fit_lengths(&f);
			o = program_run(&program, &f, 0);
			assert_cut(cut_shapes[i].name, f.sz, o.verdict,
				   want_of_cut(&f, f.sz, whole_sz));
		}
	}
}

/* read_end returns how many bytes of a frame the program reads: up to the last
 * record, or, where they are hidden, up to them. */
static __u32 read_end(const struct frame *f, const struct shape *s)
{
	__u32 records_off = f->hdr_off + PT_FRAME_HDR_SZ;

	return frame_is_sealed(f) ? records_off :
				    records_off + s->record_cnt * PT_RECORD_SZ;
}

/* The frame is whole, but the program sees only the first fragment directly:
 * that must hold all that it reads, and it reads no byte behind that. */
static void test_short_first_fragment(void **state)
{
	static struct frame f;

	(void)state;
	frame_build(&f, &shape_big);
	if (program_raw_run(&program, &f, 0, 2000) == -EINVAL) {
		print_message("this kernel's test run cannot choose the first "
			      "fragment's size (6.18 can)\n");
		skip();
	}
	for (size_t i = 0; i < CUT_SHAPE_CNT; i++) {
		__u32 last_sz;

		frame_build(&f, cut_shapes[i].shape);
		last_sz = f.sz < 2000 ? f.sz : 2000;
		for (__u32 sz = ETH_HLEN; sz <= last_sz; sz++) {
			struct outcome o =
				program_run_linear(&program, &f, 0, sz);

			assert_cut(cut_shapes[i].name, sz, o.verdict,
				   want_of_cut(&f, sz, read_end(&f,
						cut_shapes[i].shape)));
			if (sz >= f.hdr_off + PT_FRAME_HDR_SZ)
				assert_true(o.session_counted);
		}
	}
}

static int group_setup(void **state)
{
	(void)state;
	return program_open_usual(&program);
}

static int group_teardown(void **state)
{
	(void)state;
	program_close(&program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_by_the_link),
		cmocka_unit_test(test_cut_by_the_sender),
		cmocka_unit_test(test_short_first_fragment),
	};

	return cmocka_run_group_tests_name("cuts", tests, group_setup,
					   group_teardown);
}
