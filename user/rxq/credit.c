/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/credit.h"

static __u32 at_least_floor(__u32 window)
{
	return window < PT_CREDIT_FLOOR ? PT_CREDIT_FLOOR : window;
}

struct pt_windows pt_credit_share(__u32 credit, __u32 idle_cnt, __u32 busy_cnt)
{
	__u32 lane_cnt = idle_cnt + busy_cnt, even, idle, taken;
	struct pt_windows w = { 0 };

	if (!lane_cnt)
		return w;
	even = at_least_floor(credit / lane_cnt);
	w.idle = w.busy = even;
	if (!idle_cnt || !busy_cnt)
		return w;
	idle = at_least_floor(credit / 4 / idle_cnt);
	w.idle = idle < even ? idle : even;
	taken = w.idle * idle_cnt;
	if (taken > credit / 2)
		taken = credit / 2;
	w.busy = at_least_floor((credit - taken) / busy_cnt);
	return w;
}

bool pt_credit_may_hold(__u32 ring_cnt, __u32 held_cnt, __u32 own_cnt,
			__u32 cnt)
{
	if (held_cnt + cnt >= ring_cnt)
		return false;
	return own_cnt + cnt <= PT_HOLD_TIMES * (ring_cnt - held_cnt - cnt);
}
