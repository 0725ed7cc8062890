/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* route: the kernel's route to an address (rtnetlink): device, source, next hop
 * and the next hop's MAC address.
 *
 * Each call opens its own netlink socket in the calling thread's network
 * namespace and waits at most a second for the kernel.  Threads: any.
 */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include <net/if.h>
#include <stdbool.h>

#include "net/address.h"
#include <pagetrim/error.h>

struct pt_route {
	__u32	ifindex;
	char	ifname[IF_NAMESIZE];
	struct pt_address src;		/* preferred source; port 0 */
	struct pt_address next_hop;	/* gateway, or dst itself; port 0 */
	bool	gateway;		/* next_hop is not dst */
	__u32	mtu;			/* of the route, configured or learnt;
					 * 0: none */
};

/* pt_route_find asks for the route to dst (its port does not matter; scope
 * does, for a link-local address).
 *   -ENETUNREACH    no route
 *   -EHOSTUNREACH   a route of type unreachable, prohibit or blackhole
 *   -EADDRNOTAVAIL  dst is this host's own address, loopback, multicast,
 *                   broadcast or unspecified: AF_XDP frames cannot go there
 *   -EINVAL         link-local without a device
 *   other           as the kernel said */
int pt_route_find(struct pt_route *out, const struct pt_address *dst,
		  struct pt_error *err);

/* pt_route_is_local returns 0 if frames and connections may use src as source.
 *   -EADDRNOTAVAIL  src is not, or no longer, an address of this host */
int pt_route_is_local(const struct pt_address *src, struct pt_error *err);

/* pt_neighbour_find writes the MAC address of next_hop on the device.
 *   -EAGAIN       not known now: traffic to it (the control
 *                 connection) makes the kernel ask; call again
 *   -EOPNOTSUPP   the device has no Ethernet addresses
 *   -ENODEV       no such device */
int pt_neighbour_find(__u32 ifindex, const struct pt_address *next_hop,
		      __u8 mac[6], struct pt_error *err);

#endif
