/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_rate.h"

bool pt_rx_rate_take(struct pt_rx_rate *r, __u64 came_sz, __u64 now_ns)
{
	__u64 full_sz = r->bytes_per_s / 4, gone_sz;

	if (!r->bytes_per_s)
		return false;
	if (full_sz < PT_RX_RATE_BURST_SZ)
		full_sz = PT_RX_RATE_BURST_SZ;
	gone_sz = r->at_ns ? (now_ns - r->at_ns) / 1e9 * r->bytes_per_s * 5 / 4
			   : 0;
	r->level_sz -= gone_sz < r->level_sz ? gone_sz : r->level_sz;
	r->level_sz += came_sz - r->seen_sz;
	r->seen_sz = came_sz;
	r->at_ns = now_ns;
	return r->level_sz > full_sz;
}

void pt_rx_rate_hold(struct pt_rx_rate *r, struct pt_intake *i, __u64 now_ns)
{
	__u64 came_sz = 0;

	if (!r->bytes_per_s)
		return;
	for (__u16 n = 0; n < i->lane_cnt; n++)
		came_sz += atomic_load_explicit(&i->lanes[n].told_sz,
						memory_order_relaxed);
	atomic_store_explicit(&i->is_ahead, pt_rx_rate_take(r, came_sz, now_ns),
			      memory_order_relaxed);
}
