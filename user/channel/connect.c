/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/connect.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files.h"
#include "channel/conn_io.h"
#include "net/local.h"
#include "net/resolve.h"

/* pt_connect: waits for one of three events, whose field is not NULL or -1. */
struct pt_connect {
	struct pt_conn_cfg cfg;
	char host[PT_ADDRESS_HOST_SZ];
	__u64 deadline_ns;
	int epoll;
	struct pt_resolve *question;
	int sock;			/* connecting to peers[next - 1] */
	__u64 sock_deadline_ns;
	struct pt_conn *conn;		/* waiting for its HELLO */
	struct pt_address peers[PT_ADDRESSES_MAX];
	int peer_cnt, next;
};

static int explain(const struct pt_address *peer, int code,
		   struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ], dev[IF_NAMESIZE];
	const char *hint;

	pt_address_print(peer, text);
	switch (code) {
	case -ECONNREFUSED:
		if (pt_address_is_loopback(peer) || pt_local_device(peer, dev))
			return pt_error_set(err, PT_EXIT_HOST, -EADDRNOTAVAIL,
					    "%s: an address of this host itself: "
					    "its frames never reach a device "
					    "(name the other host)", text);
		hint = "is `pagetrim receive` running there?";
		break;
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		hint = "is the address right, the link up?";
		break;
	case -ETIMEDOUT:
		return pt_error_set(err, PT_EXIT_PEER, code,
				    "%s: no answer (is the address right, the "
				    "host up, TCP port %u open in its "
				    "firewall?)", text, peer->port);
	case -ECANCELED:
		return pt_error_set(err, PT_EXIT_FAILED, code,
				    "%s: stopped while connecting", text);
	default:
		return pt_error_set(err, *pt_files_remedy(code) ? PT_EXIT_HOST
								: PT_EXIT_PEER,
				    code, "%s: cannot connect: %s%s", text,
				    strerror(-code), pt_files_remedy(code));
	}
	return pt_error_set(err, PT_EXIT_PEER, code, "%s: %s (%s)", text,
			    strerror(-code), hint);
}

static int watch(struct pt_connect *k, int fd, __u32 events,
		 struct pt_error *err)
{
	struct epoll_event event = { .events = events };

	if (!epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &event))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -errno,
			    "control connection: %m%s",
			       pt_files_remedy(-errno));
}

int pt_connect_begin(struct pt_connect **out, const char *to,
		     const struct pt_conn_cfg *cfg, int timeout_ms,
		     struct pt_error *err)
{
	struct pt_connect *k = calloc(1, sizeof(*k));
	int ret;

	if (!k)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "control connection: no memory");
	k->cfg = *cfg;
	k->sock = -1;
	k->deadline_ns = pt_deadline_ns(timeout_ms);
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	ret = k->epoll < 0
		? pt_error_set(err, PT_EXIT_HOST, -errno,
			       "control connection: %m%s",
			       pt_files_remedy(-errno))
		: pt_resolve_begin(&k->question, PT_ADDRESSES_MAX, to,
				   PT_UDP_PORT, err);
	if (!ret)
		ret = watch(k, pt_resolve_fd(k->question), EPOLLIN, err);
	if (ret) {
		pt_connect_end(k);
		return ret;
	}
	pt_address_host(k->host, to, NULL);
	*out = k;
	return 0;
}

static void close_sock(struct pt_connect *k)
{
	if (k->sock >= 0)
		close(k->sock);	/* this removes it from the epoll */
	k->sock = -1;
}

void pt_connect_end(struct pt_connect *k)
{
	if (!k)
		return;
	pt_conn_close(k->conn);
	close_sock(k);
	pt_resolve_end(k->question);
	if (k->epoll >= 0)
		close(k->epoll);
	free(k);
}

int pt_connect_fd(const struct pt_connect *k)
{
	return k->epoll;
}

int pt_connect_left_ms(const struct pt_connect *k)
{
	return pt_left_ms(k->sock >= 0 ? k->sock_deadline_ns : k->deadline_ns);
}

/* begin_next starts to connect to the next address, which gets its share of the time
 * that is left. */
