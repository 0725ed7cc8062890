/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/conn.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/files.h"
#include "channel/conn_io.h"
#include <pagetrim/check.h>

#define BATCH_SZ	(16u << 10)	/* bytes: a record of TLS */

/* ---- failure ---- */

static int failure_tell(const struct pt_conn *c, struct pt_error *err)
{
	if (err && c->failure)
		*err = c->failed;
	return c->failure;
}

/* fail_locked keeps the first failure.  A peer that breaks the protocol can
 * still be sent an ABORT; any other failure ends the output, too. */
static void fail_locked(struct pt_conn *c, int code, const char *why)
{
	if (code != -EPROTO && code != -EPROTONOSUPPORT) {
		c->out_over = true;
		c->out_at = c->out_end = 0;
	}
	if (c->failure)
		return;
	c->failure = code;
	pt_error_set(&c->failed, *pt_files_remedy(code) ? PT_EXIT_HOST :
		     PT_EXIT_PEER, code, "%s: %s%s", c->peer_text, why,
		     pt_files_remedy(code));
}

static void fail_io_locked(struct pt_conn *c, int code)
{
	switch (code) {
	case -EPIPE:
		fail_locked(c, code, "the peer closed the connection (its log "
			    "tells why, if it was not killed)");
		break;
	case -ECONNRESET:
		fail_locked(c, code, "the connection was cut from the peer's "
			    "side (its process ended, see its log, or a "
			    "firewall cut it)");
		break;
	case -ETIMEDOUT:
		fail_locked(c, code, "the peer does not answer any more (is "
			    "its host up, the link alive?)");
		break;
	default:
		fail_locked(c, code, strerror(-code));
	}
}

/* fail_stream_locked handles the error of a read or write of the stream. */
static void fail_stream_locked(struct pt_conn *c, int code)
{
	const char *why = c->tls ? pt_tls_stream_why(c->tls) : NULL;

	if (why)
		fail_locked(c, code, why);
	else
		fail_io_locked(c, code);
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

/* watch_locked wakes the polling thread when the socket can take more.  TLS may
 * have output of its own, and before the handshake is done only that. */
static void watch_locked(struct pt_conn *c)
{
	bool want = (c->is_secured && c->out_at < c->out_end) ||
		    (c->tls && pt_tls_stream_wants_write(c->tls));
	struct epoll_event ev = {
		.events = EPOLLIN | (want ? EPOLLOUT : 0),
		.data.ptr = c->tag,
	};

	if (want == c->out_watched)
		return;
	if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->sock, &ev))
		fail_io_locked(c, -errno);
	c->out_watched = want;
}

