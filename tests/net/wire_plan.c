// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_plan.h"

/* The draws for a frame.  Each draw has its own number, so that a higher loss
 * rate changes no other verdict of the same seed. */
enum draw {
	DRAW_DROP = 1,
	DRAW_REPEAT,
	DRAW_REORDER,
	DRAW_SPAN,
	DRAW_DELAY,
	DRAW_DELAY_US,
	DRAW_CUT,
	DRAW_FLIP,
	DRAW_AT,
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
		  __u32 copy, enum draw what, __u64 limit)
{
	__u64 x = mix(plan->seed + 0x9e3779b97f4a7c15ULL);

	x = mix(x ^ id->seq);
	x = mix(x ^ ((__u64)id->lane << 40 | (__u64)what << 32 | copy));
	return (x >> 32) * limit >> 32;
}

/* hits: whether a fault of that rate strikes the frame, with all of its
 * burst. */
static bool hits(const struct wire_plan *plan, const struct wire_id *id,
		 __u32 copy, enum draw what, __u32 rate_pm)
{
	const struct wire_id burst = {
		.lane = id->lane,
		.seq = plan->burst_cnt ? id->seq / plan->burst_cnt : id->seq,
	};

	return draw(plan, &burst, copy, what, WIRE_PM_MAX) < rate_pm;
}

struct wire_verdict wire_plan_judge(const struct wire_plan *plan,
				    const struct wire_id *id, __u32 copy)
{
	struct wire_verdict v = { 0 };

	if (plan->only_lane && plan->only_lane - 1 != id->lane)
		return v;
	if (copy == 0 && hits(plan, id, copy, DRAW_REPEAT, plan->repeat_pm))
		v.repeat_cnt = plan->repeat_cnt ? plan->repeat_cnt : 1;
	v.drop = hits(plan, id, copy, DRAW_DROP, plan->drop_pm);
	if (v.drop)
		return v;
	v.cut = hits(plan, id, copy, DRAW_CUT, plan->cut_pm);
	v.flip = !v.cut && hits(plan, id, copy, DRAW_FLIP, plan->flip_pm);
	if (v.cut || v.flip)
		v.at = draw(plan, id, copy, DRAW_AT, 1ULL << 32);
	if (hits(plan, id, copy, DRAW_REORDER, plan->reorder_pm))
		v.hold = 1 + draw(plan, id, copy, DRAW_SPAN,
				  plan->reorder_span);
	else if (hits(plan, id, copy, DRAW_DELAY, plan->delay_pm))
		v.delay_us = plan->delay_least_us +
			     draw(plan, id, copy, DRAW_DELAY_US,
				  plan->delay_us + 1 - plan->delay_least_us);
	return v;
}
