/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room memory: a memory as a table of segments.
 *
 *   knows         page numbers, the dirty set, digests of pages, the SIGBUS guard,
 *                 stopped processes, memory headroom
 *   may use       base
 *   must not know files that hold memory, frames
 */
/* layout: the positions of a memory's pages, the same at both ends.
 *
 * A memory is a table of segments in one space of guest page numbers (gfn).
 * Gaps between them may be large, so tables with one entry per page use a dense
 * page index instead:
 *
 *     gfn        |--seg 0--|        |------seg 1------|    |-2-|
 *     page_idx   |--seg 0--|.....|------seg 1------|...|-2-|......|
 *                0               512 * n               512 * m
 *     image      |--seg 0--|------seg 1------|-2-|
 *
 * page_idx: each segment starts at a multiple of 512, so that a region (512
 * indices, 2 MiB) lies in one segment.  The dots are indices without a page.
 * image: the segments back to back in order of gfn, each starting at a
 * multiple of 4096 bytes; the last ends at its exact byte.
 *
 * A layout never changes, so any thread may read it.  It takes 4 bytes per
 * region beside the table.
 */
#ifndef MEMORY_LAYOUT_H
#define MEMORY_LAYOUT_H

#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/error.h>
#include <pagetrim/wire.h>

#define PT_SEGMENTS_MAX		65536	/* segments of one memory */
#define PT_SEGMENT_NAME_SZ	64	/* bytes of a name, with its NUL */
#define PT_LAYOUT_PAGES_MAX	(1ULL << 36)	/* dense indices: 256 TiB */
#define PT_LAYOUT_SZ_MAX	(PT_LAYOUT_PAGES_MAX * PT_PAGE_SZ)

/* pt_segment: sz bytes from the start of page gfn. */
struct pt_segment {
	char	name[PT_SEGMENT_NAME_SZ];	/* ends with NUL, may be empty */
	__u64	gfn;		/* of its first page, 0..PT_GFN_MAX */
	__u64	sz;		/* bytes, > 0; no multiple of 4096 needed */
};

/* pt_segment_page_cnt returns the segment's pages; the last one may be
 * partial. */
static inline __u64 pt_segment_page_cnt(const struct pt_segment *seg)
{
	return seg->sz / PT_PAGE_SZ + (seg->sz % PT_PAGE_SZ != 0);
}

struct pt_layout;

/* pt_layout_create copies the table.  On success returns 0 and *out is the
 * caller's, to pt_layout_free.  On failure *out is unchanged:
 *   -EINVAL  cnt outside 1..PT_SEGMENTS_MAX; a segment is empty, ends above
 *            PT_GFN_MAX, has a name without NUL, or does not start above the
 *            end of the one before it
 *   -E2BIG   more than PT_LAYOUT_PAGES_MAX indices
 *   -ENOMEM */
int pt_layout_create(struct pt_layout **out, const struct pt_segment *segs,
		     __u32 cnt, struct pt_error *err);
void pt_layout_free(struct pt_layout *l);	/* NULL is fine */

/* pt_layout_segments returns the table, ascending in gfn. */
const struct pt_segment *pt_layout_segments(const struct pt_layout *l,
					    __u32 *cnt);

__u64 pt_layout_page_cnt(const struct pt_layout *l);	/* region_cnt * 512 */
__u64 pt_layout_region_cnt(const struct pt_layout *l);	/* >= 1 */
__u64 pt_layout_image_sz(const struct pt_layout *l);	/* bytes, exact */

/* pt_layout_find returns whether the memory has page gfn, and its index. */
bool pt_layout_find(const struct pt_layout *l, __u64 gfn, __u64 *page_idx);

/* pt_layout_run_cnt returns how many pages from gfn on lie in gfn's segment; 0
 * if there is no page gfn. */
__u64 pt_layout_run_cnt(const struct pt_layout *l, __u64 gfn);

/* The following functions take an index below pt_layout_page_cnt() (a region
 * below pt_layout_region_cnt()), in O(1). */

/* pt_layout_gfn returns the page's number; the index must have a page. */
__u64 pt_layout_gfn(const struct pt_layout *l, __u64 page_idx);

/* pt_layout_image_off returns the page's offset in the image, in bytes. */
__u64 pt_layout_image_off(const struct pt_layout *l, __u64 page_idx);

/* pt_layout_page_at returns the index of the page at an offset of the image, which must
 * be in it. */
__u64 pt_layout_page_at(const struct pt_layout *l, __u64 image_off);

/* pt_layout_region returns the region's count of pages, 1..512, and the number
 * of its first page; gfn_first may be NULL. */
__u32 pt_layout_region(const struct pt_layout *l, __u64 region_idx,
		       __u64 *gfn_first);

/* pt_layout_region_segment returns the index of the region's segment, and the
 * region's offset in it, in bytes; seg_off may be NULL. */
__u32 pt_layout_region_segment(const struct pt_layout *l, __u64 region_idx,
			       __u64 *seg_off);

#endif
