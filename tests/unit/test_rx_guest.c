/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A guest's transfer: the messages that a session takes when, its requests to the
 * guest, and their order. */
#include "rx_guest_kit.h"

/* ---- a transfer ---- */

static void test_whole(void **state)
{
	struct pt_message m;
	char byte;

	(void)state;
	open_guest();
	assert_string_equal(guest.asked, "m");
	assert_true(pt_rx_guest_fd(session) < 0);
	say_state("front,", 6);		/* before the guest stands still */
	guest_reads("front,");
	assert_string_equal(guest.asked, "mb");
	assert_true(pt_rx_guest_fd(session) >= 0);
	assert_int_equal(session->state, PT_RX_DATA);
	say_verify();
	expect(PT_MSG_VERIFIED);
	say_state("devices", 7);
	say_state(NULL, 0);
	guest_reads("devices");
	assert_int_equal(write(guest.outer, "SHUT", 4), 4);
	await(&m);
	assert_int_equal(m.type, PT_MSG_STATE);
	assert_int_equal(m.state.data_sz, 4);
	assert_memory_equal(m.state.data, "SHUT", 4);
	assert_int_equal(pt_rx_guest_sz(session), 13 + 4);
	assert_string_equal(guest.asked, "mb");
	say_commit();
	expect(PT_MSG_COMMITTED);
	assert_string_equal(guest.asked, "mblr");
	assert_int_equal(session->report.result, 0);
	assert_int_equal(session->report.state_sz, 13 + 4);
	assert_string_equal(session->report.path, "guest");
	assert_true(pt_rx_guest_fd(session) < 0);
	assert_int_equal(read(guest.outer, &byte, 1), 0);	/* its end */
	stop();
}

/* Bytes that come before the guest has begun wait for it, in order. */
static void test_state_waits_for_begin(void **state)
{
	(void)state;
	open_guest();
	for (int i = 0; i < 9; i++)
		say_state(&"123456789"[i], 1);
	guest_reads("123456789");
	assert_string_equal(guest.asked, "mb");
	stop();
}

static void test_end_before_any_byte(void **state)
{
	char byte;

	(void)state;
	open_guest();
	say_state(NULL, 0);
	while (guest.outer < 0 || recv(guest.outer, &byte, 1, MSG_DONTWAIT))
		turn();
	stop();
}

/* ---- a guest that does not read ---- */

/* fill sends until the guest's socket takes no more. */
static void fill(void)
{
	static const char block[32768];

	open_guest();
	say_state("x", 1);
	guest_reads("x");
	while (!pt_rx_guest_waits(session)) {
		say_state(block, sizeof(block));
		turn();
	}
	turn();
}

static void wait_for_ever(void)
{
	session->guest.due.quiet_ns = session->guest.due.limit_ns + 1;
}

static void test_guest_does_not_read(void **state)
{
	(void)state;
	fill();
	assert_int_equal(session->state, PT_RX_DATA);
	wait_for_ever();
	expect_end("does not read its state", PT_EXIT_HOST);
	assert_int_equal(session->report.result, -ETIMEDOUT);
	stop();
}

/* One that reads a part of it has more time. */
static void test_guest_reads_slowly(void **state)
{
	static char bytes[131072];

	(void)state;
	fill();
	wait_for_ever();
	assert_int_equal(recv(guest.outer, bytes, sizeof(bytes), MSG_WAITALL),
			 sizeof(bytes));
	turn();
	assert_int_equal(session->state, PT_RX_DATA);
	assert_true(session->guest.due.quiet_ns <= session->guest.due.limit_ns);
	stop();
}

/* ---- at the wrong time ---- */

static const struct row {
	const char *name;
	__u8 live;
	__u32 segment_cnt;
	const char *said;	/* S: SEGMENT, G: GUEST, T: STATE, O: OPENED is
				 * awaited; the last one is refused */
} rows[] = {
	{ "GUEST before the last SEGMENT", PT_LIVE_GUEST, 2, "SG" },
	{ "SEGMENT after the last", PT_LIVE_GUEST, 1, "SS" },
	{ "a second GUEST", PT_LIVE_GUEST, 1, "SGG" },
	{ "GUEST after OPENED", PT_LIVE_GUEST, 1, "SGOG" },
	{ "SEGMENT after OPENED", PT_LIVE_GUEST, 1, "SGOS" },
	{ "STATE before GUEST", PT_LIVE_GUEST, 1, "ST" },
	{ "STATE before OPENED", PT_LIVE_GUEST, 1, "SGT" },
	{ "GUEST of rounds alone", PT_LIVE_ROUNDS, 1, "SG" },
	{ "STATE of rounds alone", PT_LIVE_ROUNDS, 1, "SOT" },
	{ "GUEST of memory that stands still", PT_LIVE_NONE, 1, "SOG" },
	{ "STATE of memory that stands still", PT_LIVE_NONE, 1, "SOT" },
};

