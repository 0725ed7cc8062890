/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reorder: the reordering window of a lane, the time for which a gap stays open
 * before its numbers are missing.
 *
 *   0        decided          arrived_end             top
 *   |-----------|-----------------|--------------------|-----> seq
 *                gaps: a later one  tail: SYNC says that
 *                came already       these were sent
 *
 * A gap is due one window after a later number came.  Numbers of the tail are
 * due when the lane has been silent for a window.  SYNC travels on the control
 * channel, which may be faster than the frames' path, so the tail's window
 * covers that lag, too.  Before the first frame the lag is unknown, and the
 * tail's window is the longest.
 *
 * Both windows adapt to numbers that came out of order, in time or late: twice
 * the longest wait of this period and the previous one, at least the caller's
 * floor, at most PT_REORDER_MAX_NS.  A period has at least PT_REORDER_KEEP
 * windows: for gaps, windows in which frames came; for the tail, windows in
 * which a SYNC could be compared.
 *
 * Pure: no clock.  All times are of one clock, in ns.  Threads: no locks; one
 * at a time.  Source: RFC 8985 (RACK-TLP), 3.3.2 and 6.2: a window that grows
 * on evidence of reordering, and persists.  RACK cannot measure a wait, and
 * grows it by steps.
 */
#ifndef RXQ_REORDER_H
#define RXQ_REORDER_H

#include <linux/types.h>

#define PT_REORDER_MAX_NS	200000000ULL	/* the longest window */
#define PT_REORDER_MARKS	64		/* kept, due or not */
#define PT_REORDER_KEEP		16

/* pt_reorder_marks: the times since when numbers are open.  Mark i is in slot i
 * % PT_REORDER_MARKS; ends and times only grow. */
struct pt_reorder_marks {
	struct {
		__u64 end;	/* numbers below it are open ... */
		__u64 ns;	/* ... since this time, at the latest */
	} at[PT_REORDER_MARKS];
	__u64 cnt;		/* marks made; the last PT_REORDER_MARKS are
				 * kept */
};

/* pt_reorder_peak: the longest wait of this period and of the previous one. */
struct pt_reorder_peak {
	__u64 this_ns;
	__u64 last_ns;
	__u64 since_ns;		/* start of this period, or of its present
				 * window */
	__u32 window_cnt;	/* windows of this period, if they are
				 * counted */
};

/* pt_reorder: all zero before the lane's first frame. */
struct pt_reorder {
	__u64 floor_ns;		/* set by the caller: the shortest window */
	__u64 arrived_end;	/* one above the highest number that came */
	__u64 arrived_ns;	/* when that came */
	__u64 said_end;		/* end of the last SYNC above that, ... */
	__u64 said_ns;		/* ... which came then */
	struct pt_reorder_marks gaps;
	__u64 due_cnt;		/* of the due marks */
	struct pt_reorder_marks tails;
	struct pt_reorder_peak gap;
	struct pt_reorder_peak lag;
};

/* pt_reorder_came notes that seq came at came_ns for the first time.
 * pt_reorder_said notes a SYNC: all numbers below end were sent. */
void pt_reorder_came(struct pt_reorder *r, __u64 seq, __u64 came_ns);
void pt_reorder_said(struct pt_reorder *r, __u64 end, __u64 now_ns);

/* pt_reorder_look notes the gaps that are open at now_ns: all numbers below
 * decided came or were called missing. */
void pt_reorder_look(struct pt_reorder *r, __u64 decided, __u64 now_ns);

/* pt_reorder_due returns the end of the due numbers, given that all arrivals up
 * to seen_ns are known; 0: none is due.  A tail stays due until a frame
 * comes. */
__u64 pt_reorder_due(struct pt_reorder *r, __u64 seen_ns);

/* The windows for a gap, and for the tail, which is no shorter. */
__u64 pt_reorder_gap_ns(const struct pt_reorder *r);
__u64 pt_reorder_tail_ns(const struct pt_reorder *r);

#endif
