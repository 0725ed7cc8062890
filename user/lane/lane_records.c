/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Stages the cursor's page as records; full frames are sent. */
#include "lane/lane_internal.h"

#include <errno.h>

/* stage_data: a frame that is full goes before the next block is staged.  It is empty
 * if it was dropped meanwhile, since the path is searched anew. */
static int stage_data(struct pt_lane *l, struct pt_staged *p)
{
	int ret;

	while (p->block < PT_PAGE_BLOCKS) {
		if (p->is_full && !pt_builder_is_empty(&l->builder)) {
			ret = pt_lane_close_frame(l);
			if (ret)
				return ret;
		}
		p->block = pt_builder_add_page(&l->builder, p->gfn, p->block,
					       p->mask, p->bytes);
		p->is_full = true;
	}
	pt_lane_count(&l->counts.pages, 1);
	return 0;
}

static int stage_zeroes(struct pt_lane *l, struct pt_staged *p)
{
	int ret;

	while (!pt_builder_add_zeroes(&l->builder, p->gfn, p->page_cnt)) {
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.zero_pages, p->page_cnt);
	return 0;
}

static int stage_unreadable(struct pt_lane *l, struct pt_staged *p)
{
	int ret;

	if (!l->cfg.job->unreadable)
		return pt_error_set(&l->error_text, PT_EXIT_PEER,
				    -EPROTONOSUPPORT, "page %llu cannot be "
				    "read, and the receiver takes no such pages "
				    "(install a newer pagetrim there)",
				    (unsigned long long)p->gfn);
	while (!pt_builder_add_unreadable(&l->builder, p->gfn, 1)) {
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.zero_pages, 1);
	pt_lane_count(&l->counts.unreadable, 1);
	return 0;
}

static int stage_copy(struct pt_lane *l, struct pt_staged *p)
{
	int ret;

	while (!pt_builder_add_copy(&l->builder, p->gfn, p->original_gfn,
				    p->version)) {
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.pages, 1);
	pt_lane_count(&l->counts.copies, 1);
	return 0;
}

/* stage_delta: the frames may have become smaller meanwhile: then the page goes as
 * data. */
static int stage_delta(struct pt_lane *l, struct pt_staged *p)
{
	unsigned int cnt = __builtin_popcountll(p->changed);
	int ret;

	for (;;) {
		if (cnt > pt_builder_delta_max(&l->builder)) {
			p->kind = PT_STAGED_DATA;
			return stage_data(l, p);
		}
		if (pt_builder_add_delta(&l->builder, p->gfn, p->version, p->changed,
					 p->bytes))
			break;
		ret = pt_lane_close_frame(l);
		if (ret)
			return ret;
	}
	pt_lane_count(&l->counts.pages, 1);
	pt_lane_count(&l->counts.deltas, 1);
	pt_lane_count(&l->counts.delta_saved,
		      (__builtin_popcountll(p->mask) - cnt) * PT_BLOCK_SZ);
	return 0;
}

int pt_lane_stage(struct pt_lane *l)
{
	struct pt_staged *p = &l->cursor.page;

	switch (p->kind) {
	case PT_STAGED_NONE:
		return 0;
	case PT_STAGED_DATA:
		return stage_data(l, p);
	case PT_STAGED_ZEROES:
		return stage_zeroes(l, p);
	case PT_STAGED_UNREADABLE:
		return stage_unreadable(l, p);
	case PT_STAGED_COPY:
		return stage_copy(l, p);
	case PT_STAGED_DELTA:
		return stage_delta(l, p);
	}
	return 0;
}
