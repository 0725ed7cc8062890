// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The caller's own memory as a source, and the tables of regions that are
 * refused. */
#include <sys/mman.h>
#include "guard_again.h"
#include "opened.h"

#define LOW_PAGES	700	/* a region and a part of one */
#define HIGH_PAGES	3

static __u8 low[LOW_PAGES][PAGE] __attribute__((aligned(4096)));
static __u8 high[HIGH_PAGES][PAGE] __attribute__((aligned(4096)));

static const struct pt_region both[] = {	/* in no order */
	{ .addr = high, .gfn = 5000, .sz = sizeof(high), .name = "high/ram" },
	{ .addr = low, .gfn = 8, .sz = sizeof(low) },
};

static void open_regions(struct opened *o, const struct pt_region *regions,
			 __u32 cnt)
{
	struct pt_error err = { 0 };
	const struct pt_segment *segs;
	__u32 seg_cnt;

	if (pt_source_open_regions(&o->src, regions, cnt, &err))
		fail_msg("%s", err.text);
	segs = pt_source_segments(o->src, &seg_cnt);
	assert_int_equal(pt_layout_create(&o->layout, segs, seg_cnt, &err), 0);
	pt_view_init(&o->view);
}

static void test_content(void **state)
{
	const struct pt_segment *segs;
	__u8 image[sizeof(low) + sizeof(high)];
	struct opened o;
	__u32 cnt;

	(void)state;
	for (__u32 i = 0; i < LOW_PAGES; i++)
		memset(low[i], i * 7 + 1, PAGE - i);
	memset(high[1], 0x5a, PAGE);
	memcpy(image, low, sizeof(low));
	memcpy(image + sizeof(low), high, sizeof(high));
	open_regions(&o, both, 2);
	segs = pt_source_segments(o.src, &cnt);
	assert_int_equal(cnt, 2);
	assert_string_equal(segs[0].name, "region");
	assert_string_equal(segs[1].name, "ram");
	assert_int_equal(segs[0].gfn, 8);
	assert_int_equal(segs[1].gfn, 5000);
	assert_int_equal(check_content(&o, image, sizeof(image)), 0);
	assert_true(pt_source_may_change(o.src));
	close_all(&o);
}

/* A view keeps the bytes that it read, whatever is written afterwards. */
static void test_view_is_a_copy(void **state)
{
	__u8 page[PAGE], buffer[PAGE];
	struct opened o;

	(void)state;
	memset(low[3], 0x11, PAGE);
	open_regions(&o, both, 2);
	see(&o, 0);
	memset(low[3], 0x22, PAGE);
	memset(page, 0x11, PAGE);
	assert_memory_equal(o.view.pages + 3 * PAGE, page, PAGE);
	memset(page, 0x22, PAGE);
	assert_memory_equal(pt_source_page(o.src, o.layout, 3, buffer), page,
			    PAGE);
	close_all(&o);
}

/* Memory behind the end of its file is an error, not a signal. */
static void test_memory_that_is_not_there(void **state)
{
	int fd = scratch_file(SCRATCH "/short", PAGE);
	struct pt_region gone = { .gfn = 0, .sz = 2 * PAGE, .name = "gone" };
	struct pt_error err = { 0 };
	struct opened o;
	__u8 buffer[PAGE];

	(void)state;
	guard_again();
	gone.addr = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(gone.addr, MAP_FAILED);
	open_regions(&o, &gone, 1);
	assert_int_equal(pt_source_view(o.src, &o.view, o.layout, 0, &err), 0);
	assert_int_equal(pt_view_load(o.src, &o.view, 0, 1, &err), 0);
	assert_int_equal(pt_view_load(o.src, &o.view, 0, 2, &err), -EIO);
	assert_non_null(strstr(err.text, "gone"));
	assert_null(pt_source_page(o.src, o.layout, 1, buffer));
	assert_non_null(pt_source_page(o.src, o.layout, 0, buffer));
	close_all(&o);
	munmap(gone.addr, 2 * PAGE);
	close(fd);
}

static const struct row {
	const char *name;
	__u32 cnt;
	struct pt_region regions[2];
	const char *says;
} rows[] = {
	{ "none", 0, { { 0 } }, "give 1.." },
	{ "NULL", 1, { { NULL, 0, PAGE, NULL } }, "address is NULL" },
	{ "unaligned", 1, { { low[0] + 8, 0, PAGE, NULL } }, "address" },
	{ "empty", 1, { { low, 0, 0, NULL } }, "size" },
	{ "part of a page", 1, { { low, 0, PAGE + 1, NULL } }, "size" },
	{ "page number too high", 1, { { low, PT_GFN_MAX + 1, PAGE, NULL } },
	  "too high" },
	{ "last page too high", 1, { { low, PT_GFN_MAX, 2 * PAGE, NULL } },
	  "too high" },
	{ "behind the address space", 1,
	  { { (void *)-(uintptr_t)PAGE, 0, 2 * PAGE, NULL } }, "behind" },
	{ "same pages", 2, { { low, 4, 2 * PAGE, "a" },
			     { high, 5, PAGE, "b" } }, "page numbers" },
	{ "same memory", 2, { { low[1], 4, PAGE, "a" },
			      { low, 8, 2 * PAGE, "b" } }, "in memory" },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_source *src = NULL;
	struct pt_error err = { 0 };

	assert_int_equal(pt_source_open_regions(&src, row->regions, row->cnt,
						&err), -EINVAL);
	assert_null(src);
	if (!strstr(err.text, row->says))
		fail_msg("%s", err.text);
}

/* Adjacent regions, in pages and in memory, do not overlap. */
static void test_neighbours(void **state)
{
	const struct pt_region regions[] = {
		{ low[1], 4, PAGE, NULL }, { low[0], 5, PAGE, NULL },
		{ low[2], PT_GFN_MAX, PAGE, NULL },
	};
	struct pt_source *src;
	struct pt_error err = { 0 };

	(void)state;
	assert_int_equal(pt_source_open_regions(&src, regions, 3, &err), 0);
	pt_source_close(src);
}

int main(void)
{
	struct CMUnitTest tests[4 + sizeof(rows) / sizeof(rows[0])] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_view_is_a_copy),
		cmocka_unit_test(test_memory_that_is_not_there),
		cmocka_unit_test(test_neighbours),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[4 + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	if (scratch_mount())
		return 1;
	guard_again();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
