// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Deltas: a page changes in the named blocks if it is whole in the version that
 * the delta names, and stays as it is if not. */
#include "rebuild_kit.h"

#include "rebuild/rebuild_impl.h"

#define GFN	(LOW + 3)
#define LAST	(HIGH + HIGH_CNT - 1)	/* of which 100 bytes are missing */

static __u8 old[PT_PAGE_SZ], new[PT_PAGE_SZ], want[PT_PAGE_SZ];
static const __u8 zeroes[PT_PAGE_SZ];

enum outcome { PLACED, STALE, REFUSED };

/* delta_frame makes a frame of one delta of new. */
static __u32 delta_frame(__u64 gfn, __u32 generation, __u32 base, __u64 mask)
{
	struct pt_builder b = page_builder(9000);

	assert_true(pt_builder_add_delta(&b, gfn, base, mask, new));
	return frame_close(&b, generation, 0);
}

/* delta stages one, behind those that are staged already. */
static void delta(__u64 gfn, __u32 generation, __u32 base, __u64 mask,
		  enum outcome outcome)
{
	struct pt_rebuild_counts before = counts;

	batch_place(frame, delta_frame(gfn, generation, base, mask), 3840);
	assert_int_equal(counts.placed, before.placed + (outcome == PLACED));
	assert_int_equal(counts.stale, before.stale + (outcome == STALE));
	assert_int_equal(counts.refused, before.refused + (outcome == REFUSED));
	assert_int_equal(refusals.cnt, outcome == REFUSED);
	if (outcome == REFUSED)
		assert_true(refusals.pages[0] ==
			    pt_record_copy_of(gfn, generation));
}

/* patched makes want what old is with the blocks of new. */
static void patched(const __u8 *from, __u64 mask)
{
	memcpy(want, from, PT_PAGE_SZ);
	for (; mask; mask &= mask - 1) {
		unsigned int at = __builtin_ctzll(mask) * PT_BLOCK_SZ;

		memcpy(want + at, new + at, PT_BLOCK_SZ);
	}
}

/* holds: the page has the content, and its region, alone in it, the digest,
 * which is not read from the sink. */
static void holds(__u64 gfn, const __u8 *page)
{
	__u64 page_idx;

	batch_flush();
	assert_content(gfn, page);
	assert_true(pt_layout_find(layout, gfn, &page_idx));
	assert_true(bit_is_set(rebuild->summed, page_idx));
	assert_true(region_digest(page_idx / PT_REGION_PAGES) ==
		    true_digest(gfn, page));
}

static void test_changes(void **state)
{
	(void)state;
	place_page(GFN, ~0ULL, old, 1);
	delta(GFN, 2, 1, 0x8000000000000011, PLACED);
	patched(old, 0x8000000000000011);
	holds(GFN, want);
	assert_int_equal(counts.bytes, PT_PAGE_SZ + 3 * PT_BLOCK_SZ);
	delta(GFN, 3, 2, 0x6, PLACED);		/* of a delta */
	memcpy(old, want, PT_PAGE_SZ);
	patched(old, 0x6);
	holds(GFN, want);
	delta(GFN, 4, 3, 0, PLACED);		/* only the version */
	delta(GFN, 5, 3, 0, REFUSED);
	delta(GFN, 5, 4, ~0ULL, PLACED);
	holds(GFN, new);
}

/* All in one batch: staged blocks count. */
static void test_staged(void **state)
{
	struct pt_builder b = page_builder(9000);

	(void)state;
	assert_int_equal(pt_builder_add_page(&b, GFN, 0, ~0ULL, old), 64);
	batch_place(frame, frame_close(&b, 1, 0), 3840);
	delta(GFN, 2, 1, 0x3, PLACED);
	delta(GFN, 3, 2, 0x30, PLACED);
	delta(GFN, 3, 1, 0x300, REFUSED);
	patched(old, 0x33);
	holds(GFN, want);
}

static void test_wrong_versions(void **state)
{
	(void)state;
	delta(GFN, 2, 1, 1, REFUSED);		/* never spoken of */
	delta(GFN, 2, 2, 1, REFUSED);		/* of no version, as is the page */
	place_page(GFN, ~0ULL, old, 3);
	delta(GFN, 4, 2, 1, REFUSED);		/* older */
	delta(GFN, 5, 4, 1, REFUSED);		/* newer */
	delta(GFN, 4, 4, 1, REFUSED);		/* its own: none */
	delta(GFN, 4, 5, 1, REFUSED);
	delta(GFN, 4, 0, 1, REFUSED);
	delta(GFN, 3, 3, 1, REFUSED);		/* another of that version */
	delta(GFN, 3, 2, 1, REFUSED);
	delta(GFN, 2, 1, 1, STALE);
	delta(GFN, 3 + 0x10000, 3, 1, REFUSED);	/* too old: all low bits */
	delta(GFN, 5 + 0x10000, 3, 1, REFUSED);	/* 0x10003 is meant */
	delta(GFN, 2 + 0x10000, 3 | 1 << 15, 1, REFUSED);
	holds(GFN, old);
	delta(GFN, 2 + 0x10000, 3, 1, PLACED);	/* as old as may be */
	patched(old, 1);
	holds(GFN, want);
}

