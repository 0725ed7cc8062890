// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_rooms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOWEST_PAGE	16	/* vm.mmap_min_addr is 64 KiB at most */

struct table {
	struct pt_segment *segs;
	__u32 cnt;
	__u32 left_cnt;		/* mappings that have no segment yet */
};

static __u64 end_of(const struct pt_segment *seg)
{
	return seg->gfn + seg->sz / PT_PAGE_SZ;
}

/* room_add adds a room between two pages. */
static void room_add(struct table *t, __u64 first, __u64 end)
{
	if (first >= end || t->cnt + t->left_cnt >= PT_SEGMENTS_MAX)
		return;
	t->segs[t->cnt] = (struct pt_segment){
		.name = PT_ROOM_NAME, .gfn = first,
		.sz = (end - first) * PT_PAGE_SZ,
	};
	t->cnt++;
}

/* gap_fill adds the rooms between two mappings; pages: of a room. */
static void gap_fill(struct table *t, __u64 first, __u64 end, __u64 pages)
{
	if (end - first <= 2 * pages) {
		room_add(t, first, end);
		return;
	}
	room_add(t, first, first + pages);
	room_add(t, end - pages, end);
}

int pt_process_rooms_make(struct pt_segment **out, __u32 *cnt,
			  const struct pt_process_maps *m, __u64 room_sz)
{
	__u64 pages = room_sz / PT_PAGE_SZ, upto = LOWEST_PAGE;
	struct table t = {
		.segs = calloc(3 * (__u64)m->cnt, sizeof(*t.segs)),
		.left_cnt = m->cnt,
	};

	if (!t.segs)
		return -ENOMEM;
	for (__u32 i = 0; i < m->cnt; i++) {
		const struct pt_segment *seg = &m->all[i].seg;

		if (i)
			gap_fill(&t, upto, seg->gfn, pages);
		else
			room_add(&t, seg->gfn > upto + pages
				 ? seg->gfn - pages : upto, seg->gfn);
		t.segs[t.cnt++] = *seg;
		t.left_cnt--;
		upto = end_of(seg);
	}
	*out = t.segs;
	*cnt = t.cnt;
	return 0;
}

__u64 pt_process_rooms_lack(const struct pt_segment *segs, __u32 cnt,
			    const struct pt_process_maps *m)
{
	__u32 k = 0;

	for (__u32 i = 0; i < m->cnt; i++) {
		__u64 at = m->all[i].seg.gfn, end = end_of(&m->all[i].seg);

		while (at < end) {
			while (k < cnt && end_of(&segs[k]) <= at)
				k++;
			if (k == cnt || segs[k].gfn > at)
				return at * PT_PAGE_SZ;
			at = end_of(&segs[k]);
		}
	}
	return ~0ULL;
}
