/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room trim: finds the parts of a page that hold data.
 *
 *   knows         scanning and digests of 64-byte blocks, portable and with AVX
 *   may use       no other
 *   must not know where a page comes from, how it travels
 */
/* trim: selects the blocks of a page that travel.
 *
 *     page     ....DDDD..DDDDD........     D a block with data, . a zero block
 *     none     DDDDDDDDDDDDDDDDDDDDDDD     the whole page, unless all zero
 *     ends         DDDDDDDDDDD             from the first block to the last
 *     blocks       DDDD  DDDDD             nothing but data
 *
 * A page that is wholly zero never travels as blocks, whatever the method.
 * Pure functions: any thread.
 */
#ifndef TRIM_TRIM_H
#define TRIM_TRIM_H

#include <linux/types.h>

/* pt_trim: OPEN carries these numbers; never renumber. */
enum pt_trim {
	PT_TRIM_NONE	= 0,
	PT_TRIM_ENDS	= 1,
	PT_TRIM_BLOCKS	= 2,
};
#define PT_TRIM_CNT 3

/* pt_trim_mask returns the blocks that travel, given the page's pt_scan() mask:
 * a superset of scanned, and 0 if and only if scanned is 0. */
static inline __u64 pt_trim_mask(enum pt_trim trim, __u64 scanned)
{
	if (!scanned || trim == PT_TRIM_BLOCKS)
		return scanned;
	if (trim == PT_TRIM_NONE)
		return ~0ULL;
	return (~0ULL << __builtin_ctzll(scanned)) &
	       (~0ULL >> __builtin_clzll(scanned));
}

/* pt_trim_name returns "none", "ends" or "blocks"; NULL for any other. */
const char *pt_trim_name(enum pt_trim trim);

#endif
