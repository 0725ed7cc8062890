/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* path_mtu: the largest IP packet that reaches a host unfragmented, measured
 * by ICMP echo with "don't fragment".
 *
 * A router on the way that says "too big" is believed, and tried again; where
 * the large ones vanish unsaid it is found by halving.  The kernel remembers
 * what a router said for a while, as of any other packet.  Threads: any. */
#ifndef NET_PATH_MTU_H
#define NET_PATH_MTU_H

#include <linux/types.h>
#include <stdbool.h>

#include <pagetrim/error.h>
#include "net/address.h"

#define PATH_MTU_LEAST	576	/* bytes; less is not looked for */

/* path_mtu_measure tries mtu first, the device's, and takes at most 6 s.
 * Returns 0, *passed the bytes of the largest that was answered, *hole whether
 * larger ones vanished unsaid; within 16 bytes then.  Else:
 *   -EACCES     neither ping sockets nor CAP_NET_RAW
 *   -ETIMEDOUT  the host answers no echo of any size
 *   or as the system says */
int path_mtu_measure(const struct pt_address *dst, __u32 mtu, __u32 *passed,
		     bool *hole, struct pt_error *err);

#endif
