// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The life of a sender and of a receiver, see ends.h. */
#include "ends.h"

#include <pthread.h>

static void test_open_and_close(void **state)
{
	struct ends e = opened(0);

	(void)state;
	assert_int_equal(status(&e).phase, PT_SEND_CONNECT);
	assert_int_equal(status(&e).memory_sz, IMAGE_SZ);
	assert_int_equal(pt_receiver_status(e.receiver, NULL, 0), 0);
	close_all(&e);
	assert_int_equal(access(copy, F_OK), -1);
	/* The first transfer left no resources in use: the same works again. */
	e = opened(0);
	close_all(&e);
	pt_sender_close(NULL);
	pt_receiver_close(NULL);
}

static void test_one_loop(void **state)
{
	struct pt_receive_report reports[2];
	struct pt_receiver_info info;
	struct ends e = opened(0);
	bool was_seen = false;
	int last = 0;

	(void)state;
	start(&e);
	while (e.sent > 0 || e.received > 0) {
		turn(&e);
		was_seen |= pt_receiver_status(e.receiver, reports, 2) == 1 &&
			    reports[0].memory_sz == IMAGE_SZ;
		assert_true((int)status(&e).phase >= last);
		last = status(&e).phase;
	}
	if (e.sent || e.received)
		fail_msg("%s; %s", e.sender_err.text, e.receiver_err.text);
	assert_true(was_seen);
	assert_int_equal(status(&e).phase, PT_SEND_DONE);
	assert_int_equal(status(&e).pages_left, 0);
	assert_int_equal(status(&e).unaccounted, 0);
	assert_false(pt_sender_is_held_up(e.sender));
	/* The state stays as it ended. */
	assert_int_equal(pt_sender_step(e.sender, NULL), 0);
	assert_int_equal(pt_receiver_step(e.receiver, NULL), 0);
	pt_receiver_info(e.receiver, &info);	/* of what was started */
	assert_string_equal(info.listen, "10.9.0.2:16644");
	assert_true(info.queue_cnt);
	close_all(&e);
	run("cmp %s %s", image, copy);
}

/* The report of the memory is written at once, not at the next tick. */
static void test_setup_waits_for_no_tick(void **state)
{
	struct ends e = opened(0);
	struct pollfd fd = { .fd = pt_sender_fd(e.sender), .events = POLLIN };

	(void)state;
	pt_sender_tick_every(e.sender, 3600000);
	start(&e);
	/* The sender is stepped first, so that only its own work wakes it. */
	while (e.sender->setup != PT_SETUP_OPEN) {
		if (poll(&fd, 1, 0) > 0) {
			in(here);
			assert_int_equal(pt_sender_step(e.sender, NULL), 1);
		} else {
			turn(&e);
		}
	}
	if (pt_conn_queued_sz(e.sender->conn))
		assert_int_equal(poll(&fd, 1, 0), 1);
	close_all(&e);
}

/* The loop is not woken without end while there is nothing to do. */
static void test_idle(void **state)
{
	struct ends e = opened(0);
	__u64 end_ns = pt_deadline_ns(1000);
	int turns = 0;

	(void)state;
	e.sent = 0;	/* it is not started */
	in(there);
	assert_int_equal(pt_receiver_start(e.receiver, NULL), 0);
	for (; pt_left_ms(end_ns); turns++)
		turn(&e);
	assert_true(turns <= 20);
	close_all(&e);
}

static void test_misuse(void **state)
{
	struct ends e = opened(0);
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_sender_step(e.sender, &err), -EINVAL);
	assert_non_null(strstr(err.text, "was not started"));
	assert_int_equal(pt_receiver_step(e.receiver, &err), -EINVAL);
	assert_non_null(strstr(err.text, "was not started"));
	start(&e);
	assert_int_equal(pt_sender_start(e.sender, &err), -EINVAL);
	assert_int_equal(pt_receiver_start(e.receiver, &err), -EINVAL);
	assert_int_equal(pt_sender_set_rate(e.sender, 1, &err), -ERANGE);
	close_all(&e);
}

/* A failed start is not repeated, so nothing is reserved twice. */
static void test_starts_once(void **state)
{
	struct ends e = opened(0);
	struct pt_error err;

	(void)state;
	run("touch %s", copy);
	in(there);
	assert_int_equal(pt_receiver_start(e.receiver, &err), -EEXIST);
	unlink(copy);
	assert_int_equal(pt_receiver_start(e.receiver, &err), -EINVAL);
	assert_non_null(strstr(err.text, "started already"));
	assert_int_equal(pt_receiver_step(e.receiver, &err), -EINVAL);
	close_all(&e);
}

