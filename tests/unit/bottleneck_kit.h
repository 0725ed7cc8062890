/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* bottleneck_kit: flows through one queue of a path, in simulated time: those
 * of pt_congestion, and TCP's CUBIC beside them.
 *
 *     flow --> queue (rate, room) --> one way --> receiver
 *      ^                                             |
 *      +--------- ACK, a tick and the way back ------+
 *
 * A full queue drops frames.  No result depends on real time.
 */
#ifndef BOTTLENECK_KIT_H
#define BOTTLENECK_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lane/regulator.h"

#define MS		1000000ULL
#define STEP_NS		10000ULL	/* of simulated time */
#define BURST_NS	PT_REGULATOR_BURST_NS	/* as the lanes' */
#define NAP_NS		100000ULL	/* the least that a thread sleeps */
#define SLICE_NS	(4 * MS)	/* the time that another thread has the
					 * CPU */
#define FRAMES		32768		/* of a flow's frames in flight, at
					 * most */
#define ACKS		8192
#define FLOWS_MAX	3
#define CLOCK_OFF_NS	77000000007ULL	/* the receiver's clock less the
					 * sender's */

enum flow_kind { OURS, CUBIC };

struct frame {
	__u64 sent_ns;
	__u64 arrives_ns;	/* 0: it does not */
	__u64 noticed_ns;	/* when it was known as missing; 0: not yet */
	bool is_done;		/* arrived or known as missing */
};

struct ack {
	__u64 at_ns;
	__u64 arrived_sz, lost_sz;	/* since the start */
	__u64 lost_ns;			/* the newest of them was sent */
	__u64 top;			/* frames below */
	__u64 top_ns;
	__u64 arrived_ns;		/* the last of all */
};

struct flow {
	enum flow_kind kind;
	__u64 start_ns, stop_ns;	/* 0: it never stops */
	double source;			/* bytes per ns of its source; 0: any */
	__u64 idle_from_ns, idle_to_ns;	/* its source has no data */
	__u32 weight;			/* 0: PT_CC_WEIGHT_ONE */
	__u32 frame_sz;			/* 0: path.frame_sz */

	struct pt_congestion cc;
	struct frame *frames;
	__u64 next, cum_ack;		/* frames in [cum_ack, next) are in
					 * flight */
	__u64 top, top_ns;
	__u64 arrived_sz, missing_sz;	/* the receiver's */
	__u64 arrived_ns;
	__u64 missing_ns;		/* the newest of those was sent */
	__u64 told_sz, told_missing_sz;
	__u64 sent_sz, acked_sz, lost_sz, acked_top;
	__u64 tick_ns, pace_ns;
	__u64 wakes_ns, looks_ns;	/* its threads do not run before */
	struct ack *acks;
	__u64 ack_in, ack_out;
	bool is_limited;		/* since the last ACK */
	double cwnd, ssthresh, w_max, w_est;	/* CUBIC's, in frames */
	__u64 epoch_ns, recovery;
	__u64 mark_sz, mark_lost_sz;	/* at flow_mark */
};

static struct path {
	double rate;			/* bytes a ns */
	double room;			/* bytes that the queue holds */
	__u32 frame_sz;
	__u64 one_way_ns, back_ns;
	__u64 tick_ns;			/* of ACKs */
	__u64 reorder_ns;			/* time after which a gap is
						 * missing */
	__u32 loss_ppm;
	__u64 busy_ns;			/* average delay of a thread's
					 * wake-up */
	double burst;			/* bytes that pass at once after a
					 * pause */
	double credit;			/* bytes in flight that the receiver
					 * grants */
	__u32 late_ppm;			/* frames that are delayed, up to ... */
	__u64 late_ns;			/* ... that much */
} path;

static struct flow flows[FLOWS_MAX];
static __u32 flow_cnt;
static __u64 sim_ns;
static double queue_free_ns;		/* when all frames in it have left */
static double queue_sum_ns, queue_max_ns;	/* of its delay, since mark */
static __u64 queue_cnt, mark_ns, mark_drops, drops;
static __u64 sim_random;

static inline __u32 sim_draw(void)
{
	sim_random ^= sim_random << 13;
	sim_random ^= sim_random >> 7;
	sim_random ^= sim_random << 17;
	return sim_random % 1000000;
}

