/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Guests, memories and states that a session refuses, and guests that fail. */
#include "rx_guest_kit.h"

static void test_guest_without_one(void **state)
{
	(void)state;
	start(false);
	say_open(PT_LIVE_GUEST, 1);
	expect_end("takes memory alone", PT_EXIT_PEER);
	stop();
}

static void test_memory_without_guest(void **state)
{
	(void)state;
	for (int live = PT_LIVE_NONE; live <= PT_LIVE_ROUNDS; live++) {
		start(true);
		say_open(live, 1);
		expect_end("takes a guest alone", PT_EXIT_PEER);
		stop();
	}
}

static void test_other_guest(void **state)
{
	(void)state;
	start(true);
	guest.fails = 'm';
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	say_guest(DESCRIPTION, strlen(DESCRIPTION));
	expect_end("fails at m", PT_EXIT_HOST);
	assert_null(session->memory.rebuild);	/* no memory was touched */
	assert_string_equal(guest.asked, "m");
	stop();
}

static void test_description_is_no_text(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	say_guest("{}\0{}", 5);
	expect_end("is no text", PT_EXIT_PEER);
	assert_string_equal(guest.asked, "");
	stop();
}

static void test_other_memory(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ / 2);
	say_guest(DESCRIPTION, strlen(DESCRIPTION));
	expect_end("same memory backends", PT_EXIT_PEER);
	stop();
}

static void test_begin_fails(void **state)
{
	(void)state;
	open_guest();
	guest.fails = 'b';
	say_state("x", 1);
	expect_end("fails at b", PT_EXIT_HOST);
	assert_string_equal(guest.asked, "mb");
	stop();
}

/* commit_fails: a commit in which the guest fails, at its letter. */
static void commit_fails(char letter, enum pt_exit exit, const char *asked)
{
	char why[32];

	open_guest();
	guest.fails = letter;
	say_state("x", 1);
	guest_reads("x");
	say_verify();
	expect(PT_MSG_VERIFIED);
	say_commit();
	snprintf(why, sizeof(why), "fails at %c", letter);
	expect_end(why, exit);
	assert_string_equal(guest.asked, asked);
	assert_true(session->report.result < 0);
	stop();
}

static void test_not_loaded(void **state)
{
	(void)state;
	commit_fails('l', PT_EXIT_HOST, "mbl");
}

static void test_may_run(void **state)
{
	(void)state;
	commit_fails('r', PT_EXIT_UNKNOWN, "mblr");
}

/* A guest that closes the stream of its state has failed. */
static void test_guest_closes_the_stream(void **state)
{
	(void)state;
	open_guest();
	say_state("abc", 3);
	guest_reads("abc");
	close(guest.outer);
	guest.outer = -1;
	while (session->state != PT_RX_ENDED) {
		pt_conn_send(sender, &(struct pt_message){
			.type = PT_MSG_STATE,
			.state = { .data = "d", .data_sz = 1 } }, NULL);
		turn();
	}
	assert_int_equal(session->report.result, -EPIPE);
	assert_non_null(strstr(session->report.error.text, "state stream: its "
			       "reader closed it after 3 bytes"));
	stop();
}

/* ---- a sender that may ASK ---- */

static void interrupt(void)
{
	const struct pt_error why = {
		.exit = PT_EXIT_FAILED, .text = "interrupted",
	};

	pt_rx_session_end(session, -ECANCELED, &why);
}

/* Before its first message is read a sender may ASK: the end of the receiver does
 * not tell it that nothing was committed. */
static void test_end_before_first_message(void **state)
{
	(void)state;
	start(true);
	interrupt();
	expect_end("interrupted", PT_EXIT_UNKNOWN);
	stop();
}

static void test_end_before_the_answer(void **state)
{
	(void)state;
	start(true);
	say(&(struct pt_message){
		.type = PT_MSG_ASK, .ask = { TRANSFER },
	});
	while (!session->request.asked_id)
		turn();
	interrupt();
	expect_end("interrupted", PT_EXIT_UNKNOWN);
	stop();
}

static void test_no_first_message(void **state)
{
	(void)state;
	start(true);
	session->watch.due.quiet_ns = session->watch.due.limit_ns + 1;
	expect_end("sends no OPEN", PT_EXIT_UNKNOWN);
	stop();
}

static void test_end_after_open(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	while (!session->request.is_open)
		turn();
	interrupt();
	expect_end("interrupted", PT_EXIT_FAILED);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_without_one),
		cmocka_unit_test(test_memory_without_guest),
		cmocka_unit_test(test_other_guest),
		cmocka_unit_test(test_description_is_no_text),
		cmocka_unit_test(test_other_memory),
		cmocka_unit_test(test_begin_fails),
		cmocka_unit_test(test_not_loaded),
		cmocka_unit_test(test_may_run),
		cmocka_unit_test(test_guest_closes_the_stream),
		cmocka_unit_test(test_end_before_first_message),
		cmocka_unit_test(test_end_before_the_answer),
		cmocka_unit_test(test_no_first_message),
		cmocka_unit_test(test_end_after_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
