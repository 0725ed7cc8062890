// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/gather.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/wire.h>
#include "net/path_mtu.h"

#define CONNECT_MS	2000

/* wait_connected returns the result of a connection in progress: 0 or
 * -errno. */
static int wait_connected(int sock)
{
	struct pollfd fd = { .fd = sock, .events = POLLOUT };
	socklen_t sz = sizeof(int);
	int why;

	switch (poll(&fd, 1, CONNECT_MS)) {
	case 0:
		return -ETIMEDOUT;
	case 1:
		return getsockopt(sock, SOL_SOCKET, SO_ERROR, &why, &sz) ?
		       -errno : -why;
	default:
		return -errno;
	}
}

static void gather_connect(struct pt_facts_path *p)
{
	struct sockaddr_storage sa;
	socklen_t sa_sz = pt_address_to_sockaddr(&p->dst, &sa);
	char text[PT_ADDRESS_TEXT_SZ];
	struct pt_error err;
	int sock, ret;

	sock = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		      0);
	ret = sock < 0 || connect(sock, (struct sockaddr *)&sa, sa_sz) ?
	      -errno : 0;
	if (ret == -EINPROGRESS)
		ret = wait_connected(sock);
	if (sock >= 0)
		close(sock);
	if (ret)
		pt_error_set(&err, PT_EXIT_PEER, ret, "%s: %s",
			     pt_address_print(&p->dst, text), ret == -ETIMEDOUT ?
			     "no answer (is the host up, TCP to that port open "
			     "in its firewall?)" : strerror(-ret));
	gather_try(&p->connect, ret, &err);
}

/* gather_route uses the first of the host's addresses that has a route. */
static int gather_route(struct pt_facts_path *p, const char *to,
			struct pt_error *err)
{
	struct pt_address all[PT_ADDRESSES_MAX];
	int cnt = pt_address_resolve(all, PT_ADDRESSES_MAX, to, PT_UDP_PORT,
				     err);
	int ret = cnt < 0 ? cnt : -ENOENT;

	for (int i = 0; i < cnt && ret; i++) {
		p->dst = all[i];
		ret = pt_route_find(&p->found, &all[i], err);
	}
	return ret;
}

void gather_path(struct pt_facts *facts, const char *to)
{
	struct pt_facts_path *p = &facts->path;
	struct pt_error err;

	gather_try(&p->route, gather_route(p, to, &err), &err);
	if (p->route.ret || facts->device.found.ret ||
	    p->found.ifindex != facts->device.dev.ifindex)
		return;
	/* The connection comes first, since it also resolves the neighbour's
	 * address. */
	gather_connect(p);
	if (p->connect.ret && p->connect.ret != -ECONNREFUSED) {
		gather_not_tried(&p->mtu, "the host does not answer");
		return;
	}
	gather_try(&p->mtu, path_mtu_measure(&p->dst, facts->device.dev.mtu,
					     &p->mtu_sz, &p->mtu_hole, &err),
		   &err);
}
