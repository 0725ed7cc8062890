/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rebuild_impl: the internals that rebuild.c, which places, rebuild_refer.c, which
 * places records that refer to another content, rebuild_unreadable.c, which places
 * those without one, and rebuild_digest.c, which computes digests, share. */
#ifndef REBUILD_REBUILD_IMPL_H
#define REBUILD_REBUILD_IMPL_H

#include "rebuild/rebuild.h"

/* region: the state of a region.  While only zero runs of the whole region were
 * placed, its pages have no state of their own: a hole of a terabyte costs 16
 * bytes for each 2 MiB. */
struct region {
	__u64 digest;		/* the sum of those summed */
	__u32 version;		/* of its pages, at least */
	bool has_pages;		/* tables by page_idx speak of it */
};

/* A page that is not written is known to be zero, and so is its digest.  All others
 * may hold anything: placed bytes, or the earlier content of a sink that does not
 * start as zero.  A page is summed once its digest is part of its region's: as soon as
 * it is whole, if its pieces come in order; else when its bytes are flushed.  Nothing
 * that frames brought is left to be read when regions are compared, since a guest may
 * stand still then. */
struct pt_rebuild {
	const struct pt_layout *layout;
	struct pt_sink *sink;
	__u64 digest_key;
	__u64 page_cnt;
	__u32 *versions;	/* by page_idx; 0: never spoken of, or held */
	__u64 *contents;	/* summed: the page's digest; else bit b: block b
				 * was placed in this version */
	__u64 *written;		/* bit: the page is not known to be zero */
	__u64 *summed;		/* bit: it is whole, and its digest is summed */
	__u64 *unreadable;	/* bit: the source could not read it; it is
				 * summed, and zero in the sink */
	bool has_unreadable;	/* some bit of these was ever set; atomic */
	__s64 unreadable_ranges;	/* how many runs of bits are set; atomic, and
				 * nearly right: at the border of two regions two
				 * threads may see the other's old bit */
	struct region *regions;
	bool fills;		/* see pt_rebuild_fill */
};

#define WHOLE	(~0ULL)		/* contents of a page that is, and not summed */

static inline struct region *region_of(const struct pt_rebuild *r,
				       __u64 page_idx)
{
	return &r->regions[page_idx / PT_REGION_PAGES];
}

/* Only the region's thread changes a page's bits.  Another may read them, for
 * an original that a wrong sender names, and gets the old or the new value. */
static inline bool bit_is_set(const __u64 *bits, __u64 page_idx)
{
	return __atomic_load_n(&bits[page_idx / 64], __ATOMIC_RELAXED) >>
	       (page_idx % 64) & 1;
}

static inline void bit_set(__u64 *bits, __u64 page_idx)
{
	__atomic_store_n(&bits[page_idx / 64], bits[page_idx / 64] |
			 1ULL << (page_idx % 64), __ATOMIC_RELAXED);
}

static inline void bit_clear(__u64 *bits, __u64 page_idx)
{
	__atomic_store_n(&bits[page_idx / 64], bits[page_idx / 64] &
			 ~(1ULL << (page_idx % 64)), __ATOMIC_RELAXED);
}

/* set, get: likewise. */
#define table_set(at, value)	__atomic_store_n(at, value, __ATOMIC_RELAXED)
#define table_get(at)		__atomic_load_n(at, __ATOMIC_RELAXED)

/* placing: the placing of one frame in the sink. */
struct placing {
	struct pt_rebuild *rebuild;
	struct pt_sink_run *run;
	struct pt_page_sum *sum;
	struct pt_refusals *refusals;
	struct pt_reader *frame;
	struct pt_error *err;
};

/* The functions that place a record return 1: placed; 0: stale; PLACED_NOT; or
 * -errno. */
#define PLACED_NOT	2	/* it is refused */

/* rebuild.c: */

/* page_sum makes digest that of a page that is whole. */
void pt_rebuild_page_sum(struct pt_rebuild *r, __u64 page_idx, __u64 digest);

/* pages_zero makes cnt pages of a segment zero, after the bytes that are staged
 * for them. */
int pt_rebuild_pages_zero(const struct placing *p, __u64 page_idx, __u64 cnt);

/* page_forget makes a page whole, and zero by what is known of it; true: it may hold
 * other, and is still to be made so. */
bool pt_rebuild_page_forget(struct pt_rebuild *r, __u64 page_idx);

/* page_is_stale: the page is newer than the frame. */
bool pt_rebuild_page_is_stale(const struct placing *p, __u64 page_idx);

/* page_renew readies a page for content of the frame's version.  1: it may be
 * placed; 0: it is stale.  The old content stays until it is replaced. */
int pt_rebuild_page_renew(const struct placing *p, __u64 page_idx);

/* rebuild_digest.c: */

/* sum_later has a page that is whole digested at the next flush.  0 or -errno. */
int pt_rebuild_sum_later(const struct placing *p, __u64 page_idx);

/* sum_whole flushes the run, and digests those pages. */
int pt_rebuild_sum_whole(struct pt_rebuild *r, struct pt_sink_run *run,
			 struct pt_page_sum *sum, struct pt_error *err);

/* rebuild_refer.c: */
int pt_rebuild_copy(const struct placing *p,
		    const struct pt_record_host *record);
int pt_rebuild_delta(const struct placing *p,
		     const struct pt_record_host *record);

/* rebuild_unreadable.c: */
int pt_rebuild_unreadable(const struct placing *p,
			  const struct pt_record_host *record);
void pt_rebuild_unreadable_clear(struct pt_rebuild *r, __u64 page_idx);

#endif
