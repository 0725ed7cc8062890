// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include "rxq/rx_lane.h"

#define GRACE	PT_REORDER_MIN_NS
#define START	(100 * GRACE)
#define WINDOW	100

static struct pt_rx_lane lane;
static __u64 came_ns;		/* arrival time of the next numbers */

static int clear(void **state)
{
	(void)state;
	memset(&lane, 0, sizeof(lane));
	came_ns = START;
	lane.lane_idx = PT_LANES_MAX - 1;
	lane.window = WINDOW;
	lane.told.window = WINDOW;
	return 0;
}

static enum pt_seq take(__u64 seq, __u32 desc_cnt)
{
	return pt_rx_lane_take(&lane, seq, desc_cnt, came_ns);
}

/* take_all takes the numbers [first, end), all new, a descriptor each. */
static void take_all(__u64 first, __u64 end)
{
	for (__u64 seq = first; seq < end; seq++)
		assert_int_equal(take(seq, 1), PT_SEQ_NEW);
}

/* assert_ack encodes the ACK, which must be possible at any time, decodes it
 * and compares it with the lane. */
static void assert_ack(void)
{
	static struct pt_message_scratch scratch;
	static __u8 bytes[PT_MESSAGE_SZ_MAX];
	struct pt_error err = { 0 };
	struct pt_message m, got;
	int sz;

	memset(&m, 0xee, sizeof(m));
	pt_rx_lane_ack(&lane, &m);
	sz = pt_message_encode(&m, PT_CAP_ARRIVALS, bytes, sizeof(bytes), &err);
	if (sz < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pt_message_decode(&got, &scratch, PT_ROLE_RECEIVER,
					   PT_CAP_ARRIVALS, bytes, sz, &err), sz);
	assert_int_equal(got.type, PT_MSG_ACK);
	assert_int_equal(got.ack.lane, lane.lane_idx);
	assert_int_equal(got.ack.upto, lane.seqs.decided);
	assert_int_equal(got.ack.freed_desc, lane.freed_desc);
	assert_int_equal(got.ack.window, lane.window);
	assert_int_equal(got.ack.placed_upto, lane.seqs.decided);
	assert_int_equal(got.ack.arrived_sz, lane.arrived_sz);
	assert_int_equal(got.ack.arrived_ns, lane.arrived_ns);
	assert_int_equal(got.ack.top, lane.top);
	assert_int_equal(got.ack.top_ns, lane.top_ns);
	assert_int_equal(got.ack.missing_cnt, lane.missing_range_cnt);
	for (__u32 i = 0; i < got.ack.missing_cnt; i++) {
		const struct pt_seq_range *r = &got.ack.missing[i];

		assert_int_equal(r->first, lane.missing_ranges[i].first);
		assert_int_equal(r->cnt, lane.missing_ranges[i].cnt);
		/* below upto, and never two where one would do */
		assert_true(r->first + r->cnt <= got.ack.upto);
		assert_true(!i || r[-1].first + r[-1].cnt < r->first);
	}
}

#define MISSING(...) do {						\
		const struct pt_seq_range want[] = { __VA_ARGS__ };	\
		assert_missing(want, COUNT_OF(want));			\
	} while (0)

/* assert_missing: exactly these ranges will be reported to the sender. */
static void assert_missing(const struct pt_seq_range *want, __u32 cnt)
{
	assert_int_equal(lane.missing_range_cnt, cnt);
	for (__u32 i = 0; i < cnt; i++) {
		assert_int_equal(lane.missing_ranges[i].first, want[i].first);
		assert_int_equal(lane.missing_ranges[i].cnt, want[i].cnt);
	}
	assert_ack();
}

/* --- credit ---------------------------------------------------------- */

/* Each number frees the credit of its first arrival, once. */
static void test_credit(void **state)
{
	(void)state;
	assert_int_equal(take(0, 18), PT_SEQ_NEW);
	assert_int_equal(lane.freed_desc, 18);
	assert_int_equal(take(0, 18), PT_SEQ_DUPLICATE);
	assert_int_equal(take(2, 3), PT_SEQ_NEW);
	assert_int_equal(take(PT_SEQ_AHEAD, 5), PT_SEQ_OUT);
	assert_int_equal(lane.freed_desc, 21);
	pt_rx_lane_tick(&lane, START, GRACE);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);
	assert_int_equal(lane.missing, 1);
	assert_int_equal(take(1, 7), PT_SEQ_LATE);
	assert_int_equal(lane.freed_desc, 21);	/* the sender has it back */
	assert_int_equal(lane.accepted, 3);
	assert_int_equal(lane.duplicate, 1);
	assert_int_equal(lane.refused_window, 1);
	assert_int_equal(lane.late, 1);
	assert_int_equal(lane.missing, 0);
}

