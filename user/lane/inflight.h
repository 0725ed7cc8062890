/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* inflight: the contents of each unacknowledged frame, so that a lost frame's
 * pages can be made dirty again.
 *
 * Shape: a ring of frames in order of sequence number, and a ring of their
 * extents (runs of guest pages).  Both bounded; a full ring is backpressure.
 *
 *    cum_ack                           next
 *   ----|--------------------------------|----> seq
 *  decided      in flight (kept here)      not sent
 *
 * Threads: one lane's, no locks.
 */
#ifndef LANE_INFLIGHT_H
#define LANE_INFLIGHT_H

#include <stdbool.h>
#include <linux/types.h>
#include <pagetrim/wire.h>

struct pt_inflight;

struct pt_extent {
	__u64 gfn;
	__u64 page_cnt;
};

struct pt_inflight_cfg {
	__u32 frame_cnt;	/* frames at most; a power of two */
	__u32 extent_cnt;	/* extents at most; a power of two,
				 * >= 2 * PT_RECORDS_MAX */
};

/* -EINVAL: cfg out of range; -ENOMEM. */
int pt_inflight_create(struct pt_inflight **out,
		       const struct pt_inflight_cfg *cfg);
void pt_inflight_destroy(struct pt_inflight *f);

/* pt_inflight_has_room: a frame of PT_RECORDS_MAX extents fits. */
bool pt_inflight_has_room(const struct pt_inflight *f);

/* pt_inflight_push appends the frame next_seq of frame_sz bytes, which took
 * desc_cnt descriptors of credit and goes at sent_ns, and returns its sequence number. */
__u64 pt_inflight_push(struct pt_inflight *f, __u32 frame_sz, __u32 desc_cnt,
		       __u64 sent_ns, const struct pt_extent *extents,
		       __u32 extent_cnt);

/* pt_inflight_sent_ns returns the sending time of frame seq; 0 if it is not in
 * flight. */
__u64 pt_inflight_sent_ns(const struct pt_inflight *f, __u64 seq);

__u64 pt_inflight_cum_ack(const struct pt_inflight *f);
__u64 pt_inflight_next_seq(const struct pt_inflight *f);
bool pt_inflight_is_empty(const struct pt_inflight *f);

/* pt_inflight_extents returns the extents of frame seq, and its credit, or
 * NULL if seq is not in flight: a peer's mistake, not ours. */
const struct pt_extent *pt_inflight_extents(const struct pt_inflight *f,
					    __u64 seq, __u32 *extent_cnt,
					    __u32 *desc_cnt);

/* pt_inflight_lost notes that the frame seq, which is in flight, was lost, and
 * returns its size in bytes. */
__u32 pt_inflight_lost(struct pt_inflight *f, __u64 seq);

/* pt_inflight_came returns the size of the largest frame in flight below
 * cum_ack that was not noted as lost; 0: there is none. */
__u32 pt_inflight_came(const struct pt_inflight *f, __u64 cum_ack);

/* pt_inflight_release forgets the frames below cum_ack.  -EPROTO if cum_ack
 * goes backwards or past the sent frames. */
int pt_inflight_release(struct pt_inflight *f, __u64 cum_ack);

#endif