static int begin_next(struct pt_connect *k, struct pt_error *err)
{
	const struct pt_address *peer = &k->peers[k->next];
	__u64 now_ns = pt_clock_ns(), left_ns;
	char text[PT_ADDRESS_TEXT_SZ];
	struct sockaddr_storage sa;
	socklen_t sa_sz = pt_address_to_sockaddr(peer, &sa);

	pt_address_print(peer, text);
	left_ns = k->deadline_ns > now_ns ? k->deadline_ns - now_ns : 0;
	k->sock_deadline_ns = now_ns + left_ns / (k->peer_cnt - k->next);
	k->next++;
	if (pt_address_is_link_local(peer) && !peer->scope)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "%s: a link-local address needs its device "
				    "(write [fe80::1%%DEV]:PORT)", text);
	k->sock = socket(sa.ss_family,
			 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (k->sock < 0)
		return explain(peer, -errno, err);
	if (connect(k->sock, (struct sockaddr *)&sa, sa_sz) &&
	    errno != EINPROGRESS)
		return explain(peer, -errno, err);
	return watch(k, k->sock, EPOLLOUT, err);
}

/* try_next returns the -errno of the last address tried. */
static int try_next(struct pt_connect *k, int ret, struct pt_error *err)
{
	close_sock(k);
	while (k->next < k->peer_cnt) {
		ret = begin_next(k, err);
		if (!ret)
			return 0;
		close_sock(k);
	}
	return ret;
}

/* resolve takes the addresses, and begins with the first. */
static int resolve(struct pt_connect *k, struct pt_error *err)
{
	int cnt = pt_resolve_result(k->question, k->peers, err);

	if (!cnt && !pt_left_ms(k->deadline_ns))
		return pt_resolve_silent(k->question, err);
	if (cnt <= 0)
		return cnt;
	epoll_ctl(k->epoll, EPOLL_CTL_DEL, pt_resolve_fd(k->question), NULL);
	pt_resolve_end(k->question);
	k->question = NULL;
	k->peer_cnt = cnt;
	return try_next(k, 0, err);
}

/* adopt takes over the connected socket. */
static int adopt(struct pt_connect *k, struct pt_error *err)
{
	int sock = k->sock, ret;

	epoll_ctl(k->epoll, EPOLL_CTL_DEL, sock, NULL);
	k->sock = -1;
	ret = pt_conn_adopt(&k->conn, sock, &k->peers[k->next - 1], k->host,
			    &k->cfg, err);
	if (ret)
		return ret;
	ret = pt_conn_watch(k->conn, -1, NULL);
	if (ret)
		return pt_conn_fail(k->conn, ret, NULL, err);
	ret = watch(k, pt_conn_fd(k->conn), EPOLLIN, err);
	return ret ? ret : pt_conn_hello_send(k->conn, err);
}

static int await_socket(struct pt_connect *k, struct pt_error *err)
{
	struct pollfd fd = { .fd = k->sock, .events = POLLOUT };
	const struct pt_address *peer = &k->peers[k->next - 1];
	socklen_t sz = sizeof(int);
	int why;

	if (poll(&fd, 1, 0) > 0) {
		if (getsockopt(k->sock, SOL_SOCKET, SO_ERROR, &why, &sz))
			why = errno;
		return why ? try_next(k, explain(peer, -why, err), err)
			   : adopt(k, err);
	}
	if (pt_left_ms(k->sock_deadline_ns))
		return 0;
	return try_next(k, explain(peer, -ETIMEDOUT, err), err);
}

/* greet returns 1 once both ends have sent HELLO. */
static int greet(struct pt_connect *k, struct pt_conn **out,
		 struct pt_error *err)
{
	int ret = pt_conn_hello_recv(k->conn, err);

	if (ret > 0) {
		epoll_ctl(k->epoll, EPOLL_CTL_DEL, pt_conn_fd(k->conn), NULL);
		*out = k->conn;
		k->conn = NULL;
		return 1;
	}
	if (ret || pt_left_ms(k->deadline_ns))
		return ret;
	return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT, "%s: connected, but "
			    "it says no HELLO (is that port pagetrim's?)",
			    k->conn->peer_text);
}

int pt_connect_step(struct pt_connect *k, struct pt_conn **out,
		    struct pt_error *err)
{
	int ret = 0;

	if (k->question)
		ret = resolve(k, err);
	if (!ret && k->sock >= 0)
		ret = await_socket(k, err);
	if (!ret && k->conn)
		ret = greet(k, out, err);
	return ret;
}

int pt_connect_stopped(const struct pt_connect *k, struct pt_error *err)
{
	if (k->question)
		return pt_resolve_stopped(k->question, err);
	return explain(k->conn ? &k->conn->peer : &k->peers[k->next - 1],
		       -ECANCELED, err);
}
