// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_parts.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/if_ether.h>
#include <pagetrim/check.h>

#define VLAN_SZ		4
#define IP4_SZ		20
#define IP4_FRAGMENT	0x3fff	/* more fragments, or an offset */
#define IP6_SZ		40
#define UDP_SZ		8

static __u16 be16_at(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

/* udp_find: the UDP header of an unfragmented packet, or NULL.  Reads bytes,
 * for nothing in a frame is aligned. */
static const __u8 *udp_find(const __u8 *at, const __u8 *end)
{
	__u16 proto;

	if (end - at < ETH_HLEN + VLAN_SZ)
		return NULL;
	proto = be16_at(at + 12);
	at += ETH_HLEN;
	if (proto == ETH_P_8021Q) {
		proto = be16_at(at + 2);
		at += VLAN_SZ;
	}
	switch (proto) {
	case ETH_P_IP:
		if (end - at < IP4_SZ || at[0] != 0x45 ||
		    at[9] != IPPROTO_UDP || be16_at(at + 6) & IP4_FRAGMENT)
			return NULL;
		at += IP4_SZ;
		break;
	case ETH_P_IPV6:
		if (end - at < IP6_SZ || at[6] != IPPROTO_UDP)
			return NULL;
		at += IP6_SZ;
		break;
	default:
		return NULL;
	}
	return end - at < UDP_SZ ? NULL : at;
}

/* hdr_find: pagetrim's header of a frame to that port, or NULL. */
static const struct pt_frame_hdr *hdr_find(const void *frame, size_t sz,
					   __u16 port)
{
	const __u8 *end = (const __u8 *)frame + sz;
	const __u8 *udp = udp_find(frame, end);
	const struct pt_frame_hdr *h;	/* packed: may stand anywhere */

	if (!udp || be16_at(udp + 2) != port)
		return NULL;
	h = (const void *)(udp + UDP_SZ);
	if ((const __u8 *)(h + 1) > end || h->magic != htonl(PT_FRAME_MAGIC))
		return NULL;
	return h;
}

enum wire_class wire_classify(const void *frame, size_t sz, __u16 port,
			      struct wire_id *id)
{
	const struct pt_frame_hdr *h = hdr_find(frame, sz, port);

	if (!h)
		return WIRE_OTHER;
	if (h->kind == PT_FRAME_PROBE)
		return WIRE_PROBE;
	id->lane = h->lane;
	id->seq = be64toh(h->seq);
	if (h->kind != PT_FRAME_DATA || id->lane >= PT_LANES_MAX)
		return WIRE_OTHER;
	return WIRE_DATA;
}

bool wire_parts_find(const void *frame, size_t sz, __u32 frame_sz, __u16 port,
		     struct wire_parts *parts)
{
	const struct pt_frame_hdr *h = hdr_find(frame, sz, port);
	__u32 hdr, records, pad, blocks;

	if (!h)
		return false;
	hdr = (const __u8 *)h - (const __u8 *)frame;
	records = pad = blocks = frame_sz;
	if (!(h->flags & PT_FLAG_SEALED)) {
		records = hdr + PT_FRAME_HDR_SZ;
		pad = records + h->record_cnt * PT_RECORD_SZ;
		blocks = hdr + ntohs(h->data_off);
	}
	if (pad > blocks || blocks > frame_sz)
		return false;
	parts->off[WIRE_PART_OUTER] = 0;
	parts->off[WIRE_PART_HEADER] = hdr;
	parts->off[WIRE_PART_AUTH] = hdr + PT_HIDDEN_OFF - PT_AUTH_SZ;
	parts->off[WIRE_PART_CONTENTS] = hdr + PT_HIDDEN_OFF;
	parts->off[WIRE_PART_RECORDS] = records;
	parts->off[WIRE_PART_PAD] = pad;
	parts->off[WIRE_PART_BLOCKS] = blocks;
	parts->off[WIRE_PART_CNT] = frame_sz;
	return true;
}

/* scale: at, of 2^32, of cnt. */
static __u32 scale(__u32 at, __u32 cnt)
{
	return (__u64)at * cnt >> 32;
}

bool wire_parts_bit(const struct wire_parts *parts, __u32 wanted, __u32 at,
		    enum wire_part *part, __u32 *bit)
{
	enum wire_part some[WIRE_PART_CNT];
	__u32 cnt = 0, one;

	for (enum wire_part p = 0; p < WIRE_PART_CNT; p++)
		if (wanted & 1u << p && parts->off[p] < parts->off[p + 1])
			some[cnt++] = p;
	if (!cnt)
		return false;
	*part = some[scale(at, cnt)];
	at *= cnt;		/* the rest of the choice above */
	one = (parts->off[*part + 1] - parts->off[*part]) * 8;
	*bit = parts->off[*part] * 8 + scale(at, one);
	return true;
}

__u32 wire_cut_sz(__u32 frame_sz, __u32 at)
{
	pt_check(frame_sz > WIRE_CUT_MIN);
	return WIRE_CUT_MIN + scale(at, frame_sz - WIRE_CUT_MIN);
}
