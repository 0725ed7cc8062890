/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "memory/dirty.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>

/* region: no word of a region is touched while the set holds exactly its first
 * cnt pages, as it does for a region that is wanted whole. */
struct region {
	__u16 cnt;		/* pages in the set */
	bool is_head;		/* they are its first pages, and its words are
				 * 0 */
};

struct pt_dirty {
	__u64 region_cnt;
	struct region *regions;
	__u64 *words;
};

int pt_dirty_create(struct pt_dirty **out, __u64 region_cnt)
{
	struct pt_dirty *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->region_cnt = region_cnt;
	d->regions = calloc(region_cnt, sizeof(*d->regions));
	d->words = calloc(region_cnt, PT_REGION_WORDS * sizeof(*d->words));
	if (!d->regions || !d->words) {
		pt_dirty_destroy(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void pt_dirty_destroy(struct pt_dirty *d)
{
	if (!d)
		return;
	free(d->words);
	free(d->regions);
	free(d);
}

/* bits_from returns cnt ones from bit first on; first + cnt <= 64, cnt > 0. */
static __u64 bits_from(unsigned first, unsigned cnt)
{
	return (~0ULL >> (64 - cnt)) << first;
}

/* set_words sets bits [first, end) of a region's words and returns how many
 * were clear. */
static __u32 set_words(__u64 *words, __u32 first, __u32 end)
{
	__u32 added = 0;

	while (first < end) {
		unsigned at = first % 64;
		unsigned n = 64 - at < end - first ? 64 - at : end - first;
		__u64 bits = bits_from(at, n);
		__u64 *word = &words[first / 64];

		added += __builtin_popcountll(bits & ~*word);
		*word |= bits;
		first += n;
	}
	return added;
}

__u32 pt_dirty_set(struct pt_dirty *d, __u64 page_idx, __u32 cnt)
{
	__u64 region_idx = page_idx / PT_REGION_PAGES;
	__u64 *words = &d->words[region_idx * PT_REGION_WORDS];
	struct region *region = &d->regions[region_idx];
	__u32 first = page_idx % PT_REGION_PAGES;
	__u32 added;

	pt_check(cnt > 0);
	pt_check(region_idx < d->region_cnt);
	pt_check(first + cnt <= PT_REGION_PAGES);
	if (!region->cnt && !first) {
		*region = (struct region){ .cnt = cnt, .is_head = true };
		return cnt;
	}
	if (region->is_head)
		set_words(words, 0, region->cnt);
	region->is_head = false;
	added = set_words(words, first, first + cnt);
	region->cnt += added;
	return added;
}

__u32 pt_dirty_cnt(const struct pt_dirty *d, __u64 region_idx)
{
	pt_check(region_idx < d->region_cnt);
	return d->regions[region_idx].cnt;
}

bool pt_dirty_has(const struct pt_dirty *d, __u64 page_idx)
{
	const struct region *region = &d->regions[page_idx / PT_REGION_PAGES];
	__u32 in = page_idx % PT_REGION_PAGES;

	pt_check(page_idx / PT_REGION_PAGES < d->region_cnt);
	return region->is_head ? in < region->cnt
			       : d->words[page_idx / 64] >> (page_idx % 64) & 1;
}

__u32 pt_dirty_take(struct pt_dirty *d, __u64 region_idx,
		    __u64 bits[PT_REGION_WORDS])
{
	__u64 *words = &d->words[region_idx * PT_REGION_WORDS];
	const size_t sz = PT_REGION_WORDS * sizeof(*words);
	struct region was;

	pt_check(region_idx < d->region_cnt);
	was = d->regions[region_idx];
	d->regions[region_idx] = (struct region){ 0 };
	memset(bits, 0, sz);
	if (was.is_head) {
		set_words(bits, 0, was.cnt);
	} else if (was.cnt) {
		memcpy(bits, words, sz);
		memset(words, 0, sz);
	}
	return was.cnt;
}
