// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include "rxq/reorder.h"
#include "rxq/rx_lane.h"

#define MS		1000000ULL
#define FLOOR		PT_REORDER_MIN_NS
#define MAX		PT_REORDER_MAX_NS
#define START		(1000 * MS)

static struct pt_reorder r;
static struct pt_rx_lane lane;

static int clear(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	r.floor_ns = FLOOR;
	memset(&lane, 0, sizeof(lane));
	return 0;
}

static void assert_windows(__u64 gap_ns, __u64 tail_ns)
{
	assert_int_equal(pt_reorder_gap_ns(&r), gap_ns);
	assert_int_equal(pt_reorder_tail_ns(&r), tail_ns);
}

static void look(__u64 decided, __u64 now_ns)
{
	pt_reorder_look(&r, decided, now_ns);
}

static __u64 due(__u64 seen_ns)
{
	return pt_reorder_due(&r, seen_ns);
}

/* --- gaps ------------------------------------------------------------- */

static void test_gap(void **state)
{
	(void)state;
	pt_reorder_came(&r, 0, START);
	pt_reorder_came(&r, 2, START);
	assert_windows(FLOOR, FLOOR);
	look(1, START);
	assert_int_equal(due(START + FLOOR - 1), 0);
	assert_int_equal(due(START + FLOOR), 3);
	assert_int_equal(due(START + 9 * FLOOR), 0);	/* said once */
}

/* Each gap waits as long as the first, not until the first is due and then as
 * long again. */
static void test_gaps_apart(void **state)
{
	(void)state;
	pt_reorder_came(&r, 1, START);
	look(0, START);
	pt_reorder_came(&r, 3, START + 2 * MS);
	look(0, START + 2 * MS);
	assert_int_equal(due(START + FLOOR), 2);
	assert_int_equal(due(START + 2 * MS + FLOOR - 1), 0);
	assert_int_equal(due(START + 2 * MS + FLOOR), 4);
}

/* A wait in time counts as a late one does, once it is over half the window:
 * the next may be longer. */
static void test_learns(void **state)
{
	static const struct {
		__u64 wait_ns, window_ns;
	} rows[] = {
		{ 0, FLOOR },
		{ FLOOR / 2, FLOOR },
		{ FLOOR / 2 + 1, FLOOR + 2 },
		{ 98 * MS, 196 * MS },
		{ MAX / 2, MAX },
		{ MAX / 2 + 1, MAX },
		{ 100 * MAX, MAX },
		{ ~0ULL / 2 + 1 - START, MAX },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		clear(state);
		pt_reorder_came(&r, 1, START);
		look(0, START);
		due(START + FLOOR);
		pt_reorder_came(&r, 0, START + rows[i].wait_ns);
		assert_windows(rows[i].window_ns, rows[i].window_ns);
	}
}

/* A number that arrived before the caller read its clock. */
static void test_clock_behind(void **state)
{
	(void)state;
	pt_reorder_came(&r, 1, START);
	look(0, START);
	pt_reorder_came(&r, 0, START - MS);
	assert_windows(FLOOR, FLOOR);
}

/* Waits are measured from the mark that first covered the number. */
static void test_marks(void **state)
{
	(void)state;
	for (__u64 i = 0; i < 10; i++) {
		pt_reorder_came(&r, 2 * i + 1, START + i * MS);
		look(0, START + i * MS);
	}
	pt_reorder_came(&r, 12, START + 10 * MS);	/* of mark 6 */
	assert_windows(8 * MS, 8 * MS);
	pt_reorder_came(&r, 2, START + 10 * MS);	/* of mark 1 */
	assert_windows(18 * MS, 18 * MS);
}

/* More calls than marks: none is lost that is not due, and a number that came
 * later than the oldest kept mark still makes the window grow. */
static void test_marks_full(void **state)
{
	__u64 now_ns = START, end = 0;

	(void)state;
	for (__u64 i = 0; i < 10 * PT_REORDER_MARKS; i++) {
		__u64 got;

		now_ns += MS / 10;
		pt_reorder_came(&r, 2 * i + 1, now_ns);
		got = due(now_ns);
		if (got) {
			assert_true(got > end);
			assert_in_range(2 * i + 2 - got, 2 * 45, 2 * 60);
			end = got;
		}
		look(end, now_ns);
		assert_true(r.gaps.cnt - r.due_cnt <= PT_REORDER_MARKS);
	}
	assert_windows(FLOOR, FLOOR);
	pt_reorder_came(&r, 0, now_ns);
	assert_true(pt_reorder_gap_ns(&r) > FLOOR);
}

