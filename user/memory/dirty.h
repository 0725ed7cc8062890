/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dirty: the set of pages of which the receiver may lack the present content.
 *
 * Shape: one bit per page, eight words per region, and 4 bytes per region.  The
 * words take no memory while the set only ever held the whole region.  Indices
 * are the layout's.  Threads: no locks.  A region belongs to one lane, so each
 * word has one writer; the caller keeps sums over regions.
 */
#ifndef MEMORY_DIRTY_H
#define MEMORY_DIRTY_H

#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/wire.h>

#define PT_REGION_WORDS	(PT_REGION_PAGES / 64)

struct pt_dirty;

/* pt_dirty_create makes an empty set for region_cnt regions.  -ENOMEM. */
int pt_dirty_create(struct pt_dirty **out, __u64 region_cnt);
void pt_dirty_destroy(struct pt_dirty *d);

/* pt_dirty_set adds pages [page_idx, page_idx + cnt), all of one region;
 * returns how many were new. */
__u32 pt_dirty_set(struct pt_dirty *d, __u64 page_idx, __u32 cnt);

/* pt_dirty_cnt returns how many pages of a region are in the set. */
__u32 pt_dirty_cnt(const struct pt_dirty *d, __u64 region_idx);

/* pt_dirty_has returns whether the page is in the set. */
bool pt_dirty_has(const struct pt_dirty *d, __u64 page_idx);

/* pt_dirty_take moves a region's pages from the set to bits and returns their
 * count. */
__u32 pt_dirty_take(struct pt_dirty *d, __u64 region_idx,
		    __u64 bits[PT_REGION_WORDS]);

#endif
