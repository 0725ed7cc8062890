// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include "rxq/seqmap.h"

/* A number this far below top or less is remembered; PT_SEQMAP_SZ or more is
 * not; in between, whole words are dropped. */
#define REMEMBERED	(PT_SEQMAP_SZ - 64)

static struct pt_seqmap map;

static int clear(void **state)
{
	(void)state;
	memset(&map, 0, sizeof(map));
	return 0;
}

/* take_run takes [first, end), all new, and moves decided after them. */
static void take_run(__u64 first, __u64 end)
{
	for (__u64 seq = first; seq < end; seq++)
		assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_NEW);
	pt_seqmap_advance(&map);
}

/* jump_to moves both ends of the map to seq; all before are missing. */
static void jump_to(__u64 seq)
{
	struct pt_seq_range range;

	while (map.decided < seq) {
		pt_seqmap_raise(&map, seq);
		pt_seqmap_decide(&map, map.top, &range, 1);
	}
}

/* --- take ------------------------------------------------------------ */

static void test_in_order(void **state)
{
	(void)state;
	for (__u64 seq = 0; seq < 3 * PT_SEQMAP_SZ + 7; seq++) {
		assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_NEW);
		assert_int_equal(map.top, seq + 1);
		assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_DUPLICATE);
		pt_seqmap_advance(&map);
		assert_int_equal(map.decided, seq + 1);
		assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_DUPLICATE);
	}
}

/* Decided stops at each bit of a word, and continues. */
static void test_gap_at_each_bit(void **state)
{
	(void)state;
	for (__u64 gap = 0; gap < 130; gap++) {
		clear(NULL);
		for (__u64 seq = 0; seq < 200; seq++)
			if (seq != gap)
				assert_int_equal(pt_seqmap_take(&map, seq),
						 PT_SEQ_NEW);
		pt_seqmap_advance(&map);
		assert_int_equal(map.decided, gap);
		assert_int_equal(map.top, 200);
		assert_int_equal(pt_seqmap_take(&map, gap), PT_SEQ_NEW);
		pt_seqmap_advance(&map);
		assert_int_equal(map.decided, 200);
	}
}

/* A missing number that arrives after all: late once, then repeated. */
static void test_late(void **state)
{
	struct pt_seq_range range;

	(void)state;
	assert_int_equal(pt_seqmap_take(&map, 9), PT_SEQ_NEW);
	assert_int_equal(pt_seqmap_decide(&map, 9, &range, 1), 1);
	assert_int_equal(range.first, 0);
	assert_int_equal(range.cnt, 9);
	assert_int_equal(map.decided, 10);	/* 9 is taken */
	assert_int_equal(pt_seqmap_take(&map, 8), PT_SEQ_LATE);
	assert_int_equal(pt_seqmap_take(&map, 8), PT_SEQ_DUPLICATE);
	assert_int_equal(pt_seqmap_take(&map, 9), PT_SEQ_DUPLICATE);
	assert_int_equal(pt_seqmap_take(&map, 10), PT_SEQ_NEW);
	assert_int_equal(map.decided, 10);	/* take moves top alone */
}

/* A number out of range changes nothing. */
static void assert_out(__u64 seq)
{
	static struct pt_seqmap before;

	before = map;
	assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_OUT);
	assert_memory_equal(&map, &before, sizeof(map));
}

static void test_too_far_ahead(void **state)
{
	(void)state;
	for (__u64 start = 0; start < 130; start += 13) {
		clear(NULL);
		take_run(0, start);
		assert_out(start + PT_SEQ_AHEAD);
		assert_out(start + PT_SEQ_AHEAD + 1);
		assert_out(PT_SEQ_MAX);
		assert_out(~0ULL);
		assert_out(~0ULL - PT_SEQMAP_SZ);
		assert_int_equal(pt_seqmap_take(&map, start + PT_SEQ_AHEAD - 1),
				 PT_SEQ_NEW);
		assert_int_equal(map.top, start + PT_SEQ_AHEAD);
	}
}

