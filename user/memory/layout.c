// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pagetrim/check.h>

struct segment_place {
	__u64 region_first;	/* its page_idx 0 is region_first * 512 */
	__u64 image_off;	/* bytes */
};

struct pt_layout {
	__u32 seg_cnt;
	__u64 region_cnt;
	__u64 image_sz;
	struct pt_segment *segs;
	struct segment_place *places;
	__u32 *region_seg;	/* region -> index of its segment */
};

static int segment_check(const struct pt_segment *seg, __u32 idx,
			 const struct pt_segment *before, struct pt_error *err)
{
	__u64 page_cnt = pt_segment_page_cnt(seg);

	if (!memchr(seg->name, '\0', sizeof(seg->name)))
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "segment %u: its name does not end", idx);
	if (!seg->sz)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "segment %u (%s): it is empty", idx,
				    seg->name);
	if (seg->gfn > PT_GFN_MAX || page_cnt - 1 > PT_GFN_MAX - seg->gfn)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "segment %u (%s): it ends above page 2^%u",
				    idx, seg->name, PT_GFN_BITS);
	if (before && seg->gfn < before->gfn + pt_segment_page_cnt(before))
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "segment %u (%s): it starts at page %llu, "
				    "before segment %u ends", idx, seg->name,
				    seg->gfn, idx - 1);
	return 0;
}

/* places_fill sets each segment's regions and its offset in the image. */
static int places_fill(struct pt_layout *l, struct pt_error *err)
{
	__u64 region = 0, image_off = 0;

	for (__u32 i = 0; i < l->seg_cnt; i++) {
		const struct pt_segment *seg = &l->segs[i];
		__u64 page_cnt = pt_segment_page_cnt(seg);
		int code;

		code = segment_check(seg, i, i ? seg - 1 : NULL, err);
		if (code)
			return code;
		l->places[i].region_first = region;
		l->places[i].image_off = image_off;
		l->image_sz = image_off + seg->sz;
		region += (page_cnt + PT_REGION_PAGES - 1) / PT_REGION_PAGES;
		image_off += page_cnt * PT_PAGE_SZ;
		if (region > PT_LAYOUT_PAGES_MAX / PT_REGION_PAGES)
			return pt_error_set(err, PT_EXIT_FAILED, -E2BIG,
					    "segments: more than %llu TiB",
					    PT_LAYOUT_PAGES_MAX >> 28);
	}
	l->region_cnt = region;
	return 0;
}

int pt_layout_create(struct pt_layout **out, const struct pt_segment *segs,
		     __u32 cnt, struct pt_error *err)
{
	struct pt_layout *l;
	int code = -ENOMEM;

	if (!cnt || cnt > PT_SEGMENTS_MAX)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "segments: %u of them, not 1..%u", cnt,
				    PT_SEGMENTS_MAX);
	l = calloc(1, sizeof(*l));
	if (!l)
		goto no_memory;
	l->seg_cnt = cnt;
	l->segs = malloc(cnt * sizeof(l->segs[0]));
	l->places = malloc(cnt * sizeof(l->places[0]));
	if (!l->segs || !l->places)
		goto no_memory;
	memcpy(l->segs, segs, cnt * sizeof(l->segs[0]));
	code = places_fill(l, err);
	if (code)
		goto free_layout;

	l->region_seg = malloc(l->region_cnt * sizeof(l->region_seg[0]));
	if (!l->region_seg) {
		code = -ENOMEM;
		goto no_memory;
	}
	for (__u32 i = 0; i < cnt; i++) {
		__u64 end = i + 1 < cnt ? l->places[i + 1].region_first :
					  l->region_cnt;

		for (__u64 r = l->places[i].region_first; r < end; r++)
			l->region_seg[r] = i;
	}
	*out = l;
	return 0;

no_memory:
	pt_error_set(err, PT_EXIT_HOST, code, "segments: no memory for %u",
		     cnt);
free_layout:
	pt_layout_free(l);
	return code;
}

void pt_layout_free(struct pt_layout *l)
{
	if (!l)
		return;
	free(l->region_seg);
	free(l->places);
	free(l->segs);
	free(l);
}

