// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Records of whole pages, without blocks: runs of zeroes, and copies. */
#include "wire_kit.h"

static __u8 page[PT_PAGE_SZ];
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));

#define IPV4 (&kit_links[0].link)

static void test_zero_runs_merge(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	(void)state;
	assert_true(pt_builder_add_zeroes(&b, 5, 1));
	assert_true(pt_builder_add_zeroes(&b, 6, 10));
	assert_true(pt_builder_add_zeroes(&b, 16, 1));
	assert_int_equal(b.record_cnt, 1);
	assert_int_equal(b.records[0].kind, PT_RECORD_ZEROES);
	assert_int_equal(b.records[0].gfn, 5);
	assert_int_equal(b.records[0].mask, 12);
	assert_true(pt_builder_add_zeroes(&b, 18, 1));	/* a gap */
	assert_int_equal(b.record_cnt, 2);
	assert_int_equal(pt_builder_add_page(&b, 19, 0, 1, page), 64);
	assert_true(pt_builder_add_zeroes(&b, 20, 1));	/* after a page */
	assert_int_equal(b.record_cnt, 4);
	assert_true(pt_builder_add_zeroes(&b, 21, 511));
	assert_int_equal(b.record_cnt, 4);
	assert_int_equal(b.records[3].mask, 512);
	assert_true(pt_builder_add_zeroes(&b, 532, 1));	/* the longest run */
	assert_int_equal(b.record_cnt, 5);
	assert_true(pt_builder_add_zeroes(&b, PT_GFN_MAX - 511, 512));
	assert_int_equal(b.record_cnt, 6);
	assert_false(pt_builder_add_zeroes(&b, 21, 1));
}

/* A copy is a record of its own, between any neighbours; it has no blocks, and
 * may name any page but itself, before it or behind. */
static void test_copies(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	(void)state;
	assert_true(pt_builder_add_copy(&b, 0, PT_GFN_MAX, 1));
	assert_true(pt_builder_add_copy(&b, 1, 0, 1));
	assert_true(pt_builder_add_zeroes(&b, 2, 1));
	assert_true(pt_builder_add_copy(&b, 3, 1, 1));	/* no run of 1 */
	assert_true(pt_builder_add_zeroes(&b, 4, 1));
	assert_int_equal(pt_builder_add_page(&b, 5, 0, 3, page), 64);
	assert_true(pt_builder_add_copy(&b, PT_GFN_MAX, 0, 1));
	assert_int_equal(b.record_cnt, 7);
	assert_int_equal(b.block_cnt, 2);
	for (__u32 i = 0; i < 7; i++)
		if (i != 5)
			assert_int_equal(pt_record_block_cnt(&b.records[i]), 0);
	assert_int_equal(b.records[6].kind, PT_RECORD_COPY);
	assert_int_equal(b.records[6].first, 0);
	assert_int_equal(b.records[6].last, 63);
	assert_true(b.records[6].gfn == PT_GFN_MAX);
	assert_true(b.records[6].mask == 1ULL << 40);
	assert_int_equal(pt_record_page_cnt(&b.records[0]), 1);
	assert_int_equal(pt_builder_frame_sz(&b), 256 + 2 * 64);
}

/* A delta is one record of a page, whose blocks are those of its mask; it is never
 * cut. */
static void test_deltas(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 1280);
	unsigned int max = pt_builder_delta_max(&b);

	(void)state;
	assert_in_range(max, 16, 18);
	assert_true(pt_builder_add_delta(&b, 5, 0x10203, 0x8000000000000001,
					 page));
	assert_int_equal(b.block_cnt, 2);
	assert_int_equal(b.records[0].kind, PT_RECORD_DELTA);
	assert_int_equal(b.records[0].first, 2);
	assert_int_equal(b.records[0].last, 3);
	assert_int_equal(pt_record_block_cnt(&b.records[0]), 2);
	assert_int_equal(pt_record_page_cnt(&b.records[0]), 1);
	assert_int_equal(pt_record_base(&b.records[0], 0x10204), 0x10203);
	assert_int_equal(pt_record_base(&b.records[0], 0x20202), 0x10203);
	assert_int_equal(pt_record_base(&b.records[0], 0x10203), 0);
	assert_int_equal(pt_record_base(&b.records[0], 0x203), 0);
	assert_false(pt_builder_add_delta(&b, 5, 1, 0, page));
	assert_int_equal(pt_builder_add_page(&b, 5, 63, 0, page), 63);
	assert_true(pt_builder_add_delta(&b, 6, 1, 0, page));
	assert_false(pt_builder_add_delta(&b, 7, 1, (1ULL << max) - 1, page));
	assert_int_equal(b.record_cnt, 2);
	pt_builder_discard(&b);
	assert_true(pt_builder_add_delta(&b, 7, 1, (1ULL << max) - 1, page));
}