static void test_too_far_behind(void **state)
{
	const __u64 end = 5 * PT_SEQMAP_SZ;

	(void)state;
	/* Odd numbers were taken, even ones are missing. */
	for (__u64 seq = 1; seq < end; seq += 2) {
		struct pt_seq_range range;

		assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_NEW);
		assert_int_equal(pt_seqmap_decide(&map, seq, &range, 1), 1);
	}
	for (__u64 top = end; top < end + 64; top++) {
		assert_int_equal(map.top, top);
		assert_out(top - PT_SEQMAP_SZ - 1);
		assert_out(top - PT_SEQMAP_SZ);
		assert_out(0);
		for (__u64 seq = top - REMEMBERED; seq < top - REMEMBERED + 66;
		     seq++) {
			struct pt_seqmap before = map;

			assert_int_equal(pt_seqmap_take(&map, seq), seq % 2 ?
					 PT_SEQ_DUPLICATE : PT_SEQ_LATE);
			map = before;
		}
		take_run(top, top + 1);
	}
}

/* A number of one lap has no effect on that of the next. */
static void test_laps(void **state)
{
	(void)state;
	for (__u64 seq = 0; seq < 200; seq++) {
		clear(NULL);
		take_run(0, seq + 1);
		jump_to(seq + PT_SEQMAP_SZ);
		assert_int_equal(pt_seqmap_take(&map, seq + PT_SEQMAP_SZ),
				 PT_SEQ_NEW);
		assert_int_equal(pt_seqmap_take(&map, seq + PT_SEQMAP_SZ - 1),
				 PT_SEQ_LATE);
	}
}

/* Numbers near the protocol's end, far above where a window would have counted
 * itself. */
static void test_high_numbers(void **state)
{
	const __u64 start = PT_SEQ_MAX - 300;
	struct pt_seq_range range;

	(void)state;
	map.decided = map.top = start / 64 * 64;
	take_run(map.top, start);
	assert_int_equal(pt_seqmap_take(&map, start + 100), PT_SEQ_NEW);
	assert_int_equal(pt_seqmap_decide(&map, start + 100, &range, 1), 1);
	assert_int_equal(range.first, start);
	assert_int_equal(range.cnt, 100);
	assert_int_equal(pt_seqmap_take(&map, start + 99), PT_SEQ_LATE);
	assert_out(start - PT_SEQMAP_SZ);
}

/* --- raise ----------------------------------------------------------- */

static void test_raise(void **state)
{
	(void)state;
	pt_seqmap_raise(&map, 5);
	assert_int_equal(map.top, 5);
	pt_seqmap_raise(&map, 3);	/* never back */
	assert_int_equal(map.top, 5);
	assert_int_equal(map.decided, 0);
	for (__u64 seq = 0; seq < 5; seq++)
		assert_int_equal(pt_seqmap_take(&map, seq), PT_SEQ_NEW);
	pt_seqmap_advance(&map);
	assert_int_equal(map.decided, 5);

	pt_seqmap_raise(&map, 5 + PT_SEQ_AHEAD);
	assert_int_equal(map.top, 5 + PT_SEQ_AHEAD);
	pt_seqmap_raise(&map, 5 + PT_SEQ_AHEAD + 1);	/* capped */
	pt_seqmap_raise(&map, ~0ULL);
	assert_int_equal(map.top, 5 + PT_SEQ_AHEAD);
}

/* --- decide ---------------------------------------------------------- */

static void assert_decide(__u64 end, __u32 max,
			  const struct pt_seq_range *want, __u32 want_cnt)
{
	struct pt_seq_range got[9];

	memset(got, 0xee, sizeof(got));
	assert_int_equal(pt_seqmap_decide(&map, end, got, max), want_cnt);
	for (__u32 i = 0; i < want_cnt; i++) {
		assert_int_equal(got[i].first, want[i].first);
		assert_int_equal(got[i].cnt, want[i].cnt);
	}
	/* no more ranges than stated */
	assert_int_equal(((__u8 *)&got[want_cnt])[0], 0xee);
}

#define RANGES(...) (const struct pt_seq_range[]){ __VA_ARGS__ }

/* 0 1 2 . . 5 . 7 . . . 11 12 */
static void holey(void)
{
	clear(NULL);
	for (__u64 seq = 0; seq < 13; seq++)
		if (seq < 3 || seq == 5 || seq == 7 || seq > 10)
			pt_seqmap_take(&map, seq);
}

