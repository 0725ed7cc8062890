/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* page_ranges: a list of pages that ascends, as ranges that do not touch.  Threads:
 * as the caller says. */
#ifndef MEMORY_PAGE_RANGES_H
#define MEMORY_PAGE_RANGES_H

#include <linux/types.h>
#include <stdbool.h>

#define PT_PAGE_RANGES_MAX	65536	/* ranges of one list: 1 MiB */

struct pt_page_range {
	__u64 first;		/* page */
	__u64 cnt;		/* pages, > 0 */
};

struct pt_page_ranges {		/* {0}: none */
	struct pt_page_range *all;
	__u32 cnt;		/* ranges */
	__u64 page_cnt;		/* pages of all of them */
};

/* pt_page_ranges_add adds cnt pages (> 0) behind all others.
 *   -EINVAL  they are not behind the others, or end above 2^64 - 1
 *   -E2BIG   more than PT_PAGE_RANGES_MAX ranges
 *   -ENOMEM */
int pt_page_ranges_add(struct pt_page_ranges *r, __u64 first, __u64 cnt);
void pt_page_ranges_free(struct pt_page_ranges *r);	/* as {0} afterwards */

/* pt_page_names: the first ranges of a list, for a report; {0}: none. */
#define PT_PAGE_NAMES_MAX	16

struct pt_page_names {
	__u64 page_cnt;		/* of all */
	__u32 range_cnt;	/* likewise; the first are in named */
	__u64 end;		/* of the last */
	struct pt_page_range named[PT_PAGE_NAMES_MAX];
};

/* pt_page_names_add adds cnt pages behind all others. */
void pt_page_names_add(struct pt_page_names *n, __u64 first, __u64 cnt);

/* pt_page_ranges_has: page is in the list. */
bool pt_page_ranges_has(const struct pt_page_ranges *r, __u64 page);

#endif
