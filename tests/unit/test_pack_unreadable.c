// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* An image at rest is packed of a file of which a page cannot be read: its mapping
 * raises SIGBUS. */
#include "guard_again.h"
#include "ptrim_kit.h"

#include <sys/mman.h>

#include "image/pack.h"
#include "poison_kit.h"

#define RAW	SCRATCH "/raw"
#define PAGES	600
#define BAD	517	/* in the second region */

/* bad_open opens RAW, each page of which has its number, and poisons BAD in the
 * source's mapping; false: the kernel has no poison. */
static bool bad_open(struct pt_source **src)
{
	static const char *const raw = RAW;
	int fd = scratch_file(RAW, PAGES * PT_PAGE_SZ);
	struct pt_view view;
	struct pt_layout *l;
	struct pt_error err;
	__u32 cnt;
	void *at;

	for (__u32 i = 1; i <= PAGES; i++)
		assert_int_equal(pwrite(fd, &i, sizeof(i), (i - 1) * PT_PAGE_SZ),
				 sizeof(i));
	close(fd);
	assert_int_equal(pt_source_open_files(src, &raw, 1, &err), 0);
	assert_int_equal(pt_layout_create(&l, pt_source_segments(*src, &cnt), 1, &err),
			 0);
	pt_view_init(&view);
	assert_int_equal(pt_source_view(*src, &view, l, 1, &err), 0);
	at = (void *)(view.pages + (BAD - PT_REGION_PAGES) * PT_PAGE_SZ);
	pt_view_free(&view);
	pt_layout_free(l);
	assert_ptr_equal(mmap(at, PT_PAGE_SZ, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			      MAP_ANONYMOUS | MAP_FIXED, -1, 0), at);
	return kit_poison(at, PT_PAGE_SZ);
}

/* packed returns pt_pack's code. */
static int packed(enum pt_on_unreadable how, struct pt_pack_result *r,
		  struct pt_error *err)
{
	const struct pt_pack_cfg cfg = { .method = PT_COMPRESSION_LZ4, .level = 1 };
	struct pt_source *src;
	int code;

	guard_again();
	unlink(KIT_IMAGE);
	if (!bad_open(&src)) {
		print_message("skipped: userfaultfd has no poison (Linux 6.6)\n");
		skip();
	}
	pt_source_on_unreadable(src, how);
	code = pt_pack(KIT_IMAGE, src, NULL, &cfg, r, err);
	pt_source_close(src);
	return code;
}

/* holds: the image has each page's number, and BAD in that state. */
static void holds(enum pt_ptrim_state state)
{
	static __u8 page[PT_PAGE_SZ];
	struct pt_ptrim_reader *reader;
	struct pt_error err;
	struct pt_ptrim *p;

	assert_int_equal(pt_ptrim_open(&p, KIT_IMAGE, NULL, &err), 0);
	assert_int_equal(pt_ptrim_reader_create(&reader, p), 0);
	for (__u32 i = 0; i < PAGES; i++) {
		assert_int_equal(pt_ptrim_read(reader, i, page),
				 i == BAD ? state : PT_PTRIM_DATA);
		if (i != BAD)
			assert_int_equal(*(__u32 *)page, i + 1);
	}
	pt_ptrim_reader_destroy(reader);
	pt_ptrim_close(p);
}

static void test_mark(void **state)
{
	struct pt_pack_result r;
	struct pt_error err;

	(void)state;
	if (packed(PT_UNREADABLE_MARK, &r, &err))
		fail_msg("%s", err.text);
	assert_int_equal(r.pages[PT_PTRIM_UNREADABLE], 1);
	assert_int_equal(r.zeroed_cnt, 0);
	holds(PT_PTRIM_UNREADABLE);
}

static void test_zero(void **state)
{
	struct pt_pack_result r;
	struct pt_error err;

	(void)state;
	if (packed(PT_UNREADABLE_ZERO, &r, &err))
		fail_msg("%s", err.text);
	assert_int_equal(r.pages[PT_PTRIM_UNREADABLE], 0);
	assert_int_equal(r.zeroed_cnt, 1);
	holds(PT_PTRIM_ABSENT);
}

static void test_fail(void **state)
{
	struct pt_pack_result r;
	struct pt_error err;
	struct stat st;

	(void)state;
	assert_int_equal(packed(PT_UNREADABLE_FAIL, &r, &err), -EIO);
	if (!strstr(err.text, RAW ": cannot be read at byte 2117632") ||
	    !strstr(err.text, "on_unreadable mark"))
		fail_msg("%s", err.text);
	assert_int_equal(stat(KIT_IMAGE, &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark),	/* first: guard_again */
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_fail),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
