// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Memories made of batches of one kind, and the adaptive scan's decisions on
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pagetrim/wire.h>
#include "trim/adaptive.h"

#define PIECE	PT_ADAPTIVE_PIECE
#define ALL	(~0ULL)
#define LAG	(PT_ADAPTIVE_LAG / PIECE)	/* batches of data */

#define FULL	(~0ULL)				/* no zero block */
#define ONE	(~(1ULL << 20))			/* one, within */
#define TAIL	(~0ULL >> 8)			/* eight, one hole */
#define TWOS	0x3333333333333333ULL		/* two there, two not */
#define ODDS	0x5555555555555555ULL

static struct pt_adaptive g;

/* pieces shows the adaptive scan cnt batches, whose pages are mask where has_data is
 * set; returns the number of pages it had searched. */
static __u64 pieces(__u32 cnt, __u64 has_data, __u64 mask)
{
	__u64 masks[PIECE], searched = 0;

	for (__u32 i = 0; i < cnt; i++) {
		__u64 plan = pt_adaptive_plan(&g) & has_data;

		/* Other pages must not be read: their memory traps. */
		for (__u32 p = 0; p < PIECE; p++)
			masks[p] = plan >> p & 1 ? mask : 1;
		searched += __builtin_popcountll(plan);
		pt_adaptive_learn(&g, has_data, masks);
	}
	return searched;
}

static void check_sums(__u64 page_cnt)
{
	assert_int_equal(g.counts.pages_searched + g.counts.pages_unsearched,
			 page_cnt);
}

static void test_begins_with_all(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	assert_int_equal(pt_adaptive_plan(&g), ALL);
	assert_false(g.is_sampling);
}

static void test_stops(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	assert_int_equal(pieces(LAG - 1, ALL, FULL), (LAG - 1) * PIECE);
	assert_false(g.is_sampling);
	assert_int_equal(pieces(1, ALL, FULL), PIECE);
	assert_true(g.is_sampling);
	/* The cost of samples is bounded from then on. */
	assert_int_equal(pieces(1000, ALL, FULL),
			 1000 * PIECE / PT_ADAPTIVE_STEP);
	check_sums((LAG + 1000) * PIECE);
	assert_int_equal(g.counts.switches, 1);
	assert_int_equal(g.counts.pieces_searched, LAG);
	assert_int_equal(g.counts.pieces_sampled, 1000);
	assert_int_equal(g.counts.blocks_saved, 0);
	assert_int_equal(g.counts.blocks_missed, 0);
}

/* Every page is a sample once in PT_ADAPTIVE_STEP batches. */
static void test_samples_move(void **state)
{
	__u64 seen = 0;

	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	pieces(LAG, ALL, FULL);
	for (int i = 0; i < PT_ADAPTIVE_STEP; i++) {
		assert_int_equal(__builtin_popcountll(pt_adaptive_plan(&g)),
				 PIECE / PT_ADAPTIVE_STEP);
		assert_int_equal(seen & pt_adaptive_plan(&g), 0);
		seen |= pt_adaptive_plan(&g);
		pieces(1, ALL, FULL);
	}
	assert_int_equal(seen, ALL);
}

/* The adaptive scan notices memory that begins to pay within one batch. */
static void test_begins_again(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	pieces(LAG + 500, ALL, FULL);
	assert_int_equal(pieces(1, ALL, TAIL), PIECE / PT_ADAPTIVE_STEP);
	assert_false(g.is_sampling);
	assert_int_equal(g.counts.blocks_saved, 4 * 8);
	assert_int_equal(g.counts.blocks_missed, 60 * 8);
	assert_int_equal(pieces(100, ALL, TAIL), 100 * PIECE);
	assert_int_equal(g.counts.switches, 2);
}

/* unseen: two pages that are not in the plan, or the first two of all. */
static __u64 unseen(__u64 plan)
{
	__u64 others = ~plan ? ~plan : ALL;
	__u64 but_one = others & (others - 1);

	return (others & -others) | (but_one & -but_one);
}

/* Pages that are no samples give no information; that lasts for a while
 * only. */