static const struct row {
	const char *name;
	__u64 end;
	__u32 max;
	__u64 decided;		/* afterwards */
	__u32 cnt;
	struct pt_seq_range ranges[4];
} rows[] = {
	{ "to the end", 13, 8, 13, 3, { { 3, 2 }, { 6, 1 }, { 8, 3 } } },
	{ "no ranges", 13, 0, 3, 0, { { 0 } } },
	{ "one range of three", 13, 1, 6, 1, { { 3, 2 } } },
	{ "two ranges of three", 13, 2, 8, 2, { { 3, 2 }, { 6, 1 } } },
	{ "just enough ranges", 13, 3, 13, 3,
	  { { 3, 2 }, { 6, 1 }, { 8, 3 } } },
	{ "to nothing", 0, 8, 3, 0, { { 0 } } },
	{ "in what was taken", 2, 8, 3, 0, { { 0 } } },
	{ "to where a gap begins", 3, 8, 3, 0, { { 0 } } },
	{ "to within a gap", 4, 8, 4, 1, { { 3, 1 } } },
	{ "to where a gap ends", 5, 8, 6, 1, { { 3, 2 } } },
	{ "past a gap", 6, 8, 6, 1, { { 3, 2 } } },
	{ "to within the last gap", 10, 8, 10, 3,
	  { { 3, 2 }, { 6, 1 }, { 8, 2 } } },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	holey();
	assert_decide(row->end, row->max, row->ranges, row->cnt);
	assert_int_equal(map.decided, row->decided);
	assert_int_equal(map.top, 13);
	/* In any state of decisions: the rest comes the next time. */
	assert_decide(row->end, 8, &rows[0].ranges[row->cnt],
		      row->decided < row->end ? 3 - row->cnt : 0);
}

/* A gap cut in two by end is reported as two adjacent ranges. */
static void test_cut_in_two(void **state)
{
	(void)state;
	holey();
	assert_decide(9, 8, RANGES({ 3, 2 }, { 6, 1 }, { 8, 1 }), 3);
	assert_int_equal(map.decided, 9);
	assert_decide(13, 8, RANGES({ 9, 2 }), 1);
	assert_int_equal(map.decided, 13);
	assert_int_equal(pt_seqmap_take(&map, 8), PT_SEQ_LATE);
	assert_int_equal(pt_seqmap_take(&map, 10), PT_SEQ_LATE);
}

/* Open up to the largest number: one range. */
static void test_whole_window_missing(void **state)
{
	(void)state;
	take_run(0, 33);
	pt_seqmap_raise(&map, ~0ULL);
	assert_decide(map.top, 1, RANGES({ 33, PT_SEQ_AHEAD }), 1);
	assert_int_equal(map.decided, 33 + PT_SEQ_AHEAD);
	/* And on from there. */
	assert_int_equal(pt_seqmap_take(&map, 33 + 2 * PT_SEQ_AHEAD - 1),
			 PT_SEQ_NEW);
}

static void decide_past_top(void)
{
	struct pt_seq_range range;

	pt_seqmap_decide(&map, map.top + 1, &range, 1);
}

static void test_misuse(void **state)
{
	(void)state;
	take_run(0, 3);
	assert_true(kit_aborts(decide_past_top));
}

/* --- a model: one byte per number, no ring, no words ------------------ */

#define NUMBERS		(1u << 24)
#define OPERATIONS	600000

static struct {
	__u64 decided, top;
	__u8 taken[NUMBERS];
} model;

static enum pt_seq model_take(__u64 seq)
{
	if (seq >= model.decided + PT_SEQ_AHEAD)
		return PT_SEQ_OUT;
	if (seq < model.top && model.top - seq > REMEMBERED)
		return PT_SEQ_OUT;
	if (model.taken[seq])
		return PT_SEQ_DUPLICATE;
	model.taken[seq] = 1;
	if (model.top <= seq)
		model.top = seq + 1;
	return seq < model.decided ? PT_SEQ_LATE : PT_SEQ_NEW;
}

static void model_advance(void)
{
	while (model.decided < model.top && model.taken[model.decided])
		model.decided++;
}

