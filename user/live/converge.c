/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "live/converge.h"

#define SAMPLE_BYTES	(1u << 20)	/* fewer bytes are no sample of the rate */
#define WHOLE_PAGE_SZ	4200		/* on the wire, where no page was sent */
#define SECOND_NS	1000000000ULL

static __u64 times(__u64 cnt, __u64 of, __u64 by)
{
	return (__u64)((__uint128_t)cnt * of / by);
}

/* learn: without a sample, any rate is better than none. */
static void learn(struct pt_converge *c, const struct pt_round *r)
{
	c->pages += r->pages;
	c->wire_bytes += r->wire_bytes;
	if (r->took_ns && (r->wire_bytes >= SAMPLE_BYTES || !c->bytes_per_s))
		c->bytes_per_s = times(r->wire_bytes, SECOND_NS, r->took_ns);
}

static __u64 expect(const struct pt_converge *c,
		    const struct pt_stop_costs *costs, const struct pt_round *r)
{
	__u64 bytes = c->pages ? times(r->dirty_pages, c->wire_bytes, c->pages)
			       : r->dirty_pages * WHOLE_PAGE_SZ;
	__u64 ns = costs->look_ns + costs->suspects * costs->suspect_ns +
		   costs->hand_over_ns;

	return bytes ? ns + times(bytes, SECOND_NS,
				  c->bytes_per_s ? c->bytes_per_s : 1) : ns;
}

enum pt_converge_do pt_converge_round(struct pt_converge *c,
				      const struct pt_converge_cfg *cfg,
				      const struct pt_stop_costs *costs,
				      struct pt_round *r)
{
	__u64 ns = r->took_ns + r->look_ns;

	learn(c, r);
	r->bytes_per_s = c->bytes_per_s;
	r->dirty_per_s = ns ? times(r->dirty_pages, SECOND_NS, ns) : 0;
	r->downtime_ns = expect(c, costs, r);
	if (r->downtime_ns <= cfg->downtime_ns)
		return PT_CONVERGE_STOP;
	if (r->idx < cfg->rounds_max)
		return PT_CONVERGE_AGAIN;
	return cfg->otherwise == PT_NO_CONVERGE_STOP ? PT_CONVERGE_STOP
						     : PT_CONVERGE_FAIL;
}
