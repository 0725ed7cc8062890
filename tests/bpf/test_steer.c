// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Requests to a sender that runs: which are refused when, and which waits a pause
 * must not end.  See ends.h. */
#include "ends.h"

#include "live/live_internal.h"

#define MS	1000000ULL
#define FILE_SZ	(64u << 20)

/* refused: each request is, and word is in each reason. */
static void refused(struct ends *e, const char *word)
{
	struct pt_error err[5];

	assert_int_equal(pt_sender_pause(e->sender, true, &err[0]), -EBUSY);
	assert_int_equal(pt_sender_pause(e->sender, false, &err[1]), -EBUSY);
	assert_int_equal(pt_sender_set_rate(e->sender, 0, &err[2]), -EBUSY);
	assert_int_equal(pt_sender_set_downtime(e->sender, 1, &err[3]), -EBUSY);
	assert_int_equal(pt_sender_cancel_early(e->sender, &err[4]), -EBUSY);
	for (unsigned i = 0; i < 5; i++)
		if (!strstr(err[i].text, word))
			fail_msg("%u: %s", i, err[i].text);
}

static void until_it_ends(struct ends *e)
{
	while (!e->sender->end.state)
		turn(e);
}

static void test_after_the_commit(void **state)
{
	struct ends e = opened(0);

	(void)state;
	start(&e);
	until_it_ends(&e);
	assert_int_equal(e.sent, 1);
	refused(&e, "is ending");
	until_both_end(&e);
	assert_int_equal(e.sent, 0);
	assert_int_equal(e.received, 0);
	refused(&e, "is ending");
	close_all(&e);
}

static void test_after_a_failure(void **state)
{
	struct ends e = opened(PT_RATE_MIN);

	(void)state;
	start(&e);
	until_it_sends(&e);
	pt_sender_cancel(e.sender);
	until_it_ends(&e);
	assert_int_equal(e.sent, 1);
	refused(&e, "is ending");
	until_both_end(&e);
	assert_int_equal(e.sent, -ECANCELED);
	close_all(&e);
}

/* Files are left when all memory is there, and no time of a pause counts as the
 * receiver's. */
static void test_paused_files(void **state)
{
	const char *files[1];
	char path[128];
	struct ends e;
	__u64 limit_ns;

	(void)state;
	snprintf(path, sizeof(path), "%s/devices", dir);
	run("truncate -s %u %s", FILE_SZ, path);
	files[0] = path;
	e = opened_with((struct pt_sender_cfg){ .bytes_per_s = FILE_SZ,
			.files = files, .file_cnt = 1 }, false);
	start(&e);
	until_it_sends(&e);
	while (status(&e).pages_left)
		turn(&e);
	assert_int_equal(pt_sender_pause(e.sender, true, NULL), 0);
	limit_ns = e.sender->due.limit_ns;
	e.sender->due.limit_ns = 1;
	for (unsigned i = 0; i < 20; i++)
		turn(&e);
	if (e.sent != 1)
		fail_msg("%s", e.sender_err.text);
	assert_int_equal(status(&e).phase, PT_SEND_SEND);
	e.sender->due.limit_ns = limit_ns;
	assert_int_equal(pt_sender_pause(e.sender, false, NULL), 0);
	assert_int_equal(pt_sender_set_rate(e.sender, 0, NULL), 0);
	until_both_end(&e);
	assert_int_equal(e.sent, 0);
	assert_int_equal(e.received, 0);
	close_all(&e);
	run("rm -r %s.with", copy);
}

/* A limit that was set before the first round is that of all rounds. */
static void test_early_limit(void **state)
{
	const struct pt_send_live_cfg live = {
		.kind = PT_LIVE_ROUNDS,
		.tracker = PT_LIVE_TRACKER_DIGEST,
		.converge = { .downtime_ns = 1000 * MS, .rounds_max = 1,
			      .otherwise = PT_NO_CONVERGE_STOP },
	};
	struct ends e = opened_with((struct pt_sender_cfg){ .live = &live },
				    false);

	(void)state;
	assert_int_equal(status(&e).live.downtime_limit_ns, 1000 * MS);
	assert_int_equal(pt_sender_set_downtime(e.sender, 77, NULL), 0);
	start(&e);
	until_both_end(&e);
	if (e.sent)
		fail_msg("%s", e.sender_err.text);
	assert_int_equal(status(&e).live.downtime_limit_ns, 77 * MS);
	assert_int_equal(e.sender->live.limits.downtime_ns, 77 * MS);
	close_all(&e);
}

/* rounds: the pauses of the rounds of a memory that changes, as they ended. */
struct rounds {
	__u32 cnt;
	__u64 pause_ns[3];
};

static void on_round(const struct pt_round *r, void *arg)
{
	struct rounds *rounds = arg;

	if (rounds->cnt < 3)
		rounds->pause_ns[rounds->cnt++] = r->pause_ns;
}

/* pause_held pauses until the look after the round is over, twice, and returns
 * how long that took.  The look that follows begins at once. */
static __u64 pause_held(struct ends *e)
{
	__u64 began_ns = pt_clock_ns(), took_ns = 0;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pt_sender_pause(e->sender, true, NULL), 0);
		while (!e->sender->live.is_held)
			turn(e);
		took_ns = pt_clock_ns() - began_ns;
		assert_int_equal(pt_sender_pause(e->sender, false, NULL), 0);
		assert_true(e->sender->live.thread->due_ns <= pt_clock_ns());
	}
	return took_ns;
}

/* Pages that were written in a pause count for its time, and no later look waits
 * as long. */
static void test_paused_looks(void **state)
{
	struct rounds rounds = { 0 };
	const struct pt_send_live_cfg live = {
		.kind = PT_LIVE_ROUNDS,
		.tracker = PT_LIVE_TRACKER_DIGEST,
		.converge = { .downtime_ns = 1, .rounds_max = 1000,
			      .otherwise = PT_NO_CONVERGE_STOP },
		.round = on_round, .arg = &rounds,
	};
	struct ends e = opened_with((struct pt_sender_cfg){ .live = &live },
				    false);
	__u64 took_ns;

	(void)state;
	start(&e);
	while (e.sender->live.step != PT_SEND_LIVE_LOOK)
		turn(&e);
	took_ns = pause_held(&e);
	while (rounds.cnt < 3)
		turn(&e);
	assert_true(rounds.pause_ns[0] >= took_ns);
	assert_int_equal(rounds.pause_ns[1], 0);
	assert_int_equal(rounds.pause_ns[2], 0);
	assert_int_equal(pt_sender_set_downtime(e.sender, 60000, NULL), 0);
	until_both_end(&e);
	if (e.sent)
		fail_msg("%s", e.sender_err.text);
	close_all(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_the_commit),
		cmocka_unit_test(test_after_a_failure),
		cmocka_unit_test(test_paused_files),
		cmocka_unit_test(test_early_limit),
		cmocka_unit_test(test_paused_looks),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
