/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Runs of bytes written to a sink at once: the sink must look as if each byte
 * had been copied to its place. */
#include "scratch.h"

#include <sys/mman.h>

#include "sink/image_impl.h"
#include "sink/sink_run.h"

#define PAGES	64
#define IMAGE_SZ ((PAGES - 1) * PT_PAGE_SZ + 100)	/* ends within a page */

static struct pt_layout *layout;
static struct pt_sink *sink;
static struct pt_sink_run run;
static bool is_reserved;	/* half of the sink is, before */
static __u8 want[PAGES * PT_PAGE_SZ];
static __u8 data[PAGES * PT_PAGE_SZ];

static int set_up(void **state)
{
	const struct pt_segment ram = { "ram", 0, IMAGE_SZ };
	struct pt_error err;

	(void)state;
	memset(want, 0, sizeof(want));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = 1 + i * 7 % 255;
	assert_int_equal(pt_layout_create(&layout, &ram, 1, &err), 0);
	if (!is_reserved) {
		assert_int_equal(pt_image_create(&sink, SCRATCH "/ram", layout,
						&err), 0);
	} else {
		assert_int_equal(pt_image_reserve(&sink, SCRATCH "/ram",
						 PAGES / 2 * PT_PAGE_SZ, -1,
						 &err), 0);
		assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	}
	memset(&run, 0, sizeof(run));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pt_sink_close(sink);
	pt_layout_free(layout);
	return 0;
}

static void add(__u64 off, const void *bytes, __u32 sz)
{
	struct pt_error err;

	assert_int_equal(pt_sink_run_add(&run, sink, off, bytes, sz, &err), 0);
	if (bytes)
		memcpy(want + off, bytes, sz);
	else
		memset(want + off, 0, sz);
}

/* flushed: no byte is staged, and the sink has the expected content. */
static void flushed(void)
{
	struct pt_error err;

	assert_int_equal(pt_sink_run_flush(&run, &err), 0);
	assert_int_equal(run.sz, 0);
	assert_memory_equal(pt_image_page(sink, 0), want, IMAGE_SZ);
}

static void test_one_after_another(void **state)
{
	(void)state;
	for (__u64 off = 0; off < 8 * PT_PAGE_SZ; off += 512)
		add(off, data + off, 512);
	assert_int_equal(run.piece_cnt, 1);	/* they follow in memory too */
	assert_int_equal(run.sz, 8 * PT_PAGE_SZ);
	flushed();
}

static void test_zeroes_between(void **state)
{
	(void)state;
	for (__u64 off = 0; off < 8 * PT_PAGE_SZ; off += 1024) {
		add(off, data + off, 512);
		add(off + 512, NULL, 512);
	}
	assert_int_equal(run.piece_cnt, 64);
	flushed();
}

static void test_gap_flushes(void **state)
{
	(void)state;
	add(0, data, PT_PAGE_SZ);
	add(2 * PT_PAGE_SZ, data, PT_PAGE_SZ);
	assert_int_equal(run.off, 2 * PT_PAGE_SZ);
	assert_int_equal(run.sz, PT_PAGE_SZ);
	assert_memory_equal(pt_image_page(sink, 0), data, PT_PAGE_SZ);
	add(PT_PAGE_SZ, data, PT_PAGE_SZ);	/* backwards */
	flushed();
}

/* Where storage may be slow the mapping is not touched: a fault that waits
 * would block other threads. */
static void test_no_fault(void **state)
{
	const size_t map_sz = PAGES * PT_PAGE_SZ;

	(void)state;
	sink->may_wait = true;
	assert_int_equal(mprotect(((struct pt_image *)sink)->map, map_sz, PROT_NONE), 0);
	add(64, data, 64);
	add(5 * PT_PAGE_SZ, data, PT_PAGE_SZ);
	add(9 * PT_PAGE_SZ, data, PT_PAGE_SZ);
	assert_int_equal(pt_sink_run_flush(&run, &(struct pt_error){ 0 }), 0);
	assert_int_equal(mprotect(((struct pt_image *)sink)->map, map_sz, PROT_READ | PROT_WRITE),
			 0);
	flushed();
}

