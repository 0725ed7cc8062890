/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* chooser: decides by which method a lane compresses, from the rates that it
 * reaches.
 *
 * Neither the path's rate nor a CPU's tells whether compression pays: the limit
 * may also be the receiver's storage, or a CPU that a guest shares.  So the chooser
 * measures how many bytes of blocks leave per second by each method:
 *
 *     MEASURE the present method for an epoch
 *        '--> SAMPLE another one: a few frames, for its speed and ratio.  Could it
 *             be faster, on a path of the present rate, in a lane that is as busy
 *             as now?
 *                '--> TRY it for an epoch.  Was it faster?
 *                        '--> CONFIRM: the former method once more, since others
 *                             use path and CPUs, too; the faster one stays
 *        '--> ... the next one ...
 *        '--> REST for twenty epochs, then again
 *
 * A method that a CPU limits is not tried: a path that is faster than a CPU costs
 * a few compressed frames per REST.  Plain frames are tried, without a sample, as
 * soon as compression is what limits here, and else in each eighth cycle: it may
 * limit at the receiver.  Time without data is no sample, and no rest.
 *
 * A chooser that only observes tries nothing: its choice is the fastest method by the
 * samples, until the next cycle.
 *
 * Pure: no clock, no memory of its own, no thread.
 */
#ifndef LANE_CHOOSER_H
#define LANE_CHOOSER_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/wire.h>

#define PT_CHOOSER_EPOCH_NS	50000000ULL	/* at least, and three round trips */

enum pt_chooser_step {
	PT_CHOOSER_MEASURE,
	PT_CHOOSER_SAMPLE,
	PT_CHOOSER_TRY,
	PT_CHOOSER_CONFIRM,
	PT_CHOOSER_REST,
};

/* pt_chooser_rates: an epoch's, per second. */
struct pt_chooser_rates {
	__u64 raw;		/* bytes of blocks, before compression */
	__u64 wire;		/* bytes of frames */
	__u64 cpu;		/* bytes of blocks, had the lane neither waited nor
				 * compressed; 0: no limit */
	bool is_cpu_bound;	/* compression took much of the time */
};

struct pt_chooser {		/* callers read method, choice and switch_cnt */
	enum pt_compression method;	/* of the next frame */
	enum pt_compression choice;	/* that a chooser which only observes would
					 * have made */
	__u64 switch_cnt;	/* of best, or of choice */
	bool observes;
	enum pt_chooser_step step;
	enum pt_compression best;
	enum pt_compression other;	/* that is sampled or tried */
	enum pt_compression found;	/* the next choice, and its rate */
	__u64 found_raw;
	__u8 methods;		/* 1 << enum pt_compression of the allowed ones */
	struct pt_chooser_rates best_rates, other_rates;
	__u64 epoch_ns;
	__u64 sent_ns;		/* of the last frame */
	__u64 began_ns;		/* of the step, or of the part of a rest behind a
				 * break; 0: with the next frame */
	__u64 rested_ns;	/* of a rest, before that */
	bool counts;		/* the step's first third is over */
	__u64 raw_sz, wire_sz, pack_ns, wait_ns;	/* since then */
	__u32 frame_cnt;
	__u32 plain_cnt;	/* cycles since plain frames were best */
};

/* pt_chooser_init: methods as above; none is always allowed. */
void pt_chooser_init(struct pt_chooser *c, __u8 methods, bool observes);

/* pt_chooser_set_rtt: epochs are at least three round trips long. */
void pt_chooser_set_rtt(struct pt_chooser *c, __u64 rtt_ns);

/* pt_chooser_frame is told of each frame that was sent by c->method, or only
 * compressed by it while the chooser observes: the bytes of
 * its blocks, those of the frame, and the times that compressing them took, and that
 * the lane has waited since the frame before. */
void pt_chooser_frame(struct pt_chooser *c, __u64 now_ns, __u32 raw_sz,
		     __u32 wire_sz, __u64 pack_ns, __u64 wait_ns);

/* pt_chooser_break: nothing was sent for a while, or will be.  May be called again
 * and again. */
void pt_chooser_break(struct pt_chooser *c);

#endif
