/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_parts: which bytes of an image stand at which address, for sinks that are
 * memory: of ours or of another process.
 *
 *     image    |--------- 0 ---------|---- 1 ----|-- 2 --|
 *     memory   |-- 2 --|     |--------- 0 ---------|      |---- 1 ----|
 *
 * Threads: once fit any number may look.
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
	__u64 sz;		/* of all: the image's, up to its last page's end */
};

/* pt_sink_parts_fit finds the pages of l in the cnt regions, which are sorted
 * (pt_regions_sort).  What it found before is forgotten.
 *   -EINVAL  a page of l is in no region; err names it
 *   -ENOMEM */
int pt_sink_parts_fit(struct pt_sink_parts *p, const struct pt_region *regions,
		      __u32 cnt, const struct pt_layout *l,
		      struct pt_error *err);
void pt_sink_parts_free(struct pt_sink_parts *p);	/* twice is fine */

/* pt_sink_parts_find returns how many bytes stand one behind the other from off
 * on, which is below p->sz, and where. */
__u64 pt_sink_parts_find(const struct pt_sink_parts *p, __u64 off, __u64 *at);

/* The following are of memory of our own.  place and zero: inside of a pt_guard.
 * zero writes no page that is zero already: so it fills none.  read returns whether
 * it could be read. */
void pt_sink_parts_place(const struct pt_sink_parts *p, __u64 off,
			 struct iovec *pieces, __u32 cnt, __u64 sz);
void pt_sink_parts_zero(const struct pt_sink_parts *p, __u64 off, __u64 sz);
bool pt_sink_parts_read(const struct pt_sink_parts *p, __u64 off, void *to,
			__u64 sz);
bool pt_sink_parts_has(const struct pt_sink_parts *p, const void *addr);

#endif
