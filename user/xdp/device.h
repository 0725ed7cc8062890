/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* device: a copy of a network device's facts at the time of opening.  It holds
 * no descriptor and needs no close. */
#ifndef XDP_DEVICE_H
#define XDP_DEVICE_H

#include <linux/types.h>
#include <net/if.h>
#include <stdbool.h>
#include <pagetrim/error.h>
#include <pagetrim/outer.h>

struct pt_device {
	char	name[IF_NAMESIZE];
	char	driver[32];	/* "veth", "ice"; "" if not reported */
	__u32	ifindex;
	__u32	mtu;		/* bytes, without the Ethernet header */
	__u8	mac[6];
	bool	is_up;		/* administratively */
	bool	has_carrier;	/* the link works: for a veth, its peer is up */
	__u16	rx_queue_cnt;	/* in use now, >= 1 */
	__u16	tx_queue_cnt;	/* in use now, >= 1 */
	__u32	speed_mbit;	/* Mbit/s of the link; 0: unknown, or a virtual
				 * device without one */
	__u64	netns_cookie;	/* of the network namespace; with ifindex it
				 * identifies the device on this host until
				 * reboot */
};

/* pt_device_open looks up the name, or alternative name, in the caller's
 * network namespace; _open_index looks up the number of an earlier opening,
 * since the name may have changed.  Returns 0, or with *dev unchanged:
 *   -ENODEV      no such device
 *   -EINVAL      not a name, or no Ethernet device (lo, tun, ...)
 *   or as the system says */
int pt_device_open(struct pt_device *dev, const char *name,
		   struct pt_error *err);
int pt_device_open_index(struct pt_device *dev, __u32 ifindex,
			 struct pt_error *err);

/* pt_device_netns_cookie identifies the caller's network namespace;
 * -ENOPROTOOPT before Linux 5.14. */
int pt_device_netns_cookie(__u64 *cookie);

/* pt_device_check returns whether frames can be sent and received now:
 *   -ENETDOWN    the device is down
 *   -EMSGSIZE    its MTU is under PT_MTU_MIN */
int pt_device_check(const struct pt_device *dev, struct pt_error *err);

/* pt_device_frame_sz returns the Ethernet bytes, without FCS and VLAN tag, of
 * the largest frame. */
static inline __u32 pt_device_frame_sz(const struct pt_device *dev)
{
	return dev->mtu + PT_ETH_SZ;
}

#endif
