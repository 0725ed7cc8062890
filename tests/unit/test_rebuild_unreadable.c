// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages that the source could not read: their digest, what replaces them, and that
 * nothing is made of them. */
#include "rebuild_kit.h"

#include <errno.h>

#include "memory/page_ranges.h"

static __u8 zeroes[PT_PAGE_SZ], page_a[PT_PAGE_SZ];

static void place_unreadable(__u64 gfn, __u64 cnt, __u32 generation)
{
	struct pt_builder b = page_builder(9000);

	assert_true(pt_builder_add_unreadable(&b, gfn, cnt));
	frame_place(frame, frame_close(&b, generation, 0));
}

/* place_copy: refused, or not. */
static void place_copy(__u64 gfn, __u64 original, __u32 version,
		       __u32 generation)
{
	struct pt_builder b = page_builder(9000);

	assert_true(pt_builder_add_copy(&b, gfn, original, version));
	frame_place(frame, frame_close(&b, generation, 0));
}

static void place_delta(__u64 gfn, __u32 base, __u32 generation)
{
	struct pt_builder b = page_builder(9000);

	assert_true(pt_builder_add_delta(&b, gfn, base, 1, page_a));
	frame_place(frame, frame_close(&b, generation, 0));
}

/* lost_are: the cnt pages from gfn on are unreadable, and no others. */
static void lost_are(__u64 gfn, __u64 cnt)
{
	__u64 page_idx = 0, first;

	assert_int_equal(pt_rebuild_unreadable_next(rebuild, &page_idx), cnt);
	if (!cnt)
		return;
	assert_true(pt_layout_find(layout, gfn, &first));
	assert_int_equal(page_idx, first);
	page_idx += cnt;
	assert_int_equal(pt_rebuild_unreadable_next(rebuild, &page_idx), 0);
}

static void test_digest(void **state)
{
	__u64 fresh[PT_REGION_PAGES];

	(void)state;
	lost_are(0, 0);
	place_page(LOW + 2, ~0ULL, page_a, 1);
	place_page(LOW + 4, ~0ULL, page_a, 1);
	place_unreadable(LOW + 3, 2, 2);
	lost_are(LOW + 3, 2);
	assert_content(LOW + 2, page_a);
	assert_content(LOW + 4, zeroes);
	assert_int_equal(region_digest(0), true_digest(LOW + 2, page_a) +
			 pt_digest_unreadable(LOW + 3) +
			 pt_digest_unreadable(LOW + 4));
	assert_int_equal(pt_rebuild_page_digests(rebuild, 0, fresh, NULL), 512);
	assert_int_equal(fresh[3], pt_digest_unreadable(LOW + 3));
	assert_int_equal(fresh[4], pt_digest_unreadable(LOW + 4));
	assert_int_equal(fresh[5], 0);
	assert_int_equal(counts.placed, 3);
}

static void test_stale(void **state)
{
	(void)state;
	place_page(LOW + 2, ~0ULL, page_a, 3);
	place_unreadable(LOW + 2, 1, 2);
	lost_are(0, 0);
	assert_int_equal(counts.stale, 1);
	assert_content(LOW + 2, page_a);
	place_unreadable(LOW + 2, 2, 2);	/* one of the two is newer */
	lost_are(LOW + 3, 1);
	assert_int_equal(counts.placed, 2);
}

/* It can be read again, or is zero, or its old frames come late. */
static void test_replaced(void **state)
{
	(void)state;
	place_unreadable(LOW, 4, 2);
	place_page(LOW, ~0ULL, page_a, 1);
	lost_are(LOW, 4);
	place_page(LOW, ~0ULL, page_a, 3);
	place_zero_run(LOW + 1, 1, 3);
	place_page(LOW + 2, 0, zeroes, 3);
	lost_are(LOW + 3, 1);
	assert_content(LOW, page_a);
	assert_int_equal(region_digest(0), true_digest(LOW, page_a) +
			 pt_digest_unreadable(LOW + 3));
	place_zero_run(LOW, 512, 4);
	lost_are(0, 0);
	assert_int_equal(region_digest(0), 0);
}

