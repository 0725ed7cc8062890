/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/congestion_loss.h"

#define START_QUEUE_NS	(PT_CC_QUEUE_NS / 2)	/* ends START */
#define LEFT_NS		1500000.0	/* of queue that DELAY leaves */
#define ACK_NS		1500000.0	/* an ACK waits for others up to that
					 * long */
#define DRAIN_NS	250000000ULL	/* between two drains, at least; at most */
#define DRAIN_MAX_NS	500000000ULL	/* while the queue is never empty */
#define CUT		0.8		/* part of the window that stays, unless
					 * the queue is long */
#define TEST_NS		500000000ULL	/* between two tests for competitors,
					 * then */
#define TEST_MAX_NS	8000000000ULL	/* longer, up to this */
#define STAYS_CNT	3		/* rounds that a queue stays if others
					 * fill it */
#define CLIMB		0.15		/* part of the window per round, beside
					 * others */
#define PACE		1.2		/* windows per round trip, as threads
					 * wake late */
#define STEP_UP		1.25
#define STEP_MAX	0.25		/* part of the window per round */
#define PAST		1.15		/* of the peak: a new peak */
#define ALONE		0.3		/* part of a queue that noise leaves;
					 * others leave more */
#define BETA_START	0.9		/* part of the window that stays when
					 * START ends, */
#define BETA_FIRST	0.85		/* after the first loss, */
#define FIRST_NS	3000000000ULL	/* (no loss for that long) */
#define CUBIC_BETA	0.7		/* after other losses */
#define CUBIC_C		0.4		/* frames a s^3 */
#define RATE_MIN	(64e3 / 1e9)	/* bytes a ns */

__u64 pt_congestion_rtt_ns(const struct pt_congestion *c)
{
	__s64 rtt_ns = least(&c->rtt);

	return rtt_ns == NONE_NS ? 0 : rtt_ns;
}

/* rate returns the delivery rate in bytes per ns; 0: unknown. */
static double rate(const struct pt_congestion *c)
{
	double highest = 0;

	for (int i = 0; i < PT_CC_RATES; i++)
		highest = max2(highest, c->rates[i]);
	return highest;
}

/* queue_of returns how long our frames may wait, which is longer the smaller
 * our share of the path is.  So a flow with a large share yields first, and
 * shares become even, although no flow knows the exact base delay. */
static __s64 queue_of(const struct pt_congestion *c)
{
	double highest = -1e-9 * least(&c->rate_high);
	double ours = highest > 0 ? min2(1, rate(c) / highest) : 1;

	return PT_CC_QUEUE_NS * (1.2 - 0.5 * ours);
}

static double window_min(const struct pt_congestion *c)
{
	return 2.0 * c->frame_sz;
}

/* put sets the window to the wanted one, and the pace slightly faster than the
 * window per round trip, so that the window is the limit. */
static void put(struct pt_congestion *c)
{
	double rtt_ns = max2(c->srtt_ns, 250000.0);
	double window, pace;

	c->wanted = max2(c->wanted, window_min(c));
	c->wanted = min2(c->wanted, (double)(1ULL << 40));
	window = c->wanted;
	if (c->is_draining)
		window = rate(c) * pt_congestion_rtt_ns(c) *
			 (c->is_tested ? 1 : 0.75);
	c->window = max2(window, window_min(c));
	pace = (c->mode == PT_CC_START ? 2 : PACE) * c->window / rtt_ns;
	/* The known round trip may include a longer queue. */
	if (!c->is_draining)
		pace = max2(pace, rate(c));
	c->bytes_per_s = max2(RATE_MIN, pace) * 1e9;
}

void pt_congestion_init(struct pt_congestion *c, __u32 frame_sz, __u32 weight,
			__u64 rtt_ns, __u64 bytes_per_s)
{
	memset(c, 0, sizeof(*c));
	c->frame_sz = frame_sz;
	c->weight = weight;
	c->srtt_ns = rtt_ns;
	c->round.queue_ns = NONE_NS;
	least_init(&c->delay);
	least_init(&c->rtt);
	least_init(&c->rate_high);
	c->wanted = PT_CC_START_SZ;
	if (bytes_per_s && rtt_ns)
		c->wanted = min2(c->wanted, bytes_per_s / 1e9 *
				 (rtt_ns + ACK_NS + START_QUEUE_NS));
	put(c);
}

static void begin_drain(struct pt_congestion *c, __u64 now_ns)
{
	c->is_draining = rate(c) > 0;
	c->drained_ns = now_ns;
	c->low_ns = 0;
	c->low_queue_ns = NONE_NS;
}

