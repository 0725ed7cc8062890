/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "control/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "control/conn_io.h"

#define BACKLOG		64
#define WELCOME_MAX	8	/* newcomers, before the pending are heard */
#define PAUSE_MS	100	/* without accepting, when descriptors lack */

/* pending: a connection that has not said HELLO; the oldest stands first. */
struct pending {
	struct pt_conn *conn;
	__u64 deadline_ns;
};

struct pt_listener {
	int sock, timer, epoll;
	struct pt_conn_cfg cfg;
	struct pt_address address;
	struct pending pending[PT_PENDING_MAX];
	unsigned pending_cnt;
	__u64 paused_until_ns;		/* 0: accepting */
};

static int refuse(const struct pt_address *addr, int code,
		  struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ];
	const char *hint = "is it allowed here?";

	if (code == -EADDRINUSE)
		hint = "another process listens there: stop it, or use "
		       "another port";
	else if (code == -EADDRNOTAVAIL)
		hint = "no device of this host has that address";
	else if (code == -EINVAL)
		hint = "a link-local address needs its device: [fe80::1%DEV]";
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot listen: %s "
			    "(%s)", pt_address_print(addr, text),
			    strerror(-code), hint);
}

static int watch(struct pt_listener *l, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int bind_and_listen(struct pt_listener *l, const struct pt_address *addr)
{
	struct sockaddr_storage sa;
	socklen_t sz = pt_address_to_sockaddr(addr, &sa);
	int one = 1, zero = 0;

	l->sock = socket(sa.ss_family,
			 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->sock < 0)
		return -errno;
	if (setsockopt(l->sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		return -errno;
	if (sa.ss_family == AF_INET6 &&
	    setsockopt(l->sock, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)))
		return -errno;
	if (bind(l->sock, (struct sockaddr *)&sa, sz) ||
	    listen(l->sock, BACKLOG) ||
	    getsockname(l->sock, (struct sockaddr *)&sa, &sz))
		return -errno;
	pt_address_from_sockaddr(&l->address, &sa);
	return 0;
}

int pt_listener_open(struct pt_listener **out, const struct pt_address *addr,
		     const struct pt_conn_cfg *cfg, struct pt_error *err)
{
	struct pt_listener *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return refuse(addr, -ENOMEM, err);
	l->cfg = *cfg;
	if (!l->cfg.hello_ms)
		l->cfg.hello_ms = PT_PENDING_MS;
	l->sock = l->timer = l->epoll = -1;
	ret = bind_and_listen(l, addr);
	if (ret)
		goto close;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC,
				  TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->epoll < 0 || l->timer < 0) {
		ret = -errno;
		goto close;
	}
	ret = watch(l, l->sock);
	if (!ret)
		ret = watch(l, l->timer);
	if (ret)
		goto close;
	*out = l;
	return 0;

close:
	pt_listener_close(l);
	return refuse(addr, ret, err);
}

void pt_listener_close(struct pt_listener *l)
{
	if (!l)
		return;
	while (l->pending_cnt)
		pt_conn_close(l->pending[--l->pending_cnt].conn);
	if (l->sock >= 0)
		close(l->sock);
	if (l->timer >= 0)
		close(l->timer);
	if (l->epoll >= 0)
		close(l->epoll);
	free(l);
}

int pt_listener_fd(const struct pt_listener *l)
{
	return l->epoll;
}

const struct pt_address *pt_listener_address(const struct pt_listener *l)
{
	return &l->address;
}

/* pending_take removes entry idx, whose connection is the caller's. */
static struct pt_conn *pending_take(struct pt_listener *l, unsigned idx)
{
	struct pt_conn *c = l->pending[idx].conn;

	epoll_ctl(l->epoll, EPOLL_CTL_DEL, c->epoll, NULL);
	l->pending_cnt--;
	memmove(&l->pending[idx], &l->pending[idx + 1],
		(l->pending_cnt - idx) * sizeof(l->pending[0]));
	return c;
}

/* timer_set: when the oldest runs out of time, or the pause ends. */
static void timer_set(struct pt_listener *l)
{
	__u64 at = l->pending_cnt ? l->pending[0].deadline_ns : 0;
	struct itimerspec spec = { 0 };

	if (l->paused_until_ns && (!at || l->paused_until_ns < at))
		at = l->paused_until_ns;
	spec.it_value.tv_sec = at / 1000000000;
	spec.it_value.tv_nsec = at % 1000000000;
	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* pause: without a free descriptor accept would only be called in vain. */
static int pause_accepting(struct pt_listener *l, int code,
			   struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ];

	epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->sock, NULL);
	l->paused_until_ns = pt_deadline_ns(PAUSE_MS);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot accept: %s "
			    "(trying on)", pt_address_print(&l->address, text),
			    strerror(-code));
}

/* welcome takes one newcomer in: 1, 0 when there is none, -errno. */
static int welcome(struct pt_listener *l, struct pt_error *err)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t sz = sizeof(sa);
	struct pt_address peer;
	struct pt_conn *c;
	int sock, ret;

	sock = accept4(l->sock, (struct sockaddr *)&sa, &sz,
		       SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (sock < 0) {
		switch (errno) {
		case EMFILE: case ENFILE: case ENOBUFS: case ENOMEM:
			return pause_accepting(l, -errno, err);
		case EAGAIN:
			return 0;
		default:	/* the newcomer has gone: look for the next */
			return 1;
		}
	}
	pt_address_from_sockaddr(&peer, &sa);
	ret = pt_conn_adopt(&c, sock, &peer, NULL, &l->cfg, err);
	if (ret)
		return pause_accepting(l, ret, err);
	if (l->pending_cnt == PT_PENDING_MAX)
		pt_conn_close(pending_take(l, 0));
	ret = watch(l, c->epoll);
	if (ret) {
		pt_conn_close(c);
		return pause_accepting(l, ret, err);
	}
	l->pending[l->pending_cnt++] = (struct pending){
		.conn = c, .deadline_ns = pt_deadline_ns(l->cfg.hello_ms),
	};
	return 1;
}

static int welcome_all(struct pt_listener *l, struct pt_error *err)
{
	int ret = 1;

	if (l->paused_until_ns) {
		if (pt_left_ms(l->paused_until_ns))
			return 0;
		l->paused_until_ns = 0;
		watch(l, l->sock);
	}
	for (int i = 0; i < WELCOME_MAX && ret > 0; i++)
		ret = welcome(l, err);
	return ret < 0 ? ret : 0;
}

/* greet: 1 when pending idx has said HELLO and got ours, 0 when there is more
 * to come, -errno when it must go. */
static int greet(struct pt_listener *l, unsigned idx, struct pt_error *err)
{
	struct pt_conn *c = l->pending[idx].conn;
	int ret = pt_conn_hello_recv(c, err);

	if (!ret && !pt_left_ms(l->pending[idx].deadline_ns))
		return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT,
				    "%s: connected, but said no HELLO for %u "
				    "ms", c->peer_text, l->cfg.hello_ms);
	return ret;
}

int pt_listener_accept(struct pt_listener *l, struct pt_conn **out,
		       struct pt_error *err)
{
	struct pt_conn *c;
	int ret = 0;

	for (unsigned i = 0; !ret && i < l->pending_cnt; i++) {
		ret = greet(l, i, err);
		if (!ret)
			continue;
		c = pending_take(l, i);
		if (ret > 0)
			*out = c;
		else
			pt_conn_close(c);
	}
	if (!ret)
		ret = welcome_all(l, err);
	timer_set(l);
	return ret;
}
