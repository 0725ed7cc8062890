/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* outer: the headers around a pagetrim frame, in network format.  They replace
 * those of linux/ip.h and netinet/ip.h, which exclude each other, are not
 * packed (a frame in memory may have any alignment) and hide the header length
 * in bit fields.
 *
 * Sources: IEEE 802.3, 802.1Q; RFC 791, 8200, 768.
 */
#ifndef PAGETRIM_OUTER_H
#define PAGETRIM_OUTER_H

#include <linux/if_ether.h>	/* ETH_P_* */
#include <linux/types.h>

#ifdef __cplusplus
#define _Static_assert static_assert
#endif

#define PT_IPPROTO_UDP		17

#define PT_IPV4_PLAIN		0x45	/* version 4, 5 words: no options */
#define PT_IPV4_FRAGMENT	0x3fff	/* more fragments, or an offset */
#define PT_IPV6_VERSION		6

struct pt_eth_hdr {
	__u8	dst[6];
	__u8	src[6];
	__be16	type;		/* ETH_P_* */
} __attribute__((packed));

struct pt_vlan_tag {
	__be16	tci;		/* priority, drop bit, VLAN number */
	__be16	type;		/* of the payload, ETH_P_* */
} __attribute__((packed));

struct pt_ipv4_hdr {
	__u8	version_ihl;	/* version, header length in 4-byte words */
	__u8	tos;
	__be16	total_sz;	/* bytes, this header included */
	__be16	id;
	__be16	frag_off;	/* 3 flags, offset in 8-byte units */
	__u8	ttl;
	__u8	protocol;
	__be16	check;
	__u8	src[4];
	__u8	dst[4];
} __attribute__((packed));

struct pt_ipv6_hdr {
	__u8	version_class;	/* version, upper half of traffic class */
	__u8	class_flow[3];
	__be16	payload_sz;	/* bytes after this header */
	__u8	next_header;
	__u8	hop_limit;
	__u8	src[16];
	__u8	dst[16];
} __attribute__((packed));

struct pt_udp_hdr {
	__be16	src_port;
	__be16	dst_port;
	__be16	sz;		/* bytes, this header included */
	__be16	check;
} __attribute__((packed));

/* Bytes of each header. */
#define PT_ETH_SZ	14u
#define PT_VLAN_SZ	4u
#define PT_IPV4_SZ	20u
#define PT_IPV6_SZ	40u
#define PT_UDP_SZ	8u

_Static_assert(sizeof(struct pt_eth_hdr) == PT_ETH_SZ, "Ethernet");
_Static_assert(sizeof(struct pt_vlan_tag) == PT_VLAN_SZ, "802.1Q");
_Static_assert(sizeof(struct pt_ipv4_hdr) == PT_IPV4_SZ, "IPv4");
_Static_assert(sizeof(struct pt_ipv6_hdr) == PT_IPV6_SZ, "IPv6");
_Static_assert(sizeof(struct pt_udp_hdr) == PT_UDP_SZ, "UDP");

#endif