/* --- tails ------------------------------------------------------------ */

static void said(__u64 end, __u64 now_ns)
{
	pt_reorder_said(&r, end, now_ns);
}

static void test_tail_unknown(void **state)
{
	(void)state;
	said(5, START);
	assert_int_equal(due(START + MAX - 1), 0);
	assert_int_equal(due(START + MAX), 5);
}

static void test_tail_lost(void **state)
{
	(void)state;
	pt_reorder_came(&r, 0, START);
	said(1, START);		/* nothing new */
	assert_int_equal(due(START + MAX), 0);
	said(5, START + MAX);
	said(5, START + MAX + 1);
	assert_int_equal(due(START + MAX + FLOOR - 1), 0);
	assert_int_equal(due(START + MAX + FLOOR), 5);
}

/* Numbers that SYNC covered and that still arrive are not due; the window
 * counts from the last. */
static void test_tail_moves(void **state)
{
	(void)state;
	pt_reorder_came(&r, 0, START);
	said(10, START);
	for (__u64 seq = 1; seq < 5; seq++)
		pt_reorder_came(&r, seq, START + seq * MS);
	assert_windows(FLOOR, 8 * MS);
	assert_int_equal(due(START + 12 * MS - 1), 0);
	assert_int_equal(due(START + 12 * MS), 10);
}

/* The lag counts from the SYNC that covered the number first, and does not
 * affect gaps. */
static void test_lag(void **state)
{
	(void)state;
	said(3, START);
	said(9, START + 50 * MS);
	pt_reorder_came(&r, 0, START + 98 * MS);
	pt_reorder_came(&r, 2, START + 98 * MS);
	assert_windows(FLOOR, 196 * MS);
	look(1, START + 99 * MS);
	assert_int_equal(due(START + 99 * MS + FLOOR), 3);
	assert_int_equal(due(START + 98 * MS + 196 * MS - 1), 0);
	assert_int_equal(due(START + 98 * MS + 196 * MS), 9);
}

/* --- expiry ----------------------------------------------------------- */

/* A gap's wait is kept for 16 windows at least and 32 at most, of a lane that
 * goes on. */
static void test_gap_forgotten(void **state)
{
	__u64 now_ns = START + 10 * MS, kept_ns;

	(void)state;
	pt_reorder_came(&r, 1, START);
	look(0, START);
	pt_reorder_came(&r, 0, now_ns);
	for (__u64 seq = 2; pt_reorder_gap_ns(&r) > FLOOR; seq++) {
		assert_windows(20 * MS, 20 * MS);
		pt_reorder_came(&r, seq, now_ns += MS);
		look(seq + 1, now_ns);
	}
	kept_ns = now_ns - START - 10 * MS;
	assert_in_range(kept_ns, PT_REORDER_KEEP * 20 * MS,
			2 * PT_REORDER_KEEP * 20 * MS);
}

static void test_gap_kept_in_silence(void **state)
{
	__u64 now_ns = START + 10 * MS;

	(void)state;
	pt_reorder_came(&r, 1, START);
	look(0, START);
	pt_reorder_came(&r, 0, now_ns);
	for (int i = 0; i < 10000; i++)
		look(2, now_ns += MS);
	assert_windows(20 * MS, 20 * MS);
}

/* A lag is kept for as many windows in which SYNC came with its frames, or
 * after them; others do not count, however long. */
static void test_lag_forgotten(void **state)
{
	__u64 now_ns = START, end = 1;
	int samples = 0;

	(void)state;
	pt_reorder_came(&r, 0, now_ns);
	said(2, now_ns);
	pt_reorder_came(&r, 1, now_ns += 50 * MS);
	for (int i = 0; i < 10000; i++)
		pt_reorder_came(&r, ++end, now_ns += MS);
	while (pt_reorder_tail_ns(&r) > FLOOR) {
		assert_windows(FLOOR, 100 * MS);
		for (int i = 0; i < 10; i++)	/* of one window */
			said(end, now_ns += 5 * MS);
		said(++end + 1, now_ns += 50 * MS);
		pt_reorder_came(&r, end, now_ns);
		samples++;
	}
	assert_in_range(samples, PT_REORDER_KEEP, 2 * PT_REORDER_KEEP + 2);
}

