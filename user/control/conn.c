/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "control/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/conn_io.h"
#include <pagetrim/check.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44	/* Linux 6.15 */
#endif

#define RTO_MAX_MS	1000
#define GIVE_UP_MS	(3600 * 1000)

/* ---- failure ---- */

static int failure_tell(const struct pt_conn *c, struct pt_error *err)
{
	if (err && c->failure)
		*err = c->failed;
	return c->failure;
}

/* fail_locked keeps the first failure.  A peer that breaks the protocol can
 * still be told so; any other failure ends the output too. */
static void fail_locked(struct pt_conn *c, int code, const char *why)
{
	if (code != -EPROTO && code != -EPROTONOSUPPORT) {
		c->out_over = true;
		c->out_at = c->out_end = 0;
	}
	if (c->failure)
		return;
	c->failure = code;
	pt_error_set(&c->failed, PT_EXIT_PEER, code, "%s: %s", c->peer_text,
		     why);
}

static void fail_io_locked(struct pt_conn *c, int code)
{
	switch (code) {
	case -EPIPE:
		fail_locked(c, code, "the peer closed the connection (its log "
			    "tells why)");
		break;
	case -ECONNRESET:
		fail_locked(c, code, "the connection was cut from the peer's "
			    "side (its process died, or a firewall cut it)");
		break;
	case -ETIMEDOUT:
		fail_locked(c, code, "the peer does not answer any more (is "
			    "its host up, the link alive?)");
		break;
	default:
		fail_locked(c, code, strerror(-code));
	}
}

int pt_conn_fail(struct pt_conn *c, int code, const char *why,
		 struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&c->lock);
	if (why)
		fail_locked(c, code, why);
	else
		fail_io_locked(c, code);
	ret = failure_tell(c, err);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

/* ---- output ---- */

/* watch_locked: wake the polling thread when the socket can take more. */
static void watch_locked(struct pt_conn *c)
{
	bool want = c->out_at < c->out_end;
	struct epoll_event ev = { .events = EPOLLIN | (want ? EPOLLOUT : 0) };

	if (want == c->out_watched)
		return;
	if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->sock, &ev))
		fail_io_locked(c, -errno);
	c->out_watched = want;
}

static void flush_locked(struct pt_conn *c)
{
	ssize_t sz;

	while (c->out_at < c->out_end) {
		sz = send(c->sock, c->out + c->out_at, c->out_end - c->out_at,
			  MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sz < 0 && errno == EINTR)
			continue;
		if (sz < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			fail_io_locked(c, -errno);
		if (sz < 0)
			break;
		c->out_at += sz;
	}
	if (c->out_at == c->out_end)
		c->out_at = c->out_end = 0;
	watch_locked(c);
}

static int send_locked(struct pt_conn *c, const struct pt_message *m,
		       struct pt_error *err)
{
	int ret;

	if (c->out_over)
		return failure_tell(c, err);
	if (c->out_at && PT_CONN_OUT_SZ - c->out_end < PT_MESSAGE_SZ_MAX) {
		memmove(c->out, c->out + c->out_at, c->out_end - c->out_at);
		c->out_end -= c->out_at;
		c->out_at = 0;
	}
	ret = pt_message_encode(m, c->out + c->out_end,
				PT_CONN_OUT_SZ - c->out_end, err);
	if (ret > 0)
		c->out_end += ret;
	flush_locked(c);
	if (c->out_over)
		return failure_tell(c, err);
	return ret < 0 ? ret : 0;
}

/* send_now: as pt_conn_send, but -ENOBUFS leaves err as it was. */
static int send_now(struct pt_conn *c, const struct pt_message *m,
		    struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&c->lock);
	ret = send_locked(c, m, err);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err)
{
	int ret = send_now(c, m, err);

	if (ret == -ENOBUFS)
		pt_error_set(err, PT_EXIT_PEER, ret, "%s: the peer reads too "
			     "slowly (%u bytes wait for it)", c->peer_text,
			     PT_CONN_OUT_SZ);
	return ret;
}

