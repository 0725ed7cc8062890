/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/dirty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>

struct pt_dirty {
	__u64 region_cnt;
	__u64 words[];
};

int pt_dirty_create(struct pt_dirty **out, __u64 region_cnt)
{
	struct pt_dirty *d;

	d = calloc(1, sizeof(*d) + region_cnt * PT_REGION_WORDS * sizeof(__u64));
	if (!d)
		return -ENOMEM;
	d->region_cnt = region_cnt;
	*out = d;
	return 0;
}

void pt_dirty_destroy(struct pt_dirty *d)
{
	free(d);
}

/* bits_from: cnt ones from bit first on; first + cnt <= 64, cnt > 0. */
static __u64 bits_from(unsigned first, unsigned cnt)
{
	return (~0ULL >> (64 - cnt)) << first;
}

__u32 pt_dirty_set(struct pt_dirty *d, __u64 page_idx, __u32 cnt)
{
	__u64 end = page_idx + cnt;
	__u32 added = 0;

	pt_check(cnt > 0);
	pt_check(page_idx / PT_REGION_PAGES < d->region_cnt);
	pt_check(page_idx / PT_REGION_PAGES == (end - 1) / PT_REGION_PAGES);
	while (page_idx < end) {
		unsigned first = page_idx % 64;
		unsigned n = 64 - first < end - page_idx ? 64 - first
							 : end - page_idx;
		__u64 bits = bits_from(first, n);
		__u64 *word = &d->words[page_idx / 64];

		added += __builtin_popcountll(bits & ~*word);
		*word |= bits;
		page_idx += n;
	}
	return added;
}

__u32 pt_dirty_cnt(const struct pt_dirty *d, __u64 region_idx)
{
	const __u64 *words = &d->words[region_idx * PT_REGION_WORDS];
	__u32 cnt = 0;

	pt_check(region_idx < d->region_cnt);
	for (unsigned i = 0; i < PT_REGION_WORDS; i++)
		cnt += __builtin_popcountll(words[i]);
	return cnt;
}

__u32 pt_dirty_take(struct pt_dirty *d, __u64 region_idx,
		    __u64 bits[PT_REGION_WORDS])
{
	__u64 *words = &d->words[region_idx * PT_REGION_WORDS];
	__u32 cnt = 0;

	pt_check(region_idx < d->region_cnt);
	for (unsigned i = 0; i < PT_REGION_WORDS; i++) {
		bits[i] = words[i];
		words[i] = 0;
		cnt += __builtin_popcountll(bits[i]);
	}
	return cnt;
}
