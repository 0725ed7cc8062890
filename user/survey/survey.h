/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room survey: what a memory holds, before it is sent.
 *
 *   knows         counting blocks, zero pages, equal pages
 *   may use       trim wire memory source
 *   must not know devices, connections
 */
/* survey: what a memory holds, and what it would cost to send it.
 *
 * Reads a source once, as a sender would, and counts.  The cost comes from
 * the builder that packs a sender's frames: one lane, IPv4, no VLAN tag, no
 * loss, every page in the order of its number.
 *
 * Memory: 8 bytes a region, and what twins takes.
 */
#ifndef SURVEY_SURVEY_H
#define SURVEY_SURVEY_H

#include <linux/types.h>
#include <pagetrim/error.h>
#include <pagetrim/wire.h>
#include "source/source.h"
#include "trim/trim.h"

/* pt_survey_region: what a region holds.  page_cnt pages, of which zero_cnt
 * are zero; in the others, trimmed_cnt blocks of 64 bytes are. */
struct pt_survey_region {
	__u16 page_cnt;		/* 1..512 */
	__u16 zero_cnt;		/* 0..page_cnt */
	__u16 trimmed_cnt;	/* 0..63 * 512 */
	__u16 unused;
};

/* pt_survey_cost: of sending it all, with one way to trim. */
struct pt_survey_cost {
	__u64 frames;
	__u64 wire_bytes;	/* Ethernet bytes without FCS, as a sender
				 * counts them */
};

struct pt_survey {
	__u32 mtu;
	__u64 memory_sz;	/* bytes, exact */
	__u64 page_cnt;		/* zero_cnt + data_cnt */
	__u64 zero_cnt;
	__u64 hole_cnt;		/* of zero_cnt: known without reading */
	__u64 data_cnt;
	__u64 copy_cnt;		/* of data_cnt: equal to an earlier page */
	__u64 copy_sample;	/* 1: exact; n: 1 in n contents was counted */
	/* Zero blocks of the data pages, by where they lie: before the first
	 * block with data, after the last, between. */
	__u64 head_cnt, tail_cnt, interior_cnt;
	struct pt_survey_cost costs[PT_TRIM_CNT];
	struct pt_survey_cost with_copies;	/* PT_TRIM_BLOCKS, and a record
						 * for each of copy_cnt; exact
						 * if that is */
	struct pt_survey_region *regions;	/* by region_idx */
	__u64 region_cnt;
};

/* pt_survey_progress is called after each region. */
typedef void pt_survey_progress(void *arg, __u64 region_done,
				__u64 region_cnt);

/* pt_survey_take fills *out, which is the caller's, to pt_survey_free; mtu is
 * PT_MTU_MIN..PT_MTU_MAX, progress may be NULL.  On failure returns what
 * pt_source_view returns, or -ENOMEM, and *out needs no free. */
int pt_survey_take(struct pt_survey *out, struct pt_source *src,
		   const struct pt_layout *l, __u32 mtu,
		   pt_survey_progress *progress, void *arg,
		   struct pt_error *err);
void pt_survey_free(struct pt_survey *s);

/* pt_survey_stretch: *with saves so many times as much of *all; all of it at
 * most, since the copies of a sample may hold more than the others. */
void pt_survey_stretch(struct pt_survey_cost *with,
		       const struct pt_survey_cost *all, double times);

/* pt_survey_seconds: how long a cost takes at rate_mbit (> 0) Mbit/s of
 * Ethernet, with the 24 bytes around each frame: preamble, FCS and gap. */
double pt_survey_seconds(const struct pt_survey_cost *cost, __u64 rate_mbit);

#endif
