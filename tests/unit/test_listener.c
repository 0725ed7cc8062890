/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "conn_kit.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "channel/conn_io.h"

/* Each stranger sends one thing; the listener refuses it with the reason, and
 * serves the next client. */
static const struct stranger {
	const char *name;
	const char *says;
	size_t says_sz;
	int want;
	const char *why;
} strangers[] = {
#define SAYS(text) text, sizeof(text) - 1
#define HELLO(size, type, magic) \
	SAYS(size type "\0\0" magic "\0\1\0\1\0\0\0\0\0\0\0\0\1")
	{ "an HTTP request", SAYS("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	  -EPROTO, "is not pagetrim" },
	{ "one wrong byte", SAYS("\1"), -EPROTO, "is not pagetrim" },
	{ "another magic", HELLO("\0\0\0\21", "\0\1", "PTCU"), -EPROTO,
	  "is not pagetrim" },
	{ "another message first", SAYS("\0\0\0\10\0\27\0\0\0\0\0\0\0\0\0\0"),
	  -EPROTO, "is not pagetrim" },
	{ "nothing, and goes", SAYS(""), -EPIPE, "closed the connection" },
	{ "half a HELLO, and goes", SAYS("\0\0\0\21\0\1\0\0PT"), -EPIPE,
	  "in the middle of a message" },
};

static void expect_service(struct pt_listener *l)
{
	__u8 bytes[64];
	struct pt_message m;
	struct pt_conn *c;
	int fd = raw_connect(l);

	raw_write(fd, bytes, put_hello(bytes, PT_ROLE_SENDER, 3, 3));
	assert_int_equal(accept_any(l, &c), 1);
	raw_read_message(fd, &m);
	assert_int_equal(m.hello.role, PT_ROLE_RECEIVER);
	pt_conn_close(c);
	close(fd);
}

static void test_stranger(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	const struct stranger *st = *state;
	struct pt_conn *c;
	char answer;
	int fd = raw_connect(l);

	raw_write(fd, st->says, st->says_sz);
	if (st->want == -EPIPE)
		shutdown(fd, SHUT_WR);
	assert_int_equal(accept_any(l, &c), st->want);
	assert_non_null(strstr(err.text, "127.0.0.1:"));
	if (!strstr(err.text, st->why))
		fail_msg("'%s' lacks '%s'", err.text, st->why);
	assert_true(recv(fd, &answer, 1, 0) <= 0);	/* told nothing */
	close(fd);
	expect_service(l);
	pt_listener_close(l);
}

/* A TLS client of a listener without a key learns that this is pagetrim, so
 * that a sender with a key can report the cause. */
static void test_tls_to_plaintext(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	int fd = raw_connect(l);
	struct pt_message m;
	struct pt_conn *c;

	(void)state;
	raw_write(fd, "\x16\3\1\2\0\1\0\1\xfc\3\3", 11);
	assert_int_equal(accept_any(l, &c), -EPROTO);
	assert_non_null(strstr(err.text, "speaks TLS, we were told "
			       "insecure"));
	raw_read_message(fd, &m);
	assert_int_equal(m.type, PT_MSG_HELLO);
	close(fd);
	expect_service(l);
	pt_listener_close(l);
}

static void test_silence(void **state)
{
	struct pt_conn_cfg cfg = receiver_cfg;
	struct pt_listener *l;
	struct pt_conn *c;
	int silent, slow;
	char end;

	(void)state;
	cfg.hello_ms = 50;
	l = listen_at("127.0.0.1", &cfg);
	silent = raw_connect(l);
	slow = raw_connect(l);
	raw_write(slow, "\0\0", 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(accept_any(l, &c), -ETIMEDOUT);
		assert_non_null(strstr(err.text, "no HELLO for 50 ms"));
	}
	assert_true(recv(silent, &end, 1, 0) <= 0);
	assert_true(recv(slow, &end, 1, 0) <= 0);
	close(silent);
	close(slow);
	expect_service(l);
	pt_listener_close(l);
}

static int is_open(int fd)
{
	char end;

	return recv(fd, &end, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* is_closed waits for the end, which the kernel brings a moment later. */
static int is_closed(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLIN };

	return poll(&end, 1, WAIT_MS) == 1 && !is_open(fd);
}

/* take_in has the listener accept who connected: connect may return before the
 * kernel has handed it over. */
static void take_in(struct pt_listener *l)
{
	struct pollfd fd = { .fd = pt_listener_fd(l), .events = POLLIN };
	struct pt_conn *c;

	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	assert_int_equal(pt_listener_accept(l, &c, &err), 0);
}

/* expect_refusal: a client that sends these bytes gets a HELLO, an ABORT with
 * why and the end of the connection, and the log has the same reason. */
static void expect_refusal(struct pt_listener *l, const __u8 *bytes, size_t sz,
			   int want, const char *why)
{
	int fd = raw_connect(l);
	struct pt_message m;
	struct pt_conn *c;
	char end;

	raw_write(fd, bytes, sz);
	assert_int_equal(accept_any(l, &c), want);
	if (!strstr(err.text, why))
		fail_msg("'%s' lacks '%s'", err.text, why);
	raw_read_message(fd, &m);	/* it can name both, too */
	assert_int_equal(m.type, PT_MSG_HELLO);
	assert_int_equal(m.hello.version_min, PT_WIRE_VERSION);
	assert_int_equal(m.hello.version_max, PT_WIRE_VERSION);
	raw_read_message(fd, &m);
	assert_int_equal(m.type, PT_MSG_ABORT);
	assert_int_equal(m.abort.exit, PT_EXIT_PEER);
	assert_ptr_equal(strstr(m.abort.text, "HELLO refused: "), m.abort.text);
	if (!strstr(m.abort.text, why))
		fail_msg("'%s' lacks '%s'", m.abort.text, why);
	assert_int_equal(read(fd, &end, 1), 0);
	close(fd);
}

static void test_refused(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	__u8 bytes[64];

	(void)state;
	expect_refusal(l, bytes, put_hello(bytes, PT_ROLE_SENDER, 7, 9),
		       -EPROTONOSUPPORT,
		       "speaks version 7..9, we speak version 3 (install");
	expect_refusal(l, bytes, put_hello(bytes, PT_ROLE_SENDER, 2, 2),
		       -EPROTONOSUPPORT, "speaks version 2, we speak version 3");
	expect_refusal(l, bytes, put_hello(bytes, PT_ROLE_RECEIVER, 3, 3),
		       -EPROTO, "is a receiver, as we are");
	put_hello(bytes, PT_ROLE_SENDER, 3, 3);
	bytes[3]--;
	expect_refusal(l, bytes, 24, -EPROTO, "message HELLO: 16 bytes");
	expect_service(l);
	pt_listener_close(l);
}

/* Refused clients that stay do not block a silent one. */
static void test_refused_hide_nobody(void **state)
{
	enum { CNT = 100 };
	struct pt_conn_cfg cfg = receiver_cfg;
	struct pt_listener *l;
	int ret, cnt = 0, fds[CNT + 1];
	struct pt_conn *c;
	__u8 bytes[64];

	(void)state;
	cfg.hello_ms = 50;
	l = listen_at("127.0.0.1", &cfg);
	fds[cnt++] = raw_connect(l);
	do {
		fds[cnt] = raw_connect(l);
		raw_write(fds[cnt++], bytes,
			  put_hello(bytes, PT_ROLE_SENDER, 7, 9));
		ret = accept_any(l, &c);
		if (ret == -EPROTONOSUPPORT)
			ret = pt_listener_accept(l, &c, &err);
		poll(NULL, 0, 10);
	} while (ret != -ETIMEDOUT && cnt <= CNT);
	assert_int_equal(ret, -ETIMEDOUT);
	while (cnt > 0)
		close(fds[--cnt]);
	pt_listener_close(l);
}

/* The connection of a refused client that does not close it ends by the deadline. */
static void test_refused_stays(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	struct pollfd fd = { .fd = pt_listener_fd(l), .events = POLLIN };
	int stays = raw_connect(l);
	struct pt_conn *c;
	__u8 bytes[64];

	(void)state;
	raw_write(stays, bytes, put_hello(bytes, PT_ROLE_SENDER, 2, 2));
	assert_int_equal(accept_any(l, &c), -EPROTONOSUPPORT);
	expect_service(l);
	while (is_open(stays)) {
		assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
		assert_int_equal(pt_listener_accept(l, &c, &err), 0);
	}
	close(stays);
	pt_listener_close(l);
}

/* A range that contains this version; longer HELLOs of later versions are
 * read. */
static void test_version_agreed(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	int fd = raw_connect(l);
	struct pt_conn *c;
	__u8 bytes[64];
	size_t sz;

	(void)state;
	sz = put_hello(bytes, PT_ROLE_SENDER, 1, 5);
	memset(bytes + sz, 0xaa, 3);
	bytes[3] += 3;
	raw_write(fd, bytes, sz + 3);
	assert_int_equal(accept_any(l, &c), 1);
	assert_int_equal(c->version, 3);
	assert_int_equal(c->capabilities, 0x30);
	pt_conn_close(c);
	close(fd);
	pt_listener_close(l);
}

/* The listener forgets a connection that it handed out. */
static void test_handed_out(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	struct pollfd fds[2] = { { .fd = pt_listener_fd(l),
				   .events = POLLIN } };
	struct pt_message m = good_message(PT_MSG_PING);
	int fd = raw_connect(l);
	struct pt_conn *c;
	__u8 bytes[64];

	(void)state;
	raw_write(fd, bytes, put_hello(bytes, PT_ROLE_SENDER, 3, 3));
	assert_int_equal(accept_any(l, &c), 1);
	raw_write(fd, bytes, put_message(bytes, &m));
	fds[1] = (struct pollfd){ .fd = pt_conn_fd(c), .events = POLLIN };
	assert_int_equal(poll(&fds[1], 1, WAIT_MS), 1);
	assert_int_equal(pt_listener_accept(l, &(struct pt_conn *){ NULL },
					    &err), 0);
	assert_int_equal(poll(fds, 2, 0), 1);
	assert_int_equal(fds[0].revents, 0);
	pt_conn_close(c);
	close(fd);
	pt_listener_close(l);
}

/* Twice as many silent strangers as there are places (a quarter of the
 * descriptors): the oldest go, and a client that sends is served. */
static void test_full_house(void **state)
{
	enum { PLACES = 32 };
	struct pt_listener *l;
	struct rlimit old, few;
	int fds[2 * PLACES];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 4 * PLACES;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	l = listen_at("127.0.0.1", &receiver_cfg);
	for (int i = 0; i < 2 * PLACES; i++) {
		fds[i] = raw_connect(l);
		take_in(l);
	}
	for (int i = 0; i < 2 * PLACES; i++)
		assert_true(i < PLACES ? is_closed(fds[i]) : is_open(fds[i]));
	expect_service(l);
	for (int i = 0; i < 2 * PLACES; i++)
		close(fds[i]);
	pt_listener_close(l);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* Without free descriptors the listener reports that once, does not spin, and
 * serves again when some are free. */
static void test_no_descriptors(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	struct pollfd fd = { .fd = pt_listener_fd(l), .events = POLLIN };
	int hog[64], cnt = 0, client = raw_connect(l);
	struct rlimit old, few;
	struct pt_conn *c;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (cnt < 64 && (hog[cnt] = dup(client)) >= 0)
		cnt++;
	assert_int_equal(accept_any(l, &c), -EMFILE);
	assert_non_null(strstr(err.text, "cannot accept"));
	assert_int_equal(pt_listener_accept(l, &c, &err), 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	while (cnt--)
		close(hog[cnt]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	expect_service(l);
	assert_int_equal(pt_listener_accept(l, &c, &err), 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	close(client);
	pt_listener_close(l);
}

/* Where strangers hold the last descriptors, the oldest of them goes. */
static void test_descriptors_held(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	int hog[64], cnt = 0, silent = raw_connect(l), client;
	struct rlimit old, few;
	struct pt_conn *c;
	__u8 bytes[64];

	(void)state;
	take_in(l);
	assert_true(is_open(silent));
	client = raw_connect(l);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (cnt < 64 && (hog[cnt] = dup(client)) >= 0)
		cnt++;
	take_in(l);
	assert_true(is_closed(silent));
	close(hog[--cnt]);		/* for the connection's own epoll */
	raw_write(client, bytes, put_hello(bytes, PT_ROLE_SENDER, 3, 3));
	assert_int_equal(accept_any(l, &c), 1);
	while (cnt--)
		close(hog[cnt]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	pt_conn_close(c);
	close(client);
	close(silent);
	pt_listener_close(l);
}

static void test_cannot_listen(void **state)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg), *second;
	struct pt_address addr = *pt_listener_address(l);
	char text[PT_ADDRESS_TEXT_SZ];

	(void)state;
	assert_int_equal(pt_listener_open(&second, &addr, &receiver_cfg, &err),
			 -EADDRINUSE);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, pt_address_print(&addr, text)));
	assert_int_equal(pt_address_parse(&addr, "192.0.2.1:0x", 0, &err),
			 -EINVAL);
	assert_int_equal(pt_address_parse(&addr, "192.0.2.1", 0, &err), 0);
	assert_int_equal(pt_listener_open(&second, &addr, &receiver_cfg, &err),
			 -EADDRNOTAVAIL);
	assert_int_equal(pt_address_parse(&addr, "fe80::1", 0, &err), 0);
	assert_int_equal(pt_listener_open(&second, &addr, &receiver_cfg, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "needs its device"));
	pt_listener_close(l);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_tls_to_plaintext),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_stays),
		cmocka_unit_test(test_refused_hide_nobody),
		cmocka_unit_test(test_version_agreed),
		cmocka_unit_test(test_handed_out),
		cmocka_unit_test(test_full_house),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_descriptors_held),
		cmocka_unit_test(test_cannot_listen),
	};
	struct CMUnitTest tests[32];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			strangers[i].name, test_stranger, NULL, NULL,
			(void *)&strangers[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("listener", tests, cnt, NULL, NULL);
}
