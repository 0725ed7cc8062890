/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* digest: 64-bit sums by which two hosts compare memory.
 *
 *     block   XXH3-64 of its 64 bytes, seed key ^ (gfn * 64 + block_idx);
 *             0 for a block that is all zero
 *     page    sum of its blocks       modulo 2^64
 *     region  sum of its pages        modulo 2^64
 *
 * Sums: the pieces of a page may be placed in any order, by any frame, and
 * zero blocks cost nothing.  The seed holds the position, so that blocks that
 * change places do not cancel out.  The key is drawn for each transfer; it
 * keeps accidents of one transfer from repeating in the next, and is no
 * secret.  Pure functions: any thread.
 */
#ifndef PT_TRIM_DIGEST_H
#define PT_TRIM_DIGEST_H

#include <linux/types.h>

/* pt_digest_page returns the digest of the page gfn, 4096 bytes at page, of
 * which the blocks in mask count: its pt_scan() mask, or a superset (a zero
 * block that is in the mask still counts nothing). */
__u64 pt_digest_page(__u64 key, __u64 gfn, __u64 mask, const void *page);

/* pt_digest_blocks returns the sum of block_cnt blocks (0..64) that lie one
 * after the other at blocks and are first, first + 1, ... of page gfn;
 * first + block_cnt <= 64.  Any alignment. */
__u64 pt_digest_blocks(__u64 key, __u64 gfn, unsigned int first,
		       unsigned int block_cnt, const void *blocks);

#endif
