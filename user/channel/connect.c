/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/conn_io.h"
#include "net/resolve.h"

/* wait_for: 1 fd has one of events, 0 the deadline passed, -ECANCELED. */
static int wait_for(int fd, short events, int stop_fd, __u64 deadline)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events },
				 { .fd = stop_fd, .events = POLLIN } };

	while (pt_left_ms(deadline)) {
		if (poll(fds, 2, pt_left_ms(deadline)) < 0)
			continue;	/* EINTR */
		if (fds[1].revents)
			return -ECANCELED;
		if (fds[0].revents)
			return 1;
	}
	return 0;
}

static int explain(const struct pt_address *peer, int code,
		   struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ];
	const char *hint;

	pt_address_print(peer, text);
	switch (code) {
	case -ECONNREFUSED:
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
		return pt_error_set(err, PT_EXIT_PEER, code,
				    "%s: cannot connect: %s", text,
				    strerror(-code));
	}
	return pt_error_set(err, PT_EXIT_PEER, code, "%s: %s (%s)", text,
			    strerror(-code), hint);
}

/* connect_one: a connected socket, or -errno. */
static int connect_one(const struct pt_address *peer, __u64 deadline,
		       int stop_fd, struct pt_error *err)
{
	struct sockaddr_storage sa;
	socklen_t sa_sz = pt_address_to_sockaddr(peer, &sa);
	socklen_t sz = sizeof(int);
	int sock, ret, why;

	if (pt_address_is_link_local(peer) && !peer->scope)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "link-local address without its device "
				    "(write [fe80::1%%DEV]:PORT)");
	sock = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		      0);
	if (sock < 0)
		return explain(peer, -errno, err);
	ret = connect(sock, (struct sockaddr *)&sa, sa_sz) ? -errno : 0;
	if (ret == -EINPROGRESS) {
		ret = wait_for(sock, POLLOUT, stop_fd, deadline);
		if (ret > 0)
			ret = getsockopt(sock, SOL_SOCKET, SO_ERROR, &why,
					 &sz) ? -errno : -why;
		else if (ret == 0)
			ret = -ETIMEDOUT;
	}
	if (!ret)
		return sock;
	close(sock);
	return explain(peer, ret, err);
}

/* greet: the HELLO of both, or -errno. */
static int greet(struct pt_conn *c, __u64 deadline, int stop_fd,
		 struct pt_error *err)
{
	int ret = pt_conn_hello_send(c, err);

	while (!ret) {
		ret = pt_conn_hello_recv(c, err);
		if (ret)
			break;
		ret = wait_for(c->epoll, POLLIN, stop_fd, deadline);
		if (ret == -ECANCELED)
			return explain(&c->peer, ret, err);
		if (ret == 0)
			return pt_error_set(err, PT_EXIT_PEER, -ETIMEDOUT,
					    "%s: connected, but it says "
					    "nothing (is that port "
					    "pagetrim's?)", c->peer_text);
		ret = 0;
	}
	return ret < 0 ? ret : 0;
}

int pt_conn_connect(struct pt_conn **out, const char *to,
		    const struct pt_conn_cfg *cfg, int timeout_ms, int stop_fd,
		    struct pt_error *err)
{
	__u64 deadline = pt_deadline_ns(timeout_ms), now;
	struct pt_address peers[PT_ADDRESSES_MAX];
	char host[PT_ADDRESS_HOST_SZ];
	int cnt, ret = 0, sock = -1;
	struct pt_conn *c;

	cnt = pt_resolve(peers, PT_ADDRESSES_MAX, to, PT_UDP_PORT, deadline,
			 stop_fd, err);
	if (cnt < 0)
		return cnt;
	pt_address_host(host, to, NULL);
	/* Each address gets its share of the time that is left. */
	for (int i = 0; i < cnt && sock < 0 && sock != -ECANCELED; i++) {
		now = pt_clock_ns();
		sock = connect_one(&peers[i], now >= deadline ? now :
				   now + (deadline - now) / (cnt - i), stop_fd,
				   err);
		if (sock >= 0)
			ret = pt_conn_adopt(&c, sock, &peers[i], host, cfg,
					    err);
	}
	if (sock < 0)
		return sock;
	if (ret)
		return ret;
	ret = pt_conn_watch(c, -1, NULL);
	if (ret)
		ret = pt_conn_fail(c, ret, NULL, err);
	else
		ret = greet(c, deadline, stop_fd, err);
	if (ret == -EPROTO || ret == -EPROTONOSUPPORT)
		pt_conn_finish(c, PT_CONN_REFUSE_MS);
	if (ret) {
		pt_conn_close(c);
		return ret;
	}
	*out = c;
	return 0;
}
