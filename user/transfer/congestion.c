/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/congestion.h"

#include <string.h>

#define NONE_NS		((__s64)(~0ULL >> 1))
#define START_QUEUE_NS	(PT_CC_QUEUE_NS / 2)	/* ends START */
#define LEFT_NS		1500000.0	/* of queue, when the rate goes on */
#define ACK_NS		1500000.0	/* an ACK waits for others, up to */
#define SEEN_NS		400000		/* below this a queue is noise */
#define DRAIN_NS	250000000ULL	/* between two drains, at least */
#define TEST_NS		500000000ULL	/* between two looks for others, then */
#define TEST_MAX_NS	8000000000ULL	/* longer, up to this */
#define STAYS_CNT	3		/* times that a queue stays: others' */
#define LOSS_BYTES	(256 * 1024.0)	/* loss is known of so much, or */
#define LOSS_FRAMES	128.0		/* of so many frames */
#define LOSS_MUCH	0.04		/* more is no path's own */
#define STEP_UP		1.25
#define STEP_MAX	0.25		/* of the window, a round */
#define CUBIC_BETA	0.7
#define CUBIC_C		0.4		/* frames a s^3 */
#define RATE_MIN	(64e3 / 1e9)	/* bytes a ns */

static double max2(double a, double b)
{
	return a > b ? a : b;
}

static double min2(double a, double b)
{
	return a < b ? a : b;
}

static void least_add(struct pt_cc_least *l, __s64 value, __u64 now_ns)
{
	if (now_ns - l->since_ns > PT_CC_BASE_NS / PT_CC_BASES) {
		memmove(&l->values[1], &l->values[0],
			(PT_CC_BASES - 1) * sizeof(l->values[0]));
		l->values[0] = value;
		l->since_ns = now_ns;
	}
	if (value < l->values[0])
		l->values[0] = value;
}

static __s64 least(const struct pt_cc_least *l)
{
	__s64 value = NONE_NS;

	for (int i = 0; i < PT_CC_BASES; i++)
		if (l->values[i] < value)
			value = l->values[i];
	return value;
}

static void least_init(struct pt_cc_least *l)
{
	for (int i = 0; i < PT_CC_BASES; i++)
		l->values[i] = NONE_NS;
	l->since_ns = 0;
}

__u64 pt_congestion_rtt_ns(const struct pt_congestion *c)
{
	__s64 rtt_ns = least(&c->rtt);

	return rtt_ns == NONE_NS ? 0 : rtt_ns;
}

/* rate: delivered, bytes a ns; 0: not known. */
static double rate(const struct pt_congestion *c)
{
	double highest = 0;

	for (int i = 0; i < PT_CC_RATES; i++)
		highest = max2(highest, c->rates[i]);
	return highest;
}

static double window_min(const struct pt_congestion *c)
{
	return 2.0 * c->frame_sz;
}

/* put makes what is wanted the window, and the pace fit it: a little faster than
 * what it lasts for, so that the window is what limits. */