/* A late number that counts as missing changes neither count nor time. */
static void test_arrived(void **state)
{
	(void)state;
	pt_rx_lane_arrived(&lane, 0, 100, START);
	pt_rx_lane_arrived(&lane, 2, 1000, START + 5);
	pt_rx_lane_arrived(&lane, 1, 10, START + 7);
	assert_int_equal(lane.arrived_sz, 1110);
	assert_int_equal(lane.arrived_ns, START + 7);
	assert_int_equal(lane.top, 3);
	assert_int_equal(lane.top_ns, START + 5);
	assert_ack();
}

/* --- marks and the reordering window --------------------------------- */

static void test_grace(void **state)
{
	(void)state;
	take_all(0, 1);
	take_all(2, 3);
	pt_rx_lane_tick(&lane, START, GRACE);
	assert_int_equal(lane.seqs.decided, 1);
	pt_rx_lane_tick(&lane, START + GRACE - 1, GRACE);
	assert_int_equal(lane.seqs.decided, 1);
	assert_missing(NULL, 0);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);
	assert_int_equal(lane.seqs.decided, 3);
	assert_int_equal(lane.missing, 1);
	MISSING({ 1, 1 });
}

/* The window is measured from the mark to the time up to which frames were
 * seen, not to the time of the call. */
static void test_seen_before(void **state)
{
	(void)state;
	take_all(0, 1);
	take_all(2, 3);
	pt_rx_lane_tick_at(&lane, START - GRACE, START, GRACE);
	pt_rx_lane_tick_at(&lane, START, START + 9 * GRACE, GRACE);
	pt_rx_lane_tick_at(&lane, START + GRACE - 1, START + 9 * GRACE, GRACE);
	assert_missing(NULL, 0);
	pt_rx_lane_tick_at(&lane, START + GRACE, START + 9 * GRACE, GRACE);
	MISSING({ 1, 1 });
}

/* A window that grew meanwhile holds; one that shrank holds at once. */
static void test_grace_changes(void **state)
{
	(void)state;
	take_all(1, 2);
	pt_rx_lane_tick(&lane, START, GRACE);
	pt_rx_lane_tick(&lane, START + GRACE, 2 * GRACE);
	assert_missing(NULL, 0);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);
	MISSING({ 0, 1 });
}

/* The next caller of tick may have read its clock before the last one did. */
static void test_clock_of_another_thread(void **state)
{
	(void)state;
	take_all(1, 2);
	pt_rx_lane_tick(&lane, START, GRACE);
	pt_rx_lane_tick(&lane, START - 1, GRACE);
	pt_rx_lane_tick(&lane, START - GRACE, GRACE);
	assert_missing(NULL, 0);
	assert_int_equal(lane.seqs.decided, 0);
}

/* A gap that fills in time is none, and needs no second mark. */
static void test_filled_in_time(void **state)
{
	(void)state;
	take_all(0, 2);
	take_all(3, 5);
	pt_rx_lane_tick(&lane, START, GRACE);
	take_all(2, 3);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);
	assert_int_equal(lane.seqs.decided, 5);
	assert_missing(NULL, 0);
	assert_int_equal(lane.missing, 0);
	assert_false(pt_rx_lane_is_open(&lane));
}

/* Once all numbers below the mark arrived, the next mark need not wait. */
static void test_next_mark(void **state)
{
	(void)state;
	take_all(1, 2);
	pt_rx_lane_tick(&lane, START, GRACE);	/* marks 2 */
	take_all(0, 1);
	take_all(3, 4);
	pt_rx_lane_tick(&lane, START + 1, GRACE);	/* marks 4 */
	assert_int_equal(lane.seqs.decided, 2);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);
	assert_missing(NULL, 0);
	pt_rx_lane_tick(&lane, START + 1 + GRACE, GRACE);
	MISSING({ 2, 1 });
}

/* A gap that opened after the mark waits for the next. */
static void test_younger_gap(void **state)
{
	(void)state;
	take_all(1, 2);
	pt_rx_lane_tick(&lane, START, GRACE);	/* marks 2 */
	take_all(5, 6);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);	/* marks 6 */
	MISSING({ 0, 1 });
	assert_int_equal(lane.seqs.decided, 2);
	pt_rx_lane_tick(&lane, START + 2 * GRACE - 1, GRACE);
	MISSING({ 0, 1 });
	pt_rx_lane_tick(&lane, START + 2 * GRACE, GRACE);
	MISSING({ 0, 1 }, { 2, 3 });
	assert_int_equal(lane.seqs.decided, 6);
	assert_int_equal(lane.missing, 4);
}

