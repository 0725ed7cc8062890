/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_regions: a sink that is the caller's own memory.
 *
 * Each page that is sent must have a page in a region; pages of regions that
 * are not sent keep their content.  A segment may extend across several
 * regions, and a region may hold several segments.  After a failure the memory
 * holds a part of the data.
 */
#ifndef SINK_SINK_REGIONS_H
#define SINK_SINK_REGIONS_H

#include "memory/regions.h"
#include "sink/sink.h"

/* pt_sink_open_regions: is_zero: the caller guarantees that all of it is zero;
 * else the sink writes the zeroes of zero pages.  The table is copied; the
 * memory stays mapped and nobody else writes it until pt_sink_close.  Errors as
 * pt_regions_sort. */
int pt_sink_open_regions(struct pt_sink **out, const struct pt_region *regions,
			 __u32 cnt, bool is_zero, struct pt_error *err);

#endif
