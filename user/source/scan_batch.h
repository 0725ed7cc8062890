/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* scan_batch: 64 adjacent pages of a source, and the result of their scan.
 * Threads: one thread owns a batch; many threads may view the source. */
#ifndef SOURCE_SCAN_BATCH_H
#define SOURCE_SCAN_BATCH_H

#include "source/source.h"

struct pt_scan_batch {
	struct pt_view *view;
	const __u8 *pages;	/* the view's, from the batch's first page on */
	__u32 first;		/* that page's index in the view */
	__u64 gfn;		/* of the first page */
	__u64 wanted;		/* bit: the page is to be scanned */
	__u64 holes;		/* bit: the page is zero and not read */
	__u64 unreadable;	/* bit: the page cannot be read; its mask is 0 */
	__u64 search;		/* bit: the page is searched for zero blocks */
	__u64 masks[64];	/* per wanted page: the blocks that hold data; 0
				 * or all for a page that was not searched */
	__u64 contents[64];	/* their digests, for any page number */
	__u64 digests[64];	/* and for theirs */
};

/* pt_scan_batch_of returns the batch of the view, which shows region region_idx,
 * that begins with page first, a multiple of 64: all its pages are wanted, and
 * none searched. */
struct pt_scan_batch pt_scan_batch_of(struct pt_view *v,
				      const struct pt_layout *layout,
				      __u64 region_idx, __u32 first);

/* pt_scan_batch_read loads the wanted pages and fills masks, contents, digests.
 * Errors as pt_view_load. */
int pt_scan_batch_read(struct pt_scan_batch *batch, struct pt_source *src,
		       __u64 digest_key, struct pt_error *err);

/* pt_scan_batch_page_digest returns the digest of one page, as a scan does. */
__u64 pt_scan_batch_page_digest(__u64 digest_key, __u64 gfn, const void *page);

/* pt_scan_batch_data returns the wanted pages that are not zero. */
static inline __u64 pt_scan_batch_data(const struct pt_scan_batch *batch)
{
	__u64 data = 0;

	for (__u64 bits = batch->wanted & ~batch->holes; bits; bits &= bits - 1) {
		unsigned i = __builtin_ctzll(bits);

		data |= (__u64)(batch->masks[i] != 0) << i;
	}
	return data;
}

/* pt_scan_batch_sz returns the number of bytes that a scan of the batch
 * reads. */
static inline __u64 pt_scan_batch_sz(const struct pt_scan_batch *batch)
{
	return __builtin_popcountll(batch->wanted & ~batch->holes) *
	       (__u64)PT_PAGE_SZ;
}

#endif