/* wake_ns returns when a thread that sleeps until then_ns runs again: late, and
 * at times by a scheduler's slice. */
static inline __u64 wake_ns(__u64 then_ns)
{
	__u64 late_ns;

	if (!path.busy_ns)
		return then_ns;
	late_ns = path.busy_ns * 2 * (sim_draw() / 1e6);
	return then_ns + late_ns + (sim_draw() < 3000 ? SLICE_NS : 0);
}

static inline double queue_ns(void)
{
	return queue_free_ns > sim_ns ? queue_free_ns - sim_ns : 0;
}

static inline void sim_begin(const struct path *p)
{
	for (int i = 0; i < FLOWS_MAX; i++) {
		free(flows[i].frames);
		free(flows[i].acks);
	}
	memset(flows, 0, sizeof(flows));
	path = *p;
	flow_cnt = 0;
	sim_ns = 1000 * MS;
	queue_free_ns = 0;
	sim_random = 88172645463325252ULL;
	drops = 0;
}

static inline struct flow *flow_add(const struct flow *f)
{
	struct flow *to = &flows[flow_cnt++];

	*to = *f;
	to->start_ns += sim_ns;
	if (to->stop_ns)
		to->stop_ns += sim_ns;
	to->idle_from_ns += sim_ns;
	to->idle_to_ns += sim_ns;
	if (!to->frame_sz)
		to->frame_sz = path.frame_sz;
	to->frames = calloc(FRAMES, sizeof(*to->frames));
	to->acks = calloc(ACKS, sizeof(*to->acks));
	to->cwnd = 10;
	to->ssthresh = 1e9;
	pt_congestion_init(&to->cc, to->frame_sz,
			   to->weight ? to->weight : PT_CC_WEIGHT_ONE,
			   path.one_way_ns + path.back_ns, 0);
	return to;
}

/* ---- the queue ---- */

static inline void sim_send(struct flow *f)
{
	struct frame *frame = &f->frames[f->next % FRAMES];
	double waits_ns = queue_ns(), takes_ns = f->frame_sz / path.rate;

	*frame = (struct frame){ .sent_ns = sim_ns };
	f->next++;
	f->sent_sz += f->frame_sz;
	if (waits_ns * path.rate + f->frame_sz > path.room + f->frame_sz) {
		drops++;
		return;
	}
	queue_free_ns = waits_ns > 0 || !path.burst ||
			sim_ns - queue_free_ns < path.burst / path.rate
		? queue_free_ns + takes_ns
		: sim_ns - path.burst / path.rate + takes_ns;
	if (!path.burst && waits_ns <= 0)
		queue_free_ns = sim_ns + takes_ns;
	if (sim_draw() < path.loss_ppm)
		return;
	frame->arrives_ns = (queue_free_ns > sim_ns ? queue_free_ns : sim_ns) +
			    path.one_way_ns;
	if (sim_draw() < path.late_ppm)
		frame->arrives_ns += path.late_ns * (sim_draw() / 1e6);
}

/* ---- the receiver ---- */

/* sync_ns returns the time after which a flow sends SYNC, so that a lost tail
 * is noticed; TCP does so when its timer ends. */
static inline __u64 sync_ns(const struct flow *f)
{
	return path.one_way_ns +
	       (f->kind == CUBIC ? 200 * MS : 2 * f->cc.srtt_ns + MS);
}