/* begin_test drains our own part of a queue of queue_ns: if the queue vanishes,
 * there is no competitor. */
static void begin_test(struct pt_congestion *c, __s64 queue_ns, __u64 now_ns)
{
	begin_drain(c, now_ns);
	c->is_tested = c->is_draining;
	c->tested_queue_ns = queue_ns;
}

/* full returns the window that keeps the path busy with a small queue. */
static double full(const struct pt_congestion *c)
{
	return rate(c) * (pt_congestion_rtt_ns(c) + ACK_NS + LEFT_NS);
}

static void enter_delay(struct pt_congestion *c, __u64 now_ns)
{
	if (c->mode == PT_CC_START)
		c->cut_ns = now_ns;
	c->mode = PT_CC_DELAY;
	memset(&c->loss, 0, sizeof(c->loss));
	c->step = c->frame_sz;
	c->over_cnt = 0;
	c->hold = 1;
}

static void enter_loss(struct pt_congestion *c, __u64 now_ns)
{
	if (c->mode == PT_CC_START)
		c->cut_ns = now_ns;
	if (c->mode != PT_CC_LOSS) {
		c->tested_ns = now_ns;
		c->test_ns = TEST_NS;
	}
	c->mode = PT_CC_LOSS;
	c->epoch_ns = now_ns;
	c->friendly = c->wanted;
	c->hold = 1;
	c->over_cnt = 0;
}

/* undo_cuts restores our half of a queue that others fill, with the part that
 * we yielded in vain. */
static void undo_cuts(struct pt_congestion *c, const struct pt_cc_round *r)
{
	double half = c->rate_before *
		      (pt_congestion_rtt_ns(c) + r->queue_ns) / 2;

	c->wanted = max2(c->wanted, max2(c->before, half));
}

/* lost reacts to a loss by an overflowing queue. */
static void lost(struct pt_congestion *c, const struct pt_cc_round *r,
		 __u64 now_ns)
{
	double beta = now_ns - c->lost_ns < FIRST_NS ? CUBIC_BETA : BETA_FIRST;
	double window = pt_cc_stays(c, now_ns);

	if (window > 0) {
		c->wanted = max2(c->wanted, window);
		enter_delay(c, now_ns);
		return;
	}
	if (c->mode == PT_CC_DELAY && c->over_cnt)
		undo_cuts(c, r);
	window = c->wanted;

	c->peak = window < c->peak_before ? window * (1 + CUBIC_BETA) / 2
					  : window;
	c->peak_before = window;
	c->wanted = window * beta;
	c->beta = beta;
	c->lost_ns = c->cut_ns = now_ns;
	memset(&c->loss, 0, sizeof(c->loss));
	c->is_draining = c->is_tested = false;
	enter_loss(c, now_ns);
}

/* grow_delay grows the window by steps that become larger while no queue builds
 * up. */
static void grow_delay(struct pt_congestion *c, const struct pt_cc_round *r)
{
	double weight = (double)c->weight / PT_CC_WEIGHT_ONE;

	if (r->queue_ns > queue_of(c) / 2)
		c->step = c->frame_sz;
	c->wanted += weight * min2(c->step, STEP_MAX * c->wanted);
	if (c->step < c->wanted)
		c->step *= STEP_UP;
}

/* leave removes our part from the queue, computed from the bytes in flight, not
 * from an unused window; on a long path little of it waits. */
static void leave(struct pt_congestion *c, const struct pt_cc_round *r,
		  __u64 now_ns)
{
	double way_ns = pt_congestion_rtt_ns(c) + ACK_NS;
	double used = min2(c->wanted, r->in_flight_max);
	double less = used * max2(CUT, (way_ns + LEFT_NS) /
				       (way_ns + r->queue_ns));

	if (r->queue_ns > 2 * (__s64)PT_CC_QUEUE_NS && rate(c) > 0)
		less = min2(less, full(c));
	c->wanted = less;
	c->step = c->frame_sz;
	c->hold = 1;
	c->cut_ns = now_ns;
	if (now_ns - c->drained_ns > DRAIN_NS)
		begin_drain(c, now_ns);
}

