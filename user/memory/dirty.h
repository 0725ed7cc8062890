/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dirty: the set of pages that the receiver does not surely have as they are.
 *
 * Shape: one bit a page, eight words a region, which take no memory while all
 * that was ever in the set of a region is the region, whole; 4 bytes a region.
 * Indices are the layout's.
 * Threads: no locks.  A region belongs to one lane, so each word has one
 * writer; sums over regions are the caller's to keep.
 */
#ifndef MEMORY_DIRTY_H
#define MEMORY_DIRTY_H

#include <linux/types.h>
#include <pagetrim/wire.h>

#define PT_REGION_WORDS	(PT_REGION_PAGES / 64)

struct pt_dirty;

/* pt_dirty_create makes an empty set for region_cnt regions.  -ENOMEM. */
int pt_dirty_create(struct pt_dirty **out, __u64 region_cnt);
void pt_dirty_destroy(struct pt_dirty *d);

/* pt_dirty_set adds pages [page_idx, page_idx + cnt), all of one region;
 * returns how many were not in the set before. */
__u32 pt_dirty_set(struct pt_dirty *d, __u64 page_idx, __u32 cnt);

/* pt_dirty_cnt returns how many pages of a region are in the set. */
__u32 pt_dirty_cnt(const struct pt_dirty *d, __u64 region_idx);

/* pt_dirty_take moves a region's pages out of the set into bits; returns how
 * many they are. */
__u32 pt_dirty_take(struct pt_dirty *d, __u64 region_idx,
		    __u64 bits[PT_REGION_WORDS]);

#endif
