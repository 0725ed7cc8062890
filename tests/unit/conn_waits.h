/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* conn_waits: waits for a connection's steps, for a test that does nothing else
 * meanwhile. */
#ifndef CONN_WAITS_H
#define CONN_WAITS_H

#include <errno.h>
#include <poll.h>

#include <pagetrim/clock.h>
#include "channel/connect.h"

/* connect_wait: 0 and *out, or as pt_connect_step; a readable stop_fd (or -1)
 * ends it. */
static inline int connect_wait(struct pt_conn **out, const char *to,
			       const struct pt_conn_cfg *cfg, int timeout_ms,
			       int stop_fd, struct pt_error *why)
{
	struct pollfd fds[2] = { { .events = POLLIN },
				 { .fd = stop_fd, .events = POLLIN } };
	struct pt_connect *k;
	int ret = pt_connect_begin(&k, to, cfg, timeout_ms, why);

	if (ret)
		return ret;
	fds[0].fd = pt_connect_fd(k);
	while (!(ret = pt_connect_step(k, out, why))) {
		if (poll(fds, 2, pt_connect_left_ms(k)) > 0 && fds[1].revents) {
			ret = pt_connect_stopped(k, why);
			break;
		}
	}
	pt_connect_end(k);
	return ret < 0 ? ret : 0;
}

/* recv_wait: as pt_conn_recv; -ETIMEDOUT instead of 0. */
static inline int recv_wait(struct pt_conn *c, struct pt_message *m,
			    int timeout_ms, struct pt_error *why)
{
	struct pollfd fd = { .fd = pt_conn_fd(c), .events = POLLIN };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	int ret;

	while (!(ret = pt_conn_recv(c, m, why))) {
		if (!pt_left_ms(deadline))
			return -ETIMEDOUT;
		poll(&fd, 1, pt_left_ms(deadline));
	}
	return ret;
}

/* finish_wait: 0: the peer has read all and closed, too. */
static inline int finish_wait(struct pt_conn *c, int timeout_ms)
{
	struct pollfd fd = { .fd = pt_conn_fd(c), .events = POLLIN };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	struct pt_message m;
	int ret;

	while (!pt_conn_finish_step(c)) {
		if (!pt_left_ms(deadline))
			return -ETIMEDOUT;
		poll(&fd, 1, pt_left_ms(deadline));
	}
	ret = pt_conn_recv(c, &m, NULL);
	return ret == -EPIPE ? 0 : ret;
}

#endif