/* A second transfer with the same id is refused, and the first continues. */
static void test_one_id(void **state)
{
	struct pt_sender_cfg cfg = { .bytes_per_s = PT_RATE_MIN };
	struct ends e = opened_with(cfg, true), twin;

	(void)state;
	twin = e;
	cfg.name = "twin";
	twin.sender = open_sender(e.source, cfg);
	start(&e);
	until_it_sends(&e);
	twin.sender->report.transfer_id = e.sender->report.transfer_id;
	in(here);
	assert_int_equal(pt_sender_start(twin.sender, NULL), 0);
	while (twin.sent > 0)
		turn(&twin);
	assert_int_equal(twin.sent, -ECONNABORTED);
	if (!strstr(twin.sender_err.text, "is running already"))
		fail_msg("%s", twin.sender_err.text);
	in(here);
	pt_sender_close(twin.sender);
	in(there);
	assert_int_equal(pt_receiver_status(e.receiver, NULL, 0), 1);
	in(here);
	assert_int_equal(pt_sender_step(e.sender, NULL), 1);
	close_all(&e);
}

/* interrupted: the sender reports it, and so does the receiver. */
static void interrupted(const struct ends *e)
{
	assert_int_equal(e->sent, -ECANCELED);
	assert_int_equal(e->sender_err.exit, PT_EXIT_FAILED);
	assert_non_null(strstr(e->sender_err.text, "interrupted"));
	assert_true(e->received < 0);
	assert_non_null(strstr(e->receiver_err.text, "interrupted"));
	assert_int_equal(access(copy, F_OK), -1);
}

static void test_cancel_at_once(void **state)
{
	struct ends e = opened(0);

	(void)state;
	start(&e);
	pt_sender_cancel(e.sender);
	while (e.sent > 0)
		turn(&e);
	pt_receiver_cancel(e.receiver);
	until_both_end(&e);
	interrupted(&e);
	assert_int_equal(e.received, -ECANCELED);
	close_all(&e);
}

/* canceller limits the sender, and cancels it once it sends. */
static void *canceller(void *arg)
{
	const struct ends *e = arg;

	pt_sender_set_rate(e->sender, PT_RATE_MIN, NULL);
	while (!status(e).wire_bytes)
		poll(NULL, 0, 1);
	pt_sender_cancel(e->sender);
	return NULL;
}

static void test_cancel_by_another_thread(void **state)
{
	struct ends e = opened(2 * PT_RATE_MIN);
	pthread_t thread;

	(void)state;
	start(&e);
	assert_int_equal(pthread_create(&thread, NULL, canceller, &e), 0);
	until_both_end(&e);
	pthread_join(thread, NULL);
	interrupted(&e);
	assert_int_equal(status(&e).bytes_per_s, PT_RATE_MIN);
	close_all(&e);
}

static void test_cancelled_receiver(void **state)
{
	struct ends e = opened(PT_RATE_MIN);

	(void)state;
	start(&e);
	until_it_sends(&e);
	pt_receiver_cancel(e.receiver);
	until_both_end(&e);
	assert_int_equal(e.sent, -ECONNABORTED);
	assert_non_null(strstr(e.sender_err.text, "interrupted"));
	assert_int_equal(e.received, -ECANCELED);
	close_all(&e);
}

/* close during a transfer cancels it. */
static void test_close_in_the_midst(void **state)
{
	struct ends e = opened(PT_RATE_MIN);

	(void)state;
	start(&e);
	until_it_sends(&e);
	in(here);
	pt_sender_close(e.sender);
	e.sender = NULL;
	e.sent = 0;
	until_both_end(&e);
	assert_int_equal(e.received, -ECONNABORTED);
	assert_non_null(strstr(e.receiver_err.text, "interrupted"));
	close_all(&e);

	e = opened(PT_RATE_MIN);
	start(&e);
	until_it_sends(&e);
	in(there);
	pt_receiver_close(e.receiver);
	e.receiver = NULL;
	e.received = 0;
	until_both_end(&e);
	assert_int_equal(e.sent, -ECONNABORTED);
	close_all(&e);
}

/* No peer answers: with the default timeout that takes a while. */
static void test_zero_is_the_default(void **state)
{
	struct ends e = opened(0);

	(void)state;
	in(here);
	assert_int_equal(pt_sender_start(e.sender, NULL), 0);
	e.received = 0;	/* it is opened, and takes no step: TCP connects */
	for (__u64 end_ns = pt_deadline_ns(500); pt_left_ms(end_ns); )
		turn(&e);
	assert_int_equal(e.sent, 1);
	close_all(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_close),
		cmocka_unit_test(test_one_loop),
		cmocka_unit_test(test_setup_waits_for_no_tick),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_starts_once),
		cmocka_unit_test(test_one_id),
		cmocka_unit_test(test_cancel_at_once),
		cmocka_unit_test(test_cancel_by_another_thread),
		cmocka_unit_test(test_cancelled_receiver),
		cmocka_unit_test(test_close_in_the_midst),
		cmocka_unit_test(test_zero_is_the_default),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
