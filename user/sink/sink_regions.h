/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_regions: a sink that is memory of the caller's own.
 *
 * What is sent must have a page in a region; pages of regions that are not sent
 * stay as they are.  A segment may lie across several regions, and a region may
 * hold several segments.  After a failure the memory holds some of what came.
 */
#ifndef SINK_SINK_REGIONS_H
#define SINK_SINK_REGIONS_H

#include "memory/regions.h"
#include "sink/sink.h"

/* pt_sink_open_regions: is_zero: the caller knows that all of it is zero; else
 * zero pages that come are made zero.  The table is copied; the memory stays
 * mapped and nobody else writes it until pt_sink_close.  Errors as
 * pt_regions_sort. */
int pt_sink_open_regions(struct pt_sink **out, const struct pt_region *regions,
			 __u32 cnt, bool is_zero, struct pt_error *err);

#endif
