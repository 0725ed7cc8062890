/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* placer: places the frames of one lane in the sink, in the order in which they
 * were accepted.
 *
 * Placing reads and writes the sink, so it waits for storage as long as that
 * takes.  Where storage is memory (a tmpfs, a hugetlbfs) nothing is waited for,
 * and the queue's thread places at once.  Elsewhere each lane has a thread that
 * places: queue and control never wait for it, nor does another lane.
 *
 *     queue's thread                          its thread
 *       take, take, ... push ==list==>  wait, place, flush, count
 *            ^                                     |
 *            +--- (depot) chunks that are free <---+
 *
 * One interface for both: who runs the placing is the only difference.  A lane
 * keeps its placer when it moves to another queue, so order is kept.
 *
 * Bound: the queue refuses frames of a lane that holds more than its share of the
 * queue's chunks, see pt_placer_held_cnt.
 * Threads: take and push by the thread of the queue that the lane is on, under
 * its lock; the rest by any but stop and destroy: by one.
 */
#ifndef RXQ_PLACER_H
#define RXQ_PLACER_H

#include <stdbool.h>

#include "base/stages.h"
#include "rxq/depot.h"
#include "wire/reader.h"

struct pt_placer;
struct pt_rx_lane;

/* pt_placer_create: apart: it has a thread.  The lane outlives it, and so do the
 * lane's intake, its rebuild and sink.
 *   -ENOMEM, -EAGAIN  no memory, no thread */
int pt_placer_create(struct pt_placer **out, struct pt_rx_lane *lane,
		     bool apart);

/* pt_placer_take places a checked frame that the lane has accepted, or keeps it
 * in a parcel of depot: then true, and the frame's chunks are not the caller's
 * any more.  credit_desc: descriptors of credit that are free once it is
 * placed.  reader: the frame, opened. */
bool pt_placer_take(struct pt_placer *p, struct pt_depot *depot,
		    const struct pt_rx_frame *frame, struct pt_reader *reader,
		    __u32 credit_desc);

/* pt_placer_push ends a batch: what was taken is written, or is its thread's.
 * upto: all frames that were accepted below were taken. */
void pt_placer_push(struct pt_placer *p, __u64 upto);

/* pt_placer_is_idle: all that was pushed is placed, or dropped. */
bool pt_placer_is_idle(const struct pt_placer *p);

/* pt_placer_held_cnt: chunks that what waits holds. */
__u32 pt_placer_held_cnt(const struct pt_placer *p);

/* pt_placer_waiting_desc: credit of what waits.  Under the queue's lock. */
__u32 pt_placer_waiting_desc(const struct pt_placer *p);

/* pt_placer_upto: all frames accepted below are placed; more may be. */
__u64 pt_placer_upto(const struct pt_placer *p);

/* pt_placer_since_ns: when it began what it is at now; 0: it is at nothing. */
__u64 pt_placer_since_ns(const struct pt_placer *p);

/* pt_placer_profile adds its thread, if it has one and the intake is profiled. */
void pt_placer_profile(const struct pt_placer *p, struct pt_profile *out);

/* pt_placer_stop drops what waits, and has the thread end.  Waits for nothing:
 * what is being written goes on as long as it takes.  No take after it. */
void pt_placer_stop(struct pt_placer *p);

/* pt_placer_destroy stops, waits for the thread, and frees.  NULL is fine. */
void pt_placer_destroy(struct pt_placer *p);

#endif
