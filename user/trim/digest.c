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

static inline __u64 run_digest(__u64 key, __u64 position, const __u8 *block,
			       unsigned int block_cnt)
{
	__u64 sum = 0;

	for (unsigned int b = 0; b < block_cnt; b++) {
		if (!block_is_zero(block))
			sum += XXH3_64bits_withSeed(block, PT_BLOCK_SZ,
						    key ^ (position + b));
		block += PT_BLOCK_SZ;
	}
	return sum;
}

/* By runs of set bits: a full page is one tight loop. */
__u64 pt_digest_page(__u64 key, __u64 gfn, __u64 mask, const void *page)
{
	const __u8 *blocks = page;
	__u64 position = gfn * PT_PAGE_BLOCKS;
	__u64 sum = 0;

	while (mask) {
		unsigned int first = __builtin_ctzll(mask);
		__u64 after = ~(mask >> first);
		unsigned int cnt = after ? __builtin_ctzll(after) : 64;

		sum += run_digest(key, position + first,
				  blocks + first * PT_BLOCK_SZ, cnt);
		if (first + cnt == PT_PAGE_BLOCKS)
			break;
		mask &= ~0ULL << (first + cnt);
	}
	return sum;
}

__u64 pt_digest_blocks(__u64 key, __u64 gfn, unsigned int first,
		       unsigned int block_cnt, const void *blocks)
{
	pt_check(block_cnt <= PT_PAGE_BLOCKS);
	pt_check(first + block_cnt <= PT_PAGE_BLOCKS);
	return run_digest(key, gfn * PT_PAGE_BLOCKS + first, blocks, block_cnt);
}
