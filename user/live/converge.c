/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "live/converge.h"

#define SAMPLE_BYTES	(1u << 20)	/* fewer bytes are no sample of the rate */
#define WHOLE_PAGE_SZ	4200		/* on the wire, where no page was sent */
#define SECOND_NS	1000000000ULL
#define SHORT_NS	10000000ULL	/* no stop is made shorter than this */

static __u64 times(__u64 cnt, __u64 of, __u64 by)
{
	__uint128_t all = (__uint128_t)cnt * of / by;

	return all < ~0ULL / 4 ? (__u64)all : ~0ULL / 4;
}

void pt_converge_fill(struct pt_converge_cfg *cfg)
{
	if (!cfg->downtime_ns)
		cfg->downtime_ns = PT_DOWNTIME_DEFAULT_MS * 1000000ULL;
	if (!cfg->rounds_max)
		cfg->rounds_max = PT_ROUNDS_DEFAULT;
}

/* learn: without a sample, any rate is better than none. */
static void learn(struct pt_converge *c, const struct pt_round *r)
{
	c->data_pages += r->data_pages;
	c->wire_bytes += r->wire_bytes;
	if (r->took_ns && (r->wire_bytes >= SAMPLE_BYTES || !c->bytes_per_s))
		c->bytes_per_s = times(r->wire_bytes, SECOND_NS, r->took_ns);
}

/* send_ns returns the time to send so many dirty pages. */
static __u64 send_ns(const struct pt_converge *c, __u64 dirty_pages)
{
	__u64 bytes = c->data_pages
		? times(dirty_pages, c->wire_bytes, c->data_pages)
		: times(dirty_pages, WHOLE_PAGE_SZ, 1);

	return bytes ? times(bytes, SECOND_NS,
			     c->bytes_per_s ? c->bytes_per_s : 1) : 0;
}

static __u64 expect(const struct pt_converge *c,
		    const struct pt_stop_costs *costs, __u64 dirty_pages)
{
	return costs->look_ns + times(costs->suspects, costs->suspect_ns, 1) +
	       send_ns(c, dirty_pages);
}

/* pays: after another round the stop is shorter by a quarter. */
static bool pays(const struct pt_converge *c, const struct pt_stop_costs *costs,
		 const struct pt_round *r)
{
	__u64 left = r->dirty_pages - r->hot_pages;
	__u64 ns = send_ns(c, left) + costs->look_ns;
	__u64 round_ns = r->took_ns + r->pause_ns + r->look_ns;
	__u64 next = r->hot_pages + (round_ns ? times(left - r->cooled_pages, ns,
						      round_ns) : 0);

	return c->put_off_cnt < PT_SHORTER_ROUNDS && r->downtime_ns > SHORT_NS &&
	       expect(c, costs, next) < r->downtime_ns / 4 * 3;
}

/* is_last: there is to be no round after this one, which begins with a delay. */
static bool is_last(const struct pt_converge *c,
		    const struct pt_converge_cfg *cfg,
		    const struct pt_stop_costs *costs, const struct pt_round *r,
		    __u64 delay_ns)
{
	__u64 ns = send_ns(c, r->dirty_pages - r->hot_pages) + costs->look_ns +
		   delay_ns;

	if (costs->left_ns)
		return ns + r->downtime_ns > costs->left_ns;
	return r->idx >= cfg->rounds_max;
}

/* throttle chooses the next step, if it is due; false: it was the last one. */
static bool throttle(struct pt_converge *c, const struct pt_converge_cfg *cfg,
		     bool is_late)
{
	bool is_due = is_late || c->stuck_cnt >= PT_STUCK_ROUNDS;

	if (cfg->otherwise != PT_NO_CONVERGE_THROTTLE)
		return !is_late;
	if (is_due && c->throttle == PT_THROTTLE_LAST)
		return !is_late;
	if (is_due) {
		c->throttle += c->throttle ? PT_THROTTLE_STEP
					   : PT_THROTTLE_FIRST;
		c->stuck_cnt = 0;
	}
	if (c->throttle > PT_THROTTLE_LAST)
		c->throttle = PT_THROTTLE_LAST;
	return true;
}

/* pause_helps, while the memory settles: nothing else is to be done meanwhile. */
static bool pause_helps(const struct pt_converge *c,
			const struct pt_converge_cfg *cfg,
			const struct pt_stop_costs *costs,
			const struct pt_round *r)
{
	if (send_ns(c, r->dirty_pages) + costs->look_ns <= cfg->downtime_ns)
		return true;
	return r->hot_pages == r->dirty_pages &&
	       cfg->otherwise != PT_NO_CONVERGE_THROTTLE;
}

/* judge computes what is known after the round. */
static void judge(struct pt_converge *c, const struct pt_converge_cfg *cfg,
		  const struct pt_stop_costs *costs, struct pt_round *r)
{
	__u64 ns = r->took_ns + r->pause_ns + r->look_ns;
	__u64 dirty = r->dirty_pages;

	learn(c, r);
	r->bytes_per_s = c->bytes_per_s;
	r->dirty_per_s = ns ? times(r->dirty_pages - r->cooled_pages, SECOND_NS,
				    ns) : 0;
	if (c->throttle)
		dirty += times(c->free_per_s, PT_LIFT_NS, SECOND_NS);
	else
		c->free_per_s = r->dirty_per_s;
	r->downtime_ns = expect(c, costs, dirty);
	r->is_converging = r->downtime_ns <= cfg->downtime_ns ||
			   !c->downtime_ns || r->downtime_ns < c->downtime_ns;
	r->is_judged = true;
	if (c->downtime_ns && r->downtime_ns > c->downtime_ns / 4 * 3)
		c->stuck_cnt++;
	else
		c->stuck_cnt = 0;
	c->downtime_ns = r->downtime_ns;
}

static enum pt_converge_do decide(struct pt_converge *c,
				  const struct pt_converge_cfg *cfg,
				  const struct pt_stop_costs *costs,
				  const struct pt_round *r)
{
	if (r->downtime_ns <= cfg->downtime_ns) {
		if (is_last(c, cfg, costs, r, 0) || !pays(c, costs, r))
			return PT_CONVERGE_STOP;
		c->put_off_cnt++;
		return PT_CONVERGE_AGAIN;
	}
	if (!costs->is_settled && pause_helps(c, cfg, costs, r) &&
	    !(costs->left_ns && is_last(c, cfg, costs, r, PT_PAUSE_NS))) {
		c->stuck_cnt = 0;
		return PT_CONVERGE_PAUSE;
	}
	if (costs->left_ns && !is_last(c, cfg, costs, r, 0)) {
		throttle(c, cfg, false);
		return PT_CONVERGE_AGAIN;
	}
	if (!costs->left_ns && (throttle(c, cfg, is_last(c, cfg, costs, r, 0)) ||
				!costs->is_settled))
		return PT_CONVERGE_AGAIN;
	return cfg->otherwise == PT_NO_CONVERGE_STOP ? PT_CONVERGE_STOP
						     : PT_CONVERGE_FAIL;
}

enum pt_converge_do pt_converge_round(struct pt_converge *c,
				      const struct pt_converge_cfg *cfg,
				      const struct pt_stop_costs *costs,
				      struct pt_round *r)
{
	enum pt_converge_do next;

	judge(c, cfg, costs, r);
	next = decide(c, cfg, costs, r);
	r->throttle = next == PT_CONVERGE_AGAIN || next == PT_CONVERGE_PAUSE
		? c->throttle : 0;
	return next;
}
