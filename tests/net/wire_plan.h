/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_plan: the frames that the test wire disturbs, and how.  Pure: no clock,
 * no random source, no I/O.
 *
 * The verdict depends on (seed, lane, seq, copy) alone.  So the timing of a run
 * moves no verdict, and the seed shows afterwards which frames were dropped,
 * repeated or damaged.
 */
#ifndef WIRE_PLAN_H
#define WIRE_PLAN_H

#include <linux/types.h>
#include <pagetrim/wire.h>
#include <stdbool.h>

#define WIRE_PM_MAX	1000	/* per mille: all */
#define WIRE_SPAN_MAX	1024	/* frames that may overtake a held one */
#define WIRE_BURST_MAX	1024	/* frames in a row with the same verdict */

/* wire_id: which frame of the transfer, whatever its content. */
struct wire_id {
	__u16 lane;		/* 0..PT_LANES_MAX - 1 */
	__u64 seq;
};

#define WIRE_REPEATS_MAX	15

/* wire_plan: rates in per mille of the frames judged, 0..WIRE_PM_MAX. */
struct wire_plan {
	__u64 seed;
	__u32 drop_pm;
	__u32 repeat_pm;	/* frames that travel more than once */
	__u32 repeat_cnt;	/* copies that are added to those, up to
				 * WIRE_REPEATS_MAX; 0: one */
	__u32 reorder_pm;	/* frames held back */
	__u32 reorder_span;	/* 1..WIRE_SPAN_MAX: a held frame is overtaken
				 * by 1..reorder_span later ones of its lane */
	__u32 delay_pm;		/* frames that come later, */
	__u32 delay_least_us;	/* by delay_least_us..delay_us, neither 0 */
	__u32 delay_us;
	__u32 cut_pm;		/* frames that lose their end */
	__u32 flip_pm;		/* frames of which one bit changes */
	__u32 burst_cnt;	/* 1..WIRE_BURST_MAX frames of a lane in a row
				 * fare alike: the rates are those of bursts */
	__u32 only_lane;	/* lane only_lane - 1 alone is disturbed; 0: all
				 * are */
};

/* wire_verdict: a dropped copy has no other fault; one that is cut is not
 * flipped; one that is held is not delayed. */
struct wire_verdict {
	bool drop;		/* this copy goes no further */
	__u32 repeat_cnt;	/* copy 0 only: so many copies follow */
	bool cut;		/* at: how much of it stays */
	bool flip;		/* at: which bit */
	__u32 at;		/* 0..2^32 - 1, from first to last */
	__u32 hold;		/* 0, or how many later frames overtake it */
	__u32 delay_us;
};

/* wire_plan_judge returns the verdict on a copy of a frame: copy 0 is the one
 * that came in, the others are those that the wire itself adds. */
struct wire_verdict wire_plan_judge(const struct wire_plan *plan,
				    const struct wire_id *id, __u32 copy);

#endif
