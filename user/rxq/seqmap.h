/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* seqmap: the sequence numbers of a lane that the receiver took, called
 * missing, or still awaits.
 *
 *   0          decided                    top
 *   |-------------|------------------------|-----> seq
 *    taken/missing   taken or still open     not heard of
 *
 * Shape: a sliding window of PT_SEQMAP_SZ bits below top.  A number that has
 * left the window, or that jumps too far ahead, is out of range.
 * Threads: one queue's, no locks.
 */
#ifndef RXQ_SEQMAP_H
#define RXQ_SEQMAP_H

#include <linux/types.h>

#include "channel/messages.h"	/* struct pt_seq_range */

#define PT_SEQMAP_SZ	(1u << 17)	/* sequence numbers remembered */
#define PT_SEQ_AHEAD	(1u << 16)	/* the largest distance of a number past
					 * decided */

enum pt_seq {
	PT_SEQ_NEW,		/* taken now */
	PT_SEQ_LATE,		/* taken now, had been called missing */
	PT_SEQ_DUPLICATE,	/* taken before */
	PT_SEQ_OUT,		/* out of range: not taken */
};

struct pt_seqmap {
	__u64 decided;
	__u64 top;
	__u64 bits[PT_SEQMAP_SZ / 64];	/* 1: taken */
};

/* pt_seqmap_look returns what take would, and notes nothing. */
enum pt_seq pt_seqmap_look(struct pt_seqmap *m, __u64 seq);

/* pt_seqmap_take notes that seq arrived and returns its state. */
enum pt_seq pt_seqmap_take(struct pt_seqmap *m, __u64 seq);

/* pt_seqmap_raise: the sender states that all numbers below top were sent.  A
 * top out of range is clipped. */
void pt_seqmap_raise(struct pt_seqmap *m, __u64 top);

/* pt_seqmap_advance moves decided over taken numbers up to the first gap. */
void pt_seqmap_advance(struct pt_seqmap *m);

/* pt_seqmap_decide calls open numbers below end missing, writes their ranges,
 * at most max, moves decided accordingly (short of end if ranges ran out) and
 * returns the count of ranges. */
__u32 pt_seqmap_decide(struct pt_seqmap *m, __u64 end,
		       struct pt_seq_range *ranges, __u32 max);

#endif
