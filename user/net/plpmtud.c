/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/plpmtud.h"

#include <pagetrim/check.h>

void pt_plpmtud_init(struct pt_plpmtud *l, __u32 min_sz, __u32 max_sz)
{
	pt_check(min_sz > PT_PLPMTUD_STEP_SZ);
	pt_check(min_sz <= max_sz);
	*l = (struct pt_plpmtud){
		.lost_sz = max_sz + 1,
		.min_sz = min_sz,
		.max_sz = max_sz,
	};
}

/* is_narrow: no size between seen_sz and lost_sz is worth a probe. */
static bool is_narrow(const struct pt_plpmtud *l)
{
	if (!l->seen_sz)
		return l->lost_sz == l->min_sz;
	return l->lost_sz <= l->max_sz &&
	       l->seen_sz + PT_PLPMTUD_STEP_SZ >= l->lost_sz;
}

__u32 pt_plpmtud_next(struct pt_plpmtud *l, __u32 sizes[PT_PLPMTUD_SIZES])
{
	__u32 floor_sz = l->seen_sz ? l->seen_sz : l->min_sz;
	__u32 cnt = 0;
	__u32 step;

	if (l->lost_sz > l->max_sz && !l->seen_sz) {
		sizes[0] = l->max_sz;
		return 1;
	}
	if (l->lost_sz <= l->max_sz && l->lost_tries < PT_PLPMTUD_TRIES)
		sizes[cnt++] = l->lost_sz;
	if (is_narrow(l))
		return cnt;

	step = (l->lost_sz - floor_sz) / PT_PLPMTUD_SIZES;
	if (step < PT_PLPMTUD_STEP_SZ)
		step = PT_PLPMTUD_STEP_SZ;
	for (__u32 sz = l->lost_sz - 1;
	     sz > floor_sz && cnt < PT_PLPMTUD_SIZES - 1; sz -= step)
		sizes[cnt++] = sz;
	if (!l->seen_sz)
		sizes[cnt++] = l->min_sz;
	return cnt;
}

void pt_plpmtud_seen(struct pt_plpmtud *l, __u32 sz)
{
	if (sz < l->min_sz || sz > l->max_sz || sz <= l->seen_sz)
		return;
	l->seen_sz = sz;
	if (l->lost_sz <= sz)
		l->lost_sz = l->max_sz + 1;
}

void pt_plpmtud_close(struct pt_plpmtud *l, const __u32 *sizes, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++) {
		if (sizes[i] <= l->seen_sz || sizes[i] > l->lost_sz)
			continue;
		l->lost_tries = sizes[i] < l->lost_sz ? 1 : l->lost_tries + 1;
		l->lost_sz = sizes[i];
	}
}