/* A lost tail is a gap once SYNC covered it. */
static void test_lost_tail(void **state)
{
	(void)state;
	take_all(0, 3);
	pt_rx_lane_tick(&lane, START, GRACE);
	assert_false(pt_rx_lane_is_open(&lane));
	pt_rx_lane_sync(&lane, 7, START + 10 * GRACE);
	assert_true(pt_rx_lane_is_open(&lane));
	pt_rx_lane_tick(&lane, START + 10 * GRACE, GRACE);
	assert_missing(NULL, 0);	/* its window begins now */
	pt_rx_lane_tick(&lane, START + 11 * GRACE, GRACE);
	MISSING({ 3, 4 });
	assert_true(pt_rx_lane_is_open(&lane));	/* not told yet */
	pt_rx_lane_told(&lane);
	assert_false(pt_rx_lane_is_open(&lane));
}

/* --- probes ---------------------------------------------------------- */

/* Each number is new once, in any order, and one that is too old never. */
static void test_probes(void **state)
{
	static const struct {
		__u64 probe;
		bool is_new;
	} rows[] = {
		{ 0, true }, { 0, false }, { 2, true }, { 1, true },
		{ 1, false }, { 2, false }, { 65, true }, { 2, false },
		{ 3, true }, { 3, false }, { 65, false }, { 64, true },
		{ 128, true }, { 64, false }, { 65, false }, { 66, true },
		{ 191, true }, { 128, false }, { 129, true },
		{ 255, true }, { 191, false }, { 192, true },
		{ 1000, true }, { 255, false }, { 936, false },
		{ 937, true }, { 937, false }, { 1000, false },
		{ (1ULL << 32) - 1, true }, { (1ULL << 32) - 1, false },
		{ 1001, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (pt_rx_lane_probe_is_new(&lane, rows[i].probe) !=
		    rows[i].is_new)
			fail_msg("row %zu: probe %llu", i, rows[i].probe);
}

/* --- what is told ---------------------------------------------------- */

/* One gap that SYNC cut in two: reported as one, unless half was reported
 * before. */
static void test_cut_gap(void **state)
{
	(void)state;
	for (int told = 0; told < 2; told++) {
		clear(NULL);
		take_all(1, 2);
		pt_rx_lane_sync(&lane, 4, START);
		pt_rx_lane_tick(&lane, START, GRACE);
		pt_rx_lane_tick(&lane, START + GRACE, GRACE);
		MISSING({ 0, 1 }, { 2, 2 });
		if (told)
			pt_rx_lane_told(&lane);
		take_all(9, 10);
		take_all(7, 8);
		pt_rx_lane_tick(&lane, START + GRACE, GRACE);
		pt_rx_lane_tick(&lane, START + 2 * GRACE, GRACE);
		if (told)
			MISSING({ 4, 3 }, { 8, 1 });
		else
			MISSING({ 0, 1 }, { 2, 5 }, { 8, 1 });
		assert_int_equal(lane.missing, 1 + 5 + 1);
	}
}

/* As many gaps as an ACK holds, one more, one fewer. */
static void test_full_ack(void **state)
{
	(void)state;
	for (__u32 gaps = PT_MISSING_MAX - 1; gaps <= PT_MISSING_MAX + 1;
	     gaps++) {
		__u64 end = 2 * gaps;
		__u32 told = gaps < PT_MISSING_MAX ? gaps : PT_MISSING_MAX;

		clear(NULL);
		for (__u64 seq = 1; seq < end; seq += 2)
			take_all(seq, seq + 1);
		pt_rx_lane_tick(&lane, START, GRACE);
		pt_rx_lane_tick(&lane, START + GRACE, GRACE);
		assert_int_equal(lane.missing_range_cnt, told);
		assert_int_equal(lane.missing, told);
		assert_int_equal(lane.seqs.decided, 2 * told);
		assert_ack();
		/* Until it is reported, no further number is decided. */
		pt_rx_lane_tick(&lane, START + 2 * GRACE, GRACE);
		assert_int_equal(lane.missing_range_cnt, told);
		/* Then the rest is decided, without a wait of its own. */
		pt_rx_lane_told(&lane);
		pt_rx_lane_tick(&lane, START + 2 * GRACE, GRACE);
		assert_int_equal(lane.missing_range_cnt, gaps - told);
		assert_int_equal(lane.missing, gaps);
		assert_int_equal(lane.seqs.decided, end);
		assert_ack();
	}
}

static void test_news(void **state)
{
	(void)state;
	assert_false(pt_rx_lane_has_news(&lane));
	assert_false(pt_rx_lane_is_urgent(&lane));

	lane.window--;			/* another lane came to the queue */
	assert_true(pt_rx_lane_has_news(&lane));
	assert_false(pt_rx_lane_is_urgent(&lane));
	assert_ack();
	pt_rx_lane_told(&lane);
	assert_false(pt_rx_lane_has_news(&lane));
	lane.window++;
	pt_rx_lane_told(&lane);

	take(1, 0);	/* numbers open, nothing freed */
	assert_false(pt_rx_lane_has_news(&lane));
	take(0, 0);
	pt_rx_lane_tick(&lane, START, GRACE);
	assert_true(pt_rx_lane_has_news(&lane));	/* upto */
	assert_false(pt_rx_lane_is_urgent(&lane));
	pt_rx_lane_told(&lane);
	assert_false(pt_rx_lane_has_news(&lane));

	take(2, WINDOW / 4 - 1);
	assert_true(pt_rx_lane_has_news(&lane));	/* credit */
	assert_false(pt_rx_lane_is_urgent(&lane));
	take(3, 1);
	assert_true(pt_rx_lane_is_urgent(&lane));	/* a quarter of it */
	pt_rx_lane_told(&lane);
	assert_false(pt_rx_lane_is_urgent(&lane));
	assert_false(pt_rx_lane_has_news(&lane));

	take(5, 0);
	pt_rx_lane_tick(&lane, START, GRACE);
	pt_rx_lane_told(&lane);
	pt_rx_lane_tick(&lane, START + GRACE, GRACE);
	assert_true(pt_rx_lane_has_news(&lane));	/* 4 is missing */
	assert_true(pt_rx_lane_is_urgent(&lane));
	pt_rx_lane_told(&lane);
	assert_false(pt_rx_lane_has_news(&lane));

	lane.is_ahead = true;		/* no credit comes back until it is not */
	take(6, WINDOW / 2);
	assert_false(pt_rx_lane_is_urgent(&lane));
	pt_rx_lane_told(&lane);
	lane.is_ahead = false;
	assert_true(pt_rx_lane_is_urgent(&lane));
}

/* ACKs of a lane that has carried as much as the protocol can count. */
static void test_ack_limits(void **state)
{
	(void)state;
	lane.seqs.decided = lane.seqs.top = PT_SEQ_MAX;
	lane.freed_desc = PT_SEQ_MAX;
	lane.window = 1 << 24;
	assert_ack();
	lane.window = 0;
	lane.lane_idx = 0;
	assert_ack();
}

/* --- a whole life: loss, delay and repetition add up -------------------- */

#define FRAMES	200000

static struct {
	__u64 sent, arrived;
	__u64 told_missing;	/* numbers, in all ACKs */
	__u64 new_desc;
} life;

static void told(void)
{
	assert_ack();
	for (__u32 i = 0; i < lane.missing_range_cnt; i++)
		life.told_missing += lane.missing_ranges[i].cnt;
	pt_rx_lane_told(&lane);
}

static void arrive(__u64 seq)
{
	__u32 desc_cnt = 1 + seq % 18;

	life.arrived++;
	if (take(seq, desc_cnt) == PT_SEQ_NEW)
		life.new_desc += desc_cnt;
}

static void test_life(void **state)
{
	__u64 random = 31, now = START;

	(void)state;
	memset(&life, 0, sizeof(life));
	while (life.sent < FRAMES) {
		__u64 at = kit_random(&random);

		if (at % 10)		/* else it is lost */
			arrive(life.sent);
		life.sent++;
		if (at >> 32 & 1)	/* an old one, again or at last */
			arrive(life.sent - 1 - (at >> 40) %
			       (life.sent < 3000 ? life.sent : 3000));
		came_ns = now += (at >> 16) % (GRACE / 10);
		pt_rx_lane_tick(&lane, now, GRACE);
		if (pt_rx_lane_is_urgent(&lane) && (at >> 50) % 4)
			told();
		assert_true(lane.seqs.decided <= life.sent);
		assert_int_equal(lane.accepted + lane.duplicate, life.arrived);
	}
	pt_rx_lane_sync(&lane, life.sent, now);
	for (int i = 0; i < 100 && pt_rx_lane_is_open(&lane); i++) {
		now += GRACE;
		pt_rx_lane_tick(&lane, now, GRACE);
		told();
	}
	assert_int_equal(lane.seqs.decided, life.sent);
	assert_int_equal(life.sent, lane.accepted + lane.missing);
	assert_int_equal(life.told_missing, lane.missing + lane.late);
	assert_int_equal(lane.freed_desc, life.new_desc);
	assert_true(lane.missing > 1000);
	assert_true(lane.late > 1000);
	assert_true(lane.duplicate > 1000);
}

#define TEST(fn) cmocka_unit_test_setup(fn, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_credit),
		TEST(test_arrived),
		TEST(test_grace),
		TEST(test_seen_before),
		TEST(test_grace_changes),
		TEST(test_clock_of_another_thread),
		TEST(test_filled_in_time),
		TEST(test_next_mark),
		TEST(test_younger_gap),
		TEST(test_lost_tail),
		TEST(test_probes),
		TEST(test_cut_gap),
		TEST(test_full_ack),
		TEST(test_news),
		TEST(test_ack_limits),
		TEST(test_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