/* A delta that comes before its base, and again, and late. */
static void test_order(void **state)
{
	(void)state;
	place_page(GFN, ~0ULL, old, 1);
	delta(GFN, 3, 2, 1, REFUSED);
	place_page(GFN, ~0ULL, new, 2);
	delta(GFN, 3, 2, 2, PLACED);
	delta(GFN, 3, 2, 2, REFUSED);
	holds(GFN, new);
	place_page(GFN, ~0ULL, old, 1);
	place_page(GFN, ~0ULL, old, 2);
	holds(GFN, new);
	place_page(GFN, ~0ULL, old, 4);
	delta(GFN, 3, 2, 2, STALE);
	holds(GFN, old);
}

static void piece(unsigned int first, __u64 mask, __u32 generation)
{
	struct pt_builder b = page_builder(9000);

	assert_int_equal(pt_builder_add_page(&b, GFN, first, mask, old), 64);
	b.records[0].last = mask & 1ULL << 63 ? 63 : 31;
	frame_place(frame, frame_close(&b, generation, 0));
}

/* A page is no base until all of its pieces came, nor while its digest is unknown:
 * the digest of pieces out of order is taken at the comparison only. */
static void test_pieces(void **state)
{
	(void)state;
	place_page(GFN, ~0ULL, new, 1);
	piece(32, ~0ULL << 32, 2);
	delta(GFN, 3, 2, 1, REFUSED);
	delta(GFN, 3, 1, 1, REFUSED);
	piece(0, ~0U, 2);
	delta(GFN, 3, 2, 1, PLACED);
	patched(old, 1);
	holds(GFN, want);
	piece(0, ~0U, 4);
	delta(GFN, 5, 4, 1, REFUSED);
}

static void test_zeroes(void **state)
{
	(void)state;
	place_zero_run(GFN, 1, 1);
	delta(GFN, 2, 1, 0x9, PLACED);
	patched(zeroes, 0x9);
	holds(GFN, want);
	place_zero_run(MID, MID_CNT, 3);	/* of a region, without a look */
	delta(MID + 1, 4, 2, 0x9, REFUSED);
	delta(MID + 1, 4, 3, 0x9, PLACED);
	holds(MID + 1, want);
	memset(new, 0, PT_PAGE_SZ);		/* changed blocks are zero */
	delta(GFN, 3, 2, 0x8, PLACED);
	patched(want, 0x8);
	holds(GFN, want);
	delta(GFN, 4, 3, 0x1, PLACED);
	holds(GFN, zeroes);
}

/* Bytes that others changed in the sink are no base. */
static void test_changed_by_others(void **state)
{
	const __u8 other = old[9] + 1;
	__u64 page_idx;
	int fd;

	(void)state;
	place_page(GFN, ~0ULL, old, 1);
	assert_true(pt_layout_find(layout, GFN, &page_idx));
	fd = open(OUT ".partial", O_WRONLY);
	assert_int_equal(pwrite(fd, &other, 1, 9 +
				pt_layout_image_off(layout, page_idx)), 1);
	close(fd);
	delta(GFN, 2, 1, 2, REFUSED);
	place_page(GFN, ~0ULL, old, 2);
	holds(GFN, old);
}

/* Memory ends 100 bytes before its last page does. */
static void test_part_of_a_page(void **state)
{
	(void)state;
	memset(old + PT_PAGE_SZ - 100, 0, 100);
	place_page(LAST, ~0ULL, old, 1);
	delta(LAST, 2, 1, 0x1, PLACED);
	patched(old, 0x1);
	holds(LAST, want);
}

/* Others of the frame are judged by themselves. */
static void test_beside_others(void **state)
{
	struct pt_builder b = page_builder(9000);

	(void)state;
	place_page(GFN, ~0ULL, old, 1);
	assert_int_equal(pt_builder_add_page(&b, GFN - 1, 0, 1, new), 64);
	assert_true(pt_builder_add_delta(&b, GFN, 9, 0x5, new));
	assert_int_equal(pt_builder_add_page(&b, GFN + 1, 0, 2, new), 64);
	frame_place(frame, frame_close(&b, 2, 0));
	assert_int_equal(counts.placed, 3);
	assert_int_equal(counts.refused, 1);
	assert_content(GFN, old);
	patched(zeroes, 1);
	assert_content(GFN - 1, want);
	patched(zeroes, 2);
	assert_content(GFN + 1, want);
}

static int setup(void **state)
{
	__u64 random = 4;

	kit_fill(old, PT_PAGE_SZ, &random);
	kit_fill(new, PT_PAGE_SZ, &random);
	return rebuild_start(state);
}

static int teardown(void **state)
{
	batch_flush();
	return rebuild_stop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		TEST(changes), TEST(staged), TEST(wrong_versions), TEST(order),
		TEST(pieces), TEST(zeroes), TEST(changed_by_others),
		TEST(part_of_a_page), TEST(beside_others),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