static __u32 model_decide(__u64 end, struct pt_seq_range *ranges, __u32 max)
{
	__u32 cnt = 0;

	model_advance();
	while (model.decided < end && cnt < max) {
		ranges[cnt].first = model.decided;
		while (model.decided < end && !model.taken[model.decided])
			model.decided++;
		ranges[cnt].cnt = model.decided - ranges[cnt].first;
		cnt++;
		model_advance();
	}
	return cnt;
}

static __u64 model_seen[PT_SEQ_OUT + 1];

static void both_take(__u64 seq)
{
	enum pt_seq want = model_take(seq);
	enum pt_seq got = pt_seqmap_take(&map, seq);

	model_seen[want]++;
	if (got != want)
		fail_msg("take %llu: %d, not %d (decided %llu, top %llu)",
			 seq, got, want, map.decided, map.top);
}

static void both_decide(__u64 end, __u32 max)
{
	struct pt_seq_range want[8], got[8];
	__u32 cnt = model_decide(end, want, max);

	assert_int_equal(pt_seqmap_decide(&map, end, got, max), cnt);
	for (__u32 i = 0; i < cnt; i++) {
		assert_int_equal(got[i].first, want[i].first);
		assert_int_equal(got[i].cnt, want[i].cnt);
	}
}

static void both_raise(__u64 top)
{
	__u64 limit = model.decided + PT_SEQ_AHEAD;

	pt_seqmap_raise(&map, top);
	if (top > limit)
		top = limit;
	if (top > model.top)
		model.top = top;
}

/* operate performs one operation of a lane, or of a hostile peer. */
static void operate(__u64 *random)
{
	__u64 at = kit_random(random);
	__u64 open = model.top - model.decided;
	__u64 back = PT_SEQMAP_SZ + 200;

	switch (kit_random(random) % 32) {
	case 0:		/* seldom the farthest number: it moves top */
		both_take(model.decided + PT_SEQ_AHEAD + at % 3 -
			  !(at >> 32 & 63));
		break;
	case 1:
		both_take(model.top - (at % back < model.top ? at % back : 0));
		break;
	case 2:		/* around where memory ends */
		if (model.top > back)
			both_take(model.top - REMEMBERED + 100 - at % 300);
		break;
	case 3:
		both_raise(model.top + at % 300 - 20 % (model.top + 1));
		break;
	case 4:
		both_decide(model.decided + at % (open + 1), at >> 61);
		break;
	case 5:
		both_decide(model.top, 8);
		break;
	case 6:
		pt_seqmap_advance(&map);
		model_advance();
		break;
	case 7:
		both_take(at);
		break;
	case 8:
	case 9:
	case 10:
		both_take(model.decided + at % (open + 1));
		break;
	default:
		both_take(model.top + (at % 16 ? 0 : at >> 60));
	}
	assert_int_equal(map.decided, model.decided);
	assert_int_equal(map.top, model.top);
}

static void test_model(void **state)
{
	__u64 random = 42;
	__u64 done = 0;

	(void)state;
	while (done < OPERATIONS && model.top < NUMBERS - PT_SEQMAP_SZ) {
		operate(&random);
		done++;
	}
	/* All of it happened, often, over several laps. */
	assert_true(done >= 300000);
	assert_true(model.top > 8 * PT_SEQMAP_SZ);
	for (int i = 0; i <= PT_SEQ_OUT; i++)
		assert_true(model_seen[i] > 5000);
	/* At last, every number that is remembered. */
	for (__u64 seq = model.top - REMEMBERED; seq < model.top; seq++)
		both_take(seq);
}

#define TEST(fn) cmocka_unit_test_setup(fn, clear)

int main(void)
{
	struct CMUnitTest tests[12 + COUNT_OF(rows)] = {
		TEST(test_in_order),
		TEST(test_gap_at_each_bit),
		TEST(test_late),
		TEST(test_too_far_ahead),
		TEST(test_too_far_behind),
		TEST(test_laps),
		TEST(test_high_numbers),
		TEST(test_raise),
		TEST(test_cut_in_two),
		TEST(test_whole_window_missing),
		TEST(test_misuse),
		TEST(test_model),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[12 + i] = (struct CMUnitTest){ rows[i].name, test_row,
						     clear, NULL,
						     (void *)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
