/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The start, the end and the properties of a connection. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/files.h"
#include "channel/conn_io.h"
#include <pagetrim/check.h>

_Static_assert(PT_TLS_START_SZ >= PT_MESSAGE_START_SZ, "a HELLO is told");

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44	/* Linux 6.15 */
#endif

#define RTO_MAX_MS	1000
#define GIVE_UP_MS	(3600 * 1000)
#define FINISH_READS	16

static int socket_prepare(struct pt_conn *c)
{
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
	sz = sizeof(sa);	/* a connection to "::" reaches ::1 */
	if (!getpeername(c->sock, (struct sockaddr *)&sa, &sz))
		pt_address_from_sockaddr(&c->peer, &sa);
	pt_address_print(&c->peer, c->peer_text);
	if (setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	/* After a silence of the link TCP must retry within a second, while
	 * --peer-timeout limits the silence.  Kernels before 6.15 keep their
	 * own back-off. */
	setsockopt(c->sock, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max_ms,
		   sizeof(rto_max_ms));
	setsockopt(c->sock, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up_ms,
		   sizeof(give_up_ms));
	return 0;
}

int pt_conn_watch(struct pt_conn *c, int epoll, void *tag)
{
	struct epoll_event ev = {
		.events = EPOLLIN | (c->out_watched ? EPOLLOUT : 0),
		.data.ptr = tag,
	};
	bool is_own = epoll < 0;

	if (is_own)
		epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return -errno;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->sock, &ev)) {
		int ret = -errno;

		if (is_own)
			close(epoll);
		return ret;
	}
	if (c->has_epoll)
		close(c->epoll);
	else if (c->epoll >= 0)
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->sock, NULL);
	c->epoll = epoll;
	c->has_epoll = is_own;
	c->tag = tag;
	return 0;
}

/* room allocates a stranger's small buffers. */
static int room(struct pt_conn *c, const char *host)
{
	c->in_room = c->out_room = PT_CONN_HELLO_SZ;
	c->in = malloc(c->in_room);
	c->out = malloc(c->out_room);
	if (c->cfg.tls)
		c->tls = pt_tls_stream_open(c->cfg.tls, c->sock, host,
					    pt_message_is_hello);
	c->is_secured = !c->cfg.tls;
	return c->in && c->out && (c->tls || !c->cfg.tls) ? 0 : -ENOMEM;
}

static void room_free(struct pt_conn *c)
{
	pt_tls_stream_close(c->tls);
	free(c->scratch);
	free(c->out);
	free(c->in);
}

int pt_conn_grow(struct pt_conn *c, struct pt_error *err)
{
	__u8 *in = malloc(PT_CONN_IN_SZ), *out = malloc(PT_CONN_OUT_SZ);
	int ret = c->has_epoll ? 0 : pt_conn_watch(c, -1, NULL);

	c->scratch = malloc(sizeof(*c->scratch));
	if (!in || !out || !c->scratch || ret) {
		ret = ret ? ret : -ENOMEM;
		free(in);
		free(out);
		return pt_conn_fail(c, ret, NULL, err);
	}
	c->in_end -= c->in_at;
	memcpy(in, c->in + c->in_at, c->in_end);
	c->in_at = 0;
	free(c->in);
	c->in = in;
	c->in_room = PT_CONN_IN_SZ;

	pthread_mutex_lock(&c->lock);
	memcpy(out, c->out, c->out_end);
	free(c->out);
	c->out = out;
	c->out_room = PT_CONN_OUT_SZ;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

int pt_conn_adopt(struct pt_conn **out, int sock, const struct pt_address *peer,
		  const char *host, const struct pt_conn_cfg *cfg,
		  struct pt_error *err)
{
	struct pt_conn *c;
	int ret = -ENOMEM;

	c = calloc(1, sizeof(*c));
	if (!c)
		goto close_sock;
	c->sock = sock;
	c->epoll = -1;
	c->cfg = *cfg;
	c->peer = *peer;
	c->last_recv_ns = pt_clock_ns();
	ret = room(c, host);
	if (ret)
		goto free_conn;
	ret = socket_prepare(c);
	if (ret)
		goto free_conn;
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;

free_conn:
	room_free(c);
	free(c);
close_sock:
	close(sock);
	return pt_error_set(err, PT_EXIT_HOST, ret,
			    "control connection: %s%s", strerror(-ret),
			    pt_files_remedy(ret));
}

void pt_conn_close(struct pt_conn *c)
{
	if (!c)
		return;
	close(c->sock);		/* this removes it from a shared epoll */
	if (c->has_epoll)
		close(c->epoll);
	pthread_mutex_destroy(&c->lock);
	room_free(c);
	free(c);
}

void pt_conn_shut(struct pt_conn *c)
{
	pt_check(c->has_epoll);
	pt_conn_fail(c, -ECANCELED, "closed on our side", NULL);
	pthread_mutex_lock(&c->lock);
	c->in_over = true;
	shutdown(c->sock, SHUT_RDWR);	/* wakes its poller */
	/* Its number stays in use, since other threads may still use it. */
	dup2(c->epoll, c->sock);
	pthread_mutex_unlock(&c->lock);
}

static void say_end(struct pt_conn *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->tls)
		pt_tls_stream_shut(c->tls);
	shutdown(c->sock, SHUT_WR);
	c->has_said_end = true;
	pthread_mutex_unlock(&c->lock);
}

bool pt_conn_finish_step(struct pt_conn *c)
{
	/* A peer that never stops sending must not delay us. */
	for (int i = 0; i < FINISH_READS && !c->in_over; i++) {
		pt_conn_flush(c);
		if (!c->has_said_end && !pt_conn_queued_sz(c))
			say_end(c);
		c->in_at = c->in_end;	/* dropped */
		if (pt_conn_fill(c, NULL) == 0)
			break;
	}
	return c->in_over;
}

/* ---- properties ---- */

int pt_conn_fd(const struct pt_conn *c)
{
	return c->epoll;
}

__u64 pt_conn_last_recv_ns(const struct pt_conn *c)
{
	return __atomic_load_n(&c->last_recv_ns, __ATOMIC_RELAXED);
}

size_t pt_conn_backlog_sz(struct pt_conn *c)
{
	int unsent_sz = 0;

	if (ioctl(c->sock, SIOCOUTQNSD, &unsent_sz))
		unsent_sz = 0;
	return pt_conn_queued_sz(c) + unsent_sz;
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

const char *pt_conn_peer_name(const struct pt_conn *c)
{
	return c->tls ? pt_tls_stream_name(c->tls) : "";
}

const char *pt_conn_peer_identity(const struct pt_conn *c)
{
	return c->tls ? pt_tls_stream_identity(c->tls) : "";
}
