// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <endian.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/wire.h>

#include "wire/link.h"

#define HOPS		64
#define IPV4_DF		0x4000
#define VLAN_MAX	4094

static void *put_ethernet(void *at, const struct pt_link *link)
{
	__be16 type = htobe16(link->ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	struct pt_eth_hdr *eth = at;
	struct pt_vlan_tag *tag = at + sizeof(*eth);

	memcpy(eth->dst, link->dst_mac, sizeof(eth->dst));
	memcpy(eth->src, link->src_mac, sizeof(eth->src));
	if (!link->vlan) {
		eth->type = type;
		return eth + 1;
	}
	eth->type = htobe16(ETH_P_8021Q);
	tag->tci = htobe16(link->vlan);
	tag->type = type;
	return tag + 1;
}

/* ipv4_check returns RFC 791's header checksum, the complement of the ones'
 * complement sum, for a header whose checksum field is zero. */
static __be16 ipv4_check(const struct pt_ipv4_hdr *ip)
{
	__u16 words[sizeof(*ip) / 2];
	__u32 sum = 0;

	memcpy(words, ip, sizeof(words));
	for (unsigned int i = 0; i < sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void *put_ipv4(void *at, const struct pt_link *link, __u32 udp_sz)
{
	struct pt_ipv4_hdr *ip = at;

	*ip = (struct pt_ipv4_hdr){
		.version_ihl = PT_IPV4_PLAIN,
		.total_sz = htobe16(sizeof(*ip) + udp_sz),
		.frag_off = htobe16(IPV4_DF),
		.ttl = HOPS,
		.protocol = PT_IPPROTO_UDP,
	};
	memcpy(ip->src, &link->src_addr[12], sizeof(ip->src));
	memcpy(ip->dst, &link->dst_addr[12], sizeof(ip->dst));
	ip->check = ipv4_check(ip);
	return ip + 1;
}

static void *put_ipv6(void *at, const struct pt_link *link, __u32 udp_sz)
{
	struct pt_ipv6_hdr *ip = at;

	*ip = (struct pt_ipv6_hdr){
		.version_class = PT_IPV6_VERSION << 4,
		.payload_sz = htobe16(udp_sz),
		.next_header = PT_IPPROTO_UDP,
		.hop_limit = HOPS,
	};
	memcpy(ip->src, link->src_addr, sizeof(ip->src));
	memcpy(ip->dst, link->dst_addr, sizeof(ip->dst));
	return ip + 1;
}

void *pt_link_write(const struct pt_link *link, void *frame, __u32 payload_sz)
{
	__u32 udp_sz = PT_UDP_SZ + payload_sz;
	struct pt_udp_hdr *udp;

	pt_check(link->vlan <= VLAN_MAX);
	pt_check(udp_sz + (link->ipv6 ? PT_IPV6_SZ : PT_IPV4_SZ) <= PT_MTU_MAX);

	udp = put_ethernet(frame, link);
	udp = link->ipv6 ? put_ipv6(udp, link, udp_sz) :
			   put_ipv4(udp, link, udp_sz);
	*udp = (struct pt_udp_hdr){
		.src_port = htobe16(link->src_port),
		.dst_port = htobe16(link->dst_port),
		.sz = htobe16(udp_sz),
	};
	return udp + 1;
}
