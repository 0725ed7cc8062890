/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* regions: memory that the caller has mapped, as source or as sink.
 *
 * A table of regions is copied and sorted by page number.  The memory stays the
 * caller's, and stays mapped as long as the source or the sink is open.
 */
#ifndef MEMORY_REGIONS_H
#define MEMORY_REGIONS_H

#include "memory/layout.h"

/* pt_region: sz bytes at addr are the pages gfn, gfn + 1, ... */
struct pt_region {
	void *addr;		/* a multiple of 4096 */
	__u64 gfn;		/* 0..PT_GFN_MAX */
	__u64 sz;		/* bytes, > 0, a multiple of 4096 */
	const char *name;	/* of the segment; NULL: "region" */
};

/* pt_regions_sort makes a copy of the table in ascending order of gfn: *out is the
 * caller's, to free(3).
 *   -EINVAL  cnt outside 1..PT_SEGMENTS_MAX; a region is empty, NULL, unaligned,
 *            ends above PT_GFN_MAX or behind the address space, or overlaps
 *            another in pages or in addresses; err names it
 *   -ENOMEM */
int pt_regions_sort(struct pt_region **out, const struct pt_region *regions,
		    __u32 cnt, struct pt_error *err);

#endif
