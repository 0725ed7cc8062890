// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PAGES(n) ((__u64)(n) * 4096)

/* Three segments: one page and a byte; exactly one region; a region and a
 * page, less three bytes. */
static const struct pt_segment three[] = {
	{ "low", 10, 4097 },
	{ "mid", 12, PAGES(512) },
	{ "high", 1000000, PAGES(513) - 3 },
};

static struct pt_layout *make(const struct pt_segment *segs, __u32 cnt)
{
	struct pt_layout *l = NULL;
	struct pt_error err;

	assert_int_equal(pt_layout_create(&l, segs, cnt, &err), 0);
	assert_non_null(l);
	return l;
}

static void test_sizes(void **state)
{
	struct pt_layout *l = make(three, 3);
	const struct pt_segment *segs;
	__u32 cnt;

	(void)state;
	assert_int_equal(pt_layout_region_cnt(l), 1 + 1 + 2);
	assert_int_equal(pt_layout_page_cnt(l), 4 * 512);
	assert_int_equal(pt_layout_image_sz(l),
			 PAGES(2) + PAGES(512) + PAGES(513) - 3);
	segs = pt_layout_segments(l, &cnt);
	assert_int_equal(cnt, 3);
	assert_ptr_not_equal(segs, three);	/* its own copy */
	assert_memory_equal(segs, three, sizeof(three));
	pt_layout_free(l);
}

static void test_regions(void **state)
{
	static const struct {
		__u64 gfn, seg_off;
		__u32 page_cnt, seg;
	} want[] = {
		{ 10, 0, 2, 0 },
		{ 12, 0, 512, 1 },
		{ 1000000, 0, 512, 2 },
		{ 1000512, 2u << 20, 1, 2 },
	};
	struct pt_layout *l = make(three, 3);
	__u64 gfn, seg_off;

	(void)state;
	for (unsigned int r = 0; r < 4; r++) {
		assert_int_equal(pt_layout_region(l, r, &gfn),
				 want[r].page_cnt);
		assert_int_equal(gfn, want[r].gfn);
		assert_int_equal(pt_layout_region(l, r, NULL),
				 want[r].page_cnt);
		assert_int_equal(pt_layout_region_segment(l, r, &seg_off),
				 want[r].seg);
		assert_int_equal(seg_off, want[r].seg_off);
	}
	pt_layout_free(l);
}

/* Every index: forth and back, and the image without a gap but rounding. */
static void test_every_index(void **state)
{
	struct pt_layout *l = make(three, 3);
	__u64 image_off = 0, found = 0, idx;

	(void)state;
	for (__u64 i = 0; i < pt_layout_page_cnt(l); i++) {
		if ((i >= 2 && i < 512) || i > 1536)
			continue;	/* no page: its region is shorter */
		found++;
		assert_int_equal(pt_layout_image_off(l, i), image_off);
		image_off += 4096;
		assert_true(pt_layout_find(l, pt_layout_gfn(l, i), &idx));
		assert_int_equal(idx, i);
	}
	assert_int_equal(found, 2 + 512 + 513);
	pt_layout_free(l);
}

static void test_find(void **state)
{
	static const struct {
		__u64 gfn, idx, run;	/* run 0: there is no such page */
	} rows[] = {
		{ 0, 0, 0 },		{ 9, 0, 0 },
		{ 10, 0, 2 },		{ 11, 1, 1 },
		{ 12, 512, 512 },	{ 523, 1023, 1 },
		{ 524, 0, 0 },		{ 999999, 0, 0 },
		{ 1000000, 1024, 513 }, { 1000511, 1535, 2 },
		{ 1000512, 1536, 1 },	{ 1000513, 0, 0 },
		{ PT_GFN_MAX, 0, 0 },	{ ~0ULL, 0, 0 },
	};
	struct pt_layout *l = make(three, 3);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		__u64 idx = 77;

		assert_int_equal(pt_layout_find(l, rows[i].gfn, &idx),
				 rows[i].run != 0);
		assert_int_equal(idx, rows[i].run ? rows[i].idx : 77);
		assert_int_equal(pt_layout_run_cnt(l, rows[i].gfn),
				 rows[i].run);
	}
	pt_layout_free(l);
}

