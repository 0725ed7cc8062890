/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* large: the large pages that a memory is to stand in, at its receiver.
 *
 * A large page is 2 MiB: page n holds the pages 512 n .. 512 n + 511.  A unit is
 * 2 MiB of the image (see layout.h), which can be one large page there.
 *
 *     memory   |....|LLLLLLLL|LLLLLLLL|....|
 *     image    |--------|--------|--------|      unit 1 is whole: wanted
 *
 * Memory: 1 bit a unit.  Threads: any may read it once it is filled.
 */
#ifndef MEMORY_LARGE_H
#define MEMORY_LARGE_H

#include <stdbool.h>
#include <linux/types.h>

#include "memory/layout.h"

#define PT_LARGE_SZ	PT_REGION_SZ	/* bytes */
#define PT_LARGE_PAGES	PT_REGION_PAGES

/* pt_large_run: large pages first .. first + cnt - 1. */
struct pt_large_run {
	__u64 first;
	__u64 cnt;
};

struct pt_large {
	bool is_told;		/* the source knows its large pages */
	__u64 source_cnt;	/* of these */
	__u64 apart_cnt;	/* of these, those that are no unit here */
	__u64 wanted_cnt;	/* bits in wanted */
	__u64 next;		/* the least large page that may be named next */
	__u64 unit_cnt;
	__u64 *wanted;		/* bit i % 64 of [i / 64]: unit i */
};

/* pt_large_init wants nothing yet; pt_large_free may be called twice.  -ENOMEM. */
int pt_large_init(struct pt_large *l, const struct pt_layout *layout);
void pt_large_free(struct pt_large *l);

/* pt_large_want wants the large pages of a run, which the source has.
 * Runs ascend.
 *   -EINVAL  they do not, or one is not within a segment of the memory */
int pt_large_want(struct pt_large *l, const struct pt_layout *layout,
		  const struct pt_large_run *run);

/* pt_large_want_all wants all units. */
void pt_large_want_all(struct pt_large *l);

static inline bool pt_large_is_wanted(const struct pt_large *l, __u64 unit)
{
	return unit < l->unit_cnt && l->wanted[unit / 64] >> (unit % 64) & 1;
}

#endif
