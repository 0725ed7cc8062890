/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls_kit.h"

#include <sys/eventfd.h>

#include "channel/conn_io.h"
#include "channel/fields.h"

static void test_pair(void **state)
{
	static const char *const where[] = { "127.0.0.1", "::1", "::",
					     "localhost" };
	struct pt_conn *s, *r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		make_pair(&s, &r, where[i]);
		assert_int_equal(s->version, PT_WIRE_VERSION);
		assert_int_equal(r->version, PT_WIRE_VERSION);
		assert_int_equal(pt_conn_capabilities(s), 0x0c);
		assert_int_equal(pt_conn_capabilities(r), 0x0c);
		assert_memory_equal(pt_conn_peer(s)->ip, pt_conn_local(r)->ip,
				    sizeof(pt_conn_peer(s)->ip));
		assert_int_equal(pt_conn_peer(s)->port, pt_conn_local(r)->port);
		assert_int_equal(pt_conn_peer(r)->port, pt_conn_local(s)->port);
		assert_int_equal(send_ping(s, 1), 0);
		assert_int_equal(send_ping(r, 2), 0);
		expect_ping(r, 1);
		expect_ping(s, 2);
		pt_conn_close(s);
		pt_conn_close(r);
	}
}

static void test_every_message_crosses(void **state)
{
	struct pt_message m, out;
	struct pt_conn *s, *r;
	bool down;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	for (size_t i = 0; i < MESSAGE_TYPE_CNT; i++) {
		m = good_message(message_types[i]);
		if (m.type == PT_MSG_HELLO)
			continue;
		down = pt_message_who(m.type) & PT_FROM_SENDER;
		assert_int_equal(pt_conn_send(down ? s : r, &m, &err), 0);
		assert_int_equal(recv_wait(down ? r : s, &out, WAIT_MS, &err), 1);
		assert_int_equal(out.type, m.type);
	}
	pt_conn_close(s);
	pt_conn_close(r);
}

static void test_byte_by_byte(void **state)
{
	struct pt_message m = good_message(PT_MSG_SEGMENT), out;
	__u8 bytes[256];
	struct pt_conn *c;
	int fd = raw_sender(&c);
	size_t sz = put_message(bytes, &m);
	__u64 before = pt_conn_last_recv_ns(c);
	struct pollfd readable = { .fd = pt_conn_fd(c), .events = POLLIN };

	(void)state;
	for (size_t i = 0; i < sz; i++) {
		assert_int_equal(pt_conn_recv(c, &out, &err), 0);
		raw_write(fd, bytes + i, 1);
		assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
	}
	assert_int_equal(pt_conn_recv(c, &out, &err), 1);
	assert_int_equal(out.type, PT_MSG_SEGMENT);
	assert_string_equal(out.segment.name, "ram");
	assert_true(pt_conn_last_recv_ns(c) > before);
	assert_int_equal(pt_conn_recv(c, &out, &err), 0);
	close(fd);
	pt_conn_close(c);
}

/* The HELLO and the next message come in one segment: no byte is lost. */
static void test_coalesced(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	struct pt_message m = { .type = PT_MSG_PING };
	int fd = raw_connect(l);
	__u8 bytes[1024];
	size_t sz = put_hello(bytes, PT_ROLE_SENDER, 3, 3);
	struct pt_conn *c;

	(void)state;
	for (m.ping.time_ns = 0; m.ping.time_ns < 20; m.ping.time_ns++)
		sz += put_message(bytes + sz, &m);
	raw_write(fd, bytes, sz);
	assert_int_equal(accept_any(l, &c), 1);
	for (__u64 i = 0; i < 20; i++)
		expect_ping(c, i);
	close(fd);
	pt_conn_close(c);
	pt_listener_close(l);
}

