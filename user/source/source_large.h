/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* source_large: the large pages in which a source stands, see memory/large.h.
 *
 *     file on a tmpfs        its page cache, by a mapping of our own: the first page of
 *                            data of each 2 MiB is mapped, which maps a large page
 *                            as one
 *     file on a hugetlbfs    all of it
 *     process                as its page tables have them
 *     other files            none: their memory is a cache
 */
#ifndef SOURCE_SOURCE_LARGE_H
#define SOURCE_SOURCE_LARGE_H

#include "memory/large.h"
#include "source/source.h"

struct pt_source_large {
	bool is_known;		/* else: the kernel cannot tell, before Linux 6.7, or
				 * /proc is closed to us */
	__u32 cnt;		/* of runs, which ascend, each within a segment */
	__u64 page_cnt;		/* large pages in all of them */
	struct pt_large_run *runs;
};

/* pt_source_find_large fills *out, for pt_source_large_free.  A source that does
 * not know is no error.  -ENOMEM. */
int pt_source_find_large(const struct pt_source *src,
			 struct pt_source_large *out);
void pt_source_large_free(struct pt_source_large *l);

/* For the kinds of sources.  pt_source_large_add adds the large pages that are
 * whole in [start, end), bytes of the memory.  pt_source_large_scan adds those that
 * the page tables have for the sz bytes at addr, which are bytes of the memory from
 * at on.  -ENOMEM; scan: -errno, if the kernel cannot tell. */
int pt_source_large_add(struct pt_source_large *l, __u64 start, __u64 end);
int pt_source_large_scan(struct pt_source_large *l, int pagemap, __u64 addr,
			 __u64 sz, __u64 at);

/* pt_source_large_segments does so for all segments, whose addresses are their page
 * numbers. */
int pt_source_large_segments(struct pt_source_large *l,
			     const struct pt_source *src, int pagemap);

/* pt_source_large_file adds those of an open file, whose first byte is byte `at` of the
 * memory.  Errors as pt_source_large_scan. */
int pt_source_large_file(struct pt_source_large *l, int fd, __u64 sz, __u64 at);

#endif