static void put(struct pt_congestion *c)
{
	double rtt_ns = max2(c->srtt_ns, 250000.0);
	double window, pace;

	c->wanted = max2(c->wanted, window_min(c));
	c->wanted = min2(c->wanted, (double)(1ULL << 40));
	window = c->wanted;
	if (c->is_draining)
		window = rate(c) * pt_congestion_rtt_ns(c) *
			 (c->is_tested ? 0.5 : 0.75);
	c->window = max2(window, window_min(c));
	pace = (c->mode == PT_CC_START ? 2 : 1.05) * c->window / rtt_ns;
	/* The round trip known is one of a longer queue, perhaps. */
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

/* full: the window that keeps the path busy, and a little queue with it. */
static double full(const struct pt_congestion *c)
{
	return rate(c) * (pt_congestion_rtt_ns(c) + ACK_NS + LEFT_NS);
}

static void enter_delay(struct pt_congestion *c)
{
	c->mode = PT_CC_DELAY;
	c->step = c->frame_sz;
	c->over_cnt = 0;
	c->hold = 1;
}

/* cube_root by Newton. */
static double cube_root(double x)
{
	double y = x > 1 ? x / 3 + 1 : 1;

	for (int i = 0; i < 60; i++)
		y -= (y * y * y - x) / (3 * y * y);
	return y;
}

static void enter_loss(struct pt_congestion *c, __u64 now_ns)
{
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

/* lost is what a loss does that says that a queue overflowed. */
static void lost(struct pt_congestion *c, __u64 now_ns)
{
	double window = c->wanted;

	c->peak = window < c->peak_before ? window * (1 + CUBIC_BETA) / 2
					  : window;
	c->peak_before = window;
	c->wanted = window * CUBIC_BETA;
	c->loss_arrived = c->loss_lost = 0;
	c->is_draining = c->is_tested = false;
	enter_loss(c, now_ns);
}

/* is_congested: bytes were lost, and not by chance: while a queue stood, or more
 * than a path loses. */
static bool is_congested(struct pt_congestion *c, const struct pt_cc_round *r)
{
	__s64 high_ns = c->queue_max_ns / 2;

	c->loss_arrived += r->arrived_sz;
	c->loss_lost += r->lost_sz;
	if (c->loss_arrived + c->loss_lost > 2 * LOSS_FRAMES * c->frame_sz) {
		c->loss_arrived /= 2;
		c->loss_lost /= 2;
	}
	if (!r->lost_sz)
		return false;
	if (r->queue_ns != NONE_NS && r->queue_ns > SEEN_NS &&
	    r->queue_ns >= high_ns)
		return true;
	return c->loss_lost > LOSS_MUCH * (c->loss_arrived + c->loss_lost) &&
	       c->loss_lost > 4.0 * c->frame_sz;
}

/* grow_delay: by steps that become larger while nothing speaks against it. */
static void grow_delay(struct pt_congestion *c, const struct pt_cc_round *r)
{
	double weight = (double)c->weight / PT_CC_WEIGHT_ONE;

	if (r->queue_ns > (__s64)PT_CC_QUEUE_NS / 2)
		c->step = c->frame_sz;
	c->wanted += weight * min2(c->step, STEP_MAX * c->wanted);
	if (c->step < c->wanted)
		c->step *= STEP_UP;
}

static void round_delay(struct pt_congestion *c, const struct pt_cc_round *r,
			bool limited, __u64 now_ns)
{
	double less;

	if (r->queue_ns <= (__s64)PT_CC_QUEUE_NS) {
		c->over_cnt = 0;
		if (limited)
			grow_delay(c, r);
		return;
	}
	if (!c->over_cnt)
		c->before = c->wanted;
	if (++c->over_cnt > STAYS_CNT) {
		c->wanted = c->before;
		c->peak = c->peak_before = c->before;
		c->is_draining = false;
		enter_loss(c, now_ns);
		return;
	}
	less = 0.9 * c->wanted;
	c->wanted = rate(c) > 0 ? min2(less, full(c)) : less;
	c->step = c->frame_sz;
	c->hold = 1;
	if (now_ns - c->drained_ns > DRAIN_NS)
		begin_drain(c, now_ns);
}

static void grow_loss(struct pt_congestion *c, __u64 now_ns)
{
	double weight = (double)c->weight / PT_CC_WEIGHT_ONE;
	double frame = c->frame_sz;
	double t = (now_ns - c->epoch_ns + c->srtt_ns) / 1e9;
	double k = cube_root(c->peak * (1 - CUBIC_BETA) / frame / CUBIC_C);
	double target = CUBIC_C * (t - k) * (t - k) * (t - k) * frame * weight +
			c->peak;

	c->friendly += weight * frame * 3 * (1 - CUBIC_BETA) /
		       (1 + CUBIC_BETA);
	target = min2(max2(target, c->friendly), 1.5 * c->wanted);
	c->wanted = max2(c->wanted, target);
}

static void round_loss(struct pt_congestion *c, const struct pt_cc_round *r,
		       bool limited, __u64 now_ns)
{
	if (r->queue_ns < (__s64)PT_CC_QUEUE_NS / 2 && c->wanted > c->peak) {
		enter_delay(c);
		return;
	}
	if (limited)
		grow_loss(c, now_ns);
	if (now_ns - c->tested_ns > c->test_ns &&
	    r->queue_ns > (__s64)PT_CC_QUEUE_NS) {
		c->is_tested = true;
		c->tested_ns = now_ns;
		c->test_ns = c->test_ns < TEST_MAX_NS ? 2 * c->test_ns
						      : TEST_MAX_NS;
		begin_drain(c, now_ns);
	}
}

/* drain_on goes on with a drain: it lasts until what is on the way is little, and
 * then one round trip, for all who wait to see the path empty. */
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
	if (c->low_queue_ns < (__s64)PT_CC_QUEUE_NS / 2) {
		c->wanted = full(c);
		enter_delay(c);
	}
}

static void round_start(struct pt_congestion *c, const struct pt_cc_round *r,
			__u64 now_ns)
{
	/* Once may be a receiver that slept. */
	if (r->queue_ns == NONE_NS || r->queue_ns <= (__s64)START_QUEUE_NS) {
		c->over_cnt = 0;
		return;
	}
	if (!c->over_cnt++)
		return;
	c->wanted = min2(c->wanted, max2(full(c), c->wanted / 4));
	enter_delay(c);
	c->step = max2(c->step, c->wanted / 16);
	begin_drain(c, now_ns);
}

/* sample notes the rate at which frames arrived in a round that used the window up.
 * A receiver that slept takes many at once: they arrived no faster than they
 * were sent. */
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
}

