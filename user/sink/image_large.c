// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Large pages of an image on a tmpfs or hugetlbfs. */
#include "sink/image_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/large.h"
#include "memory/pagemap.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* Linux 6.1 */
#endif

void *pt_image_map_aligned(const struct pt_image *s, __u64 sz)
{
	__u64 room_sz = sz + PT_LARGE_SZ, before, after;
	__u8 *room = mmap(NULL, room_sz, PROT_NONE, MAP_PRIVATE |
			  MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *map;

	if (room == MAP_FAILED || sz < PT_LARGE_SZ || !s->takes_write) {
		if (room != MAP_FAILED)
			munmap(room, room_sz);
		return mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
			    0);
	}
	before = -(__u64)(unsigned long)room & (PT_LARGE_SZ - 1);
	after = PT_LARGE_SZ - before;
	map = mmap(room + before, sz, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, s->fd, 0);
	if (map == MAP_FAILED) {
		int code = errno;

		munmap(room, room_sz);
		errno = code;
		return map;
	}
	if (before)
		munmap(room, before);
	munmap(room + before + sz, after);
	return map;
}

/* pt_image_op_build: one page in a unit is enough for the kernel to make a large page
 * of it, with zeroes for the others.  Where the file system makes large pages by
 * itself the first fault gets one.  The mapping is ours alone. */
int pt_image_op_build(struct pt_sink *sink, __u64 off, __u64 sz)
{
	const struct pt_image *s = pt_image_of(sink);
	int ret = 0;

	if (sink->may_wait || !s->map)
		return -EOPNOTSUPP;
	if (s->takes_write)
		madvise(s->map + off, sz, MADV_HUGEPAGE);
	for (__u64 at = off; at < off + sz; at += PT_LARGE_SZ)
		if (madvise(s->map + at, PT_PAGE_SZ, MADV_POPULATE_WRITE))
			ret = -errno;
	if (s->takes_write && madvise(s->map + off, sz, MADV_COLLAPSE))
		ret = -errno;
	return ret;
}

__s64 pt_image_op_large_sz(const struct pt_sink *sink, __u64 off, __u64 sz)
{
	const struct pt_image *s = pt_image_of_const(sink);
	__u64 from = (unsigned long)s->map + off, end = from + sz, to;
	int pagemap, got;
	__s64 large_sz = 0;

	if (sink->may_wait || !s->map)
		return 0;
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return -errno;
	while ((got = pt_pagemap_large(pagemap, &from, end, &to)) > 0) {
		large_sz += to - from;
		from = to;
	}
	close(pagemap);
	return got < 0 ? got : large_sz;
}
