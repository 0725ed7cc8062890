/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* regulator: what the lanes of a transfer ask before frames go: the one congestion
 * controller that they share.  Four lanes are not four flows.
 *
 * A lane takes leave for some frames at a time, and gives back what it does not
 * use; it tells what its ACKs say.  A peer without PT_CAP_ARRIVALS tells too little:
 * then the regulator is off, and leave is given always.
 *
 * Threads: any.  A lock is taken for an ACK, none to send.
 */
#ifndef LANE_REGULATOR_H
#define LANE_REGULATOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "lane/congestion.h"

#define PT_REGULATOR_BURST_NS	1000000ULL	/* that a late lane makes up, */
#define PT_REGULATOR_FULL_NS	300000ULL	/* and one that the window held */
#define PT_REGULATOR_AHEAD_NS	100000ULL	/* not worth a nap */
#define PT_REGULATOR_LEAVE_NS	250000ULL	/* leave is for so long, and */
#define PT_REGULATOR_LEAVE_SZ	(128u << 10)	/* so much, at most */
#define PT_REGULATOR_FULL	(~0ULL)

struct pt_regulator {
	pthread_mutex_t lock;
	struct pt_congestion cc;	/* under lock */
	struct {			/* of probes, under lock; 0: not known */
		__u32 frame_sz;
		__u64 rtt_ns;
		__u64 bytes_per_s;
	} probed;
	bool is_begun;			/* an ACK has come; under lock */
	_Atomic bool is_on;
	_Atomic __u64 window;
	_Atomic __u64 bytes_per_s;
	_Atomic __u64 in_flight;	/* bytes that have leave or are on the way */
	_Atomic __u64 silence_ns;	/* an ACK does not take so long */
	_Atomic bool has_refused;	/* since the last ACK */
	_Atomic __u64 due_ns;		/* when all that has leave may have gone */
};

/* pt_regulator_look: for reports. */
struct pt_regulator_look {
	__u64 window;
	__u64 bytes_per_s;
	__u64 rtt_ns;		/* the least seen; 0: none */
	__u64 queue_ns;		/* that frames waited in the path, lately */
	const char *mode;
};

void pt_regulator_init(struct pt_regulator *r);
void pt_regulator_destroy(struct pt_regulator *r);

/* pt_regulator_probed: a lane has a way for frames of frame_sz; 0 of the others:
 * not known.  bytes_per_s: as close behind one another as its probes arrived. */
void pt_regulator_probed(struct pt_regulator *r, __u32 frame_sz, __u64 rtt_ns,
			 __u64 bytes_per_s);

/* pt_regulator_ask asks for leave for a frame of frame_sz bytes, and more of
 * them.  0: it is given, for *leave_sz >= frame_sz bytes; PT_REGULATOR_FULL: not
 * before an ACK; else ns to wait, then ask again. */
__u64 pt_regulator_ask(struct pt_regulator *r, __u64 now_ns, __u32 frame_sz,
		       __u32 *leave_sz);

/* pt_regulator_give_back: sz bytes have leave and will not be sent. */
void pt_regulator_give_back(struct pt_regulator *r, __u64 sz);

/* pt_regulator_take: what one lane's ACK tells; in_flight is filled here. */
void pt_regulator_take(struct pt_regulator *r, struct pt_congestion_ack *ack);

/* pt_regulator_burst_sz: what may go at once: 1 ms at the rate. */
static inline __u64 pt_regulator_burst_sz(const struct pt_regulator *r)
{
	return atomic_load_explicit(&r->bytes_per_s, memory_order_relaxed) /
	       1000;
}

/* pt_regulator_silence_ns: without an ACK for so long the last frames may be lost. */
static inline __u64 pt_regulator_silence_ns(const struct pt_regulator *r)
{
	return atomic_load_explicit(&r->silence_ns, memory_order_relaxed);
}

/* False: it is off. */
bool pt_regulator_look(struct pt_regulator *r, struct pt_regulator_look *look);

#endif