static void round_delay(struct pt_congestion *c, const struct pt_cc_round *r,
			bool limited, __u64 now_ns)
{
	if (r->queue_ns <= queue_of(c)) {
		c->over_cnt = 0;
		if (limited)
			grow_delay(c, r);
		if (now_ns - c->drained_ns > DRAIN_MAX_NS + 10 * c->srtt_ns &&
		    now_ns - c->empty_ns > DRAIN_MAX_NS + 10 * c->srtt_ns)
			begin_drain(c, now_ns);
		return;
	}
	if (!c->over_cnt) {
		c->before = c->wanted;
		c->rate_before = rate(c);
	}
	if (++c->over_cnt > STAYS_CNT) {
		undo_cuts(c, r);
		c->peak = c->peak_before = c->wanted;
		c->beta = 1;
		c->is_draining = false;
		enter_loss(c, now_ns);
		return;
	}
	leave(c, r, now_ns);
}

static void grow_loss(struct pt_congestion *c, __u64 now_ns)
{
	double weight = (double)c->weight / PT_CC_WEIGHT_ONE;
	double frame = c->frame_sz;
	double t = (now_ns - c->epoch_ns + c->srtt_ns) / 1e9;
	double k = cube_root(c->peak * (1 - c->beta) / frame / CUBIC_C);
	double target = CUBIC_C * (t - k) * (t - k) * (t - k) * frame * weight +
			c->peak;

	/* Others fill the queue, and no loss has shown our share yet: CUBIC
	 * alone would take half a minute to find it. */
	if (c->beta == 1)
		c->wanted *= 1 + CLIMB;
	c->friendly += weight * frame * 3 * (1 - CUBIC_BETA) /
		       (1 + CUBIC_BETA);
	target = min2(max2(target, c->friendly), 1.5 * c->wanted);
	c->wanted = max2(c->wanted, target);
}

static void round_loss(struct pt_congestion *c, const struct pt_cc_round *r,
		       bool limited, __u64 now_ns)
{
	if (r->queue_ns < (__s64)PT_CC_QUEUE_NS / 2 &&
	    c->wanted > PAST * c->peak) {
		enter_delay(c, now_ns);
		return;
	}
	if (limited)
		grow_loss(c, now_ns);
	if (now_ns - c->tested_ns > c->test_ns &&
	    r->queue_ns > (__s64)PT_CC_QUEUE_NS) {
		c->tested_ns = now_ns;
		c->test_ns = c->test_ns < TEST_MAX_NS ? 2 * c->test_ns
						      : TEST_MAX_NS;
		begin_test(c, r->queue_ns, now_ns);
	}
}

/* drain_on continues a drain: it lasts until little is in flight, and then one
 * round trip, so that all flows see the path empty. */
static void drain_on(struct pt_congestion *c, const struct pt_congestion_ack *a)
{
	if (!c->low_ns) {
		if (a->in_flight <= c->window + c->window / 8 + c->frame_sz)
			c->low_ns = a->now_ns;
		return;
	}
	if (a->sent_ns && c->queue_ns < c->low_queue_ns)
		c->low_queue_ns = c->queue_ns;
	if (a->sent_ns <= c->low_ns)
		return;
	c->is_draining = false;
	c->hold = 1;
	if (!c->is_tested)
		return;
	c->is_tested = false;
	if (c->low_queue_ns < ALONE * c->tested_queue_ns) {
		c->wanted = min2(c->wanted, max2(full(c), c->wanted / 4));
		enter_delay(c, a->now_ns);
		c->step = max2(c->step, c->wanted / 16);
	} else if (c->mode == PT_CC_START) {
		c->peak = c->peak_before = c->wanted;
		c->beta = 1;
		enter_loss(c, a->now_ns);
	}
}

static void round_start(struct pt_congestion *c, const struct pt_cc_round *r,
			bool is_lost, __u64 now_ns)
{
	if (r->queue_ns > (__s64)START_QUEUE_NS) {
		/* A single time may be a receiver that slept. */
		if (!c->over_cnt++ && !is_lost)
			return;
		begin_test(c, r->queue_ns, now_ns);
		if (!c->is_draining)
			enter_delay(c, now_ns);
		return;
	}
	c->over_cnt = 0;
	if (!is_lost)
		return;
	/* A short queue, which a pace of twice the rate overflowed. */
	c->wanted *= BETA_START;
	/* A window beyond the path's delivery is useless. */
	if (rate(c) > 0)
		c->wanted = min2(c->wanted, rate(c) *
				 (pt_congestion_rtt_ns(c) + ACK_NS + c->queue_ns));
	enter_delay(c, now_ns);
	c->step = max2(c->step, c->wanted / 16);
}

/* sample notes the arrival rate of a round that used the window up.  A receiver
 * that slept takes many frames at once, so the rate is at most that of
 * sending. */
