/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* hot: leaves the pages for last that the guest writes all the time.
 *
 *     found by a look --sort--> to be sent in this round
 *                         `---> hot: found by PT_HOT_LOOKS looks in a row
 *     hot, and not found by the next look --sort--> to be sent in this round
 *     hot, at the stop ------------------release--> to be sent in the last round
 *
 * A hot page that is sent in a round is most likely dirty again after it.  A page
 * that was left for last does not stay so once the guest pauses writing it for
 * the length of one round; and without the hot pages rounds are shorter.
 *
 * The tracker must report a page only if it was written since the last look.
 *
 * Shape: 3 bits per page, in words as those of a dirty set.  Threads: no locks.
 */
#ifndef LIVE_HOT_H
#define LIVE_HOT_H

#include "memory/dirty.h"

#define PT_HOT_LOOKS	3

struct pt_hot;

/* pt_hot_create: none is hot.  -ENOMEM. */
int pt_hot_create(struct pt_hot **out, __u64 region_cnt);
void pt_hot_free(struct pt_hot *h);	/* NULL is allowed */

/* pt_hot_sort moves the pages in found, all that a look found, to the set to, but
 * for those that are hot now.  It returns how many pages in the set were left for last
 * and not found by this look. */
__u64 pt_hot_sort(struct pt_hot *h, struct pt_dirty *found,
		  struct pt_dirty *to);

/* pt_hot_release moves all pages that were left for last to the set. */
void pt_hot_release(struct pt_hot *h, struct pt_dirty *to);

/* pt_hot_cnt returns the number of pages that were left for last.  NULL: 0. */
__u64 pt_hot_cnt(const struct pt_hot *h);

#endif
