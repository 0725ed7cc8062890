/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Large pages of a guest's memory, and what its process has mapped. */
#include "sink/sink_guest_impl.h"

#include <errno.h>

#include "memory/pagemap.h"

/* touch writes zeroes to the first page of each unit, if that is a hole. */
static int touch(struct pt_guest_sink *g, __u64 off, __u64 sz)
{
	int ret = 0;

	for (__u64 at = off; !ret && at < off + sz; at += PT_LARGE_SZ) {
		if (!pt_guest_is_hole(g, at / PT_PAGE_SZ))
			continue;
		ret = pt_process_memory_zero(&g->memory, at, PT_PAGE_SZ, NULL);
		if (!ret)
			pt_guest_bits_set(g->written, at / PT_PAGE_SZ, 1);
	}
	return ret;
}

/* build_in builds units that are in one range. */
static int build_in(struct pt_guest_sink *g, const struct pt_guest_range *r,
		    __u64 off, __u64 sz)
{
	__u64 addr = r->addr + off - r->off;
	int ret;

	if (addr % PT_LARGE_SZ || (r->file_off + off - r->off) % PT_LARGE_SZ)
		return -EXDEV;
	if (!r->is_hugetlb && !g->collapse)
		return -EOPNOTSUPP;
	/* A collapse would remove them. */
	if (!r->is_hugetlb && pt_pagemap_has_marks(g->pagemap, addr, addr + sz))
		return -EHWPOISON;
	ret = touch(g, off, sz);
	return ret || r->is_hugetlb ? ret : g->collapse(g->arg, addr, sz);
}

int pt_guest_op_build(struct pt_sink *s, __u64 off, __u64 sz)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	int failure = 0;

	while (sz) {
		const struct pt_guest_range *r = pt_guest_range_at(g, off);
		__u64 left = r->sz - (off - r->off);
		__u64 part = left < sz ? left : sz;
		int ret = build_in(g, r, off, part);

		failure = ret ? ret : failure;
		off += part;
		sz -= part;
	}
	return failure;
}

/* large_in returns the bytes of large pages in a range's bytes. */
static __s64 large_in(const struct pt_guest_sink *g,
		      const struct pt_guest_range *r, __u64 off, __u64 sz)
{
	__u64 from = r->addr + off - r->off, end = from + sz, to;
	__s64 large_sz = 0;
	int got;

	while ((got = pt_pagemap_large(g->pagemap, &from, end, &to)) > 0) {
		large_sz += to - from;
		from = to;
	}
	return got < 0 ? got : large_sz;
}

__s64 pt_guest_op_large_sz(const struct pt_sink *s, __u64 off, __u64 sz)
{
	const struct pt_guest_sink *g = pt_guest_of(s);
	__s64 large_sz = 0;

	while (sz) {
		const struct pt_guest_range *r = pt_guest_range_at(g, off);
		__u64 left = r->sz - (off - r->off);
		__u64 part = left < sz ? left : sz;
		__s64 more = large_in(g, r, off, part);

		if (more < 0)
			return more;
		large_sz += more;
		off += part;
		sz -= part;
	}
	return large_sz;
}

/* pt_guest_op_unmapped: pages that the kernel does not report count as
 * mapped. */
__u64 pt_guest_op_unmapped(const struct pt_sink *s)
{
	const struct pt_guest_sink *g = pt_guest_of(s);
	__u64 cnt = 0, run;

	for (__u64 page = 0; page < s->sz / PT_PAGE_SZ; page += run) {
		const struct pt_guest_range *r =
			pt_guest_range_at(g, page * PT_PAGE_SZ);
		__u64 in = page * PT_PAGE_SZ - r->off;
		__s64 more = 0;

		run = pt_guest_holes_run(g, page, (r->sz - in) / PT_PAGE_SZ);
		if (!pt_guest_is_hole(g, page))
			more = pt_pagemap_unmapped(g->pagemap, r->addr + in,
						   r->addr + in +
						   run * PT_PAGE_SZ);
		cnt += more > 0 ? more : 0;
	}
	return cnt;
}

