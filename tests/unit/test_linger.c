/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls_kit.h"

#include "channel/conn_io.h"
#include "channel/linger.h"

#define LONG_MS	60000	/* longer than any test may take */

static struct pt_linger *linger(void)
{
	struct pt_linger *f;

	assert_int_equal(pt_linger_open(&f), 0);
	return f;
}

/* leaver: *r's last message is queued and f has it; s is the peer's end. */
static struct pt_conn *leaver(struct pt_linger *f, int timeout_ms)
{
	struct pt_conn *s, *r;
	struct pt_message m;

	make_pair(&s, &r, "127.0.0.1");
	pt_message_abort(&m, PT_EXIT_HOST, "disk full");
	assert_int_equal(pt_conn_send(r, &m, &err), 0);
	pt_linger_take(f, r, timeout_ms);
	return s;
}

static void expect_abort(struct pt_conn *s)
{
	struct pt_message m;

	assert_int_equal(recv_wait(s, &m, WAIT_MS, &err), 1);
	assert_int_equal(m.type, PT_MSG_ABORT);
	assert_string_equal(m.abort.text, "disk full");
	expect_failure(s, -EPIPE, "closed");
}

/* until_left ticks when the descriptor says so until so many are left. */
static void until_left(struct pt_linger *f, unsigned want)
{
	struct pollfd fd = { .fd = pt_linger_fd(f), .events = POLLIN };

	while (pt_linger_tick(f) > want)
		assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	assert_int_equal(pt_linger_tick(f), want);
}

/* A connection whose peer reads its last message and closes ends at once;
 * others stay. */
static void test_read_and_closed(void **state)
{
	struct pt_linger *f = linger();
	struct pt_conn *a = leaver(f, LONG_MS), *b = leaver(f, LONG_MS);

	(void)state;
	assert_int_equal(pt_linger_tick(f), 2);
	expect_abort(a);
	assert_int_equal(pt_linger_tick(f), 2);
	pt_conn_close(a);
	until_left(f, 1);
	expect_abort(b);
	pt_conn_close(b);
	pt_linger_wait(f);
	assert_int_equal(pt_linger_tick(f), 0);
	pt_linger_close(f);
}

/* Many that never close cost their time once, and a tick none of it. */
static void test_never_closed(void **state)
{
	enum { CNT = 20, TIME_MS = 1000 };
	struct pt_linger *f = linger();
	struct pt_conn *peers[CNT];
	__u64 start_ns;

	(void)state;
	for (int i = 0; i < CNT; i++)
		peers[i] = leaver(f, LONG_MS);
	start_ns = pt_clock_ns();
	assert_int_equal(pt_linger_tick(f), CNT);
	assert_true(pt_clock_ns() - start_ns < CNT * TIME_MS * 1000000ULL / 4);
	for (int i = 0; i < CNT; i++)
		pt_conn_close(peers[i]);
	pt_linger_close(f);

	f = linger();
	for (int i = 0; i < CNT; i++)
		peers[i] = leaver(f, TIME_MS);
	start_ns = pt_clock_ns();
	pt_linger_wait(f);
	assert_true(pt_clock_ns() - start_ns < CNT * TIME_MS * 1000000ULL / 4);
	for (int i = 0; i < CNT; i++) {
		expect_abort(peers[i]);
		pt_conn_close(peers[i]);
	}
	pt_linger_close(f);
}

struct flood {
	struct pt_conn *conn;
	unsigned cnt;
};

static void *flood_main(void *arg)
{
	struct flood *f = arg;
	struct pt_message m = good_message(PT_MSG_FILE_DATA);
	static __u8 data[PT_FILE_DATA_SZ_MAX];

	m.file_data = (struct pt_msg_file_data){ sizeof(data), data };
	while (!pt_conn_send_batched(f->conn, &m, WAIT_MS, -1, NULL))
		f->cnt++;
	return NULL;
}

/* One that sends without end is read in steps, and dropped in its time. */
static void test_flood(void **state)
{
	struct pt_linger *f = linger();
	struct flood flood = { .conn = leaver(f, 100) };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flood_main, &flood), 0);
	pt_linger_wait(f);
	pthread_join(thread, NULL);
	assert_true(flood.cnt > 0);
	pt_conn_close(flood.conn);
	pt_linger_close(f);
}

static void test_too_many(void **state)
{
	struct pt_linger *f = linger();
	struct pt_conn *peers[PT_LINGER_MAX + 1];

	(void)state;
	for (int i = 0; i <= PT_LINGER_MAX; i++)
		peers[i] = leaver(f, LONG_MS);
	assert_int_equal(pt_linger_tick(f), PT_LINGER_MAX);
	expect_abort(peers[0]);		/* its last message was sent before */
	for (int i = 1; i <= PT_LINGER_MAX; i++)
		pt_conn_close(peers[i]);
	pt_linger_wait(f);
	pt_conn_close(peers[0]);
	pt_linger_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_closed),
		cmocka_unit_test(test_never_closed),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("linger", tests, NULL, NULL) +
	       cmocka_run_group_tests_name("linger over TLS", tests, secure,
					   insecure);
}
