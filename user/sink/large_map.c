// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/large_map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/madvise.h"
#include "memory/large.h"
#include "memory/pagemap.h"

static void *map_aligned(int fd, __u64 sz, int flags)
{
	__u64 room_sz = sz + PT_LARGE_SZ, end, before;
	__u8 *room, *map;

	room = mmap(NULL, room_sz, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return room;
	before = -(__u64)(unsigned long)room & (PT_LARGE_SZ - 1);
	map = mmap(room + before, sz, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
		   fd, 0);
	if (map == MAP_FAILED) {
		int code = errno;

		munmap(room, room_sz);
		errno = code;
		return map;
	}
	if (before)
		munmap(room, before);
	end = (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ;
	munmap(map + end, room_sz - before - end);
	return map;
}

void *pt_large_map(int fd, __u64 sz)
{
	return map_aligned(fd, sz, MAP_SHARED);
}

void *pt_large_map_private(int fd, __u64 sz)
{
	/* Nobody reserves memory for pages that may never be written. */
	return map_aligned(fd, sz, MAP_PRIVATE | MAP_NORESERVE);
}

int pt_large_map_build(void *at, __u64 sz, bool collapses)
{
	int ret = 0;

	if (collapses)
		madvise(at, sz, MADV_HUGEPAGE);
	for (__u64 off = 0; off < sz; off += PT_LARGE_SZ)
		if (madvise((__u8 *)at + off, PT_PAGE_SZ, MADV_POPULATE_WRITE))
			ret = -errno;
	if (collapses && madvise(at, sz, MADV_COLLAPSE))
		ret = -errno;
	return ret;
}

__s64 pt_large_map_sz(const void *at, __u64 sz)
{
	__u64 from = (unsigned long)at, end = from + sz, to;
	__s64 large_sz = 0;
	int pagemap, got;

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
