/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_plan: which frames the test wire disturbs, what it does to them, and
 * when one that it holds back goes on.  Pure: no clock, no random source, no
 * I/O.
 *
 * The verdict depends on (seed, lane, seq, copy) alone.  So the timing of a
 * run moves no verdict, and what was dropped or repeated can be told
 * afterwards from the seed.
 *
 * Threads: no locks; a hold belongs to one thread.
 */
#ifndef WIRE_PLAN_H
#define WIRE_PLAN_H

#include <linux/types.h>
#include <pagetrim/wire.h>
#include <stdbool.h>
#include <stddef.h>

#define WIRE_PM_MAX	1000	/* per mille: all */
#define WIRE_SPAN_MAX	1024	/* frames that may overtake a held one */
#define WIRE_HELD_MAX	2048	/* frames held back at once in one direction */

enum wire_class {
	WIRE_OTHER,		/* not pagetrim's */
	WIRE_PROBE,
	WIRE_DATA,
};

/* wire_id: which frame of the transfer, whatever its content. */
struct wire_id {
	__u16 lane;		/* 0..PT_LANES_MAX - 1 */
	__u64 seq;
};

/* wire_classify looks at the first sz bytes of an Ethernet frame; port is the
 * UDP destination port of pagetrim's.  Looks no closer than it must: whether
 * the frame is sound is for the hosts to judge.  Sets *id for WIRE_DATA. */
enum wire_class wire_classify(const void *frame, size_t sz, __u16 port,
			      struct wire_id *id);

/* wire_plan: rates in per mille of the frames judged, 0..WIRE_PM_MAX. */
struct wire_plan {
	__u64 seed;
	__u32 drop_pm;
	__u32 repeat_pm;	/* frames that travel twice */
	__u32 reorder_pm;	/* frames held back */
	__u32 reorder_span;	/* 1..WIRE_SPAN_MAX: a held frame is overtaken
				 * by 1..reorder_span later ones of its lane */
};

struct wire_verdict {
	bool drop;		/* this copy goes no further */
	bool repeat;		/* copy 0 only: copy 1 follows */
	__u32 hold;		/* 0, or how many later frames overtake it */
};

/* wire_plan_judge tells what becomes of a copy of a frame: copy 0 is the one
 * that came in, copy 1 the one that the wire itself adds.  drop and hold never
 * stand together. */
struct wire_verdict wire_plan_judge(const struct wire_plan *plan,
				    const struct wire_id *id, __u32 copy);

/* wire_held: a frame that waits.  item is the caller's. */
struct wire_held {
	void *item;
	__u64 due;		/* goes when this many frames of the lane came */
	__u64 deadline_ns;	/* and then at the latest */
	__u16 lane;
};

/* wire_hold: the frames of one direction that wait, oldest first.  All zero
 * is an empty one. */
struct wire_hold {
	struct wire_held held[WIRE_HELD_MAX];
	__u32 held_cnt;
	__u64 arrived[PT_LANES_MAX];	/* frames of the lane, held or not */
};

/* wire_hold_arrive counts a frame of the lane that came in and was not
 * dropped.  Call it before the frame itself is put, then take what is due. */
void wire_hold_arrive(struct wire_hold *h, __u16 lane);

/* wire_hold_put keeps item until hold later frames of its lane have arrived,
 * or deadline_ns has come.  Deadlines never go backwards.  False: full. */
bool wire_hold_put(struct wire_hold *h, __u16 lane, void *item, __u32 hold,
		   __u64 deadline_ns);

/* wire_hold_take removes and returns an item that is due at now_ns, the oldest
 * first; NULL: none is. */
void *wire_hold_take(struct wire_hold *h, __u64 now_ns);

/* wire_hold_deadline_ns: when the next frame goes even if none arrives;
 * ~0 when none is held. */
__u64 wire_hold_deadline_ns(const struct wire_hold *h);

#endif
