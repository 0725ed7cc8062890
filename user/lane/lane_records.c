/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Stages pages of a lane as records; full frames are sent. */
#include "lane/lane_internal.h"

#include <errno.h>

int pt_lane_add_page(struct pt_lane *l, __u64 gfn, __u64 mask,
		     const void *page)
{
	unsigned first = 0;
	int ret;

	while (first < PT_PAGE_BLOCKS) {
		unsigned next = pt_builder_add_page(&l->builder, gfn, first,
						    mask, page);

		if (next < PT_PAGE_BLOCKS) {
			ret = pt_lane_close_frame(l);
			if (ret)
				return ret;
		}
		first = next;
	}
	pt_lane_count(&l->counts.pages, 1);
	return 0;
}

int pt_lane_add_data(struct pt_lane *l, const struct pt_page_word *w,
		     unsigned i)
{
	return pt_lane_add_page(l, w->gfn + i,
				pt_trim_mask(l->cfg.job->trim, w->masks[i]),
				w->pages + i * PT_PAGE_SZ);
}

int pt_lane_add_zeroes(struct pt_lane *l, __u64 gfn, __u64 page_cnt)
{
	int ret;

	while (!pt_builder_add_zeroes(&l->builder, gfn, page_cnt)) {
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.zero_pages, page_cnt);
	return 0;
}

int pt_lane_add_unreadable(struct pt_lane *l, __u64 gfn)
{
	int ret;

	if (!l->cfg.job->unreadable)
		return pt_error_set(&l->error_text, PT_EXIT_PEER,
				    -EPROTONOSUPPORT, "page %llu cannot be "
				    "read, and the receiver takes no such pages "
				    "(install a newer pagetrim there)",
				    (unsigned long long)gfn);
	while (!pt_builder_add_unreadable(&l->builder, gfn, 1)) {
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.zero_pages, 1);
	pt_lane_count(&l->counts.unreadable, 1);
	return 0;
}

int pt_lane_add_copy(struct pt_lane *l, __u64 gfn, __u64 original_gfn,
		     __u32 version)
{
	int ret;

	while (!pt_builder_add_copy(&l->builder, gfn, original_gfn, version)) {
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.pages, 1);
	pt_lane_count(&l->counts.copies, 1);
	return 0;
}

/* The frames may have become smaller meanwhile: then the page goes as data. */
int pt_lane_add_delta(struct pt_lane *l, __u64 gfn, __u32 base, __u64 changed,
		      __u64 whole, const void *page)
{
	unsigned int cnt = __builtin_popcountll(changed);
	int ret;

	for (;;) {
		if (cnt > pt_builder_delta_max(&l->builder))
			return pt_lane_add_page(l, gfn, whole, page);
		if (pt_builder_add_delta(&l->builder, gfn, base, changed, page))
			break;
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.pages, 1);
	pt_lane_count(&l->counts.deltas, 1);
	pt_lane_count(&l->counts.delta_saved,
		      (__builtin_popcountll(whole) - cnt) * PT_BLOCK_SZ);
	return 0;
}
