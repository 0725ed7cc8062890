/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* placer: places the frames of one lane in the sink, in the order in which they
 * were accepted.
 *
 * Placing reads and writes the sink, so it may wait for storage for any time.
 * If storage is memory (a tmpfs, a hugetlbfs) there is no wait, and the queue's
 * thread places at once.  Elsewhere each lane has a thread that places: queue,
 * control and other lanes never wait for it.
 *
 *     queue's thread                          its thread
 *       take, take, ... push ==list==>  wait, place, flush, count
 *            ^                                     |
 *            +--- (depot) chunks that are free <---+
 *
 * Both have one interface; only the thread differs.  A lane keeps its placer
 * when it moves to another queue, which preserves the order.
 *
 * Bound: the queue refuses frames of a lane that holds more than its share of
 * the queue's chunks, see pt_placer_held_cnt.  Threads: the thread of the
 * lane's queue calls take and push, under its lock; one thread calls stop and
 * destroy; any thread calls the others.
 */
#ifndef RXQ_PLACER_H
#define RXQ_PLACER_H

#include <stdbool.h>

#include "base/stages.h"
#include "rxq/depot.h"
#include "wire/reader.h"

struct pt_placer;
struct pt_rx_lane;

/* pt_placer_create: apart: it has a thread.  The lane and its intake, rebuild
 * and sink outlive it.
 *   -ENOMEM, -EAGAIN  no memory, no thread */
int pt_placer_create(struct pt_placer **out, struct pt_rx_lane *lane,
		     bool apart);

/* pt_placer_judge returns whether the blocks of a checked frame can be
 * decompressed, by a method that both ends have; a frame that is not compressed
 * passes.  It is called before the frame's sequence number is taken, so that a
 * stranger's frame does not replace the sender's.  A sealed frame that fails, which
 * the sender made, ends the transfer, too.  A sealed frame that a thread will place is only
 * decompressed there.  reader: the frame, opened; take follows at once. */
bool pt_placer_judge(struct pt_placer *p, struct pt_reader *reader);

/* pt_placer_take places a checked frame that the lane has accepted, or keeps it
 * in a parcel of depot; then it returns true, and the caller no longer owns the
 * frame's chunks.  credit_desc: descriptors of credit that become free when it
 * is placed.  reader: the frame, opened. */
bool pt_placer_take(struct pt_placer *p, struct pt_depot *depot,
		    const struct pt_rx_frame *frame, struct pt_reader *reader,
		    __u32 credit_desc);

/* pt_placer_push ends a batch: the taken frames are written, or handed to the
 * thread.  taken_end: all accepted frames below it were taken. */
void pt_placer_push(struct pt_placer *p, __u64 taken_end);

/* pt_placer_is_idle: all pushed frames are placed, or dropped. */
bool pt_placer_is_idle(const struct pt_placer *p);

/* pt_placer_held_cnt returns the chunks of the waiting frames. */
__u32 pt_placer_held_cnt(const struct pt_placer *p);

/* pt_placer_waiting_desc returns the credit of the waiting frames.  Under the
 * queue's lock. */
__u32 pt_placer_waiting_desc(const struct pt_placer *p);

/* pt_placer_placed_upto: all accepted frames below it are placed, and perhaps
 * more. */
__u64 pt_placer_placed_upto(const struct pt_placer *p);

/* pt_placer_since_ns returns the start of its present work; 0: it is idle. */
__u64 pt_placer_since_ns(const struct pt_placer *p);

/* pt_placer_profile adds its thread's times, if it has a thread and the intake
 * is profiled. */
void pt_placer_profile(const struct pt_placer *p, struct pt_profile *out);

/* pt_placer_stop drops the waiting frames and tells the thread to end.  It does
 * not wait: a write in progress takes as long as it takes.  No take after
 * it. */
void pt_placer_stop(struct pt_placer *p);

/* pt_placer_destroy stops, waits for the thread, and frees.  NULL is
 * allowed. */
void pt_placer_destroy(struct pt_placer *p);

#endif
