/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room survey: measures a memory before it is sent.
 *
 *   knows         counting blocks, zero pages, equal pages
 *   may use       trim wire memory source
 *   must not know devices, connections
 */
/* survey: the content of a memory, and the cost of sending it.
 *
 * It reads a source once, as a sender would, and counts.  The builder of a
 * sender's frames computes the cost: one lane, IPv4, no VLAN tag, no loss,
 * pages in the order of their numbers.  For compression it compresses them.
 *
 * Memory: 8 bytes per region, and the memory of dups.
 */
#ifndef SURVEY_SURVEY_H
#define SURVEY_SURVEY_H

#include <linux/types.h>
#include <pagetrim/error.h>
#include <pagetrim/wire.h>
#include "source/source.h"
#include "trim/trim.h"

/* pt_survey_region: the content of a region: page_cnt pages, of which zero_cnt
 * are zero; the others have trimmed_cnt zero blocks of 64 bytes. */
struct pt_survey_region {
	__u16 page_cnt;		/* 1..512 */
	__u16 zero_cnt;		/* 0..page_cnt */
	__u16 trimmed_cnt;	/* 0..63 * 512 */
	__u16 unused;
};

/* pt_survey_cost: the cost of sending the memory in one way. */
struct pt_survey_cost {
	__u64 frames;
	__u64 wire_bytes;	/* Ethernet bytes without FCS, as the sender's
				 * report has them */
	__u64 compress_ns;	/* that one CPU of this host compressed for */
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
	/* Zero blocks of the data pages, by position: before the first block
	 * with data, after the last, between. */
	__u64 head_cnt, tail_cnt, interior_cnt;
	struct pt_survey_cost costs[PT_TRIM_CNT];
	struct pt_survey_cost with_copies;	/* PT_TRIM_BLOCKS, and one
						 * record per copy; exact if
						 * copy_cnt is */
	struct pt_survey_cost compressed[PT_COMPRESSION_CNT]; /* PT_TRIM_BLOCKS,
						 * by that method, with copies
						 * where a sender makes them;
						 * no frames: not measured */
	struct pt_survey_region *regions;	/* by region_idx */
	__u64 region_cnt;
};

/* pt_survey_progress is called after each region. */
typedef void pt_survey_progress(void *arg, __u64 region_done,
				__u64 region_cnt);

/* pt_survey_take fills *out, which is the caller's, to pt_survey_free; mtu is
 * PT_MTU_MIN..PT_MTU_MAX; compressions: 1 << enum pt_compression, of those to
 * measure, which are built; progress may be NULL.  On failure returns what
 * pt_source_view returns, or -ENOMEM, and *out needs no free. */
int pt_survey_take(struct pt_survey *out, struct pt_source *src,
		   const struct pt_layout *l, __u32 mtu, __u8 compressions,
		   pt_survey_progress *progress, void *arg,
		   struct pt_error *err);
void pt_survey_free(struct pt_survey *s);

/* pt_survey_stretch multiplies the saving of *with against *all, to all of it
 * at most, since the copies of a sample may be larger than the others. */
void pt_survey_stretch(struct pt_survey_cost *with,
		       const struct pt_survey_cost *all, double times);

/* pt_survey_all returns what page_cnt pages cost, by *with, where copy_cnt of them
 * went as copies, whose records count as nothing. */
struct pt_survey_cost pt_survey_all(const struct pt_survey_cost *with,
				    __u64 page_cnt, __u64 copy_cnt);

/* pt_survey_seconds returns the time on an Ethernet of rate_mbit (> 0) Mbit/s,
 * with 24 bytes around each frame: preamble, FCS and gap; or that of compressing,
 * if it is longer. */
double pt_survey_seconds(const struct pt_survey_cost *cost, __u64 rate_mbit);

#endif