static void test_wrong_time(void **state)
{
	const struct row *row = *state;
	const char *name = NULL;
	__u64 gfn = 0;

	start(row->live == PT_LIVE_GUEST);
	say_open(row->live, row->segment_cnt);
	for (const char *c = row->said; *c; c++) {
		if (*c == 'S') {
			say_segment(gfn, MEMORY_SZ);
			gfn += MEMORY_SZ / PT_PAGE_SZ;
			name = "SEGMENT at the wrong time";
		} else if (*c == 'G') {
			say_guest(DESCRIPTION, strlen(DESCRIPTION));
			name = "GUEST at the wrong time";
		} else if (*c == 'T') {
			say_state("x", 1);
			name = "STATE at the wrong time";
		} else {
			expect(PT_MSG_OPENED);
		}
	}
	expect_end(name, PT_EXIT_PEER);
	assert_false(strchr(guest.asked, 'b'));
	stop();
}

/* A STATE behind COMMIT is refused, but the commit goes on. */
static void test_state_after_commit(void **state)
{
	(void)state;
	open_guest();
	say_verify();
	expect(PT_MSG_VERIFIED);
	say_commit();
	say_state("x", 1);
	while (session->state != PT_RX_ENDED)
		turn();
	assert_int_equal(session->report.result, 0);
	assert_string_equal(guest.asked, "mlr");
	stop();
}

/* ---- deadlines ---- */

/* stand_still: no progress for a deadline. */
static void stand_still(void)
{
	session->watch.due.quiet_ns = session->watch.due.limit_ns + 1;
	session->watch.due.still_ns = session->watch.due.limit_ns + 1;
	pt_rx_session_tick(session, pt_clock_ns());
}

static void open_rounds(__u8 live)
{
	start(false);
	say_open(live, 1);
	say_segment(0, MEMORY_SZ);
	expect(PT_MSG_OPENED);
}

/* A sender that may idle has an end, too: it would hold its place for ever. */
static void test_idle_too_long(void **state)
{
	struct pt_due *due;

	(void)state;
	open_rounds(PT_LIVE_ROUNDS);
	due = &session->watch.due;
	due->still_ns = PT_DUE_WORK * due->limit_ns;
	turn();
	assert_int_equal(session->state, PT_RX_DATA);
	due->still_ns = (PT_DUE_WORK + 1) * due->limit_ns + 1;
	expect_end("sends no data", PT_EXIT_PEER);
	stop();
}

/* Memory that changes may have nothing to send; VERIFY is due all the same. */
static void test_idle_by_right(void **state)
{
	const __u64 digests[] = { 0, 0 };

	(void)state;
	open_rounds(PT_LIVE_ROUNDS);
	stand_still();
	assert_int_equal(session->state, PT_RX_DATA);
	say(&(struct pt_message){
		.type = PT_MSG_DIGESTS,
		.digests = { .digest = digests, .digest_cnt = 2 },
	});
	while (!session->compare.region_told ||
	       !pt_store_is_idle(session->storage.store))
		turn();
	turn();		/* it has seen the progress of before */
	stand_still();
	expect_end("sends no VERIFY", PT_EXIT_PEER);
	stop();
}

static void test_not_idle_otherwise(void **state)
{
	(void)state;
	open_rounds(PT_LIVE_NONE);
	stand_still();
	expect_end("sends no data", PT_EXIT_PEER);
	stop();
}

static void test_guest_is_due(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	while (!session->memory.segment_cnt)
		turn();
	stand_still();
	expect_end("sends no GUEST", PT_EXIT_PEER);
	stop();
}

int main(void)
{
	struct CMUnitTest tests[10 + sizeof(rows) / sizeof(rows[0])] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_state_waits_for_begin),
		cmocka_unit_test(test_end_before_any_byte),
		cmocka_unit_test(test_guest_does_not_read),
		cmocka_unit_test(test_guest_reads_slowly),
		cmocka_unit_test(test_state_after_commit),
		cmocka_unit_test(test_idle_by_right),
		cmocka_unit_test(test_idle_too_long),
		cmocka_unit_test(test_not_idle_otherwise),
		cmocka_unit_test(test_guest_is_due),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[10 + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_wrong_time,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
