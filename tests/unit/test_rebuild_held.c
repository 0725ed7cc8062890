// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Data of an interrupted transfer in a sink, and frames on top of it. */
#include "rebuild_kit.h"

static const __u8 zeroes[PT_PAGE_SZ];
static __u8 page_a[PT_PAGE_SZ], page_b[PT_PAGE_SZ];	/* no zero block */
static __u8 other[PT_PAGE_SZ];

/* A held page in the sink, of any origin: its digest, and that of its region
 * alone. */
static void test_held_is_read(void **state)
{
	static __u8 pages[PT_REGION_PAGES * PT_PAGE_SZ];
	struct pt_held_region held;
	struct pt_error err;

	(void)state;
	memcpy(pt_image_page(sink, 512), page_a, PT_PAGE_SZ);
	memset(&held, 0xee, sizeof(held));
	assert_int_equal(pt_rebuild_held(rebuild, 0, pages, &held, &err), 0);
	for (__u32 i = 0; i < PT_REGION_PAGES; i++)
		assert_int_equal(held.digests[i], 0);
	assert_int_equal(held.has_data[0] | held.has_data[7], 0);
	assert_int_equal(pt_rebuild_held(rebuild, 1, pages, &held, &err), 0);
	assert_int_equal(held.digests[0], true_digest(LOW + 512, page_a));
	assert_int_equal(held.digests[1], 0);
	assert_int_equal(held.has_data[0], 1);
	assert_int_equal(region_digest(1), 0);
	assert_int_equal(scratch_blocks(OUT ".partial"), PT_PAGE_SZ);
}

/* A held page stays until a frame replaces it wholly. */
static void test_held_is_imported(void **state)
{
	static __u8 pages[PT_REGION_PAGES * PT_PAGE_SZ];
	struct pt_held_region held;
	__u64 digests[PT_REGION_PAGES];
	__u64 kept = true_digest(LOW + 3, page_a);
	struct pt_error err;

	(void)state;
	for (int i = 3; i < 6; i++)
		memcpy(pt_image_page(sink, i), page_a, PT_PAGE_SZ);
	assert_int_equal(pt_rebuild_held(rebuild, 0, pages, &held, &err), 0);
	pt_rebuild_import(rebuild, 0, &held);
	assert_int_equal(region_digest(0), kept + true_digest(LOW + 4, page_a) +
			 true_digest(LOW + 5, page_a));
	place_page(LOW + 4, 1, page_b, 1);
	place_zero_run(LOW + 5, 1, 1);
	memcpy(other, page_b, PT_BLOCK_SZ);
	assert_content(LOW + 3, page_a);
	assert_content(LOW + 4, other);
	assert_content(LOW + 5, zeroes);
	assert_int_equal(region_digest(0), kept + true_digest(LOW + 4, other));
	pt_rebuild_page_digests(rebuild, 0, digests, NULL);
	assert_int_equal(digests[3], kept);
	assert_int_equal(digests[4], true_digest(LOW + 4, other));
	assert_int_equal(digests[5], 0);
}

/* A run of the whole region clears held pages, too. */
static void test_held_is_cleared(void **state)
{
	static __u8 pages[PT_REGION_PAGES * PT_PAGE_SZ];
	struct pt_held_region held;
	struct pt_error err;

	(void)state;
	memcpy(pt_image_page(sink, 3), page_a, PT_PAGE_SZ);
	assert_int_equal(pt_rebuild_held(rebuild, 0, pages, &held, &err), 0);
	pt_rebuild_import(rebuild, 0, &held);
	place_zero_run(LOW, 512, 1);
	assert_content(LOW + 3, zeroes);
	assert_int_equal(region_digest(0), 0);
}

/* A held page is an original like any other, and a page like any other. */
static void test_held_is_copied(void **state)
{
	static __u8 pages[PT_REGION_PAGES * PT_PAGE_SZ];
	static const __u64 originals[] = { LOW + 3, LOW + 4, LOW + 2 };
	struct pt_builder b = page_builder(9000);
	struct pt_held_region held;
	struct pt_error err;

	(void)state;
	memcpy(pt_image_page(sink, 3), page_a, PT_PAGE_SZ);
	memcpy(pt_image_page(sink, 4), page_b, PT_PAGE_SZ);
	memcpy(pt_image_page(sink, 8), page_b, PT_PAGE_SZ);
	memcpy(pt_image_page(sink, 9), page_b, PT_PAGE_SZ);
	assert_int_equal(pt_rebuild_held(rebuild, 0, pages, &held, &err), 0);
	pt_rebuild_import(rebuild, 0, &held);
	/* Versions 0 and 1; over a hole, data, data. */
	for (int i = 0; i < 3; i++)
		assert_true(pt_builder_add_copy(&b, LOW + 7 + i, originals[i],
						i % 2));
	assert_true(pt_builder_add_copy(&b, HIGH, LOW + 3, 0));
	frame_place(frame, frame_close(&b, 1, 0));
	assert_content(LOW + 3, page_a);
	assert_int_equal(counts.refused, 4);
	assert_true(sink_is_hole(LOW + 7));
	assert_content(LOW + 8, page_b);
	assert_content(LOW + 9, page_b);
	assert_true(sink_is_hole(HIGH));
	assert_true(sink_is_hole(LOW + 2));
	assert_int_equal(region_digest(0), true_digest(LOW + 3, page_a) +
			 true_digest(LOW + 4, page_b) +
			 true_digest(LOW + 8, page_b) +
			 true_digest(LOW + 9, page_b));
	assert_int_equal(region_digest(3), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rebuild_start, \
						 rebuild_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_held_is_read),
		TEST(test_held_is_imported),
		TEST(test_held_is_cleared),
		TEST(test_held_is_copied),
	};
	__u64 random = 3;

	if (scratch_mount())
		return 1;
	kit_fill(page_a, sizeof(page_a), &random);
	kit_fill(page_b, sizeof(page_b), &random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
