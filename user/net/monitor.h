/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* monitor: tells that something about a device's way to the peer may have
 * changed; what it is now, pt_route_find and pt_neighbour_find tell.
 * Threads: one. */
#ifndef NET_MONITOR_H
#define NET_MONITOR_H

#include <linux/types.h>

#include <pagetrim/error.h>

/* Bits of what pt_monitor_read returns. */
enum pt_change {
	PT_CHANGE_LINK	    = 1,	/* up, down, MTU, MAC, name */
	PT_CHANGE_ROUTE	    = 2,	/* any route or address of the host */
	PT_CHANGE_NEIGHBOUR = 4,	/* one on the device */
	PT_CHANGE_GONE	    = 8,	/* the device was removed */
};

struct pt_monitor;

/* pt_monitor_open follows device ifindex in the calling thread's network
 * namespace from now on.  *out is the caller's, to pt_monitor_close. */
int pt_monitor_open(struct pt_monitor **out, __u32 ifindex,
		    struct pt_error *err);

void pt_monitor_close(struct pt_monitor *m);	/* NULL is allowed */

/* pt_monitor_fd: poll for POLLIN; POLLERR beside it means that something was
 * not told: read, too. */
int pt_monitor_fd(const struct pt_monitor *m);

/* pt_monitor_read: never blocks; the enum pt_change bits since the last call,
 * 0 for none.  LINK, ROUTE and NEIGHBOUR all at once also when the kernel had
 * more to tell than the socket holds.  -errno: the socket failed. */
int pt_monitor_read(struct pt_monitor *m, struct pt_error *err);

#endif
