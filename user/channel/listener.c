/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "channel/conn_io.h"
#include "net/local.h"

#define BACKLOG		256
#define PAUSE_MS	100	/* pause of accepting if descriptors are
				 * short */
#define PLACES_MIN	16

/* pending: a connection that has not said HELLO, or whose HELLO was refused and
 * which has yet to read why.  Each list has its deadlines in ascending order. */
struct pending {
	TAILQ_ENTRY(pending) link;
	struct pt_conn *conn;
	__u64 deadline_ns;
	bool is_refused;
};

struct pt_listener {
	int sock, timer, epoll;
	struct pt_conn_cfg cfg;
	struct pt_address address;
	TAILQ_HEAD(pending_list, pending) pending, refused;
	unsigned pending_cnt, places;	/* the former of both lists */
	__u64 paused_until_ns;		/* 0: accepting */
};

static int refuse(const struct pt_address *addr, int code,
		  struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ];
	const char *hint = "see the kernel's log";

	if (code == -EMFILE || code == -ENFILE)
		hint = "raise ulimit -n";
	else if (code == -ENOMEM || code == -ENOBUFS)
		hint = "free some memory";
	else if (code == -EACCES || code == -EPERM)
		hint = addr->port && addr->port < 1024
			? "a port below 1024 takes CAP_NET_BIND_SERVICE"
			: "a security module or filter forbids it";
	else if (code == -EAFNOSUPPORT)
		hint = "the kernel has no IPv6: listen on an IPv4 address";
	else if (code == -EADDRINUSE)
		hint = "another process listens there: stop it, or use "
		       "another port";
	else if (code == -EADDRNOTAVAIL)
		hint = "no device here has that address: `ip addr` lists them";
	else if (code == -ENOTUNIQ)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot "
				    "listen: another host has this address, "
				    "says IPv6's duplicate address detection "
				    "(give one of the two another)",
				    pt_address_print(addr, text));
	else if (code == -EINVAL)
		hint = "a link-local address needs its device: [fe80::1%DEV]";
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot listen: %s "
			    "(%s)", pt_address_print(addr, text),
			    strerror(-code), hint);
}

/* places returns the count of pending connections, after the process's other
 * needs for descriptors. */
static unsigned places(void)
{
	struct rlimit files;
	rlim_t cnt = PT_PENDING_MAX;

	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur / 4 < cnt)
		cnt = files.rlim_cur / 4;
	return cnt < PLACES_MIN ? PLACES_MIN : cnt;
}

/* watch marks events of fd by its address in l, and those of strangers by their
 * struct pending. */
static int watch(struct pt_listener *l, int *fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, *fd, &ev) ? -errno : 0;
}

static int bind_and_listen(struct pt_listener *l, const struct pt_address *addr)
{
	struct sockaddr_storage sa;
	socklen_t sz = pt_address_to_sockaddr(addr, &sa);
	int one = 1, zero = 0, ret;

	l->sock = socket(sa.ss_family,
			 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->sock < 0)
		return -errno;
	if (setsockopt(l->sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		return -errno;
	if (sa.ss_family == AF_INET6 &&
	    setsockopt(l->sock, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)))
		return -errno;
	ret = pt_local_bind(l->sock, addr);
	if (ret)
		return ret;
	if (listen(l->sock, BACKLOG) ||
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
	pt_tls_hold(l->cfg.tls);
	if (!l->cfg.hello_ms)
		l->cfg.hello_ms = PT_PENDING_MS;
	l->sock = l->timer = l->epoll = -1;
	TAILQ_INIT(&l->pending);
	TAILQ_INIT(&l->refused);
	l->places = places();
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
	ret = watch(l, &l->sock);
	if (!ret)
		ret = watch(l, &l->timer);
	if (ret)
		goto close;
	*out = l;
	return 0;

close:
	pt_listener_close(l);
	return refuse(addr, ret, err);
}

/* pending_take removes p, whose connection is the caller's. */
static struct pt_conn *pending_take(struct pt_listener *l, struct pending *p)
{
	struct pt_conn *c = p->conn;

	TAILQ_REMOVE(p->is_refused ? &l->refused : &l->pending, p, link);
	l->pending_cnt--;
	free(p);
	return c;
}

/* drop_oldest: those that were refused go first. */
static void drop_oldest(struct pt_listener *l)
{
	struct pending *p = TAILQ_FIRST(&l->refused);

	pt_conn_close(pending_take(l, p ? p : TAILQ_FIRST(&l->pending)));
}

void pt_listener_close(struct pt_listener *l)
{
	if (!l)
		return;
	while (l->pending_cnt)
		drop_oldest(l);
	if (l->sock >= 0)
		close(l->sock);
	if (l->timer >= 0)
		close(l->timer);
	if (l->epoll >= 0)
		close(l->epoll);
	pt_tls_close(l->cfg.tls);
	free(l);
}

void pt_listener_secure(struct pt_listener *l, struct pt_tls *tls)
{
	pt_tls_hold(tls);
	pt_tls_close(l->cfg.tls);
	l->cfg.tls = tls;
}

int pt_listener_fd(const struct pt_listener *l)
{
	return l->epoll;
}

const struct pt_address *pt_listener_address(const struct pt_listener *l)
{
	return &l->address;
}

/* earlier: 0 is no time. */
static __u64 earlier(__u64 a, __u64 b)
{
	return a && (!b || a < b) ? a : b;
}

/* timer_set: when the oldest of a list runs out of time, or the pause ends. */
static void timer_set(struct pt_listener *l)
{
	const struct pending *oldest = TAILQ_FIRST(&l->pending);
	const struct pending *refused = TAILQ_FIRST(&l->refused);
	__u64 at = earlier(oldest ? oldest->deadline_ns : 0,
			   refused ? refused->deadline_ns : 0);
	struct itimerspec spec = { 0 };

	at = earlier(at, l->paused_until_ns);
	spec.it_value.tv_sec = at / 1000000000;
	spec.it_value.tv_nsec = at % 1000000000;
	timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* make_room drops the oldest; if there is none, accept would fail. */
static int make_room(struct pt_listener *l, int code, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ];

	if (l->pending_cnt) {
		drop_oldest(l);
		return 0;
	}
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->sock, NULL);
	l->paused_until_ns = pt_deadline_ns(PAUSE_MS);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot accept: %s "
			    "(trying on)", pt_address_print(&l->address, text),
			    strerror(-code));
}