static void test_blind(void **state)
{
	const __u32 bound = PT_ADAPTIVE_BLIND / 2;	/* 2 pages per batch */
	__u32 blind = 0;

	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	pieces(LAG, ALL, FULL);
	for (int i = 0; i < 1000; i++) {
		blind = pieces(1, unseen(pt_adaptive_plan(&g)), FULL) ? 0
			: blind + 1;
		assert_true(blind <= bound);
	}
	assert_true(g.is_sampling);
	assert_in_range(g.counts.pages_searched - PT_ADAPTIVE_LAG, 2,
			2 * (1000 / bound + 1));
	/* The same, and trimming begins to pay. */
	for (blind = 0; g.is_sampling; blind++) {
		assert_true(blind <= bound);
		pieces(1, unseen(pt_adaptive_plan(&g)), TAIL);
	}
}

/* A batch that pays now and then keeps the adaptive scan searching. */
static void test_now_and_then(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pieces(LAG - 1, ALL, FULL),
				 (LAG - 1) * PIECE);
		assert_int_equal(pieces(1, ALL, TAIL), PIECE);
	}
	assert_int_equal(g.counts.switches, 0);
	assert_int_equal(g.counts.pages_unsearched, 0);
}

/* Kinds alternate: each change loses the samples' delay. */
static void test_alternate(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	for (int i = 0; i < 10; i++) {
		pieces(2 * LAG, ALL, FULL);
		assert_true(g.is_sampling);
		pieces(2 * LAG, ALL, TAIL);
		assert_false(g.is_sampling);
	}
	assert_int_equal(g.counts.switches, 20);
	assert_int_equal(g.counts.blocks_missed, 10 * 60 * 8);
	assert_int_equal(g.counts.blocks_saved + g.counts.blocks_missed,
			 10ULL * 2 * LAG * PIECE * 8);
	check_sums(10ULL * 4 * LAG * PIECE);
}

/* Batches without data, or without dirty data, give no information. */
static void test_nothing(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	pieces(1000, 0, FULL);
	assert_false(g.is_sampling);
	assert_int_equal(pieces(LAG, ALL, FULL), LAG * PIECE);
	assert_true(g.is_sampling);
	assert_int_equal(pieces(1000, 0, TAIL), 0);
	assert_true(g.is_sampling);
	check_sums(LAG * PIECE);
}

/* With few pages per batch it takes as many pages, not batches, to stop. */
static void test_sparse(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	pieces(PT_ADAPTIVE_LAG - 1, 1ULL << 9, FULL);
	assert_false(g.is_sampling);
	pieces(1, 1ULL << 9, FULL);
	assert_true(g.is_sampling);
}

/* row: pages all alike.  Whether a search pays, and also when the receiver is
 * the bottleneck. */
static const struct row {
	const char *name;
	__u64 mask;
	enum pt_trim trim;
	__u64 has_data;
	bool pays, pays_strained;
} rows[] = {
	{ "full", FULL, PT_TRIM_BLOCKS, ALL, false, false },
	{ "one page, full", FULL, PT_TRIM_BLOCKS, 1, false, false },
	{ "one hole of one block", ONE, PT_TRIM_BLOCKS, ALL, true, false },
	{ "one tail", TAIL, PT_TRIM_BLOCKS, ALL, true, true },
	{ "a tail, ends", TAIL, PT_TRIM_ENDS, ALL, true, true },
	{ "a hole, ends", ONE, PT_TRIM_ENDS, ALL, false, false },
	{ "holes of one", ODDS, PT_TRIM_BLOCKS, ALL, true, false },
	{ "holes of two", TWOS, PT_TRIM_BLOCKS, ALL, true, false },
	{ "holes of four", 0x0f0f0f0f0f0f0f0fULL, PT_TRIM_BLOCKS, ALL, true,
	  true },
	{ "half", 0xffffffffULL, PT_TRIM_BLOCKS, ALL, true, true },
};

static void test_row(void **state)
{
	const struct row *r = *state;

	for (int strained = 0; strained < 2; strained++) {
		pt_adaptive_init(&g, r->trim, false);
		for (int i = 0; i < PT_ADAPTIVE_LAG; i++) {
			if (strained)
				pt_adaptive_strain(&g);
			pieces(1, r->has_data, r->mask);
		}
		assert_int_equal(!g.is_sampling,
				 strained ? r->pays_strained : r->pays);
	}
}

