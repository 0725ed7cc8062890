/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sink/sink_ops.h"
#include "sink/sink_parts.h"

#define PUNCH_SZ_MIN	(16 * PT_PAGE_SZ)	/* up to here writing zeroes is
						 * as fast */

struct memfd {
	struct pt_sink sink;		/* first */
	int fd;
	void *map;			/* NULL: not fit */
	__u64 map_sz;
	struct pt_sink_part part;	/* the whole mapping */
	struct pt_sink_parts parts;	/* which is that one */
};

static const struct memfd *memfd_of(const struct pt_sink *s)
{
	return (const struct memfd *)s;
}

static int failed(const char *what, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -errno, "memory descriptor: %s: "
			    "%s", what, strerror(errno));
}

static void unfit(struct memfd *m)
{
	if (m->map)
		munmap(m->map, m->map_sz);
	m->map = NULL;
}

/* page_sz_of: a hugetlbfs cuts, maps and unmaps whole huge pages only. */
static __u64 page_sz_of(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC
		? (__u64)fs.f_bsize : PT_PAGE_SZ;
}

static int memfd_fit(struct pt_sink *s, const struct pt_layout *l,
		     struct pt_error *err)
{
	struct memfd *m = (struct memfd *)s;
	__u64 sz = pt_layout_image_sz(l), page_sz;
	struct stat st;
	void *map;

	unfit(m);
	if (fstat(m->fd, &st))
		return failed("cannot be looked at", err);
	page_sz = page_sz_of(m->fd);
	sz = (sz + page_sz - 1) / page_sz * page_sz;
	if (st.st_size && (__u64)st.st_size < sz)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "memory "
				    "descriptor: it has %lld bytes, and %llu "
				    "are sent", (long long)st.st_size, sz);
	if (!st.st_size && ftruncate(m->fd, sz))
		return failed("cannot be made as large as what is sent", err);
	s->starts_zero = !st.st_blocks;
	map = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (map == MAP_FAILED)
		return failed("cannot be mapped", err);
	m->map = map;
	m->map_sz = sz;
	m->part = (struct pt_sink_part){ .sz = sz, .at = (uintptr_t)map };
	m->parts = (struct pt_sink_parts){
		.parts = &m->part, .cnt = 1, .sz = sz,
	};
	s->sz = sz;
	return 0;
}

static int memfd_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
		       __u32 cnt, __u64 sz, struct pt_error *err)
{
	(void)err;
	pt_sink_parts_place(&memfd_of(s)->parts, off, pieces, cnt, sz);
	return 0;
}

static int memfd_zero(struct pt_sink *s, __u64 off, __u64 sz,
		      struct pt_error *err)
{
	const struct memfd *m = memfd_of(s);

	(void)err;
	if (sz >= PUNCH_SZ_MIN &&
	    !fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
		       sz))
		return 0;
	pt_sink_parts_zero(&m->parts, off, sz);
	return 0;
}

static int memfd_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		      struct pt_error *err)
{
	errno = EIO;
	return pt_sink_parts_read(&memfd_of(s)->parts, off, to, sz)
		? 0 : failed("cannot be read", err);
}

static const __u8 *memfd_see(const struct pt_sink *s, __u64 off)
{
	return (const __u8 *)memfd_of(s)->map + off;
}

static int memfd_fault(const struct pt_sink *s, const void *addr,
		       struct pt_error *err)
{
	errno = EIO;
	return pt_sink_parts_has(&memfd_of(s)->parts, addr)
		? failed("cannot be written (cut short, or no memory is left?)",
			 err) : 0;
}

static void memfd_close(struct pt_sink *s)
{
	unfit((struct memfd *)s);
	free(s);
}

static const struct pt_sink_ops memfd_ops = {
	.fit = memfd_fit,
	.place = memfd_place,
	.zero = memfd_zero,
	.read = memfd_read,
	.see = memfd_see,
	.fault = memfd_fault,
	.close = memfd_close,
};

/* check refuses a file system that allocates storage otherwise: there st_blocks
 * does not say whether the file is zero. */
static int check(int fd, struct pt_error *err)
{
	struct statfs fs;
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) || fstatfs(fd, &fs))
		return failed("cannot be looked at", err);
	if (!S_ISREG(st.st_mode) ||
	    ((unsigned long)fs.f_type != TMPFS_MAGIC &&
	     (unsigned long)fs.f_type != HUGETLBFS_MAGIC))
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "memory "
				    "descriptor: not a memfd, nor a file of a "
				    "tmpfs or hugetlbfs");
	if ((flags & O_ACCMODE) != O_RDWR)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "memory "
				    "descriptor: not open for reading and "
				    "writing");
	return 0;
}

int pt_sink_open_memfd(struct pt_sink **out, int fd, struct pt_error *err)
{
	int ret = check(fd, err);
	struct memfd *m;

	if (ret)
		return ret;
	m = calloc(1, sizeof(*m));
	if (!m)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "memory descriptor: no memory");
	m->sink.ops = &memfd_ops;
	m->fd = fd;
	*out = &m->sink;
	return 0;
}
