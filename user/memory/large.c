/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "memory/large.h"

#include <errno.h>
#include <stdlib.h>

int pt_large_init(struct pt_large *l, const struct pt_layout *layout)
{
	*l = (struct pt_large){
		.unit_cnt = pt_layout_image_sz(layout) / PT_LARGE_SZ,
	};
	l->wanted = calloc(l->unit_cnt / 64 + 1, sizeof(*l->wanted));
	return l->wanted ? 0 : -ENOMEM;
}

void pt_large_free(struct pt_large *l)
{
	free(l->wanted);
	*l = (struct pt_large){ 0 };
}

static void want(struct pt_large *l, __u64 unit)
{
	l->wanted[unit / 64] |= 1ULL << (unit % 64);
	l->wanted_cnt++;
}

int pt_large_want(struct pt_large *l, const struct pt_layout *layout,
		  const struct pt_large_run *run)
{
	__u64 gfn = run->first * PT_LARGE_PAGES, idx, unit;

	if (!run->cnt || run->first < l->next ||
	    run->first > PT_GFN_MAX / PT_LARGE_PAGES ||
	    run->cnt > pt_layout_run_cnt(layout, gfn) / PT_LARGE_PAGES ||
	    !pt_layout_find(layout, gfn, &idx))
		return -EINVAL;
	l->next = run->first + run->cnt;
	l->source_cnt += run->cnt;
	if (pt_layout_image_off(layout, idx) % PT_LARGE_SZ) {
		l->apart_cnt += run->cnt;
		return 0;
	}
	unit = pt_layout_image_off(layout, idx) / PT_LARGE_SZ;
	for (__u64 i = unit; i < unit + run->cnt; i++) {
		if (i < l->unit_cnt)
			want(l, i);
		else	/* the image ends within its last page */
			l->apart_cnt++;
	}
	return 0;
}

void pt_large_want_all(struct pt_large *l)
{
	for (__u64 i = 0; i < l->unit_cnt; i++)
		if (!pt_large_is_wanted(l, i))
			want(l, i);
}
