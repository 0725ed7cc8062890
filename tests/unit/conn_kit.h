/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* conn_kit: connections over loopback for tests of the control channel: pairs
 * of the program's own, and raw sockets that send any bytes. */
#ifndef CONN_KIT_H
#define CONN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/conn.h"
#include "channel/listener.h"
#include "conn_waits.h"
#include "control_messages.h"

#define WAIT_MS	60000	/* for an expected event; far more than it takes */

static struct pt_conn_cfg sender_cfg = { .role = PT_ROLE_SENDER,
					 .capabilities = 0x0f };
static struct pt_conn_cfg receiver_cfg = { .role = PT_ROLE_RECEIVER,
					   .capabilities = 0x3c };

static struct pt_error err;

static inline struct pt_listener *listen_at(const char *where,
					    const struct pt_conn_cfg *cfg)
{
	struct pt_address addr;
	struct pt_listener *l;

	assert_int_equal(pt_address_parse(&addr, where, 0, &err), 0);
	assert_int_equal(pt_listener_open(&l, &addr, cfg, &err), 0);
	return l;
}

/* accept_any returns the listener's first result other than "wait". */
static inline int accept_any(struct pt_listener *l, struct pt_conn **c)
{
	struct pollfd fd = { .fd = pt_listener_fd(l), .events = POLLIN };
	int ret;

	for (;;) {
		ret = pt_listener_accept(l, c, &err);
		if (ret)
			return ret;
		if (poll(&fd, 1, WAIT_MS) != 1)
			fail_msg("the listener never spoke");
	}
}

/* ---- a raw client or server ---- */

static inline int raw_connect(const struct pt_listener *l)
{
	struct sockaddr_storage sa;
	socklen_t sz = pt_address_to_sockaddr(pt_listener_address(l), &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sz), 0);
	return fd;
}

static inline void raw_write(int fd, const void *bytes, size_t sz)
{
	assert_int_equal(send(fd, bytes, sz, MSG_NOSIGNAL), sz);
}

/* raw_delivered waits until the other end's kernel has all that was written. */
static inline void raw_delivered(int fd)
{
	int left;

	do
		assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
	while (left);
}

static inline size_t put_message(__u8 *at, const struct pt_message *m)
{
	int sz = pt_message_encode(m, 0, at, PT_MESSAGE_SZ_MAX, &err);

	assert_true(sz > 0);
	return sz;
}

static inline size_t put_hello(__u8 *at, enum pt_role role, __u16 version_min,
			       __u16 version_max)
{
	struct pt_message m = good_message(PT_MSG_HELLO);

	m.hello.role = role;
	m.hello.version_min = version_min;
	m.hello.version_max = version_max;
	return put_message(at, &m);
}

/* raw_read_message reads the next message of the other side. */
static inline void raw_read_message(int fd, struct pt_message *m)
{
	static struct pt_message_scratch scratch;
	static __u8 bytes[PT_MESSAGE_SZ_MAX];
	size_t sz = 0;
	int ret = 0;

	while (!ret) {
		assert_int_equal(read(fd, bytes + sz, 1), 1);
		sz++;
		ret = pt_message_decode(m, &scratch, PT_ROLE_RECEIVER, 0, bytes,
					sz, &err);
		if (!ret)
			ret = pt_message_decode(m, &scratch, PT_ROLE_SENDER, 0,
						bytes, sz, &err);
	}
	assert_int_equal(ret, sz);
}

/* raw_sender: a raw client past its HELLO; *c is the receiver's end. */
static inline int raw_sender(struct pt_conn **c)
{
	struct pt_listener *l = listen_at("127.0.0.1", &receiver_cfg);
	int fd = raw_connect(l);
	struct pt_message m;
	__u8 bytes[64];

	raw_write(fd, bytes, put_hello(bytes, PT_ROLE_SENDER, 3, 3));
	assert_int_equal(accept_any(l, c), 1);
	raw_read_message(fd, &m);
	assert_int_equal(m.type, PT_MSG_HELLO);
	pt_listener_close(l);
	return fd;
}

/* raw_reset makes the close of fd a reset, as the peer sees it. */
static inline void raw_reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
				    sizeof(now)), 0);
	close(fd);
}

/* ---- a pair of connections ---- */

struct caller {
	char to[PT_ADDRESS_TEXT_SZ];
	const struct pt_conn_cfg *cfg;
	struct pt_conn *conn;
	struct pt_error err;
	int ret;
};

static inline void *call(void *arg)
{
	struct caller *a = arg;

	a->ret = connect_wait(&a->conn, a->to, a->cfg, WAIT_MS, -1,
				 &a->err);
	return NULL;
}

static inline void make_pair_of(struct pt_conn **sender,
				const struct pt_conn_cfg *sender_cfg,
				struct pt_conn **receiver,
				const struct pt_conn_cfg *receiver_cfg,
				const char *where)
{
	struct pt_listener *l = listen_at(where, receiver_cfg);
	struct caller caller = { .cfg = sender_cfg, .ret = 1 };
	pthread_t thread;

	pt_address_print(pt_listener_address(l), caller.to);
	assert_int_equal(pthread_create(&thread, NULL, call, &caller), 0);
	assert_int_equal(accept_any(l, receiver), 1);
	pthread_join(thread, NULL);
	assert_int_equal(caller.ret, 0);
	*sender = caller.conn;
	pt_listener_close(l);
}

static inline void make_pair(struct pt_conn **sender,
			     struct pt_conn **receiver, const char *where)
{
	make_pair_of(sender, &sender_cfg, receiver, &receiver_cfg, where);
}

static inline int send_ping(struct pt_conn *c, __u64 number)
{
	struct pt_message m = { .type = PT_MSG_PING, .ping = { number } };

	return pt_conn_send(c, &m, &err);
}

/* expect_ping: the next message is a PING with that number. */
static inline void expect_ping(struct pt_conn *c, __u64 number)
{
	struct pt_message m;

	assert_int_equal(recv_wait(c, &m, WAIT_MS, &err), 1);
	assert_int_equal(m.type, PT_MSG_PING);
	assert_int_equal(m.ping.time_ns, number);
}

/* expect_failure: the next result is that failure, whose text has why; and it
 * stays. */
static inline void expect_failure(struct pt_conn *c, int code, const char *why)
{
	struct pt_message m;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(recv_wait(c, &m, WAIT_MS, &err),
				 code);
		assert_int_equal(err.exit, PT_EXIT_PEER);
		assert_non_null(strstr(err.text, pt_conn_peer_text(c)));
		if (!strstr(err.text, why))
			fail_msg("'%s' lacks '%s'", err.text, why);
	}
}

#endif
