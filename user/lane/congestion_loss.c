/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/congestion_loss.h"

#define LOSS_FRAMES	128.0		/* needed to know the loss rate */
#define LOSS_MUCH	0.04		/* more is not the path's own, unless it
					 * stays */
#define LOSS_LATE	0.2		/* with reordering many frames come
					 * late */
#define LOSS_NONE	0.0005		/* a path without loss */
#define STAYS_MAX	0.4		/* more may be a rate that is far too
					 * high */
#define STAYS_WINDOW	0.5		/* with so much of the window left ... */
#define STAYS_PART	0.7		/* ... so much of the loss was left */
#define STAYS_NS	4000000000ULL	/* how long that holds */
#define ENDED_PART	0.5		/* with so much of the loss left at most ... */
#define ENDED_FRAMES	1024		/* ... for that many frames, the cuts
					 * ended it */

/* stood and was_empty judge a round by its minimum and maximum queue. */
static bool stood(const struct pt_congestion *c, __s64 queue_ns)
{
	return queue_ns > PT_CC_SEEN_NS && queue_ns >= c->queue_max_ns / 2;
}

static bool was_empty(const struct pt_congestion *c, __s64 mean_ns)
{
	return mean_ns <= PT_CC_SEEN_NS || mean_ns <= c->queue_max_ns / 4;
}

__s64 pt_cc_mean_ns(const struct pt_cc_round *r)
{
	return r->queue_cnt ? r->queue_sum_ns / r->queue_cnt : 0;
}

void pt_cc_take_loss(struct pt_congestion *c,
		     const struct pt_congestion_ack *a)
{
	const struct pt_cc_past *p = past(c, a->lost_ns);
	__s64 queue_ns = p ? p->queue_ns : c->queue_ns;

	if (a->lost_ns <= c->cut_ns)
		return;
	if (p && was_empty(c, p->mean_ns) && c->mode != PT_CC_START)
		c->loss_own.lost += a->lost_sz;
	c->round.lost_sz += a->lost_sz;
	if (stood(c, queue_ns))
		c->round.lost_full_sz += a->lost_sz;
}

/* weigh_cuts: much less is lost since the window was cut, for long enough that
 * this is not chance.  So a queue lost the frames, and its next loss is a new
 * one. */
static void weigh_cuts(struct pt_congestion *c, const struct pt_cc_round *r)
{
	if (part(&c->loss) > ENDED_PART * c->much_part)
		c->ended_sz = 0;
	else
		c->ended_sz += r->arrived_sz;
	if (c->ended_sz > ENDED_FRAMES * (__u64)c->frame_sz)
		c->much_window = 0;
}

bool pt_cc_is_congested(struct pt_congestion *c, const struct pt_cc_round *r,
			__u64 now_ns)
{
	double all_sz = r->arrived_sz + r->lost_sz;
	double limit_sz = 2 * LOSS_FRAMES * c->frame_sz;
	double much, own;

	if (now_ns - c->stays_ns > STAYS_NS)
		c->loss_stays = 0;
	much = max2(LOSS_MUCH, c->loss_stays);
	c->loss.lost += r->lost_sz;
	part_arrived(&c->loss, r->arrived_sz, limit_sz);
	weigh_cuts(c, r);
	if (was_empty(c, pt_cc_mean_ns(r)))
		part_arrived(&c->loss_own, r->arrived_sz, 8 * limit_sz);
	own = c->loss_own.arrived > LOSS_FRAMES * c->frame_sz
		? min2(part(&c->loss_own), much) : 0;
	if (r->lost_full_sz > 3 * own * all_sz +
			      (own > LOSS_NONE ? 2 * c->frame_sz : 0))
		return true;
	if (c->loss_stays > 0)
		much = 2 * c->loss_stays;
	if (c->overtaken_ns > PT_CC_SEEN_NS)
		much = max2(much, LOSS_LATE);
	return r->lost_sz && part(&c->loss) > much &&
	       c->loss.lost > 4.0 * c->frame_sz;
}

double pt_cc_stays(struct pt_congestion *c, __u64 now_ns)
{
	double lost = part(&c->loss);
	double window = c->much_window;

	if (!window || lost > STAYS_MAX) {
		c->much_window = lost > STAYS_MAX ? 0 : c->wanted;
		c->much_part = lost;
		c->ended_sz = 0;
		return 0;
	}
	if (c->wanted > STAYS_WINDOW * window)
		return 0;
	c->much_window = 0;
	if (lost < STAYS_PART * c->much_part)
		return 0;
	c->loss_stays = max2(lost, c->much_part);
	c->stays_ns = now_ns;
	return window;
}
