/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* page_word: 64 pages of a source in a row, and what a scan finds in them.
 * Threads: of one thread; the source may be seen by many. */
#ifndef SOURCE_PAGE_WORD_H
#define SOURCE_PAGE_WORD_H

#include "source/source.h"

struct pt_page_word {
	struct pt_view *view;
	const __u8 *pages;	/* the view's, from the first of the word on */
	__u32 first;		/* which is that page of the view */
	__u64 gfn;		/* of the first */
	__u64 wanted;		/* bit: to be scanned */
	__u64 holes;		/* bit: zero, not to be read */
	__u64 search;		/* bit: for zero blocks, too */
	__u64 masks[64];	/* of those wanted: blocks that hold data; of
				 * those not searched: 0 or all */
	__u64 contents[64];	/* their digests, wherever they stand, */
	__u64 digests[64];	/* and where they do */
};

/* pt_page_word_of returns the word of the view, which shows region region_idx,
 * that begins with page first, a multiple of 64: all its pages are wanted, and
 * none searched. */
struct pt_page_word pt_page_word_of(struct pt_view *v,
				    const struct pt_layout *layout,
				    __u64 region_idx, __u32 first);

/* pt_page_word_scan loads the pages wanted and fills masks, contents, digests.
 * Errors as pt_view_load. */
int pt_page_word_scan(struct pt_page_word *w, struct pt_source *src,
		      __u64 digest_key, struct pt_error *err);

/* pt_page_word_data returns which of the pages wanted are not zero. */
static inline __u64 pt_page_word_data(const struct pt_page_word *w)
{
	__u64 data = 0;

	for (__u64 bits = w->wanted & ~w->holes; bits; bits &= bits - 1) {
		unsigned i = __builtin_ctzll(bits);

		data |= (__u64)(w->masks[i] != 0) << i;
	}
	return data;
}

/* pt_page_word_sz returns the bytes that scanning it reads. */
static inline __u64 pt_page_word_sz(const struct pt_page_word *w)
{
	return __builtin_popcountll(w->wanted & ~w->holes) *
	       (__u64)PT_PAGE_SZ;
}

#endif
