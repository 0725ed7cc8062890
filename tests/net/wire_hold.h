/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_hold: the frames that the test wire keeps back, and when each is sent:
 * when enough later ones of its lane have come, or at its deadline.  Pure: no
 * clock, no I/O.
 *
 * Threads: no locks; a hold belongs to one thread.
 */
#ifndef WIRE_HOLD_H
#define WIRE_HOLD_H

#include <linux/types.h>
#include <pagetrim/wire.h>
#include <stdbool.h>

#define WIRE_HELD_MAX	2048	/* frames held back at once in one direction */

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

#define WIRE_HOLD_TIME	(~0U)	/* as hold: only its deadline ends it */

/* wire_hold_put keeps item until hold (not 0) later frames of its lane have
 * arrived, or deadline_ns has come.  False: full. */
bool wire_hold_put(struct wire_hold *h, __u16 lane, void *item, __u32 hold,
		   __u64 deadline_ns);

/* wire_hold_take removes and returns an item that is due at now_ns, the oldest
 * first; NULL: none is. */
void *wire_hold_take(struct wire_hold *h, __u64 now_ns);

/* wire_hold_deadline_ns: when the next frame goes even if none arrives;
 * ~0 when none is held. */
__u64 wire_hold_deadline_ns(const struct wire_hold *h);

#endif