/* A page is no original, and no base, while it has no content. */
static void test_refers_to_none(void **state)
{
	(void)state;
	place_unreadable(LOW, 1, 2);
	place_copy(LOW + 1, LOW, 2, 3);
	assert_int_equal(refusals.cnt, 1);
	assert_int_equal(refusals.pages[0], pt_record_copy_of(LOW + 1, 3));
	place_delta(LOW, 2, 3);
	assert_int_equal(refusals.cnt, 1);
	assert_int_equal(counts.refused, 2);
	lost_are(LOW, 1);
	place_page(LOW, ~0ULL, page_a, 4);
	place_copy(LOW + 1, LOW, 4, 4);
	place_unreadable(LOW, 1, 5);
	assert_int_equal(counts.refused, 2);
	assert_content(LOW + 1, page_a);
	lost_are(LOW, 1);
}

/* Pieces of a page, and then none: the former are dropped, and a late piece of the
 * same version, which no sender sends, makes no digest of both. */
static void test_between_pieces(void **state)
{
	struct pt_builder b = page_builder(1280);

	(void)state;
	assert_true(pt_builder_add_page(&b, LOW, 0, ~0ULL, page_a) < 64);
	frame_place(frame, frame_close(&b, 1, 0));
	place_unreadable(LOW, 1, 2);
	lost_are(LOW, 1);
	assert_content(LOW, zeroes);
	assert_int_equal(region_digest(0), pt_digest_unreadable(LOW));
}

static void test_ranges(void **state)
{
	__u64 page_idx = 0;

	(void)state;
	place_unreadable(LOW + 511, 2, 1);	/* two regions */
	place_unreadable(HIGH + HIGH_CNT - 1, 1, 1);
	assert_int_equal(pt_rebuild_unreadable_next(rebuild, &page_idx), 1);
	assert_int_equal(page_idx++, 511);
	assert_int_equal(pt_rebuild_unreadable_next(rebuild, &page_idx), 1);
	assert_int_equal(page_idx++, 512);
	assert_int_equal(pt_rebuild_unreadable_next(rebuild, &page_idx), 1);
	assert_int_equal(pt_layout_gfn(layout, page_idx++),
			 HIGH + HIGH_CNT - 1);
	assert_int_equal(pt_rebuild_unreadable_next(rebuild, &page_idx), 0);
}

/* More ranges than a sink lists are refused as they come, not at the end. */
static void test_too_many(void **state)
{
	const struct pt_segment segment = {
		"ram", 0, 2 * (PT_PAGE_RANGES_MAX + 2048) * (__u64)PT_PAGE_SZ,
	};
	struct pt_error err = { 0 };
	static struct pt_reader r;
	struct kit_spans spans;
	int ret = 0;
	__u64 gfn;

	(void)state;
	assert_int_equal(pt_layout_create(&layout, &segment, 1, &err), 0);
	assert_int_equal(pt_image_create(&sink, OUT, layout, &err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	for (gfn = 0; !ret && gfn < segment.sz / PT_PAGE_SZ; gfn += 2) {
		struct pt_builder b = page_builder(9000);

		assert_true(pt_builder_add_unreadable(&b, gfn, 1));
		frame_open(&r, &spans, frame, frame_close(&b, 1, 0), 3840);
		assert_true(pt_rebuild_check(rebuild, &r));
		ret = pt_rebuild_place(rebuild, &run, &sum, &refusals, &r, &counts,
				       &err);
		kit_free(&spans);
	}
	assert_int_equal(ret, -E2BIG);
	assert_non_null(strstr(err.text, "more than 65536 ranges"));
	assert_in_range(gfn / 2, PT_PAGE_RANGES_MAX, PT_PAGE_RANGES_MAX + 1024);
	/* Those that were read after all count no more. */
	for (gfn = 0; gfn < 4096; gfn += 2)
		place_page(gfn, ~0ULL, page_a, 2);
	place_unreadable(segment.sz / PT_PAGE_SZ - 2, 1, 2);
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, rebuild_start, rebuild_stop)
	const struct CMUnitTest tests[] = {
		TEST(test_digest),
		TEST(test_stale),
		TEST(test_replaced),
		TEST(test_refers_to_none),
		TEST(test_between_pieces),
		TEST(test_ranges),
		cmocka_unit_test(test_too_many),
	};

	memset(page_a, 'a', sizeof(page_a));
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