static void sample(struct pt_congestion *c, const struct pt_cc_round *r,
		   const struct pt_congestion_ack *a)
{
	__u64 took_ns = a->arrived_ns - r->first_arrived_ns;
	__u64 sent_ns = a->sent_ns - r->first_sent_ns;

	if (sent_ns > took_ns)
		took_ns = sent_ns;
	if (!r->first_sent_ns || !took_ns)
		return;
	c->rates[c->rate_cnt++ % PT_CC_RATES] = (double)r->arrived_sz / took_ns;
	least_add(&c->rate_high, -1e9 * r->arrived_sz / took_ns, a->now_ns);
}

static void end_round(struct pt_congestion *c, const struct pt_congestion_ack *a)
{
	struct pt_cc_round r = c->round;
	/* The pace alone is no limit, since a starved CPU cannot keep it. */
	bool limited = r.is_limited && 2 * r.in_flight_max >= c->window;
	bool is_lost;

	c->overtaken_ns -= c->overtaken_ns / 128;
	c->round = (struct pt_cc_round){
		.start_ns = a->now_ns,
		.queue_ns = NONE_NS,
		.first_sent_ns = a->sent_ns,
		.first_arrived_ns = a->arrived_ns,
	};
	c->past[c->past_cnt++ % PT_CC_PAST] = (struct pt_cc_past){
		.sent_ns = a->sent_ns,
		.queue_ns = r.queue_ns,
		.mean_ns = pt_cc_mean_ns(&r),
	};
	if (limited && !c->is_draining)
		sample(c, &r, a);
	if (r.queue_ns > c->queue_max_ns)
		c->queue_max_ns = r.queue_ns;
	else
		c->queue_max_ns -= c->queue_max_ns / 256;
	/* Frames of a larger window are still in flight. */
	if (c->is_draining || a->in_flight > c->wanted * 9 / 8)
		return;
	if (c->hold) {
		c->hold--;
		return;
	}
	is_lost = pt_cc_is_congested(c, &r, a->now_ns);
	if (c->mode == PT_CC_START)
		round_start(c, &r, is_lost, a->now_ns);
	else if (is_lost)
		lost(c, &r, a->now_ns);
	else if (c->mode == PT_CC_DELAY)
		round_delay(c, &r, limited, a->now_ns);
	else
		round_loss(c, &r, limited, a->now_ns);
}

static void take_delay(struct pt_congestion *c,
		       const struct pt_congestion_ack *a)
{
	__s64 delay_ns = a->arrived_ns - a->sent_ns;
	__s64 rtt_ns = a->now_ns - a->sent_ns;
	__s64 queue_ns;

	least_add(&c->delay, delay_ns, a->now_ns);
	least_add(&c->rtt, rtt_ns, a->now_ns);
	c->srtt_ns = c->srtt_ns ? (7 * c->srtt_ns + a->now_ns - a->sent_ns) / 8
				: (__u64)rtt_ns;
	/* Where frames overtake others, they do not wait for the frames
	 * ahead. */
	queue_ns = delay_ns - least(&c->delay) - c->overtaken_ns;
	if (queue_ns < 0)
		queue_ns = 0;
	c->queue_ns = queue_ns;
	if (queue_ns < PT_CC_SEEN_NS)
		c->empty_ns = a->now_ns;
	c->round.queue_sum_ns += queue_ns;
	c->round.queue_cnt++;
	if (queue_ns < c->round.queue_ns)
		c->round.queue_ns = queue_ns;
}

void pt_congestion_take(struct pt_congestion *c,
			const struct pt_congestion_ack *a)
{
	struct pt_cc_round *r = &c->round;

	if (a->overtaken_ns > c->overtaken_ns)
		c->overtaken_ns = a->overtaken_ns;
	if (a->sent_ns)
		take_delay(c, a);
	r->arrived_sz += a->arrived_sz;
	if (a->lost_sz)
		pt_cc_take_loss(c, a);
	r->is_limited |= a->is_limited;
	if (a->in_flight > r->in_flight_max)
		r->in_flight_max = a->in_flight;
	if (c->mode == PT_CC_START && !c->is_draining &&
	    c->queue_ns <= (__s64)START_QUEUE_NS && a->is_limited)
		c->wanted += a->arrived_sz;
	if (a->sent_ns > r->start_ns &&
	    a->now_ns - r->start_ns >= PT_CC_ROUND_NS)
		end_round(c, a);
	if (c->is_draining)
		drain_on(c, a);
	put(c);
}
