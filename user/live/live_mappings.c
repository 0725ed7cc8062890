/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The mappings of a source that has some, as ranges to be watched. */
#include "live/live_internal.h"

#include <errno.h>
#include <stdlib.h>

static int range_add(struct pt_live *l, const struct pt_track_range *range)
{
	__u32 room = l->range_room ? 2 * l->range_room : 64;
	struct pt_track_range *ranges;

	if (l->range_cnt == l->range_room) {
		ranges = reallocarray(l->ranges, room, sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		l->ranges = ranges;
		l->range_room = room;
	}
	l->ranges[l->range_cnt++] = *range;
	return 0;
}

/* first_in returns the first page from gfn on that a segment has; *seg: the segment
 * to begin with, and its own. */
static __u64 first_in(const struct pt_layout *layout, __u32 *seg, __u64 gfn)
{
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_layout_segments(layout, &cnt);
	while (*seg < cnt &&
	       segs[*seg].gfn + pt_segment_page_cnt(&segs[*seg]) <= gfn)
		++*seg;
	if (*seg == cnt)
		return ~0ULL;
	return segs[*seg].gfn > gfn ? segs[*seg].gfn : gfn;
}

/* mapping_add adds a range for each segment that has a part of the mapping. */
static int mapping_add(struct pt_live *l, __u32 *seg, __u64 gfn, __u64 end)
{
	int ret = 0;

	for (gfn = first_in(l->cfg.layout, seg, gfn); !ret && gfn < end;
	     gfn = first_in(l->cfg.layout, seg, gfn)) {
		__u64 cnt = pt_layout_run_cnt(l->cfg.layout, gfn);
		struct pt_track_range range = {
			.addr = gfn * PT_PAGE_SZ, .is_loose = true,
		};

		cnt = cnt < end - gfn ? cnt : end - gfn;
		range.sz = cnt * PT_PAGE_SZ;
		pt_layout_find(l->cfg.layout, gfn, &range.page_idx);
		ret = range_add(l, &range);
		gfn += cnt;
	}
	return ret;
}

int pt_live_mappings(struct pt_live *l, struct pt_error *err)
{
	int ret = pt_source_review(l->cfg.source, err);
	__u64 gfn, page_cnt;
	__u32 seg = 0;

	if (ret)
		return ret;
	l->range_cnt = 0;
	for (__u32 i = 0; !ret && pt_source_mapping(l->cfg.source, i, &gfn,
						    &page_cnt); i++)
		ret = mapping_add(l, &seg, gfn, gfn + page_cnt);
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "no memory for the "
				  "mappings of a process") : 0;
}