/* take_in gives a newcomer its place; returns 0 or -errno. */
static int take_in(struct pt_listener *l, int sock,
		   const struct sockaddr_storage *sa)
{
	struct pending *p = malloc(sizeof(*p));
	struct pt_address peer;
	int ret;

	if (!p) {
		close(sock);
		return -ENOMEM;
	}
	pt_address_from_sockaddr(&peer, sa);
	ret = pt_conn_adopt(&p->conn, sock, &peer, NULL, &l->cfg, NULL);
	if (ret) {
		free(p);
		return ret;
	}
	p->deadline_ns = pt_deadline_ns(l->cfg.hello_ms);
	p->is_refused = false;
	if (l->pending_cnt == l->places)
		drop_oldest(l);
	TAILQ_INSERT_TAIL(&l->pending, p, link);
	l->pending_cnt++;
	ret = pt_conn_watch(p->conn, l->epoll, p);
	if (ret)
		pt_conn_close(pending_take(l, p));
	return ret;
}

/* welcome accepts a newcomer, if there is one; returns 0 or -errno. */
static int welcome(struct pt_listener *l, struct pt_error *err)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t sz = sizeof(sa);
	int sock, ret;

	sock = accept4(l->sock, (struct sockaddr *)&sa, &sz,
		       SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (sock < 0) {
		switch (errno) {
		case EMFILE: case ENFILE: case ENOBUFS: case ENOMEM:
			return make_room(l, -errno, err);
		default:	/* the newcomer has left */
			return 0;
		}
	}
	ret = take_in(l, sock, &sa);
	return ret ? make_room(l, ret, err) : 0;
}

/* part continues a refused connection. */
static void part(struct pt_listener *l, struct pending *p)
{
	if (pt_conn_finish_step(p->conn))
		pt_conn_close(pending_take(l, p));
}

/* turn_away rejects a connection: a stranger gets no answer; a peer that got
 * our HELLO has time to read the reason. */
static void turn_away(struct pt_listener *l, struct pending *p, int code)
{
	if (!p->conn->greeted || (code != -EPROTO && code != -EPROTONOSUPPORT)) {
		pt_conn_close(pending_take(l, p));
		return;
	}
	p->is_refused = true;
	p->deadline_ns = pt_deadline_ns(PT_CONN_REFUSE_MS);
	TAILQ_REMOVE(&l->pending, p, link);
	TAILQ_INSERT_TAIL(&l->refused, p, link);
	part(l, p);
}

/* greet continues p: 1: *out has exchanged HELLO with us; 0: more is to come;
 * -errno: it was rejected. */
static int greet(struct pt_listener *l, struct pending *p, struct pt_conn **out,
		 struct pt_error *err)
{
	int ret;

	if (p->is_refused) {
		part(l, p);
		return 0;
	}
	ret = pt_conn_hello_recv(p->conn, err);
	if (ret > 0)
		*out = pending_take(l, p);
	else if (ret < 0)
		turn_away(l, p, ret);
	return ret;
}

/* expire turns away the oldest if its time is over, and those that were refused. */
static int expire(struct pt_listener *l, struct pt_error *err)
{
	struct pending *p;

	while ((p = TAILQ_FIRST(&l->refused)) && !pt_left_ms(p->deadline_ns))
		pt_conn_close(pending_take(l, p));
	p = TAILQ_FIRST(&l->pending);
	if (!p || pt_left_ms(p->deadline_ns))
		return 0;
	pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT, "%s: connected, but said "
		     "no HELLO for %u ms", p->conn->peer_text, l->cfg.hello_ms);
	pt_conn_close(pending_take(l, p));
	return -ETIMEDOUT;
}

int pt_listener_accept(struct pt_listener *l, struct pt_conn **out,
		       struct pt_error *err)
{
	struct epoll_event ev;
	int ret = 0;

	if (l->paused_until_ns && !pt_left_ms(l->paused_until_ns)) {
		l->paused_until_ns = 0;
		watch(l, &l->sock);
	}
	/* The kernel hands out ready descriptors in turn, one at a time. */
	for (int i = 0; !ret && i < PT_STEPS_MAX; i++) {
		if (epoll_wait(l->epoll, &ev, 1, 0) != 1)
			break;
		if (ev.data.ptr == &l->sock)
			ret = welcome(l, err);
		else if (ev.data.ptr != &l->timer)
			ret = greet(l, ev.data.ptr, out, err);
	}
	if (!ret)
		ret = expire(l, err);
	timer_set(l);
	return ret;
}