/* Data before the end is delivered before the end is reported. */
static void test_peer_closes(void **state)
{
	struct pt_message m = { .type = PT_MSG_PING, .ping = { 7 } };
	struct pt_conn *c;
	__u8 bytes[64];
	size_t sz;
	int fd;

	(void)state;
	fd = raw_sender(&c);
	raw_write(fd, bytes, put_message(bytes, &m));
	close(fd);
	expect_ping(c, 7);
	expect_failure(c, -EPIPE, "closed the connection");
	assert_int_equal(send_ping(c, 1), -EPIPE);
	pt_conn_close(c);

	fd = raw_sender(&c);
	sz = put_message(bytes, &m);
	raw_write(fd, bytes, sz - 1);
	close(fd);
	expect_failure(c, -EPIPE, "in the middle of a message");
	pt_conn_close(c);

	fd = raw_sender(&c);
	raw_reset(fd);
	expect_failure(c, -ECONNRESET, "cut");
	pt_conn_close(c);
}

/* Sending into a closed connection is an error, never a signal. */
static void test_send_after_cut(void **state)
{
	struct pollfd over;
	struct pt_conn *c;
	int fd = raw_sender(&c), ret;

	(void)state;
	raw_reset(fd);
	over = (struct pollfd){ .fd = pt_conn_fd(c), .events = POLLIN };
	assert_int_equal(poll(&over, 1, WAIT_MS), 1);
	ret = send_ping(c, 1);
	assert_int_equal(ret, -ECONNRESET);
	assert_int_equal(send_ping(c, 2), -ECONNRESET);
	expect_failure(c, -ECONNRESET, "cut");
	pt_conn_close(c);

	fd = raw_sender(&c);	/* the case that would raise SIGPIPE */
	close(fd);
	while (!(ret = send_ping(c, 1)))
		;
	assert_int_equal(ret, -EPIPE);
	pt_conn_close(c);
}

static void test_bad_message(void **state)
{
	struct pt_message m = good_message(PT_MSG_ACK);
	struct pt_conn *c;
	__u8 bytes[256];
	int fd;

	(void)state;
	fd = raw_sender(&c);	/* a receiver's message */
	raw_write(fd, bytes, put_message(bytes, &m));
	expect_failure(c, -EPROTO, "message ACK: not for a sender to send");
	pt_message_abort(&m, PT_EXIT_PEER, err.text);	/* can still be sent */
	assert_int_equal(pt_conn_send(c, &m, &err), 0);
	raw_read_message(fd, &m);
	assert_int_equal(m.type, PT_MSG_ABORT);
	assert_non_null(strstr(m.abort.text, "message ACK"));
	close(fd);
	pt_conn_close(c);

	fd = raw_sender(&c);
	raw_write(fd, bytes, put_hello(bytes, PT_ROLE_SENDER, 3, 3));
	expect_failure(c, -EPROTO, "HELLO: a second one");
	close(fd);
	pt_conn_close(c);

	fd = raw_sender(&c);
	raw_write(fd, "\0\1\0\5\0\6\0\0", 8);
	expect_failure(c, -EPROTO, "message FILE_DATA: 65541 bytes");
	close(fd);
	pt_conn_close(c);
}

/* fill_queue sends PINGs from cnt on until the queue is full: the next. */
static unsigned fill_queue(struct pt_conn *c, unsigned cnt)
{
	int ret;

	while (!(ret = send_ping(c, cnt))) {
		assert_true(pt_conn_queued_sz(c) <= PT_CONN_OUT_SZ);
		cnt++;
	}
	assert_int_equal(ret, -ENOBUFS);
	assert_non_null(strstr(err.text, "reads too slowly"));
	assert_true(pt_conn_queued_sz(c) > PT_CONN_OUT_SZ - 64);
	return cnt;
}

/* step: r reads one message, if there is one; s continues to send, if it
 * can. */
static unsigned step(struct pt_conn *s, struct pt_conn *r, unsigned got)
{
	struct pollfd writable = { .fd = pt_conn_fd(s), .events = POLLIN };
	struct pt_message m;

	if (pt_conn_queued_sz(s) && poll(&writable, 1, 0) == 1)
		assert_int_equal(pt_conn_recv(s, &m, &err), 0);
	if (!pt_conn_recv(r, &m, &err))
		return got;
	assert_int_equal(m.type, PT_MSG_PING);
	assert_int_equal(m.ping.time_ns, got);
	return got + 1;
}

/* A peer that does not read costs one full queue; when it reads again, no
 * message is missing, and polling the one descriptor was enough to send the
 * rest. */