static void test_too_many_pieces(void **state)
{
	(void)state;
	for (__u32 i = 0; i <= PT_SINK_RUN_PIECES; i++)
		add(i * 64, data + (i % 7) * 128, 64);
	assert_int_equal(run.piece_cnt, 1);
	flushed();
}

static void test_end_of_image(void **state)
{
	const __u64 last = (PAGES - 1) * PT_PAGE_SZ;
	struct pt_error err;
	struct stat st;

	(void)state;
	add(last - 2 * PT_PAGE_SZ, data, PT_PAGE_SZ);
	add(last - PT_PAGE_SZ, data, PT_PAGE_SZ);
	add(last, data, PT_PAGE_SZ);	/* 100 bytes of it are in the image */
	assert_int_equal(run.sz, 2 * PT_PAGE_SZ + 100);
	assert_int_equal(pt_sink_run_add(&run, sink, IMAGE_SZ, data, 64, &err),
			 0);
	assert_int_equal(run.sz, 2 * PT_PAGE_SZ + 100);
	flushed();
	assert_int_equal(stat(SCRATCH "/ram.partial", &st), 0);
	assert_int_equal(st.st_size, IMAGE_SZ);
}

/* The same bytes in runs of random lengths, in random places. */
static void test_random(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		__u64 off = random() % (IMAGE_SZ - PT_PAGE_SZ);

		for (int n = random() % 12; n >= 0; n--) {
			__u32 sz = 1 + random() % PT_PAGE_SZ;

			if (off + sz > IMAGE_SZ)
				break;
			add(off, random() % 4 ? data + random() %
			    (sizeof(data) - PT_PAGE_SZ) : NULL, sz);
			off += sz;
		}
	}
	flushed();
}

/* copy stages page to as a copy of page from's present content. */
static void copy(__u32 to, __u32 from)
{
	const __u64 off = to * PT_PAGE_SZ, from_off = from * PT_PAGE_SZ;
	struct pt_error err;
	const void *page;

	assert_int_equal(pt_sink_run_copy(&run, sink, off, from_off, &page,
					  &err), 0);
	memcpy(want + off, want + from_off, PT_PAGE_SZ);
	memset(want + IMAGE_SZ, 0, sizeof(want) - IMAGE_SZ);
	assert_memory_equal(page, want + off, PT_PAGE_SZ);
}

/* Copies one behind the other, of pages that wait or do not, whole or in part,
 * and bytes between them. */
static void test_copies(void **state)
{
	(void)state;
	srandom(2);
	for (int i = 0; i < 3000; i++) {
		__u32 to = random() % PAGES;
		__u32 cnt = random() % PAGES;

		for (; to < PAGES && cnt; to++, cnt--) {
			__u32 near = to - random() % 3;
			__u32 sz = 1 + random() % 99;

			if (random() % 8)
				copy(to, random() % 4 ? random() % PAGES
						      : near % PAGES);
			else
				add(to * PT_PAGE_SZ, data + random() %
				    (sizeof(data) - PT_PAGE_SZ),
				    random() % 2 && to < PAGES - 1
				    ? PT_PAGE_SZ : sz);
		}
	}
	flushed();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_after_another),
		TEST(test_zeroes_between),
		TEST(test_gap_flushes),
		TEST(test_no_fault),
		TEST(test_too_many_pieces),
		TEST(test_end_of_image),
		TEST(test_random),
		TEST(test_copies),
	};
	int failed_cnt;

	if (scratch_mount())
		return 1;
	failed_cnt = cmocka_run_group_tests(tests, NULL, NULL);
	is_reserved = true;
	return failed_cnt + cmocka_run_group_tests_name("reserved", tests,
							NULL, NULL);
}
