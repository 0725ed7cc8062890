/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_lane: the receiver's state of one lane: frames that came, frames that are
 * missing, the freed credit, and the ACK for them.
 *
 * Credit is counted in RX descriptors, or in pages to place where a frame has more
 * (wire/descriptors.h).  A taken frame frees its own credit; the
 * sender computes the credit of missing frames from the reported ranges.  A
 * late or repeated frame frees nothing, since its credit was freed before.  A
 * frame that waits for storage keeps its credit until it is placed.
 *
 * Threads: one at a time, under the lock of the lane's queue, except for its
 * placer's fields.
 */
#ifndef RXQ_RX_LANE_H
#define RXQ_RX_LANE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "rebuild/rebuild.h"
#include "rxq/reorder.h"
#include "rxq/seqmap.h"
#include "rxq/stretch.h"
#include "seal/seal.h"

#define PT_REORDER_MIN_NS	5000000ULL	/* the shortest reordering window */

struct pt_intake;
struct pt_placer;

struct pt_rx_lane {
	struct pt_intake *intake;	/* the session's */
	struct pt_placer *placer;	/* NULL: tests have none */
	__u16 lane_idx;
	__u16 queue;			/* PT_QUEUE_ANY: none yet */
	_Atomic __u32 window;		/* descriptors granted; read by control */
	__u32 share;			/* of the queue's credit: the part of
					 * window that surely fits into the
					 * ring */
	struct pt_stretch stretch;	/* how far window may be above it */
	__u64 wanted_ns;		/* time of its last frame, or of its
					 * start; 0: never on a queue */
	struct pt_seal *seal;		/* opens its data frames; NULL: they
					 * are not sealed */
	struct pt_seal *probe_seal;	/* opens its probes, on any queue, under
					 * the intake's probe_lock */

	struct pt_seqmap seqs;
	struct pt_reorder reorder;
	__u64 due_end;			/* numbers below are reported missing
					 * when an ACK has room for them */
	__u64 freed_desc;		/* part of it whose frames wait to be
					 * placed, ... */
	__u32 waiting_desc;		/* ... as pt_rx_lane_look saw it */
	bool is_waiting;		/* some frame waits; all accepted ones
					 * ... */
	__u64 placed_upto;		/* ... below are placed, if so */
	__u64 arrived_sz;		/* bytes of frames, without late
					 * ones, */
	__u64 arrived_ns;		/* the last of which came then, and the */
	__u64 top;			/* one with the highest number, top - 1, */
	__u64 top_ns;			/* then */
	struct pt_seq_range missing_ranges[PT_MISSING_MAX];
	__u32 missing_range_cnt;	/* not yet reported to the sender */

	_Atomic __u64 told_sz;		/* arrived_sz of the last report; any
					 * thread */
	bool is_ahead;			/* the intake's, as of this ACK */
	struct {			/* the last report to the sender */
		__u64 cum_ack;
		__u64 freed_desc;
		__u32 window;
		__u64 placed_upto;
	} told;

	/* For control, to find a lane whose path was lost. */
	__u64 looked_accepted;		/* accepted at the last look; ~0: none
					 * since LANE_SET */
	bool is_deaf;			/* no frame was accepted between two
					 * looks */
	bool is_asked;			/* REPROBE was sent, LANE_SET is due */

	/* For the ledger. */
	__u64 received, accepted, duplicate, late, missing;
	__u64 refused_auth, refused_record, refused_window, refused_unit;
	__u64 records;
	_Atomic __u64 probes;		/* on any queue, counted by its
					 * thread */

	__u64 probe_end;		/* one above the highest number of its
					 * probes; under the intake's ... */
	__u64 probes_seen;		/* bit i: probe_end - 1 - i came; ...
					 * probe_lock, both */
	struct {			/* written by the placing thread; read
					 * by any */
		_Atomic __u64 placed;
		_Atomic __u64 stale;
		_Atomic __u64 refused;
		_Atomic __u64 bytes;
		_Atomic __u64 no_unit;	/* accepted frames that were then found
					 * not to be placeable, and ... */
		_Atomic __u64 no_unit_records;	/* ... their records */
	} placed;			/* see struct pt_rebuild_counts */
	struct pt_page_sum sum;		/* of its present page; the placing
					 * thread's, too */
};

/* pt_rx_lane_placed adds a frame's counts; the placing thread calls it. */
void pt_rx_lane_placed(struct pt_rx_lane *l,
		       const struct pt_rebuild_counts *counts);

/* pt_rx_lane_no_unit counts an accepted frame of record_cnt records whose unit
 * cannot be decompressed, as refused; the placing thread calls it. */
void pt_rx_lane_no_unit(struct pt_rx_lane *l, __u32 record_cnt);

/* pt_rx_lane_look reads how much is placed; the lane's values are those of the
 * last look. */
void pt_rx_lane_look(struct pt_rx_lane *l);

/* pt_rx_lane_take notes the arrival of a sound frame charged desc_cnt, which
 * came at came_ns or later. */
enum pt_seq pt_rx_lane_take(struct pt_rx_lane *l, __u64 seq, __u32 desc_cnt,
			    __u64 came_ns);

/* pt_rx_lane_arrived notes for the congestion controller that a new frame of sz
 * bytes came at now_ns.  Late frames are left out, since they were called
 * missing. */
static inline void pt_rx_lane_arrived(struct pt_rx_lane *l, __u64 seq, __u32 sz,
				      __u64 now_ns)
{
	l->arrived_sz += sz;
	l->arrived_ns = now_ns;
	if (seq < l->top)
		return;
	l->top = seq + 1;
	l->top_ns = now_ns;
}

/* pt_rx_lane_sync: the sender states that all numbers below seq_end were
 * sent. */
void pt_rx_lane_sync(struct pt_rx_lane *l, __u64 seq_end, __u64 now_ns);

/* pt_rx_lane_tick_at calls gaps missing that are older than the reordering
 * window, of at least reorder_min_ns, as of seen_ns: all frames that had arrived
 * by then were taken.  pt_rx_lane_tick does so as of now. */
void pt_rx_lane_tick_at(struct pt_rx_lane *l, __u64 seen_ns, __u64 now_ns,
			__u64 reorder_min_ns);

static inline void pt_rx_lane_tick(struct pt_rx_lane *l, __u64 now_ns,
				   __u64 reorder_min_ns)
{
	pt_rx_lane_tick_at(l, now_ns, now_ns, reorder_min_ns);
}

/* pt_rx_lane_probe_is_new notes an authentic probe.  False: it came before, or
 * is older than the 64 before the newest. */
bool pt_rx_lane_probe_is_new(struct pt_rx_lane *l, __u64 probe);

/* pt_rx_lane_is_open: numbers are still undecided, so ticks are needed. */
static inline bool pt_rx_lane_is_open(const struct pt_rx_lane *l)
{
	return l->seqs.decided < l->seqs.top || l->missing_range_cnt;
}

/* pt_rx_lane_has_news: there are changes since the last report.  is_urgent:
 * they should not wait for the next tick. */
bool pt_rx_lane_has_news(const struct pt_rx_lane *l);
bool pt_rx_lane_is_urgent(const struct pt_rx_lane *l);

/* pt_rx_lane_ack writes the ACK; pt_rx_lane_told notes that it was queued. */
void pt_rx_lane_ack(const struct pt_rx_lane *l, struct pt_message *m);
void pt_rx_lane_told(struct pt_rx_lane *l);

#endif