int pt_conn_send_wait(struct pt_conn *c, const struct pt_message *m,
		      int timeout_ms, struct pt_error *err)
{
	struct pollfd writable = { .fd = c->sock, .events = POLLOUT };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	int ret;

	for (;;) {
		ret = send_now(c, m, err);
		if (ret != -ENOBUFS)
			return ret;
		if (!pt_left_ms(deadline))
			return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT,
					    "%s: the peer has read nothing for "
					    "%d ms", c->peer_text, timeout_ms);
		poll(&writable, 1, pt_left_ms(deadline));
	}
}

size_t pt_conn_queued_sz(struct pt_conn *c)
{
	size_t sz;

	pthread_mutex_lock(&c->lock);
	sz = c->out_end - c->out_at;
	pthread_mutex_unlock(&c->lock);
	return sz;
}

void pt_conn_flush(struct pt_conn *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->out_at < c->out_end)
		flush_locked(c);
	pthread_mutex_unlock(&c->lock);
}

/* ---- input ---- */

int pt_conn_fill(struct pt_conn *c, struct pt_error *err)
{
	ssize_t sz;

	if (c->in_over)
		return pt_conn_fail(c, -EPIPE, NULL, err);
	memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
	c->in_end -= c->in_at;
	c->in_at = 0;
	pt_check(c->in_end < PT_CONN_IN_SZ);	/* half a message at most */

	do
		sz = recv(c->sock, c->in + c->in_end, PT_CONN_IN_SZ - c->in_end,
			  MSG_DONTWAIT);
	while (sz < 0 && errno == EINTR);
	if (sz < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (sz <= 0) {
		c->in_over = true;
		if (!sz && c->in_end)
			return pt_conn_fail(c, -EPIPE, "the peer closed the "
					    "connection in the middle of a "
					    "message", err);
		return pt_conn_fail(c, sz ? -errno : -EPIPE, NULL, err);
	}
	c->in_end += sz;
	__atomic_store_n(&c->last_recv_ns, pt_now_ns(), __ATOMIC_RELAXED);
	return 1;
}

static enum pt_role peer_role(const struct pt_conn *c)
{
	return c->cfg.role == PT_ROLE_SENDER ? PT_ROLE_RECEIVER :
					       PT_ROLE_SENDER;
}

int pt_conn_decode(struct pt_conn *c, struct pt_message *out,
		   struct pt_error *err)
{
	struct pt_error why;
	int ret;

	if (c->in_bad)
		return pt_conn_fail(c, -EPROTO, "no message", err);
	ret = pt_message_decode(out, &c->scratch, peer_role(c),
				c->in + c->in_at, c->in_end - c->in_at, &why);
	if (ret > 0 && c->version && out->type == PT_MSG_HELLO)
		ret = pt_error_set(&why, PT_EXIT_PEER, -EPROTO,
				   "message HELLO: a second one");
	if (ret < 0) {
		c->in_bad = true;
		return pt_conn_fail(c, ret, why.text, err);
	}
	c->in_at += ret;
	return ret > 0;
}

int pt_conn_recv(struct pt_conn *c, struct pt_message *out,
		 struct pt_error *err)
{
	int ret;

	pt_conn_flush(c);
	for (;;) {
		ret = pt_conn_decode(c, out, err);
		if (ret)
			return ret;
		ret = pt_conn_fill(c, err);
		if (ret <= 0)
			return ret;
	}
}

int pt_conn_recv_wait(struct pt_conn *c, struct pt_message *out,
		      int timeout_ms, int stop_fd, struct pt_error *err)
{
	struct pollfd fds[2] = { { .fd = c->epoll, .events = POLLIN },
				 { .fd = stop_fd, .events = POLLIN } };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	int ret;

	for (;;) {
		ret = pt_conn_recv(c, out, err);
		if (ret)
			return ret;
		if (fds[1].revents)
			return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
					    "%s: stopped while waiting for the "
					    "peer", c->peer_text);
		if (!pt_left_ms(deadline))
			return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT,
					    "%s: the peer has said nothing for "
					    "%d ms", c->peer_text, timeout_ms);
		if (poll(fds, 2, pt_left_ms(deadline)) < 0)
			fds[1].revents = 0;
	}
}

/* ---- begin and end ---- */