static void end_round(struct pt_congestion *c, const struct pt_congestion_ack *a)
{
	struct pt_cc_round r = c->round;
	bool limited = r.is_limited;

	c->round = (struct pt_cc_round){
		.start_ns = a->now_ns,
		.queue_ns = NONE_NS,
		.first_sent_ns = a->sent_ns,
		.first_arrived_ns = a->arrived_ns,
	};
	if (limited && !c->is_draining)
		sample(c, &r, a);
	if (r.queue_ns > c->queue_max_ns)
		c->queue_max_ns = r.queue_ns;
	else
		c->queue_max_ns -= c->queue_max_ns / 256;
	/* What was sent under a larger window is still on its way. */
	if (c->is_draining || a->in_flight > c->wanted * 9 / 8)
		return;
	if (c->hold) {
		c->hold--;
		return;
	}
	if (is_congested(c, &r))
		lost(c, a->now_ns);
	else if (c->mode == PT_CC_START)
		round_start(c, &r, a->now_ns);
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
	queue_ns = delay_ns - least(&c->delay);
	c->queue_ns = queue_ns;
	if (queue_ns < c->round.queue_ns)
		c->round.queue_ns = queue_ns;
}

void pt_congestion_take(struct pt_congestion *c,
			const struct pt_congestion_ack *a)
{
	struct pt_cc_round *r = &c->round;

	if (a->sent_ns)
		take_delay(c, a);
	r->arrived_sz += a->arrived_sz;
	r->lost_sz += a->lost_sz;
	r->is_limited |= a->is_limited;
	if (c->mode == PT_CC_START && c->queue_ns <= (__s64)START_QUEUE_NS &&
	    a->is_limited)
		c->wanted += a->arrived_sz;
	if (a->sent_ns > r->start_ns &&
	    a->now_ns - r->start_ns >= PT_CC_ROUND_NS)
		end_round(c, a);
	if (c->is_draining)
		drain_on(c, a);
	put(c);
}
