/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Two relays over one connection: bytes that are written to a socket at one end
 * are read from a socket at the other. */
#include "conn_kit.h"

#include <sys/resource.h>

#include "channel/relay.h"

/* end: one end of the connection, with its relay. */
struct end {
	struct pt_conn *conn;
	struct pt_relay *relay;
	int inner;		/* the relay's socket */
	int outer;		/* the end that QEMU has */
	int ret;		/* of the last step or take */
	struct pt_error err;
};

struct ends {
	struct end s, r;	/* the sender's, the receiver's */
};

static void open_end(struct end *e)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
				    fds), 0);
	e->inner = fds[0];
	e->outer = fds[1];
	e->ret = 1;
	assert_int_equal(pt_relay_open(&e->relay, e->inner, e->conn, &e->err),
			 0);
}

static void open_ends(struct ends *ends)
{
	memset(ends, 0, sizeof(*ends));
	make_pair(&ends->s.conn, &ends->r.conn, "127.0.0.1");
	open_end(&ends->s);
	open_end(&ends->r);
}

static void close_end(struct end *e)
{
	pt_relay_close(e->relay);
	pt_conn_close(e->conn);
	close(e->inner);
	if (e->outer >= 0)
		close(e->outer);
}

static void close_ends(struct ends *ends)
{
	close_end(&ends->s);
	close_end(&ends->r);
}

static struct pt_relay_counts counts_of(const struct end *e)
{
	struct pt_relay_counts counts;

	pt_relay_counts(e->relay, &counts);
	return counts;
}

/* turn does what an agent's loop does once. */
static void turn(struct end *e)
{
	struct pt_message m;

	while (e->ret >= 0 && pt_conn_recv(e->conn, &m, &err) > 0) {
		assert_int_equal(m.type, PT_MSG_STATE);
		e->ret = pt_relay_take(e->relay, &m.state, &e->err);
	}
	if (e->ret >= 0)
		e->ret = pt_relay_step(e->relay, &e->err);
}

static bool is_readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1;
}

/* await waits until an end has work.  A relay that is held is turned again, as
 * its header says. */
static void await(const struct end *a, const struct end *b)
{
	struct pollfd fds[] = {
		{ .fd = pt_conn_fd(a->conn), .events = POLLIN },
		{ .fd = pt_relay_fd(a->relay), .events = POLLIN },
		{ .fd = pt_conn_fd(b->conn), .events = POLLIN },
		{ .fd = pt_relay_fd(b->relay), .events = POLLIN },
	};
	bool is_held = pt_relay_is_held(a->relay) || pt_relay_is_held(b->relay);

	if (!poll(fds, 4, is_held ? 1 : WAIT_MS) && !is_held)
		fail_msg("nothing happens any more");
}

/* byte_at: the stream's bytes repeat after a prime number of them. */
static __u8 byte_at(__u64 at)
{
	return at % 251;
}

/* feed writes the next bytes of the stream, up to sz in all; returns how far it
 * is. */