static int socket_prepare(struct pt_conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned rto_max_ms = RTO_MAX_MS, give_up_ms = GIVE_UP_MS;
	struct sockaddr_storage sa;
	socklen_t sz = sizeof(sa);
	int one = 1, flags;

	memset(&sa, 0, sizeof(sa));
	flags = fcntl(c->sock, F_GETFL);
	if (flags < 0 || fcntl(c->sock, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	if (getsockname(c->sock, (struct sockaddr *)&sa, &sz))
		return -errno;
	pt_address_from_sockaddr(&c->local, &sa);
	sz = sizeof(sa);	/* who asked for "::" got ::1 */
	if (!getpeername(c->sock, (struct sockaddr *)&sa, &sz))
		pt_address_from_sockaddr(&c->peer, &sa);
	pt_address_print(&c->peer, c->peer_text);
	if (setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	/* After a silence of the link TCP must speak again within a second,
	 * and how long a silence may be is --peer-timeout's to say.  Kernels
	 * before 6.15 keep their own back-off. */
	setsockopt(c->sock, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max_ms,
		   sizeof(rto_max_ms));
	setsockopt(c->sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up_ms,
		   sizeof(give_up_ms));
	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->sock, &ev))
		return -errno;
	return 0;
}

int pt_conn_adopt(struct pt_conn **out, int sock, const struct pt_address *peer,
		  const struct pt_conn_cfg *cfg, struct pt_error *err)
{
	struct pt_conn *c;
	int ret = -ENOMEM;

	c = calloc(1, sizeof(*c));
	if (!c)
		goto close_sock;
	c->sock = sock;
	c->cfg = *cfg;
	if (!c->cfg.version_min)
		c->cfg.version_min = PT_CONTROL_VERSION_MIN;
	if (!c->cfg.version_max)
		c->cfg.version_max = PT_CONTROL_VERSION_MAX;
	c->peer = *peer;
	c->last_recv_ns = pt_now_ns();
	c->in = malloc(PT_CONN_IN_SZ);
	c->out = malloc(PT_CONN_OUT_SZ);
	if (!c->in || !c->out)
		goto free_conn;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0) {
		ret = -errno;
		goto free_conn;
	}
	ret = socket_prepare(c);
	if (ret)
		goto close_epoll;
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;

close_epoll:
	close(c->epoll);
free_conn:
	free(c->out);
	free(c->in);
	free(c);
close_sock:
	close(sock);
	return pt_error_set(err, PT_EXIT_HOST, ret,
			    "control connection: %s", strerror(-ret));
}

void pt_conn_close(struct pt_conn *c)
{
	if (!c)
		return;
	close(c->sock);
	close(c->epoll);
	pthread_mutex_destroy(&c->lock);
	free(c->out);
	free(c->in);
	free(c);
}

int pt_conn_finish(struct pt_conn *c, int timeout_ms)
{
	struct pollfd fd = { .fd = c->epoll, .events = POLLIN };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	bool shut = false;

	while (!c->in_over) {
		pt_conn_flush(c);
		if (!shut && !pt_conn_queued_sz(c)) {
			shutdown(c->sock, SHUT_WR);
			shut = true;
		}
		c->in_at = c->in_end;	/* dropped */
		if (pt_conn_fill(c, NULL) == 0)
			poll(&fd, 1, pt_left_ms(deadline));
		if (!pt_left_ms(deadline))
			return -ETIMEDOUT;
	}
	return shut && c->failure == -EPIPE ? 0 : c->failure;
}

/* ---- what it is ---- */

int pt_conn_fd(const struct pt_conn *c)
{
	return c->epoll;
}

__u64 pt_conn_last_recv_ns(const struct pt_conn *c)
{
	return __atomic_load_n(&c->last_recv_ns, __ATOMIC_RELAXED);
}

__u16 pt_conn_version(const struct pt_conn *c)
{
	return c->version;
}

__u64 pt_conn_capabilities(const struct pt_conn *c)
{
	return c->capabilities;
}

const struct pt_address *pt_conn_peer(const struct pt_conn *c)
{
	return &c->peer;
}

const struct pt_address *pt_conn_local(const struct pt_conn *c)
{
	return &c->local;
}

const char *pt_conn_peer_text(const struct pt_conn *c)
{
	return c->peer_text;
}
