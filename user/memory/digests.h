/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* digests: the digest of each page as it was last sent, or as the receiver
 * holds it; 0: a zero page, or a page that is to be sent again.
 *
 * Shape: 8 bytes per page, by page_idx, and one byte per region, which states
 * whether any of its digests was ever nonzero.  The digests of other regions
 * are never touched, so a sparse image takes memory for its data alone.
 * Threads: no locks; a region belongs to one thread at a time.
 */
#ifndef MEMORY_DIGESTS_H
#define MEMORY_DIGESTS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <pagetrim/wire.h>

struct pt_digests {
	__u64 region_cnt;
	__u64 *pages;
	bool *has_pages;	/* by region */
};

/* pt_digests_init sets all digests to 0.  -ENOMEM. */
int pt_digests_init(struct pt_digests *d, __u64 region_cnt);
void pt_digests_free(struct pt_digests *d);	/* may be called twice, and
						 * after {} */

static inline void pt_digests_set(struct pt_digests *d, __u64 page_idx,
				  __u64 digest)
{
	bool *has_pages = &d->has_pages[page_idx / PT_REGION_PAGES];

	if (digest || *has_pages) {
		*has_pages = true;
		d->pages[page_idx] = digest;
	}
}

/* pt_digests_region returns the digests of a region's PT_REGION_PAGES indices;
 * NULL: all are 0. */
static inline const __u64 *pt_digests_region(const struct pt_digests *d,
					     __u64 region_idx)
{
	return d->has_pages[region_idx]
		? &d->pages[region_idx * PT_REGION_PAGES] : NULL;
}

/* pt_digests_get returns a page's digest. */
static inline __u64 pt_digests_get(const struct pt_digests *d, __u64 page_idx)
{
	const __u64 *pages = pt_digests_region(d, page_idx / PT_REGION_PAGES);

	return pages ? pages[page_idx % PT_REGION_PAGES] : 0;
}

/* pt_digests_prefetch loads the page's digest into the cache. */
static inline void pt_digests_prefetch(const struct pt_digests *d,
				       __u64 page_idx)
{
	__builtin_prefetch(&d->pages[page_idx]);
}

/* pt_digests_sum returns a region's digest. */
__u64 pt_digests_sum(const struct pt_digests *d, __u64 region_idx);

/* pt_digests_clear: all pages of the region are zero now. */
void pt_digests_clear(struct pt_digests *d, __u64 region_idx);

/* pt_digests_forget: the contents of cnt pages of one region, from page_idx on,
 * are no longer known. */
void pt_digests_forget(struct pt_digests *d, __u64 page_idx, __u32 cnt);

/* pt_digests_copy sets the digests of the region's first cnt pages; all others
 * must be 0. */
void pt_digests_copy(struct pt_digests *d, __u64 region_idx,
		     const __u64 *digests, __u32 cnt);

#endif