static void test_one_byte(void **state)
{
	struct pt_layout *l =
		make(&(struct pt_segment){ "b", PT_GFN_MAX, 1 }, 1);
	__u64 idx;

	(void)state;
	assert_int_equal(pt_layout_page_cnt(l), 512);
	assert_int_equal(pt_layout_image_sz(l), 1);
	assert_true(pt_layout_find(l, PT_GFN_MAX, &idx));
	assert_int_equal(idx, 0);
	pt_layout_free(l);
}

static void test_most_segments(void **state)
{
	struct pt_segment *segs = calloc(PT_SEGMENTS_MAX + 1, sizeof(*segs));
	struct pt_layout *l;
	struct pt_error err;
	__u64 idx;

	(void)state;
	assert_non_null(segs);
	for (__u32 i = 0; i <= PT_SEGMENTS_MAX; i++)
		segs[i] = (struct pt_segment){ "s", i * 3ULL, 4096 };
	l = make(segs, PT_SEGMENTS_MAX);
	for (__u32 i = 0; i < PT_SEGMENTS_MAX; i++) {
		assert_true(pt_layout_find(l, i * 3ULL, &idx));
		assert_int_equal(idx, i * 512ULL);
		assert_false(pt_layout_find(l, i * 3ULL + 1, &idx));
	}
	assert_int_equal(pt_layout_image_sz(l), PAGES(PT_SEGMENTS_MAX));
	pt_layout_free(l);

	assert_int_equal(pt_layout_create(&l, segs, PT_SEGMENTS_MAX + 1, &err),
			 -EINVAL);
	free(segs);
}

static const struct refusal {
	const char *name;
	struct pt_segment segs[2];
	__u32 cnt;
	int want;
	const char *text;	/* part of the error */
} refusals[] = {
	{ "none", { { "a", 0, 1 } }, 0, -EINVAL, "0 of them" },
	{ "empty segment", { { "a", 0, 0 } }, 1, -EINVAL, "empty" },
	{ "descending", { { "a", 9, 1 }, { "b", 3, 1 } }, 2, -EINVAL,
	  "(b): it starts at page 3, before segment 0 ends" },
	{ "same start", { { "a", 9, 1 }, { "b", 9, 1 } }, 2, -EINVAL, "before" },
	{ "overlap by one byte", { { "a", 9, 4097 }, { "b", 10, 1 } }, 2,
	  -EINVAL, "before segment 0 ends" },
	{ "starts above the last page", { { "a", PT_GFN_MAX + 1, 1 } }, 1,
	  -EINVAL, "above page 2^40" },
	{ "ends above the last page", { { "a", PT_GFN_MAX, 4097 } }, 1, -EINVAL,
	  "above page 2^40" },
	{ "size wraps around", { { "a", 2, ~0ULL } }, 1, -EINVAL, "above" },
	{ "too large", { { "a", 0, (1ULL << 48) + 1 } }, 1, -E2BIG, "256 TiB" },
	{ "name without end",
	  { { { [0 ... PT_SEGMENT_NAME_SZ - 1] = 'n' }, 0, 1 } }, 1, -EINVAL,
	  "does not end" },
};

static void test_refusal(void **state)
{
	const struct refusal *row = *state;
	struct pt_layout *l = (void *)7;
	struct pt_error err = { 0 };

	assert_int_equal(pt_layout_create(&l, row->segs, row->cnt, &err),
			 row->want);
	assert_ptr_equal(l, (void *)7);
	assert_int_equal(err.exit, PT_EXIT_FAILED);
	assert_non_null(strstr(err.text, row->text));
	/* no error wanted is fine too */
	assert_int_equal(pt_layout_create(&l, row->segs, row->cnt, NULL),
			 row->want);
}

#define REFUSAL_CNT (sizeof(refusals) / sizeof(refusals[0]))

int main(void)
{
	struct CMUnitTest tests[6 + REFUSAL_CNT] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_every_index),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_one_byte),
		cmocka_unit_test(test_most_segments),
	};

	for (size_t i = 0; i < REFUSAL_CNT; i++)
		tests[6 + i] = (struct CMUnitTest){ refusals[i].name,
						    test_refusal, NULL, NULL,
						    (void *)&refusals[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
