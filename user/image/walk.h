/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* walk: all pages of an image at rest in order, checked, for those that verify and
 * unpack it.
 *
 * Pages of a region whose digest is wrong, although every structure is right, are
 * given, and the region is called wrong.  One thread.
 */
#ifndef IMAGE_WALK_H
#define IMAGE_WALK_H

#include "image/ptrim.h"

struct pt_walk {
	/* page: a page with data, 4096 bytes.  Returns 0 to go on.  NULL: none. */
	int (*page)(void *arg, __u64 page_idx, const __u8 *bytes,
		    struct pt_error *err);
	/* lost: cnt pages from page_idx on, of one segment, are lost. */
	void (*lost)(void *arg, __u64 page_idx, __u64 cnt);
	/* unreadable: the source could not read them. */
	void (*unreadable)(void *arg, __u64 page_idx, __u64 cnt);
	/* wrong: the region's pages are not all as they were. */
	void (*wrong)(void *arg, __u64 region_idx);
	/* progress returns false to end it.  Regions; NULL: none. */
	bool (*progress)(void *arg, __u64 done, __u64 cnt);
	void *arg;
};

struct pt_walk_result {
	__u64 pages[PT_PTRIM_STATES];	/* by what the image itself says */
	__u64 lost_cnt;			/* pages */
	__u64 wrong_cnt;		/* regions */
	__u64 unreadable_cnt;		/* pages, those of parents included */
	struct pt_error failure_err;	/* why pages that count as lost may be whole, */
	int failure;			/* see pt_ptrim_failure; 0: they are damaged */
};

/* pt_walk walks the image.  It ends with the first page that is compressed by a method
 * that is not built (-EOPNOTSUPP).  -ECANCELED: progress ended it; -ENOMEM, or as page
 * says. */
int pt_walk(const struct pt_ptrim *p, const struct pt_walk *walk,
	    struct pt_walk_result *out, struct pt_error *err);

/* pt_walk_count counts states only, without reading a unit. */
void pt_walk_count(const struct pt_ptrim *p, struct pt_walk_result *out);

#endif