/* look takes the frames that have arrived. */
static inline void look(struct flow *f)
{
	for (__u64 seq = f->cum_ack; seq < f->next; seq++) {
		struct frame *frame = &f->frames[seq % FRAMES];

		if (frame->is_done)
			continue;
		if (frame->arrives_ns && frame->arrives_ns <= sim_ns) {
			if (path.busy_ns && f->kind == OURS)
				frame->arrives_ns = sim_ns;
			frame->is_done = true;
			f->arrived_sz += f->frame_sz;
			if (frame->arrives_ns > f->arrived_ns)
				f->arrived_ns = frame->arrives_ns;
			if (seq >= f->top) {
				f->top = seq + 1;
				f->top_ns = frame->arrives_ns;
			}
		} else if (seq < f->top && !frame->noticed_ns) {
			frame->noticed_ns = sim_ns;
		} else if (seq < f->top && frame->noticed_ns &&
			   sim_ns - frame->noticed_ns >= path.reorder_ns) {
			frame->is_done = true;
			f->missing_sz += f->frame_sz;
			f->missing_ns = frame->sent_ns;
		} else if (sim_ns - frame->sent_ns > sync_ns(f) + path.reorder_ns &&
			   !frame->arrives_ns) {
			frame->is_done = true;
			f->missing_sz += f->frame_sz;
		}
	}
	while (f->cum_ack < f->next && f->frames[f->cum_ack % FRAMES].is_done)
		f->cum_ack++;
}

static inline void tell(struct flow *f)
{
	struct ack *a = &f->acks[f->ack_in % ACKS];

	if (f->arrived_sz == f->told_sz && f->missing_sz == f->told_missing_sz)
		return;
	f->told_sz = f->arrived_sz;
	f->told_missing_sz = f->missing_sz;
	assert_true(f->ack_in - f->ack_out < ACKS);
	*a = (struct ack){ sim_ns + path.back_ns, f->arrived_sz,
			   f->missing_sz, f->missing_ns, f->top, f->top_ns,
			   f->arrived_ns };
	f->ack_in++;
}

/* ---- senders ---- */

static inline __u64 in_flight(const struct flow *f)
{
	return f->sent_sz - f->acked_sz - f->lost_sz;
}

static inline void cubic_lost(struct flow *f)
{
	if (f->acked_top < f->recovery)
		return;
	f->recovery = f->next;
	f->w_max = f->cwnd < f->w_max ? f->cwnd * 0.85 : f->cwnd;
	f->cwnd = f->ssthresh = f->cwnd * 0.7 > 2 ? f->cwnd * 0.7 : 2;
	f->w_est = f->cwnd;
	f->epoch_ns = sim_ns;
}

static inline double cubic_root(double x)
{
	double y = x > 1 ? x : 1;

	for (int i = 0; i < 100; i++)
		y -= (y * y * y - x) / (3 * y * y);
	return y;
}

static inline void cubic_acked(struct flow *f, double frames)
{
	double rtt = (path.one_way_ns + path.back_ns) / 1e9;
	double t, k, target;

	if (f->cwnd < f->ssthresh) {
		f->cwnd += frames;
		return;
	}
	t = (sim_ns - f->epoch_ns) / 1e9 + rtt;
	k = cubic_root(f->w_max * 0.3 / 0.4);
	target = 0.4 * (t - k) * (t - k) * (t - k) + f->w_max;
	f->w_est += 0.53 * frames / f->cwnd;
	if (target > f->cwnd)
		f->cwnd += (target < 1.5 * f->cwnd ? target - f->cwnd
						   : f->cwnd / 2) *
			   frames / f->cwnd;
	if (f->w_est > f->cwnd)
		f->cwnd = f->w_est;
}

static inline void take_ack(struct flow *f, const struct ack *a)
{
	struct pt_congestion_ack e = {
		.now_ns = sim_ns,
		.arrived_sz = a->arrived_sz - f->acked_sz,
		.lost_sz = a->lost_sz - f->lost_sz,
		.lost_ns = a->lost_ns,
		.overtaken_ns = a->arrived_ns - a->top_ns,
		.in_flight = in_flight(f),
		.is_limited = f->is_limited,
	};

	if (a->top > f->acked_top) {
		e.sent_ns = f->frames[(a->top - 1) % FRAMES].sent_ns;
		e.arrived_ns = a->top_ns + CLOCK_OFF_NS;
		f->acked_top = a->top;
	}
	f->acked_sz = a->arrived_sz;
	f->lost_sz = a->lost_sz;
	if (f->kind == CUBIC) {
		cubic_acked(f, (double)e.arrived_sz / f->frame_sz);
		if (e.lost_sz)
			cubic_lost(f);
		return;
	}
	f->is_limited = false;
	pt_congestion_take(&f->cc, &e);
}

