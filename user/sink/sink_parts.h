/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_parts: maps bytes of an image to addresses, for sinks that are memory of
 * this or of another process.
 *
 *     image    |--------- 0 ---------|---- 1 ----|-- 2 --|
 *     memory   |-- 2 --|     |--------- 0 ---------|      |---- 1 ----|
 *
 * Threads: any number may read it once it is fit.
 */
#ifndef SINK_SINK_PARTS_H
#define SINK_SINK_PARTS_H

#include <sys/uio.h>

#include "memory/layout.h"
#include "memory/regions.h"

struct pt_sink_part {
	__u64 off;		/* in the image, bytes; ascending, no gaps */
	__u64 sz;		/* bytes */
	__u64 at;		/* address */
};

struct pt_sink_parts {
	struct pt_sink_part *parts;	/* NULL: not fit */
	__u32 cnt;
	__u64 sz;		/* of all: the image's, up to its last page's
				 * end */
};

/* pt_sink_parts_fit finds the pages of l in the cnt regions, which are sorted
 * (pt_regions_sort).  An earlier result is replaced.
 *   -EINVAL  a page of l is in no region; err names it
 *   -ENOMEM */
int pt_sink_parts_fit(struct pt_sink_parts *p, const struct pt_region *regions,
		      __u32 cnt, const struct pt_layout *l,
		      struct pt_error *err);
void pt_sink_parts_free(struct pt_sink_parts *p);	/* a second call does
							 * nothing */

/* pt_sink_parts_find returns the address of off, which is below p->sz, and how
 * many adjacent bytes follow there. */
__u64 pt_sink_parts_find(const struct pt_sink_parts *p, __u64 off, __u64 *at);

/* The following need memory of this process.  place and zero: inside of a
 * pt_guard.  zero skips a page that is zero already, so that none is allocated.
 * read returns false if the memory cannot be read. */
void pt_sink_parts_place(const struct pt_sink_parts *p, __u64 off,
			 struct iovec *pieces, __u32 cnt, __u64 sz);
void pt_sink_parts_zero(const struct pt_sink_parts *p, __u64 off, __u64 sz);
bool pt_sink_parts_read(const struct pt_sink_parts *p, __u64 off, void *to,
			__u64 sz);
bool pt_sink_parts_has(const struct pt_sink_parts *p, const void *addr);

#endif
