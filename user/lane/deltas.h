/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* deltas: remembers the bytes of pages as a lane sent them, so that a page that is
 * sent again may go as its changed blocks only.
 *
 * Shape: sets of PT_DELTA_WAYS slots, each with the 4096 bytes of one page.  A page
 * that was sent in this round or the one before stays: where more pages are written
 * than fit, those that are here are still found.  In the first round, in which all
 * pages are sent, only empty slots are filled, and later rounds replace them.
 *
 * The memory is taken at init, and bounded.  Threads: one lane's, no locks.
 */
#ifndef LANE_DELTAS_H
#define LANE_DELTAS_H

#include <linux/types.h>

#define PT_DELTA_WAYS	4

struct pt_delta_slot {
	__u64 page;		/* page_idx + 1; 0: empty */
	__u64 digest;		/* of the bytes */
	__u32 version;		/* in which they were sent */
	__u32 round;		/* likewise; 0: the first */
};

struct pt_deltas {
	__u32 set_cnt;		/* 0: none; only free must be called */
	struct pt_delta_slot *slots;
	__u8 *pages;		/* PT_PAGE_SZ for each slot */
};

/* pt_deltas_init takes at most sz bytes; too few for a set: none.  -ENOMEM. */
int pt_deltas_init(struct pt_deltas *d, __u64 sz);
void pt_deltas_free(struct pt_deltas *d);	/* may be called twice, and
						 * after {} */

/* pt_deltas_sz returns the bytes that were taken. */
__u64 pt_deltas_sz(const struct pt_deltas *d);

/* pt_deltas_find returns the page's slot; NULL: it is not remembered. */
struct pt_delta_slot *pt_deltas_find(const struct pt_deltas *d, __u64 page_idx);

/* pt_deltas_take returns the page's slot, or makes one for it; NULL: all that it
 * could have are in use. */
struct pt_delta_slot *pt_deltas_take(struct pt_deltas *d, __u64 page_idx,
				     __u32 round);

/* pt_deltas_page returns the slot's PT_PAGE_SZ bytes. */
__u8 *pt_deltas_page(const struct pt_deltas *d,
		     const struct pt_delta_slot *slot);

/* pt_deltas_diff returns the blocks in which two pages differ. */
__u64 pt_deltas_diff(const void *a, const void *b);

#endif