static void test_queue_full(void **state)
{
	struct pollfd writable = { .events = POLLIN };
	struct pt_conn *s, *r;
	const int sz = 32768;	/* so that the queue drains in small steps */
	unsigned cnt, got = 0;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	assert_int_equal(setsockopt(s->sock, SOL_SOCKET, SO_SNDBUF, &sz,
				    sizeof(sz)), 0);
	assert_int_equal(setsockopt(r->sock, SOL_SOCKET, SO_RCVBUF, &sz,
				    sizeof(sz)), 0);
	cnt = fill_queue(s, 0);
	while (pt_conn_queued_sz(s) > PT_CONN_OUT_SZ / 2)
		got = step(s, r, got);
	assert_true(pt_conn_queued_sz(s) > PT_CONN_OUT_SZ / 4);
	cnt = fill_queue(s, cnt);	/* in the room before what is left */
	while (got < cnt)
		got = step(s, r, got);
	writable.fd = pt_conn_fd(s);
	assert_int_equal(pt_conn_queued_sz(s), 0);
	assert_int_equal(poll(&writable, 1, 0), 0);	/* no busy loop */
	pt_conn_close(s);
	pt_conn_close(r);
}

static int send_batched(struct pt_conn *c, const struct pt_message *m,
			int stop_fd)
{
	return pt_conn_send_batched(c, m, WAIT_MS, stop_fd, &err);
}

/* Small messages in a row wait until they fill a system call, but not once
 * another message is sent, or one awaited. */
static void test_send_batched(void **state)
{
	const struct pt_message m = good_message(PT_MSG_SEGMENT);
	struct pt_message out;
	struct pt_conn *s, *r;
	size_t queued_sz = 0, last_sz;
	__u32 sent_cnt = 0;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	do {
		last_sz = queued_sz;
		assert_int_equal(send_batched(s, &m, -1), 0);
		sent_cnt++;
		queued_sz = pt_conn_queued_sz(s);
	} while (queued_sz > last_sz);
	assert_in_range(last_sz, 8 << 10, 64 << 10);
	assert_int_equal(queued_sz, 0);

	assert_int_equal(send_batched(s, &m, -1), 0);
	assert_int_equal(send_ping(s, 1), 0);
	assert_int_equal(pt_conn_queued_sz(s), 0);
	for (__u32 i = 0; i < sent_cnt + 1; i++) {
		assert_int_equal(recv_wait(r, &out, WAIT_MS, &err),
				 1);
		assert_int_equal(out.type, PT_MSG_SEGMENT);
	}
	expect_ping(r, 1);

	assert_int_equal(send_batched(s, &m, -1), 0);
	assert_int_equal(pt_conn_recv(s, &out, &err), 0);
	assert_int_equal(pt_conn_queued_sz(s), 0);
	pt_conn_close(s);
	pt_conn_close(r);
}

/* A peer that reads nothing does not delay a stop. */
static void test_send_batched_stops(void **state)
{
	const struct pt_message m = good_message(PT_MSG_SEGMENT);
	int stop_fd = eventfd(0, EFD_CLOEXEC);
	struct pt_conn *s, *r;
	__u64 since_ns;
	int ret;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	eventfd_write(stop_fd, 1);
	since_ns = pt_clock_ns();
	do
		ret = send_batched(s, &m, stop_fd);
	while (!ret);	/* as long as there is room */
	assert_int_equal(ret, -ECANCELED);
	assert_true(pt_clock_ns() - since_ns < WAIT_MS * 1000000ULL);
	assert_non_null(strstr(err.text, "stopped"));
	pt_conn_close(s);
	pt_conn_close(r);
	close(stop_fd);
}

static void test_send_wait(void **state)
{
	struct pt_message m = good_message(PT_MSG_FILE_DATA);
	static __u8 data[PT_FILE_DATA_SZ_MAX];
	struct pt_conn *s, *r;
	int ret;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	m.file_data = (struct pt_msg_file_data){ sizeof(data), data };
	do	/* the kernel may take a while to fill what is there for r */
		ret = pt_conn_send_batched(s, &m, 20, -1, &err);
	while (!ret);
	assert_int_equal(ret, -ETIMEDOUT);
	assert_non_null(strstr(err.text, "has read nothing for 20 ms"));
	pt_conn_close(r);	/* with input unread: a reset */
	assert_int_equal(pt_conn_send_batched(s, &m, WAIT_MS, -1, &err), -ECONNRESET);
	pt_conn_close(s);
}