/* write_locked returns the bytes that the stream took, -EAGAIN or -errno. */
static ssize_t write_locked(struct pt_conn *c, const void *buf, size_t sz)
{
	ssize_t ret;

	if (c->tls)
		return pt_tls_stream_write(c->tls, buf, sz);
	do
		ret = send(c->sock, buf, sz, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static void flush_locked(struct pt_conn *c)
{
	ssize_t sz;

	while (c->is_secured && c->out_at < c->out_end) {
		sz = write_locked(c, c->out + c->out_at,
				  c->out_end - c->out_at);
		if (sz < 0 && sz != -EAGAIN)
			fail_stream_locked(c, sz);
		if (sz < 0)
			break;
		c->out_at += sz;
	}
	if (c->out_at == c->out_end)
		c->out_at = c->out_end = 0;
	watch_locked(c);
}

/* send_locked: with at_least_sz, output is not written before the queue has so
 * much. */
static int send_locked(struct pt_conn *c, const struct pt_message *m,
		       size_t at_least_sz, struct pt_error *err)
{
	int ret;

	if (c->out_over)
		return failure_tell(c, err);
	if (c->out_at && c->out_room - c->out_end < PT_MESSAGE_SZ_MAX) {
		memmove(c->out, c->out + c->out_at, c->out_end - c->out_at);
		c->out_end -= c->out_at;
		c->out_at = 0;
	}
	ret = pt_message_encode(m, c->capabilities, c->out + c->out_end,
				c->out_room - c->out_end, err);
	if (ret > 0)
		c->out_end += ret;
	if (ret < 0 || c->out_end - c->out_at >= at_least_sz)
		flush_locked(c);
	if (c->out_over)
		return failure_tell(c, err);
	return ret < 0 ? ret : 0;
}

/* send_now works as pt_conn_send, but -ENOBUFS leaves err unchanged. */
static int send_now(struct pt_conn *c, const struct pt_message *m,
		    size_t at_least_sz, struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&c->lock);
	ret = send_locked(c, m, at_least_sz, err);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err)
{
	int ret = send_now(c, m, 0, err);

	if (ret == -ENOBUFS)
		pt_error_set(err, PT_EXIT_PEER, ret, "%s: the peer reads too "
			     "slowly (at most %u bytes wait for it)",
			     c->peer_text,
			     PT_CONN_OUT_SZ);
	return ret;
}

int pt_conn_send_batched(struct pt_conn *c, const struct pt_message *m,
			 int timeout_ms, int stop_fd, struct pt_error *err)
{
	struct pollfd fds[2] = { { .fd = c->sock, .events = POLLOUT },
				 { .fd = stop_fd, .events = POLLIN } };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	int ret;

	for (;;) {
		ret = send_now(c, m, BATCH_SZ, err);
		if (ret != -ENOBUFS)
			return ret;
		if (!pt_left_ms(deadline))
			return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT,
					    "%s: the peer has read nothing for "
					    "%d ms", c->peer_text, timeout_ms);
		if (poll(fds, 2, pt_left_ms(deadline)) > 0 && fds[1].revents)
			return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
					    "%s: stopped while the peer reads "
					    "too slowly", c->peer_text);
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

/* ---- TLS ---- */

int pt_conn_secure(struct pt_conn *c, struct pt_error *err)
{
	int ret = 1;

	pthread_mutex_lock(&c->lock);
	if (!c->is_secured) {
		ret = pt_tls_stream_handshake(c->tls);
		c->is_secured = ret > 0;
		if (ret < 0) {
			c->in_over = true;
			fail_stream_locked(c, ret);
			ret = failure_tell(c, err);
		}
		watch_locked(c);
	}
	pthread_mutex_unlock(&c->lock);
	return ret;
}

bool pt_conn_is_sealed(const struct pt_conn *c)
{
	return c->tls != NULL;
}

__u64 pt_conn_capabilities(const struct pt_conn *c)
{
	return c->capabilities;
}

int pt_conn_export(struct pt_conn *c, const char *label, const void *context,
		   size_t context_sz, void *out, size_t out_sz)
{
	int ret;

	if (!c->tls)
		return -ENOTSUP;
	pthread_mutex_lock(&c->lock);
	ret = pt_tls_stream_export(c->tls, label, context, context_sz, out,
				   out_sz);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

/* ---- input ---- */

/* read_some works as read(2), but returns -errno; 0: the peer has ended its
 * output. */
static ssize_t read_some(struct pt_conn *c, void *buf, size_t sz)
{
	ssize_t ret;

	if (!c->tls) {
		do
			ret = recv(c->sock, buf, sz, MSG_DONTWAIT);
		while (ret < 0 && errno == EINTR);
		return ret < 0 ? -errno : ret;
	}
	pthread_mutex_lock(&c->lock);
	ret = pt_tls_stream_read(c->tls, buf, sz);
	if (ret < 0 && ret != -EAGAIN)
		fail_stream_locked(c, ret);
	watch_locked(c);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

int pt_conn_fill(struct pt_conn *c, struct pt_error *err)
{
	ssize_t sz;

	if (c->in_over)
		return pt_conn_fail(c, -EPIPE, NULL, err);
	memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
	c->in_end -= c->in_at;
	c->in_at = 0;
	pt_check(c->in_end < c->in_room);	/* half a message at most */

	sz = read_some(c, c->in + c->in_end, c->in_room - c->in_end);
	if (sz == -EAGAIN)
		return 0;
	if (sz <= 0) {
		c->in_over = true;
		if (!sz && c->in_end)
			return pt_conn_fail(c, -EPIPE, "the peer closed the "
					    "connection in the middle of a "
					    "message", err);
		return pt_conn_fail(c, sz ? sz : -EPIPE, NULL, err);
	}
	c->in_end += sz;
	__atomic_store_n(&c->last_recv_ns, pt_clock_ns(), __ATOMIC_RELAXED);
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
	ret = pt_message_decode(out, c->scratch, peer_role(c), c->capabilities,
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