/* lacks_credit: bytes that did not arrive are in flight, or in the ring. */
static inline bool lacks_credit(const struct flow *f)
{
	return path.credit && in_flight(f) + f->frame_sz > path.credit;
}

static inline bool may_send(struct flow *f)
{
	if (sim_ns < f->start_ns || (f->stop_ns && sim_ns >= f->stop_ns) ||
	    (sim_ns >= f->idle_from_ns && sim_ns < f->idle_to_ns) ||
	    f->next - f->cum_ack >= FRAMES - 1)
		return false;
	if (f->source && f->sent_sz > f->source * (sim_ns - f->start_ns))
		return false;
	if (f->kind == CUBIC)
		return in_flight(f) + f->frame_sz <= f->cwnd * f->frame_sz;
	if (lacks_credit(f))
		return false;
	if (in_flight(f) + f->frame_sz > f->cc.window) {
		/* As pt_regulator_ask. */
		if (f->pace_ns + PT_REGULATOR_FULL_NS < sim_ns)
			f->pace_ns = sim_ns - PT_REGULATOR_FULL_NS;
	} else if (f->pace_ns <= sim_ns) {
		return true;
	}
	f->is_limited = true;
	return false;
}

/* lane: the steps of a sender when it runs. */
static inline void lane(struct flow *f)
{
	while (f->ack_out < f->ack_in &&
	       f->acks[f->ack_out % ACKS].at_ns <= sim_ns)
		take_ack(f, &f->acks[f->ack_out++ % ACKS]);
	while (may_send(f)) {
		if (f->pace_ns + BURST_NS < sim_ns)
			f->pace_ns = sim_ns - BURST_NS;
		f->pace_ns += f->frame_sz * 1e9 / f->cc.bytes_per_s;
		sim_send(f);
	}
}

static inline void serve(struct flow *f)
{
	bool is_busy = path.busy_ns && f->kind == OURS;

	if (sim_ns >= f->wakes_ns) {
		lane(f);
		if (is_busy)
			f->wakes_ns = wake_ns(sim_ns + NAP_NS);
	}
	if (sim_ns < f->looks_ns)
		return;
	if (is_busy) {
		f->looks_ns = wake_ns(sim_ns + NAP_NS);
		look(f);
	}
	/* TCP acknowledges each frame, the receiver each tick. */
	if (sim_ns - f->tick_ns >= (f->kind == CUBIC ? 50000 : path.tick_ns)) {
		f->tick_ns = sim_ns;
		look(f);
		tell(f);
	}
}

/* sim_mark: figures count from this time on. */
static inline void sim_mark(void)
{
	mark_ns = sim_ns;
	queue_sum_ns = queue_max_ns = 0;
	queue_cnt = 0;
	mark_drops = drops;
	for (__u32 i = 0; i < flow_cnt; i++) {
		flows[i].mark_sz = flows[i].arrived_sz;
		flows[i].mark_lost_sz = flows[i].missing_sz;
	}
}

static inline void sim_run(__u64 for_ns)
{
	__u64 end_ns = sim_ns + for_ns;

	for (; sim_ns < end_ns; sim_ns += STEP_NS) {
		/* Alternating, so that neither flow is always first at a full
		 * queue. */
		for (__u32 i = 0; i < flow_cnt; i++)
			serve(&flows[(i + sim_ns / STEP_NS) % flow_cnt]);
		queue_sum_ns += queue_ns();
		queue_cnt++;
		if (queue_ns() > queue_max_ns)
			queue_max_ns = queue_ns();
	}
}

/* Since the mark: f's share of the path; its lost share; the queue's average
 * delay. */
static inline double share(const struct flow *f)
{
	return (f->arrived_sz - f->mark_sz) /
	       (path.rate * (sim_ns - mark_ns));
}

static inline double lost_share(const struct flow *f)
{
	double lost_sz = f->missing_sz - f->mark_lost_sz;

	return lost_sz / (f->arrived_sz - f->mark_sz + lost_sz);
}

static inline double queue_mean_ns(void)
{
	return queue_sum_ns / queue_cnt;
}

static inline double jain(const struct flow *a, const struct flow *b)
{
	double x = share(a), y = share(b);

	return (x + y) * (x + y) / (2 * (x * x + y * y));
}

#endif
