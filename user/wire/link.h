/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* link: the outer headers, from the Ethernet address to the UDP checksum.
 *
 *     bytes   14         4       20 or 40        8
 *           +----------+------+---------------+-----+--------------
 *           | Ethernet | VLAN | IPv4 or IPv6  | UDP | frame header
 *           +----------+------+---------------+-----+--------------
 *                      '-- if vlan is not 0
 *
 * IPv4: no options, DF set, TTL 64.  IPv6: no extension header, hop limit 64.
 * UDP checksum 0, as RFC 6935 and 6936 allow a tunnel over IPv6 whose payload
 * has a check of its own.
 *
 * Pure functions: any thread.
 */
#ifndef WIRE_LINK_H
#define WIRE_LINK_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/outer.h>

struct pt_link {
	__u8	src_mac[6];
	__u8	dst_mac[6];
	__u16	vlan;		/* host order, 1..4094; 0: no tag */
	bool	ipv6;
	__u8	src_addr[16];	/* IPv6, or IPv4 as ::ffff:a.b.c.d */
	__u8	dst_addr[16];
	__u16	src_port;	/* host order */
	__u16	dst_port;
};

/* pt_link_sz returns the bytes before the frame header: 42, 46, 62 or 66. */
static inline __u32 pt_link_sz(const struct pt_link *link)
{
	return PT_ETH_SZ + (link->vlan ? PT_VLAN_SZ : 0) +
	       (link->ipv6 ? PT_IPV6_SZ : PT_IPV4_SZ) + PT_UDP_SZ;
}

/* pt_link_frame_sz_max returns the Ethernet bytes, without FCS, of the largest
 * frame for an MTU of mtu. */
static inline __u32 pt_link_frame_sz_max(const struct pt_link *link, __u32 mtu)
{
	return PT_ETH_SZ + (link->vlan ? PT_VLAN_SZ : 0) + mtu;
}

/* pt_link_write writes the pt_link_sz() bytes before a UDP payload of
 * payload_sz bytes, which together with IP and UDP header is at most 65535, and
 * returns where the payload starts. */
void *pt_link_write(const struct pt_link *link, void *frame, __u32 payload_sz);

#endif