static __u64 feed(int fd, __u64 at, __u64 sz)
{
	__u8 bytes[8192];
	ssize_t done;

	while (at < sz) {
		__u64 part = sz - at < sizeof(bytes) ? sz - at : sizeof(bytes);

		for (__u64 i = 0; i < part; i++)
			bytes[i] = byte_at(at + i);
		done = send(fd, bytes, part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (done < 0)
			return at;
		at += done;
	}
	return at;
}

/* drain reads and checks what is there; returns how far the stream is; *is_over:
 * its end came. */
static __u64 drain(int fd, __u64 at, bool *is_over)
{
	__u8 bytes[8192];
	ssize_t sz;

	while ((sz = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < sz; i++)
			if (bytes[i] != byte_at(at + i))
				fail_msg("byte %llu is wrong", at + i);
		at += sz;
	}
	*is_over = !sz;
	return at;
}

/* carry moves a stream of sz bytes from one end's outer socket to the other's,
 * with its end. */
static void carry(struct end *from, struct end *to, __u64 sz)
{
	__u64 fed = feed(from->outer, 0, sz), drained = 0;
	bool is_shut = false, is_over = false;

	while (!is_over) {
		fed = feed(from->outer, fed, sz);
		if (fed == sz && !is_shut)
			is_shut = !shutdown(from->outer, SHUT_WR);
		turn(from);
		turn(to);
		assert_true(from->ret >= 0 && to->ret >= 0);
		drained = drain(to->outer, drained, &is_over);
		if (!is_over && fed == sz)
			await(from, to);
	}
	assert_int_equal(drained, sz);
}

/* ---- */

static void test_both_ways(void **state)
{
	const __u64 there_sz = 1000000, back_sz = 17;
	struct pt_relay_counts s, r;
	struct ends ends;

	(void)state;
	open_ends(&ends);
	carry(&ends.s, &ends.r, there_sz);
	assert_int_equal(ends.s.ret, 1);
	assert_int_equal(ends.r.ret, 1);
	carry(&ends.r, &ends.s, back_sz);
	assert_int_equal(ends.s.ret, 0);
	assert_int_equal(ends.r.ret, 0);
	s = counts_of(&ends.s);
	r = counts_of(&ends.r);
	assert_int_equal(s.read_sz, there_sz);
	assert_int_equal(s.sent_sz, there_sz);
	assert_int_equal(r.taken_sz, there_sz);
	assert_int_equal(r.written_sz, there_sz);
	assert_int_equal(r.sent_sz, back_sz);
	assert_int_equal(s.written_sz, back_sz);
	assert_true(s.has_sent_end && s.has_written_end);
	assert_true(r.has_sent_end && r.has_written_end);
	close_ends(&ends);
}

static void test_empty_streams(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	carry(&ends.r, &ends.s, 0);
	carry(&ends.s, &ends.r, 0);
	assert_int_equal(ends.s.ret, 0);
	assert_int_equal(ends.r.ret, 0);
	close_ends(&ends);
}

/* A hang-up is reported for as long as it lasts: a relay that waits for nothing
 * must not make its caller spin. */
static void test_quiet_after_the_end(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	carry(&ends.s, &ends.r, 5);
	close(ends.s.outer);
	ends.s.outer = -1;
	turn(&ends.s);
	assert_false(is_readable(pt_relay_fd(ends.s.relay)));
	assert_int_equal(ends.s.ret, 1);	/* the way back is open */
	close_ends(&ends);
}

/* While the peer does not read, the socket is not read either: at most the
 * connection's share waits in memory. */
static void test_held_by_a_peer_that_does_not_read(void **state)
{
	const __u64 sz = 24 << 20;
	__u64 fed = 0, was, drained = 0;
	bool is_over = false;
	struct ends ends;

	(void)state;
	open_ends(&ends);
	do {
		was = fed;
		fed = feed(ends.s.outer, fed, sz);
		turn(&ends.s);
		assert_true(fed < sz);
	} while (fed > was || !pt_relay_is_held(ends.s.relay));
	assert_false(is_readable(pt_relay_fd(ends.s.relay)));
	assert_true(pt_conn_queued_sz(ends.s.conn) > PT_RELAY_AHEAD_SZ);
	assert_true(pt_conn_queued_sz(ends.s.conn) <
		    2 * PT_RELAY_AHEAD_SZ);
	while (!is_over) {
		fed = feed(ends.s.outer, fed, sz);
		if (fed == sz)
			shutdown(ends.s.outer, SHUT_WR);
		turn(&ends.s);
		turn(&ends.r);
		drained = drain(ends.r.outer, drained, &is_over);
	}
	assert_int_equal(drained, sz);
	close_ends(&ends);
}

/* A reader that is slower than the connection: the bytes wait in memory, and the
 * connection's other messages are not held up. */
static void test_slow_reader(void **state)
{
	const __u64 sz = 20 << 20;
	__u64 fed = 0, drained = 0;
	bool is_over = false;
	struct ends ends;

	(void)state;
	open_ends(&ends);
	while (counts_of(&ends.r).taken_sz < sz) {
		fed = feed(ends.s.outer, fed, sz);
		turn(&ends.s);
		turn(&ends.r);
	}
	shutdown(ends.s.outer, SHUT_WR);
	turn(&ends.s);
	assert_true(counts_of(&ends.s).has_sent_end);
	assert_true(counts_of(&ends.r).written_sz < sz);
	assert_false(is_readable(pt_relay_fd(ends.r.relay)));
	while (!is_over) {
		turn(&ends.r);
		assert_int_equal(ends.r.ret, 1);
		drained = drain(ends.r.outer, drained, &is_over);
	}
	assert_int_equal(drained, sz);
	close_ends(&ends);
}

/* The reader closes with bytes under way. */
static void test_reader_closes_early(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	assert_int_equal(feed(ends.s.outer, 0, 100), 100);
	close(ends.r.outer);
	ends.r.outer = -1;
	turn(&ends.s);
	while (ends.r.ret > 0) {
		/* Its own hang-up ends the way back; the bytes fail. */
		turn(&ends.r);
		turn(&ends.s);
	}
	assert_int_equal(ends.r.ret, -EPIPE);
	assert_int_equal(ends.r.err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(ends.r.err.text, "closed it after 0 bytes"));
	assert_int_equal(pt_relay_step(ends.r.relay, &ends.r.err), -EPIPE);
	assert_false(is_readable(pt_relay_fd(ends.r.relay)));
	close_ends(&ends);
}

/* The writer closes with bytes unread: on a UNIX socket that is a reset. */
static void test_writer_resets(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	assert_int_equal(feed(ends.s.inner, 0, 10), 10);	/* to outer */
	close(ends.s.outer);
	ends.s.outer = -1;
	turn(&ends.s);
	assert_int_equal(ends.s.ret, -ECONNRESET);
	assert_non_null(strstr(ends.s.err.text, "writer closed it"));
	close_ends(&ends);
}

/* One byte more than a stream may have, from the socket. */
static void test_socket_is_over_long(void **state)
{
	__u64 fed = 0, drained = 0;
	bool is_over;
	struct ends ends;

	(void)state;
	open_ends(&ends);
	while (ends.s.ret > 0) {
		fed = feed(ends.s.outer, fed, PT_STATE_SZ_MAX + 1ULL);
		turn(&ends.s);
		turn(&ends.r);
		drained = drain(ends.r.outer, drained, &is_over);
		assert_true(ends.r.ret >= 0);
	}
	assert_int_equal(ends.s.ret, -EFBIG);
	assert_int_equal(ends.s.err.exit, PT_EXIT_HOST);
	assert_true(counts_of(&ends.s).sent_sz <= PT_STATE_SZ_MAX);
	close_ends(&ends);
}

/* The whole of a longest stream. */
static void test_longest(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	carry(&ends.s, &ends.r, PT_STATE_SZ_MAX);
	close_ends(&ends);
}

/* A peer that sends more than it may: all that it may waits, no more. */
static void test_peer_is_over_long(void **state)
{
	static const __u8 bytes[PT_FILE_DATA_SZ_MAX];
	const struct pt_msg_state full = { sizeof(bytes), bytes };
	const struct pt_msg_state one = { 1, bytes };
	struct ends ends;

	(void)state;
	open_ends(&ends);
	for (__u64 at = 0; at < PT_STATE_SZ_MAX; at += sizeof(bytes))
		assert_int_equal(pt_relay_take(ends.r.relay, &full, &err), 0);
	assert_int_equal(pt_relay_take(ends.r.relay, &one, &err), -EPROTO);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	assert_non_null(strstr(err.text, "more than 64 MiB"));
	assert_int_equal(counts_of(&ends.r).taken_sz, PT_STATE_SZ_MAX);
	assert_int_equal(pt_relay_step(ends.r.relay, &err), -EPROTO);
	close_ends(&ends);
}

static void test_peer_goes_on_after_its_end(void **state)
{
	const struct pt_msg_state end = { 0, NULL }, more = { 1, "x" };
	struct ends ends;

	(void)state;
	open_ends(&ends);
	assert_int_equal(pt_relay_take(ends.r.relay, &end, &err), 0);
	assert_int_equal(pt_relay_take(ends.r.relay, &more, &err), -EPROTO);
	assert_non_null(strstr(err.text, "after its end"));
	close_ends(&ends);
	open_ends(&ends);
	assert_int_equal(pt_relay_take(ends.r.relay, &end, &err), 0);
	assert_int_equal(pt_relay_take(ends.r.relay, &end, &err), -EPROTO);
	close_ends(&ends);
}

/* Bytes and the end come before there is a socket to write them to. */
static void test_socket_comes_late(void **state)
{
	const struct pt_msg_state part = { 3, "\0\1\2" }, end = { 0, NULL };
	bool is_over = false;
	struct ends ends;

	(void)state;
	open_ends(&ends);
	pt_relay_close(ends.r.relay);
	assert_int_equal(pt_relay_open(&ends.r.relay, -1, ends.r.conn, &err), 0);
	assert_int_equal(pt_relay_take(ends.r.relay, &part, &err), 0);
	assert_int_equal(pt_relay_take(ends.r.relay, &end, &err), 0);
	assert_int_equal(pt_relay_step(ends.r.relay, &err), 1);
	assert_false(is_readable(pt_relay_fd(ends.r.relay)));
	pt_relay_attach(ends.r.relay, ends.r.inner);
	assert_true(is_readable(pt_relay_fd(ends.r.relay)));
	assert_int_equal(pt_relay_step(ends.r.relay, &err), 1);
	assert_int_equal(drain(ends.r.outer, 0, &is_over), 3);
	assert_true(is_over);
	carry(&ends.r, &ends.s, 10);
	close_ends(&ends);
}

static void test_connection_lost(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	pt_conn_shut(ends.s.conn);
	assert_int_equal(feed(ends.s.outer, 0, 10), 10);
	ends.s.ret = pt_relay_step(ends.s.relay, &ends.s.err);
	assert_true(ends.s.ret < 0);
	assert_int_equal(ends.s.err.exit, PT_EXIT_PEER);
	close_ends(&ends);
}

static void test_no_descriptor(void **state)
{
	struct rlimit old, none;
	struct pt_relay *r;
	struct ends ends;
	int ret;

	(void)state;
	open_ends(&ends);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = pt_relay_open(&r, ends.s.inner, ends.s.conn, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, -EMFILE);
	assert_non_null(strstr(err.text, "ulimit -n"));
	close_ends(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_empty_streams),
		cmocka_unit_test(test_quiet_after_the_end),
		cmocka_unit_test(test_held_by_a_peer_that_does_not_read),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_reader_closes_early),
		cmocka_unit_test(test_writer_resets),
		cmocka_unit_test(test_socket_is_over_long),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_peer_is_over_long),
		cmocka_unit_test(test_peer_goes_on_after_its_end),
		cmocka_unit_test(test_socket_comes_late),
		cmocka_unit_test(test_connection_lost),
		cmocka_unit_test(test_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
