/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* path_mtu: the largest IP packet that reaches a host unfragmented, measured
 * by ICMP echo with "don't fragment".
 *
 * A router's "packet too big" is used and verified; where larger packets are
 * dropped silently (a PMTU black hole) bisection finds the size.  The kernel
 * caches a router's answer for a while, as for any other packet.  Threads:
 * any. */
#ifndef NET_PATH_MTU_H
#define NET_PATH_MTU_H

#include <linux/types.h>
#include <stdbool.h>

#include <pagetrim/error.h>
#include "net/address.h"

#define PATH_MTU_LEAST	576	/* bytes; the search ends there */

/* path_mtu_measure tries mtu first, the device's, and takes at most 6 s.
 * Returns 0, *passed is the size of the largest packet that was answered, *hole
 * whether larger ones were dropped silently; *passed is precise to 16 bytes
 * then.  Else:
 *   -EACCES     neither ping sockets nor CAP_NET_RAW
 *   -ETIMEDOUT  the host answers no echo of any size
 *   or as the system says */
int path_mtu_measure(const struct pt_address *dst, __u32 mtu, __u32 *passed,
		     bool *hole, struct pt_error *err);

#endif