/* A copy that does not fit, or whose page is staged already, is not staged, and
 * the staged records are unchanged. */
static void test_copies_refused(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 9000);

	(void)state;
	assert_int_equal(pt_builder_add_page(&b, 10, 0, 1, page), 64);
	assert_true(pt_builder_add_copy(&b, 11, 3, 1));
	assert_false(pt_builder_add_copy(&b, 10, 3, 1));
	assert_false(pt_builder_add_copy(&b, 11, 3, 1));
	assert_int_equal(pt_builder_add_page(&b, 11, 63, 0, page), 63);
	assert_false(pt_builder_add_zeroes(&b, 11, 1));
	assert_int_equal(b.record_cnt, 2);
	pt_builder_discard(&b);

	for (__u64 i = 0; i < PT_RECORDS_MAX; i++)
		assert_true(pt_builder_add_copy(&b, i, 1000, 1));
	assert_false(pt_builder_add_copy(&b, PT_RECORDS_MAX, 1000, 1));
	assert_int_equal(b.record_cnt, PT_RECORDS_MAX);
	assert_int_equal(pt_builder_skip(&b), 42 + 64 + 96 * 16 + 22);

	b = kit_builder(IPV4, 1280);	/* 18 blocks, no record more */
	assert_int_equal(pt_builder_add_page(&b, 1, 46, ~0ULL, page), 64);
	assert_false(pt_builder_add_copy(&b, 2, 1, 1));
	assert_int_equal(pt_builder_frame_sz(&b), 128 + 18 * 64);
}

/* A run that can still grow does so in a frame that is full of records. */
static void test_record_limit(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 9000);

	(void)state;
	for (__u64 i = 0; i < PT_RECORDS_MAX; i++)
		assert_true(pt_builder_add_zeroes(&b, 2 * i, 1));
	assert_int_equal(b.record_cnt, PT_RECORDS_MAX);
	assert_false(pt_builder_add_zeroes(&b, 1000, 1));
	assert_int_equal(pt_builder_add_page(&b, 1000, 3, 0, page), 3);
	assert_true(pt_builder_add_zeroes(&b, 191, 5));
	assert_int_equal(b.records[95].mask, 6);
	assert_int_equal(b.record_cnt, PT_RECORDS_MAX);
	pt_builder_close(&b, IPV4, &kit_id, NULL, frame);
	assert_true(pt_builder_add_zeroes(&b, 0, 1));
}

/* Records alone fill a frame of MTU 1280 before their limit does. */
static void test_records_fill_frame(void **state)
{
	struct pt_builder b = kit_builder(&kit_links[3].link, 1280);
	__u64 gfn = 0;
	__u32 sz;

	(void)state;
	while (pt_builder_add_zeroes(&b, gfn, 1))
		gfn += 2;
	/* 66 + 64 + 16 n, rounded, within 1298 */
	assert_int_equal(b.record_cnt, 72);
	sz = pt_builder_frame_sz(&b);
	assert_int_equal(sz, 1284);
	assert_int_equal(pt_builder_close(&b, &kit_links[3].link, &kit_id,
					  NULL, frame), sz);
}

static void zeroes_past_end(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_add_zeroes(&b, PT_GFN_MAX, 2);
}

static void zeroes_513(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_add_zeroes(&b, 10, 513);
}

static void copy_of_itself(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_add_copy(&b, 10, 10, 1);
}

static void copy_past_end(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_add_copy(&b, PT_GFN_MAX + 1, 10, 1);
}

static void original_past_end(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_add_copy(&b, 10, PT_GFN_MAX + 1, 1);
}

static void test_checks(void **state)
{
	(void)state;
	assert_true(kit_aborts(zeroes_past_end));
	assert_true(kit_aborts(zeroes_513));
	assert_true(kit_aborts(copy_of_itself));
	assert_true(kit_aborts(copy_past_end));
	assert_true(kit_aborts(original_past_end));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_runs_merge),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_deltas),
		cmocka_unit_test(test_copies_refused),
		cmocka_unit_test(test_record_limit),
		cmocka_unit_test(test_records_fill_frame),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests_name("builder_whole", tests, NULL, NULL);
}
