// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/digest.h"

#define XXH_INLINE_ALL	/* the length is constant: one straight path is left */
#include <xxhash.h>

#include <stdbool.h>
#include <string.h>
#include <pagetrim/check.h>
#include <pagetrim/wire.h>

static inline bool block_is_zero(const __u8 *block)
{
	__u64 w[8];

	memcpy(w, block, sizeof(w));
	return !(w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]);
}

static inline __u64 block_digest(__u64 key, __u64 position, const __u8 *block)
{
	if (block_is_zero(block))
		return 0;
	return XXH3_64bits_withSeed(block, PT_BLOCK_SZ, key ^ position);
}

__u64 pt_digest_page(__u64 key, __u64 gfn, __u64 mask, const void *page)
{
	const __u8 *blocks = page;
	__u64 position = gfn * PT_PAGE_BLOCKS;
	__u64 sum = 0;

	for (; mask; mask &= mask - 1) {
		unsigned int b = __builtin_ctzll(mask);

		sum += block_digest(key, position + b,
				    blocks + b * PT_BLOCK_SZ);
	}
	return sum;
}

__u64 pt_digest_blocks(__u64 key, __u64 gfn, unsigned int first,
		       unsigned int block_cnt, const void *blocks)
{
	const __u8 *block = blocks;
	__u64 position = gfn * PT_PAGE_BLOCKS + first;
	__u64 sum = 0;

	pt_check(block_cnt <= PT_PAGE_BLOCKS);
	pt_check(first + block_cnt <= PT_PAGE_BLOCKS);
	for (unsigned int b = 0; b < block_cnt; b++) {
		sum += block_digest(key, position + b, block);
		block += PT_BLOCK_SZ;
	}
	return sum;
}
