// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_hold.h"

#include <pagetrim/check.h>
#include <string.h>

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
	h->held[h->held_cnt++] = (struct wire_held){
		.item = item,
		.due = hold == WIRE_HOLD_TIME ? ~0ULL
					      : h->arrived[lane] + hold,
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
	__u64 first_ns = ~0ULL;

	for (__u32 i = 0; i < h->held_cnt; i++)
		if (h->held[i].deadline_ns < first_ns)
			first_ns = h->held[i].deadline_ns;
	return first_ns;
}
