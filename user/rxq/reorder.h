/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reorder: the reordering window of a lane: how long a number that has not
 * come is waited for, before it is called missing.
 *
 *   0        decided          arrived_end             top
 *   |-----------|-----------------|--------------------|-----> seq
 *                gaps: a later one  tail: SYNC says that
 *                came already       these were sent
 *
 * A gap is due a window after a later number came.  Numbers of the tail are
 * due when the lane has been silent for a window; but SYNC travels on the
 * control connection, which may be faster than the frames' path, so their
 * window covers that lag, too.  Before anything came, the lag is not known and
 * the window of the tail is the longest.
 *
 * Both windows learn from numbers that came out of turn, in time or late: twice
 * the longest wait seen of late, at least a floor that the caller sets, at
 * most PT_REORDER_MAX_NS.  "Of late" is this period or the one before.  A
 * period has PT_REORDER_KEEP windows at least: for gaps, of a lane on which
 * something came; for the tail, windows in which a SYNC could be compared.
 *
 * Pure: no clock.  All times are of one clock, in ns.
 * Threads: no locks; one at a time.
 * Source: RFC 8985 (RACK-TLP), 3.3.2 and 6.2: a window that grows on evidence
 * of reordering, and persists.  It cannot measure a wait, and grows by steps.
 */
#ifndef RXQ_REORDER_H
#define RXQ_REORDER_H

#include <linux/types.h>

#define PT_REORDER_MAX_NS	200000000ULL	/* a window is never longer */
#define PT_REORDER_MARKS	64		/* kept, due or not */
#define PT_REORDER_KEEP		16

/* pt_reorder_marks: since when numbers are known to be open.  Mark i is in slot
 * i % PT_REORDER_MARKS; ends and times only rise. */
struct pt_reorder_marks {
	struct {
		__u64 end;	/* numbers below it are ... */
		__u64 ns;	/* ... since then, at the latest */
	} at[PT_REORDER_MARKS];
	__u64 cnt;		/* made; the last PT_REORDER_MARKS are kept */
};

/* pt_reorder_peak: the longest wait of this period and of the one before. */
struct pt_reorder_peak {
	__u64 this_ns;
	__u64 last_ns;
	__u64 since_ns;		/* this period, or this window of it, began */
	__u32 window_cnt;	/* of this period, if they are counted */
};

/* pt_reorder: all zero is one of a lane on which nothing came yet. */
struct pt_reorder {
	__u64 floor_ns;		/* the caller's: no window is shorter */
	__u64 arrived_end;	/* one above the highest number that came */
	__u64 arrived_ns;	/* when it did */
	__u64 said_end;		/* of the last SYNC above that, ... */
	__u64 said_ns;		/* ... which came then */
	struct pt_reorder_marks gaps;
	__u64 due_cnt;		/* of their marks */
	struct pt_reorder_marks tails;
	struct pt_reorder_peak gap;
	struct pt_reorder_peak lag;
};

/* pt_reorder_came learns of the number seq, which came at came_ns and for the
 * first time.  pt_reorder_said: a SYNC, that all below end were sent. */
void pt_reorder_came(struct pt_reorder *r, __u64 seq, __u64 came_ns);
void pt_reorder_said(struct pt_reorder *r, __u64 end, __u64 now_ns);

/* pt_reorder_look notes what gaps are open at now_ns: all below decided came or
 * were called missing. */
void pt_reorder_look(struct pt_reorder *r, __u64 decided, __u64 now_ns);

/* pt_reorder_due returns the end of what has become due, if all that had come by
 * seen_ns is known; 0: nothing has.  A tail stays due until something comes. */
__u64 pt_reorder_due(struct pt_reorder *r, __u64 seen_ns);

/* The windows: of a gap, and of the tail, which is no shorter. */
__u64 pt_reorder_gap_ns(const struct pt_reorder *r);
__u64 pt_reorder_tail_ns(const struct pt_reorder *r);

#endif
