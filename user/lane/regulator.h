/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* regulator: the one congestion controller that a transfer's lanes share, since
 * four lanes are not four flows.
 *
 * A lane takes leave for some frames at a time, returns unused leave, and
 * passes its ACKs on.  A peer without PT_CAP_ARRIVALS reports too little: then
 * the regulator is off, and always gives leave.
 *
 * Threads: any.  A lock is taken for an ACK, none to send.
 */
#ifndef LANE_REGULATOR_H
#define LANE_REGULATOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "lane/congestion.h"

#define PT_REGULATOR_BURST_NS	1000000ULL	/* that a late lane may make up
						 * for, */
#define PT_REGULATOR_FULL_NS	300000ULL	/* and a lane that the window
						 * held */
#define PT_REGULATOR_AHEAD_NS	100000ULL	/* too short for a nap */
#define PT_REGULATOR_LEAVE_NS	250000ULL	/* the most time of a leave,
						 * and */
#define PT_REGULATOR_LEAVE_SZ	(128u << 10)	/* its most bytes */
#define PT_REGULATOR_FULL	(~0ULL)

struct pt_regulator {
	pthread_mutex_t lock;
	struct pt_congestion cc;	/* under lock */
	struct {			/* of probes, under lock; 0: unknown */
		__u32 frame_sz;
		__u64 rtt_ns;
		__u64 bytes_per_s;
	} probed;
	bool is_begun;			/* an ACK has come; under lock */
	_Atomic bool is_on;
	_Atomic __u64 window;
	_Atomic __u64 bytes_per_s;
	_Atomic __u64 in_flight;	/* bytes that have leave or are on the way */
	_Atomic __u64 silence_ns;	/* longer than any ACK takes */
	_Atomic bool has_refused;	/* since the last ACK */
	_Atomic __u64 due_ns;		/* when all frames with leave may have
					 * gone */
};

/* pt_regulator_look: values for reports. */
struct pt_regulator_look {
	__u64 window;
	__u64 bytes_per_s;
	__u64 rtt_ns;		/* the minimum; 0: unknown */
	__u64 queue_ns;		/* recent queueing delay of frames */
	const char *mode;
};

void pt_regulator_init(struct pt_regulator *r);
void pt_regulator_destroy(struct pt_regulator *r);

/* pt_regulator_probed: a lane has a path for frames of frame_sz; other values
 * of 0 are unknown.  bytes_per_s: from the spacing of its probes' arrivals. */
void pt_regulator_probed(struct pt_regulator *r, __u32 frame_sz, __u64 rtt_ns,
			 __u64 bytes_per_s);

/* pt_regulator_ask asks for leave for frames of frame_sz bytes.  0: leave for
 * *leave_sz >= frame_sz bytes; PT_REGULATOR_FULL: wait for an ACK; else the ns
 * to wait before asking again. */
__u64 pt_regulator_ask(struct pt_regulator *r, __u64 now_ns, __u32 frame_sz,
		       __u32 *leave_sz);

/* pt_regulator_give_back returns leave for sz bytes that will not be sent. */
void pt_regulator_give_back(struct pt_regulator *r, __u64 sz);

/* pt_regulator_take passes one lane's ACK; it fills in_flight. */
void pt_regulator_take(struct pt_regulator *r, struct pt_congestion_ack *ack);

/* pt_regulator_burst_sz returns the bytes that may go at once: 1 ms at the
 * rate. */
static inline __u64 pt_regulator_burst_sz(const struct pt_regulator *r)
{
	return atomic_load_explicit(&r->bytes_per_s, memory_order_relaxed) /
	       1000;
}

/* pt_regulator_silence_ns returns the time without an ACK after which the last
 * frames may be lost. */
static inline __u64 pt_regulator_silence_ns(const struct pt_regulator *r)
{
	return atomic_load_explicit(&r->silence_ns, memory_order_relaxed);
}

/* False: the regulator is off. */
bool pt_regulator_look(struct pt_regulator *r, struct pt_regulator_look *look);

#endif
