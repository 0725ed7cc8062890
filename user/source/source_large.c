/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "source/source_large.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/madvise.h"
#include "memory/pagemap.h"
#include "source/source_impl.h"

static int append(struct pt_source_large *l, __u64 first, __u64 cnt)
{
	struct pt_large_run *more, *last = l->runs + l->cnt;

	l->page_cnt += cnt;
	if (!(l->cnt & (l->cnt - 1))) {		/* 0 and powers of two: full */
		more = realloc(l->runs, (l->cnt ? 2 * l->cnt : 1) *
			       sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->runs = more;
		last = more + l->cnt;
	}
	*last = (struct pt_large_run){ first, cnt };
	l->cnt++;
	return 0;
}

int pt_source_large_add(struct pt_source_large *l, __u64 start, __u64 end)
{
	__u64 first = (start + PT_LARGE_SZ - 1) / PT_LARGE_SZ;
	__u64 stop = end / PT_LARGE_SZ;

	return first < stop ? append(l, first, stop - first) : 0;
}

int pt_source_large_scan(struct pt_source_large *l, int pagemap, __u64 addr,
			 __u64 sz, __u64 at)
{
	__u64 from = addr, to;
	int got;

	while ((got = pt_pagemap_large(pagemap, &from, addr + sz, &to)) > 0) {
		int ret = pt_source_large_add(l, from - addr + at,
					      to - addr + at);

		if (ret)
			return ret;
		from = to;
	}
	return got;
}

int pt_source_large_segments(struct pt_source_large *l,
			     const struct pt_source *src, int pagemap)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < src->seg_cnt; i++) {
		__u64 addr = src->segs[i].gfn * PT_PAGE_SZ;

		ret = pt_source_large_scan(l, pagemap, addr, src->segs[i].sz,
					   addr);
	}
	return ret;
}

/* touch maps a page of data in each 2 MiB that has any, of the file at map. */
static void touch(__u8 *map, int fd, __u64 sz)
{
	__u64 off = 0;
	off_t data;

	while (off < sz && (data = lseek(fd, off, SEEK_DATA)) >= 0 &&
	       (__u64)data < sz) {
		madvise(map + data / PT_PAGE_SZ * PT_PAGE_SZ, PT_PAGE_SZ,
			MADV_POPULATE_READ);
		off = (data / PT_LARGE_SZ + 1) * PT_LARGE_SZ;
	}
}

/* scan_file maps the file where a large page of it can be mapped as one. */
static int scan_file(struct pt_source_large *l, int fd, __u64 sz, __u64 at)
{
	__u64 room_sz = sz + PT_LARGE_SZ;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u8 *room = mmap(NULL, room_sz, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
			  MAP_NORESERVE, -1, 0);
	__u8 *map = room + (-(__u64)(unsigned long)room & (PT_LARGE_SZ - 1));
	int ret = pagemap < 0 ? -EACCES : 0;

	if (room == MAP_FAILED)
		ret = ret ? ret : -ENODEV;
	else if (!ret && mmap(map, sz, PROT_READ, MAP_SHARED | MAP_FIXED |
			      MAP_NORESERVE, fd, 0) == MAP_FAILED)
		ret = -errno;
	if (!ret) {
		touch(map, fd, sz);
		ret = pt_source_large_scan(l, pagemap, (unsigned long)map,
					   (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ *
					   PT_PAGE_SZ, at);
	}
	if (room != MAP_FAILED)
		munmap(room, room_sz);
	if (pagemap >= 0)
		close(pagemap);
	return ret;
}

int pt_source_large_file(struct pt_source_large *l, int fd, __u64 sz, __u64 at)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fstat(fd, &st))
		return -errno;
	if ((unsigned long)fs.f_type == HUGETLBFS_MAGIC)
		/* Which pages a file with holes has is not known. */
		return (__u64)st.st_blocks * 512 < sz ? -ENODATA :
		       pt_source_large_add(l, at, at + sz);
	return fs.f_type == TMPFS_MAGIC ? scan_file(l, fd, sz, at) : 0;
}

int pt_source_find_large(const struct pt_source *src,
			 struct pt_source_large *out)
{
	int ret;

	*out = (struct pt_source_large){ 0 };
	ret = src->ops->find_large ? src->ops->find_large(src, out) : -ENOSYS;
	out->is_known = !ret;
	if (ret)
		pt_source_large_free(out);
	return ret == -ENOMEM ? ret : 0;
}

void pt_source_large_free(struct pt_source_large *l)
{
	free(l->runs);
	l->runs = NULL;
	l->cnt = 0;
	l->page_cnt = 0;
}