/* Exactly one block in PT_ADAPTIVE_GAIN is enough. */
static void test_gain(void **state)
{
	__u64 masks[PIECE];

	(void)state;
	for (__u32 holes = 31; holes <= 32; holes++) {
		pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
		for (__u32 p = 0; p < PIECE; p++)
			masks[p] = p < holes ? ONE : FULL;
		for (int i = 0; i < LAG; i++)
			pt_adaptive_learn(&g, ALL, masks);
		assert_int_equal(g.is_sampling, holes < 32);
	}
}

/* The receiver's stalls are remembered, and forgotten. */
static void test_strain_ends(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	pt_adaptive_strain(&g);
	pieces(LAG, ALL, ODDS);
	assert_true(g.is_sampling);
	pieces(PT_ADAPTIVE_STRAIN - LAG, ALL, ODDS);
	assert_true(g.is_sampling);
	pieces(1, ALL, ODDS);
	assert_false(g.is_sampling);
}

/* With observe the report has the adaptive scan's decisions, and their cost. */
static void test_observe(void **state)
{
	struct pt_adaptive_counts on;

	(void)state;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, false);
	for (int i = 0; i < 3; i++) {
		pieces(3 * LAG, ALL, FULL);
		pieces(LAG, ALL, TAIL);
	}
	on = g.counts;
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pieces(3 * LAG, ALL, FULL), 3 * LAG * PIECE);
		assert_int_equal(pieces(LAG, ALL, TAIL), LAG * PIECE);
	}
	assert_memory_equal(&on, &g.counts, sizeof(on));
	/* When it searches all pages it knows what samples only estimate. */
	pt_adaptive_init(&g, PT_TRIM_BLOCKS, true);
	pieces(LAG, ALL, FULL);
	for (__u32 turn = 0; turn < 2; turn++) {
		__u64 masks[PIECE];

		for (__u32 p = 0; p < PIECE; p++)
			masks[p] = p % 2 == g.turn % 2 ? FULL : TAIL;
		pt_adaptive_learn(&g, ALL, masks);
	}
	assert_int_equal(g.counts.blocks_missed, 2 * 32 * 8);
}

/* A page that is put off counts once, when it is sent. */
static void test_put_off(void **state)
{
	struct pt_adaptive_counts before;

	(void)state;
	for (int observes = 0; observes < 2; observes++) {
		pt_adaptive_init(&g, PT_TRIM_BLOCKS, observes);
		pieces(1, ALL, TAIL);
		pt_adaptive_put_off(&g, 63, TAIL);
		assert_int_equal(g.counts.pages_searched, PIECE - 1);
		assert_int_equal(g.counts.blocks_saved, (PIECE - 1) * 8);
		pieces(1, 1ULL << 63, TAIL);
		check_sums(PIECE);
		assert_int_equal(g.counts.blocks_saved, PIECE * 8);

		pt_adaptive_init(&g, PT_TRIM_BLOCKS, observes);
		pieces(LAG, ALL, FULL);
		before = g.counts;
		assert_int_equal(pieces(1, ALL, TAIL), observes ? PIECE : 4);
		for (unsigned i = 0; i < PIECE; i++)
			pt_adaptive_put_off(&g, i, TAIL);
		assert_int_equal(g.counts.pages_searched,
				 before.pages_searched);
		assert_int_equal(g.counts.pages_unsearched,
				 before.pages_unsearched);
		assert_int_equal(g.counts.blocks_saved, before.blocks_saved);
		assert_int_equal(g.counts.blocks_missed, before.blocks_missed);
	}
	pt_adaptive_init(&g, PT_TRIM_NONE, false);
	pieces(1, ALL, TAIL);
	pt_adaptive_put_off(&g, 0, TAIL);
	check_sums(0);
}

static void test_trim_none(void **state)
{
	(void)state;
	pt_adaptive_init(&g, PT_TRIM_NONE, false);
	assert_int_equal(pieces(100, ALL, FULL), 0);
	assert_int_equal(g.counts.pages_searched, 0);
	assert_int_equal(g.counts.pages_unsearched, 0);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), OTHERS = 13 };
	struct CMUnitTest tests[OTHERS + ROWS] = {
		cmocka_unit_test(test_begins_with_all),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_samples_move),
		cmocka_unit_test(test_begins_again),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_now_and_then),
		cmocka_unit_test(test_alternate),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_gain),
		cmocka_unit_test(test_strain_ends),
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_put_off),
		cmocka_unit_test(test_trim_none),
	};

	for (int i = 0; i < ROWS; i++)
		tests[OTHERS + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests_name("adaptive", tests, NULL, NULL);
}
