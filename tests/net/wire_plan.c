// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_plan.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/if_ether.h>
#include <pagetrim/check.h>
#include <string.h>

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

enum wire_class wire_classify(const void *frame, size_t sz, __u16 port,
			      struct wire_id *id)
{
	const __u8 *end = (const __u8 *)frame + sz;
	const __u8 *udp = udp_find(frame, end);
	const struct pt_frame_hdr *h;	/* packed: may stand anywhere */

	if (!udp || be16_at(udp + 2) != port)
		return WIRE_OTHER;
	h = (const void *)(udp + UDP_SZ);
	if ((const __u8 *)(h + 1) > end || h->magic != htonl(PT_FRAME_MAGIC))
		return WIRE_OTHER;
	if (h->kind == PT_FRAME_PROBE)
		return WIRE_PROBE;
	id->lane = ntohs(h->lane);
	id->seq = be64toh(h->seq);
	if (h->kind != PT_FRAME_DATA || id->lane >= PT_LANES_MAX)
		return WIRE_OTHER;
	return WIRE_DATA;
}

/* What is drawn for a frame.  Each draw has its own number, so that a higher
 * loss rate changes no other verdict of the same seed. */
enum draw {
	DRAW_DROP = 1,
	DRAW_REPEAT,
	DRAW_REORDER,
	DRAW_SPAN,
};

/* mix: the finalizer of SplitMix64, a bijection in which every input bit moves
 * every output bit. */
static __u64 mix(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* draw: a number below limit, the same for the same arguments for ever. */
static __u32 draw(const struct wire_plan *plan, const struct wire_id *id,
		  __u32 copy, enum draw what, __u32 limit)
{
	__u64 x = mix(plan->seed + 0x9e3779b97f4a7c15ULL);

	x = mix(x ^ id->seq);
	x = mix(x ^ ((__u64)id->lane << 40 | (__u64)what << 32 | copy));
	return (x >> 32) * limit >> 32;
}

struct wire_verdict wire_plan_judge(const struct wire_plan *plan,
				    const struct wire_id *id, __u32 copy)
{
	struct wire_verdict v = { 0 };

	v.repeat = copy == 0 &&
		   draw(plan, id, copy, DRAW_REPEAT, WIRE_PM_MAX) <
			   plan->repeat_pm;
	v.drop = draw(plan, id, copy, DRAW_DROP, WIRE_PM_MAX) < plan->drop_pm;
	if (v.drop)
		return v;
	if (draw(plan, id, copy, DRAW_REORDER, WIRE_PM_MAX) < plan->reorder_pm)
		v.hold = 1 + draw(plan, id, copy, DRAW_SPAN,
				  plan->reorder_span);
	return v;
}

void wire_hold_arrive(struct wire_hold *h, __u16 lane)
{
	pt_check(lane < PT_LANES_MAX);
	h->arrived[lane]++;
}

bool wire_hold_put(struct wire_hold *h, __u16 lane, void *item, __u32 hold,
		   __u64 deadline_ns)
{
	pt_check(lane < PT_LANES_MAX);
	pt_check(hold > 0);
	if (h->held_cnt == WIRE_HELD_MAX)
		return false;
	if (h->held_cnt)
		pt_check(h->held[h->held_cnt - 1].deadline_ns <= deadline_ns);
	h->held[h->held_cnt++] = (struct wire_held){
		.item = item,
		.due = h->arrived[lane] + hold,
		.deadline_ns = deadline_ns,
		.lane = lane,
	};
	return true;
}

void *wire_hold_take(struct wire_hold *h, __u64 now_ns)
{
	for (__u32 i = 0; i < h->held_cnt; i++) {
		struct wire_held *held = &h->held[i];
		void *item = held->item;

		if (h->arrived[held->lane] < held->due &&
		    now_ns < held->deadline_ns)
			continue;
		h->held_cnt--;
		memmove(held, held + 1, (h->held_cnt - i) * sizeof(*held));
		return item;
	}
	return NULL;
}

__u64 wire_hold_deadline_ns(const struct wire_hold *h)
{
	return h->held_cnt ? h->held[0].deadline_ns : ~0ULL;
}
