/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stretch: how far a lane's flow-control window may exceed its share of the RX
 * ring.
 *
 * The ring drains while frames travel, so a path may hold more frames than the
 * ring does.  The window that a path needs is what arrives in one round trip;
 * a lane is granted twice that, so that a sender which is limited by the window
 * doubles it with each round trip (dynamic right-sizing, as TCP receivers do),
 * and one that is limited by something else leaves it as it is.  On a LAN a
 * round trip brings less than the share, and nothing is stretched.
 *
 * The ring says what it bears.  Its fill is what waits in it plus the chunks
 * that wait for storage, at the deepest since the last look:
 *
 *     LOW    grow
 *     HALF   of the queue's credit: do not grow
 *     NEAR   3/4 of it: halve
 *     FULL   of the ring: the kernel may have dropped frames; back to the share
 *
 * From half of the window that was too much it grows by an eighth a round.  What
 * the window is now shows in the ring a round trip later, so in between the same
 * warning is not heard twice.
 *
 * A kernel that dropped for want of chunks left a full ring behind, which only
 * its reader empties: its counters need not be asked.
 *
 * Pure: no clock.  Threads: one at a time.
 * Source: Fisk and Feng, "Dynamic Right-Sizing in TCP", 2001.
 */
#ifndef RXQ_STRETCH_H
#define RXQ_STRETCH_H

#include <stdbool.h>

#include <linux/types.h>

#define PT_STRETCH_MAX	8192	/* descriptors; a sender keeps as many frames */

enum pt_fill {
	PT_FILL_LOW,
	PT_FILL_HALF,
	PT_FILL_NEAR,
	PT_FILL_FULL,
};

/* pt_stretch: all zero is that of a lane that begins. */
struct pt_stretch {
	__u32 window;		/* descriptors; 0: not stretched */
	__u32 slow_from;	/* it doubles below; 0: the ring never warned */
	__u64 warned_ns;	/* when it did */
	bool is_used;		/* the window was above the share */
	enum pt_fill fill;	/* the deepest of this round, which ... */
	__u64 since_ns;		/* ... began then; 0: none did, ... */
	__u64 came_desc;	/* ... when so many descriptors had come */
};

/* pt_stretch_look: what is known at now_ns. */
struct pt_stretch_look {
	__u64 now_ns;
	__u64 rtt_ns;		/* of the path, no queues; 0: not known */
	__u64 came_desc;	/* of the lane's new frames, since its start */
	__u32 share;		/* descriptors, of the queue's credit */
	enum pt_fill fill;	/* since the last look */
};

/* pt_stretch_fill judges fill_cnt descriptors of a ring of ring_cnt, batch_cnt
 * of which may be in its reader's hands. */
enum pt_fill pt_stretch_fill(__u32 fill_cnt, __u32 credit, __u32 ring_cnt,
			     __u32 batch_cnt);

/* pt_stretch_take learns; to be called once a millisecond or so. */
void pt_stretch_take(struct pt_stretch *s, const struct pt_stretch_look *look);

/* pt_stretch_window returns the window to grant to a lane of that share. */
static inline __u32 pt_stretch_window(const struct pt_stretch *s, __u32 share)
{
	return s->window > share ? s->window : share;
}

#endif
