/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stretch: decides how far a lane's flow-control window may exceed its share of
 * the RX ring.
 *
 * The ring drains while frames travel, so a path may hold more frames than the
 * ring does.  A path needs a window of the bytes that arrive in one round
 * trip.  A lane gets twice that, so that a sender that the window limits
 * doubles it with each round trip (dynamic right-sizing, as in TCP receivers),
 * while it stays constant for a sender with another limit.  On a LAN a round
 * trip brings less than the share, and nothing is stretched.
 *
 * The ring's fill is the limit: the frames that wait in it plus the chunks that
 * wait for storage, at the maximum since the last look:
 *
 *     LOW    grow
 *     HALF   of the queue's credit: do not grow
 *     NEAR   3/4 of it: halve
 *     FULL   of the ring: the kernel may have dropped frames; back to the share
 *
 * From half of the window that was too large it grows by an eighth per round.
 * A change of the window shows in the ring one round trip later, so a warning
 * counts once per round trip.
 *
 * After drops for lack of chunks the ring is full, and only its reader empties
 * it, so the kernel's drop counters are not needed.
 *
 * Pure: no clock.  Threads: one at a time.
 * Source: Fisk and Feng, "Dynamic Right-Sizing in TCP", 2001.
 */
#ifndef RXQ_STRETCH_H
#define RXQ_STRETCH_H

#include <stdbool.h>

#include <linux/types.h>

#define PT_STRETCH_MAX	8192	/* descriptors; a sender tracks as many
				 * frames */

enum pt_fill {
	PT_FILL_LOW,
	PT_FILL_HALF,
	PT_FILL_NEAR,
	PT_FILL_FULL,
};

/* pt_stretch: all zero for a new lane. */
struct pt_stretch {
	__u32 window;		/* descriptors; 0: not stretched */
	__u32 slow_from;	/* it doubles below this; 0: the ring never
				 * warned */
	__u64 warned_ns;	/* time of the last warning */
	bool is_used;		/* the window was above the share */
	enum pt_fill fill;	/* the maximum of this round, which ... */
	__u64 since_ns;		/* ... began then; 0: none did, ... */
	__u64 came_desc;	/* ... when so many descriptors had come */
};

/* pt_stretch_look: the inputs at now_ns. */
struct pt_stretch_look {
	__u64 now_ns;
	__u64 rtt_ns;		/* of the path, no queues; 0: not known */
	__u64 came_desc;	/* of the lane's new frames, since its start */
	__u32 share;		/* descriptors, of the queue's credit */
	enum pt_fill fill;	/* since the last look */
};

/* pt_stretch_fill judges fill_cnt descriptors of a ring of ring_cnt, batch_cnt
 * of which its reader may hold. */
enum pt_fill pt_stretch_fill(__u32 fill_cnt, __u32 credit, __u32 ring_cnt,
			     __u32 batch_cnt);

/* pt_stretch_take adapts the window; call it about once per millisecond. */
void pt_stretch_take(struct pt_stretch *s, const struct pt_stretch_look *look);

/* pt_stretch_window returns the window to grant to a lane of that share. */
static inline __u32 pt_stretch_window(const struct pt_stretch *s, __u32 share)
{
	return s->window > share ? s->window : share;
}

#endif