const struct pt_segment *pt_layout_segments(const struct pt_layout *l,
					    __u32 *cnt)
{
	*cnt = l->seg_cnt;
	return l->segs;
}

__u64 pt_layout_page_cnt(const struct pt_layout *l)
{
	return l->region_cnt * PT_REGION_PAGES;
}

__u64 pt_layout_region_cnt(const struct pt_layout *l)
{
	return l->region_cnt;
}

__u64 pt_layout_image_sz(const struct pt_layout *l)
{
	return l->image_sz;
}

/* gfn_segment returns the segment that contains gfn; -1 if there is none. */
static __s64 gfn_segment(const struct pt_layout *l, __u64 gfn)
{
	__u32 low = 0, high = l->seg_cnt;

	while (high - low > 1) {	/* the answer is in [low, high) */
		__u32 middle = low + (high - low) / 2;

		if (l->segs[middle].gfn <= gfn)
			low = middle;
		else
			high = middle;
	}
	if (gfn < l->segs[low].gfn ||
	    gfn - l->segs[low].gfn >= pt_segment_page_cnt(&l->segs[low]))
		return -1;
	return low;
}

bool pt_layout_find(const struct pt_layout *l, __u64 gfn, __u64 *page_idx)
{
	__s64 seg = gfn_segment(l, gfn);

	if (seg < 0)
		return false;
	*page_idx = l->places[seg].region_first * PT_REGION_PAGES +
		    (gfn - l->segs[seg].gfn);
	return true;
}

__u64 pt_layout_run_cnt(const struct pt_layout *l, __u64 gfn)
{
	__s64 seg = gfn_segment(l, gfn);

	if (seg < 0)
		return 0;
	return pt_segment_page_cnt(&l->segs[seg]) - (gfn - l->segs[seg].gfn);
}

/* index_segment returns the index's segment, and the page within it. */
static __u32 index_segment(const struct pt_layout *l, __u64 page_idx,
			   __u64 *page)
{
	__u64 region = page_idx / PT_REGION_PAGES;
	__u32 seg;

	pt_check(region < l->region_cnt);
	seg = l->region_seg[region];
	*page = page_idx - l->places[seg].region_first * PT_REGION_PAGES;
	return seg;
}

__u64 pt_layout_gfn(const struct pt_layout *l, __u64 page_idx)
{
	__u64 page;
	__u32 seg = index_segment(l, page_idx, &page);

	pt_check(page < pt_segment_page_cnt(&l->segs[seg]));
	return l->segs[seg].gfn + page;
}

__u64 pt_layout_image_off(const struct pt_layout *l, __u64 page_idx)
{
	__u64 page;
	__u32 seg = index_segment(l, page_idx, &page);

	pt_check(page < pt_segment_page_cnt(&l->segs[seg]));
	return l->places[seg].image_off + page * PT_PAGE_SZ;
}

__u64 pt_layout_page_at(const struct pt_layout *l, __u64 image_off)
{
	__u32 low = 0, high = l->seg_cnt;
	__u64 page;

	while (high - low > 1) {
		__u32 mid = (low + high) / 2;

		if (l->places[mid].image_off <= image_off)
			low = mid;
		else
			high = mid;
	}
	page = (image_off - l->places[low].image_off) / PT_PAGE_SZ;
	pt_check(page < pt_segment_page_cnt(&l->segs[low]));
	return l->places[low].region_first * PT_REGION_PAGES + page;
}

__u32 pt_layout_region(const struct pt_layout *l, __u64 region_idx,
		       __u64 *gfn_first)
{
	__u64 page, left;
	__u32 seg = index_segment(l, region_idx * PT_REGION_PAGES, &page);

	left = pt_segment_page_cnt(&l->segs[seg]) - page;
	if (gfn_first)
		*gfn_first = l->segs[seg].gfn + page;
	return left < PT_REGION_PAGES ? left : PT_REGION_PAGES;
}

__u32 pt_layout_region_segment(const struct pt_layout *l, __u64 region_idx,
			       __u64 *seg_off)
{
	__u64 page;
	__u32 seg = index_segment(l, region_idx * PT_REGION_PAGES, &page);

	if (seg_off)
		*seg_off = page * PT_PAGE_SZ;
	return seg;
}
