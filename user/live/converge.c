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

enum pt_converge_do pt_converge_round(struct pt_converge *c,
				      const struct pt_converge_cfg *cfg,
				      const struct pt_stop_costs *costs,
				      struct pt_round *r)
{
	__u64 ns = r->took_ns + r->pause_ns + r->look_ns;

	learn(c, r);
	r->bytes_per_s = c->bytes_per_s;
	r->dirty_per_s = ns ? times(r->dirty_pages - r->cooled_pages, SECOND_NS,
				    ns) : 0;
	r->downtime_ns = expect(c, costs, r->dirty_pages);
	r->is_converging = r->downtime_ns <= cfg->downtime_ns ||
			   !c->downtime_ns || r->downtime_ns < c->downtime_ns;
	r->is_judged = true;
	c->downtime_ns = r->downtime_ns;
	if (r->downtime_ns <= cfg->downtime_ns) {
		if (r->idx >= cfg->rounds_max || !pays(c, costs, r))
			return PT_CONVERGE_STOP;
		c->put_off_cnt++;
		return PT_CONVERGE_AGAIN;
	}
	if (!costs->is_settled &&
	    (r->hot_pages == r->dirty_pages ||
	     send_ns(c, r->dirty_pages) + costs->look_ns <= cfg->downtime_ns))
		return PT_CONVERGE_PAUSE;
	if (r->idx < cfg->rounds_max || !costs->is_settled)
		return PT_CONVERGE_AGAIN;
	return cfg->otherwise == PT_NO_CONVERGE_STOP ? PT_CONVERGE_STOP
						     : PT_CONVERGE_FAIL;
}
