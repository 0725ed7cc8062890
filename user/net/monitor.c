/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/monitor.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define GROUPS	(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR |	\
		 RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
#define ALL	(PT_CHANGE_LINK | PT_CHANGE_ROUTE | PT_CHANGE_NEIGHBOUR)
#define READS_MAX	64	/* messages per call; the next call reads the
				 * rest */

struct pt_monitor {
	struct mnl_socket *sock;
	__u32 ifindex;
};

int pt_monitor_open(struct pt_monitor **out, __u32 ifindex,
		    struct pt_error *err)
{
	struct pt_monitor *m = calloc(1, sizeof(*m));
	int ret = -ENOMEM;

	if (!m)
		goto fail;
	m->ifindex = ifindex;
	m->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!m->sock) {
		ret = -errno;
		goto free_monitor;
	}
	if (mnl_socket_bind(m->sock, GROUPS, MNL_SOCKET_AUTOPID) < 0) {
		ret = -errno;
		goto close;
	}
	*out = m;
	return 0;

close:
	mnl_socket_close(m->sock);
free_monitor:
	free(m);
fail:
	return pt_error_set(err, PT_EXIT_HOST, ret, "rtnetlink: cannot follow "
			    "device %u: %s", ifindex, strerror(-ret));
}

void pt_monitor_close(struct pt_monitor *m)
{
	if (!m)
		return;
	mnl_socket_close(m->sock);
	free(m);
}

int pt_monitor_fd(const struct pt_monitor *m)
{
	return mnl_socket_get_fd(m->sock);
}

/* change_of returns the enum pt_change bits of one message. */
static int change_of(const struct pt_monitor *m, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_DELLINK:
		/* A bridge's port that leaves it is also "deleted". */
		if ((__u32)ifi->ifi_index == m->ifindex &&
		    ifi->ifi_family == AF_UNSPEC)
			return PT_CHANGE_LINK | PT_CHANGE_GONE;
		return 0;
	case RTM_NEWLINK:
		return (__u32)ifi->ifi_index == m->ifindex ? PT_CHANGE_LINK : 0;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return (__u32)ndm->ndm_ifindex == m->ifindex ?
		       PT_CHANGE_NEIGHBOUR : 0;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return PT_CHANGE_ROUTE;
	default:
		return 0;
	}
}

int pt_monitor_read(struct pt_monitor *m, struct pt_error *err)
{
	char buf[16384] __attribute__((aligned(8)));
	const struct nlmsghdr *nlh;
	int changes = 0, left;
	ssize_t sz;

	for (int i = 0; i < READS_MAX; i++) {
		sz = mnl_socket_recvfrom(m->sock, buf, sizeof(buf));
		if (sz < 0 && errno == EAGAIN)
			break;
		if (sz < 0 && errno == EINTR)
			continue;
		if (sz < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			changes |= ALL;	/* messages were lost or cut */
			continue;
		}
		if (sz < 0)
			return pt_error_set(err, PT_EXIT_HOST, -errno,
					    "rtnetlink: cannot follow device "
					    "%u: %s", m->ifindex,
					    strerror(errno));
		left = sz;
		for (nlh = (const struct nlmsghdr *)buf;
		     mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			changes |= change_of(m, nlh);
	}
	return changes;
}