/* --- a lane whose frames come later than SYNC, by a path's rule --------- */

#define SENT		20000
#define SPACING_NS	20000
#define CREDIT		700	/* numbers at most that are on their way */

static struct {
	__u64 came_ns;		/* ~0: lost */
} path[SENT];

static __u64 sent_cnt, freed_cnt;

/* path_run sends SENT numbers as credit allows; a missing one gives its credit
 * back, and SYNC comes at once when there is none. */
static void path_run(__u64 (*delay_ns)(__u64 seq, __u64 draw))
{
	__u64 random = 7, now_ns = START, next_ns = START;

	sent_cnt = freed_cnt = 0;
	while (lane.seqs.decided < SENT) {
		now_ns += MS / 5;
		assert_true(now_ns < START + 600000 * MS);
		while (next_ns <= now_ns && sent_cnt < SENT &&
		       sent_cnt - freed_cnt < CREDIT) {
			__u64 ns = delay_ns(sent_cnt, kit_random(&random));

			path[sent_cnt++].came_ns = ns == ~0ULL ? ns
				: next_ns + ns;
			next_ns += SPACING_NS;
		}
		if (next_ns <= now_ns) {
			next_ns = now_ns;
			pt_rx_lane_sync(&lane, sent_cnt, now_ns);
		}
		for (__u64 i = sent_cnt > 20 * CREDIT ? sent_cnt - 20 * CREDIT
						     : 0; i < sent_cnt; i++) {
			if (path[i].came_ns > now_ns)
				continue;
			if (pt_rx_lane_take(&lane, i, 1, now_ns) == PT_SEQ_NEW)
				freed_cnt++;
			path[i].came_ns = ~0ULL;
		}
		pt_rx_lane_tick(&lane, now_ns, FLOOR);
		for (__u32 i = 0; i < lane.missing_range_cnt; i++)
			freed_cnt += lane.missing_ranges[i].cnt;
		pt_rx_lane_told(&lane);
	}
}

static __u64 delay_none(__u64 seq, __u64 draw)
{
	(void)seq;
	return draw % 100 ? 0 : ~0ULL;
}

static __u64 delay_all(__u64 seq, __u64 draw)
{
	(void)seq;
	(void)draw;
	return 99 * MS;
}

static __u64 delay_any(__u64 seq, __u64 draw)
{
	(void)seq;
	return draw % (99 * MS);
}

static __u64 delay_some(__u64 seq, __u64 draw)
{
	(void)seq;
	return draw % 10 ? 0 : 99 * MS;
}

static void test_path_loses(void **state)
{
	(void)state;
	path_run(delay_none);
	assert_int_equal(lane.late, 0);
	assert_in_range(lane.missing, SENT / 200, SENT / 50);
	assert_int_equal(lane.missing + lane.accepted, SENT);
	assert_int_equal(pt_reorder_tail_ns(&lane.reorder), FLOOR);
}

/* However late all come, in any order, none is missing. */
static void test_path_lags(void **state)
{
	(void)state;
	path_run(delay_all);
	assert_int_equal(lane.late + lane.missing, 0);
	clear(state);
	path_run(delay_any);
	assert_int_equal(lane.late + lane.missing, 0);
}

/* Where most come at once and one in ten later by twenty windows, the first of
 * these widens the window: numbers sent before it arrived are missing. */
static void test_path_is_two(void **state)
{
	(void)state;
	path_run(delay_some);
	assert_true(lane.late > 0);
	assert_true(lane.late + lane.missing < SENT / 30);
}

#define TEST(fn) cmocka_unit_test_setup(fn, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gap),
		TEST(test_gaps_apart),
		TEST(test_learns),
		TEST(test_clock_behind),
		TEST(test_marks),
		TEST(test_marks_full),
		TEST(test_tail_unknown),
		TEST(test_tail_lost),
		TEST(test_tail_moves),
		TEST(test_lag),
		TEST(test_gap_forgotten),
		TEST(test_gap_kept_in_silence),
		TEST(test_lag_forgotten),
		TEST(test_path_loses),
		TEST(test_path_lags),
		TEST(test_path_is_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
