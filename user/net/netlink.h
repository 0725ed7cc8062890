/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* netlink: one request to the kernel and its answer.  Threads: any. */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include <libmnl/libmnl.h>

/* A request has room for a header and a few addresses. */
#define PT_NETLINK_ASK_SZ	256

/* pt_netlink_ask sends the request nlh to bus (NETLINK_ROUTE; flags beyond its
 * own and sequence number are set here) in the calling thread's network
 * namespace and calls answer for each message that comes back.  Returns 0, or
 * -errno: the kernel's own, or -ETIMEDOUT after a second. */
int pt_netlink_ask(int bus, struct nlmsghdr *nlh, mnl_cb_t answer, void *data);

#endif