#define THREAD_CNT	4
#define EACH_CNT	3000

struct talker {
	struct pt_conn *conn;
	__u64 id;
	int ret;
};

static void *talk(void *arg)
{
	struct talker *t = arg;
	struct pt_message m = { .type = PT_MSG_PING };

	for (__u64 i = 0; i < EACH_CNT && !t->ret; i++) {
		m.ping.time_ns = t->id << 32 | i;
		t->ret = pt_conn_send_batched(t->conn, &m, WAIT_MS, -1, NULL);
	}
	pt_conn_flush(t->conn);
	return NULL;
}

/* Messages of several threads never mix, and each thread's stay in order. */
static void test_threads(void **state)
{
	struct talker talkers[THREAD_CNT];
	__u64 next[THREAD_CNT] = { 0 };
	pthread_t threads[THREAD_CNT];
	struct pt_conn *s, *r;
	struct pt_message m;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	for (int i = 0; i < THREAD_CNT; i++) {
		talkers[i] = (struct talker){ .conn = s, .id = i };
		pthread_create(&threads[i], NULL, talk, &talkers[i]);
	}
	for (int i = 0; i < THREAD_CNT * EACH_CNT; i++) {
		while (!pt_conn_recv(r, &m, &err))
			assert_int_equal(pt_conn_recv(s, &m, &err), 0);
		assert_int_equal(m.type, PT_MSG_PING);
		assert_true(m.ping.time_ns >> 32 < THREAD_CNT);
		assert_int_equal((__u32)m.ping.time_ns,
				 next[m.ping.time_ns >> 32]++);
	}
	for (int i = 0; i < THREAD_CNT; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(talkers[i].ret, 0);
	}
	pt_conn_close(s);
	pt_conn_close(r);
}

static void *finish(void *arg)
{
	return (void *)(intptr_t)finish_wait(arg, WAIT_MS);
}

/* A last message reaches a peer even when some of its own are unread. */
static void test_finish(void **state)
{
	struct pt_conn *s, *r;
	struct pt_message m;
	pthread_t thread;
	void *ret;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	for (int i = 0; i < 20000; i++)	/* more than r's buffer takes; nobody reads */
		assert_int_equal(send_ping(s, i), 0);
	pt_message_abort(&m, PT_EXIT_HOST, "disk full");
	assert_int_equal(pt_conn_send(r, &m, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, finish, r), 0);
	assert_int_equal(recv_wait(s, &m, WAIT_MS, &err), 1);
	assert_int_equal(m.type, PT_MSG_ABORT);
	assert_string_equal(m.abort.text, "disk full");
	expect_failure(s, -EPIPE, "closed");
	pt_conn_close(s);
	pthread_join(thread, &ret);
	assert_int_equal((intptr_t)ret, 0);
	pt_conn_close(r);

	make_pair(&s, &r, "127.0.0.1");	/* a peer that sends and never closes */
	for (int i = 0; i < 20000; i++)
		assert_int_equal(send_ping(s, i), 0);
	assert_int_equal(finish_wait(r, 20), -ETIMEDOUT);
	pt_conn_close(s);
	pt_conn_close(r);
}

int main(void)
{
	const struct CMUnitTest raw[] = {
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_peer_closes),
		cmocka_unit_test(test_send_after_cut),
		cmocka_unit_test(test_bad_message),
	};
	const struct CMUnitTest pairs[] = {
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_every_message_crosses),
		cmocka_unit_test(test_queue_full),
		cmocka_unit_test(test_send_batched),
		cmocka_unit_test(test_send_batched_stops),
		cmocka_unit_test(test_send_wait),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_finish),
	};

	return cmocka_run_group_tests_name("conn", raw, NULL, NULL) +
	       cmocka_run_group_tests_name("pairs", pairs, NULL, NULL) +
	       cmocka_run_group_tests_name("pairs over TLS", pairs, secure,
					   insecure);
}
