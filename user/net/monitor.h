/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* monitor: reports that a device's path to the peer may have changed;
 * pt_route_find and pt_neighbour_find return the new state.  Threads: one. */
#ifndef NET_MONITOR_H
#define NET_MONITOR_H

#include <linux/types.h>

#include <pagetrim/error.h>

/* Bits of pt_monitor_read's result. */
enum pt_change {
	PT_CHANGE_LINK	    = 1,	/* up, down, MTU, MAC, name */
	PT_CHANGE_ROUTE	    = 2,	/* any route or address of the host */
	PT_CHANGE_NEIGHBOUR = 4,	/* a neighbour on the device */
	PT_CHANGE_GONE	    = 8,	/* the device was removed */
};

struct pt_monitor;

/* pt_monitor_open follows device ifindex in the calling thread's network
 * namespace from now on.  *out is the caller's, to pt_monitor_close. */
int pt_monitor_open(struct pt_monitor **out, __u32 ifindex,
		    struct pt_error *err);

void pt_monitor_close(struct pt_monitor *m);	/* NULL is allowed */

/* pt_monitor_fd returns a descriptor to poll for POLLIN; POLLERR means that
 * messages were lost: read then, too. */
int pt_monitor_fd(const struct pt_monitor *m);

/* pt_monitor_read returns the enum pt_change bits since the last call, 0 for
 * none, and never blocks.  LINK, ROUTE and NEIGHBOUR are all set when the
 * socket overflowed.  -errno: the socket failed. */
int pt_monitor_read(struct pt_monitor *m, struct pt_error *err);

#endif
