/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* netdev: facts about a device from the kernel's netdev netlink family (Linux
 * 6.3, for queues 6.8).  Threads: any. */
#ifndef XSK_NETDEV_H
#define XSK_NETDEV_H

#include <pagetrim/maps.h>
#include "xsk/zero_copy.h"

/* pt_netdev_ask fills facts; facts->known is false where the kernel has no such
 * family, or does not know the device. */
void pt_netdev_ask(struct pt_netdev_facts *facts, __u32 ifindex);

/* pt_netdev_garbles: virtio_net maps a static variable for DMA, which yields
 * the right address only if the driver is built in (seen in Linux 7.3). */
bool pt_netdev_garbles(const struct pt_device *device);

/* pt_netdev_bound_queues sets the bit of each queue that an AF_XDP socket is
 * bound to, and leaves the others as they are. */
void pt_netdev_bound_queues(__u32 ifindex, __u64 bound[PT_QUEUES_MAX / 64]);

#endif
