// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The mapping of the sink's file: made once its layout is known, or reserved
 * before. */
#include "sink/image_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/madvise.h"
#include "memory/guard.h"
#include "memory/headroom.h"

#define STEP_SZ		(64ULL << 20)	/* bytes populated between checks of
					 * stop_fd */

static __u64 round_up(__u64 sz, __u64 to)
{
	return (sz + to - 1) / to * to;
}

/* huge_page_sz returns the page size of the file's hugetlbfs; 0: another file
 * system. */
static __u64 huge_page_sz(const struct pt_image *s)
{
	struct statfs fs;

	return !fstatfs(s->fd, &fs) && fs.f_type == HUGETLBFS_MAGIC
		? (__u64)fs.f_bsize : 0;
}

static bool is_in_memory(const struct pt_image *s)
{
	struct statfs fs;

	return !fstatfs(s->fd, &fs) &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int too_few_huge_pages(const struct pt_image *s, __u64 page_sz,
			      struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "%s: fewer huge pages are free than the %llu of "
			    "%llu KiB it takes (see /sys/kernel/mm/hugepages/"
			    "hugepages-%llukB/nr_hugepages, and ulimit -v)",
			    s->path,
			    s->map_sz / page_sz, page_sz >> 10, page_sz >> 10);
}

/* check_guard: a file of a hugetlbfs has no write(2), so it needs a guard:
 * another process could truncate it, and SIGBUS would end this one. */
static int check_guard(const struct pt_image *s, __u64 page_sz,
		       struct pt_error *err)
{
	if (!page_sz || !pt_guard_is_barred())
		return 0;
	return pt_error_set(err, PT_EXIT_USAGE, -EOPNOTSUPP, "%s: a hugetlbfs is "
			    "written through a mapping, which needs a handler of "
			    "SIGBUS (allow it, or name another file system)",
			    s->path);
}

/* map_as maps sz bytes of the file in place of the present mapping. */
static void *map_as(const struct pt_image *s, __u64 sz)
{
	void *map = MAP_FAILED;

	if (s->map && s->map_sz == sz)
		return s->map;
	if (s->map) {		/* populated pages keep their page table
				 * entries */
		map = mremap(s->map, s->map_sz, sz, MREMAP_MAYMOVE);
		if (map == MAP_FAILED)	/* hugetlbfs: the pages at least stay
					 * allocated */
			munmap(s->map, s->map_sz);
	}
	return map != MAP_FAILED ? map
		: pt_image_map_aligned(s, sz);
}

/* can_do_without: errno is that of a file system without shared mappings (FUSE
 * with direct_io), and the image is written and read by system call. */
static bool can_do_without(const struct pt_image *s)
{
	return errno == ENODEV && s->takes_write && s->sink.may_wait;
}

int pt_image_map(struct pt_image *s, struct pt_error *err)
{
	__u64 sz = pt_layout_image_sz(s->sink.layout);
	__u64 map_sz = round_up(sz, PT_PAGE_SZ);
	__u64 page_sz = huge_page_sz(s);
	void *map;
	int ret = check_guard(s, page_sz, err);

	if (ret)
		return ret;
	s->sink.sz = sz;
	s->takes_write = !page_sz;
	s->sink.may_wait = !page_sz && !is_in_memory(s);
	if (page_sz && sz % page_sz)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: hugetlbfs holds whole pages of %llu "
				    "KiB, and the memory has %llu bytes (name "
				    "another file system)", s->path,
				    page_sz >> 10, sz);
	if (ftruncate(s->fd, sz))
		return pt_image_fail(s, "cannot make it as large as the memory",
				    err);
	map = map_as(s, map_sz);
	s->map = map == MAP_FAILED ? NULL : map;
	s->map_sz = map_sz;
	if (map == MAP_FAILED && page_sz && errno == ENOMEM)
		return too_few_huge_pages(s, page_sz, err);
	if (map == MAP_FAILED && !can_do_without(s))
		return pt_image_fail(s, "cannot map it", err);
	if (s->populated_sz > map_sz)
		s->populated_sz = map_sz;
	return 0;
}

/* --- reserved -------------------------------------------------------- */

static __u64 huge_free(__u64 page_sz)
{
	unsigned long long cnt = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/"
		 "hugepages-%llukB/free_hugepages",
		 (unsigned long long)page_sz >> 10);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &cnt) != 1)
		cnt = 0;
	if (f)
		fclose(f);
	return cnt * page_sz;
}

static __u64 file_system_free(const struct pt_image *s)
{
	struct statvfs fs;

	if (fstatvfs(s->fd, &fs) || !fs.f_blocks)
		return ~0ULL;	/* a file system without a size limit */
	return (__u64)fs.f_bavail * fs.f_frsize;
}

/* too_little sets the error if only room_sz bytes are available; of says
 * where. */
static int too_little(const struct pt_image *s, __u64 sz, __u64 room_sz,
		      const char *of, struct pt_error *err)
{
	if (!(room_sz >> 20))
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC, "%s: {prealloc} "
				    "%lluM: nothing is %s (receive without)",
				    s->path, sz >> 20, of);
	return pt_error_set(err, PT_EXIT_HOST, -ENOSPC, "%s: {prealloc} %lluM: "
			    "%llu MiB are %s ({prealloc} %lluM works)", s->path,
			    sz >> 20, room_sz >> 20, of, room_sz >> 20);
}

/* check_room: fallocate(2) on a tmpfs takes memory that the host lacks or a
 * cgroup denies, until the OOM killer acts; so the headroom is checked
 * first. */
static int check_room(const struct pt_image *s, __u64 page_sz, __u64 sz,
		      struct pt_error *err)
{
	__u64 free_sz = page_sz ? huge_free(page_sz) : file_system_free(s);
	struct pt_headroom memory = { .sz = ~0ULL };
	char of[384];

	if (is_in_memory(s))
		pt_headroom_look(&memory, "");
	if (sz <= free_sz && sz <= memory.sz)
		return 0;
	if (free_sz <= memory.sz)
		return too_little(s, sz, free_sz, page_sz
				  ? "free in huge pages"
				  : "free on its file system", err);
	if (!*memory.limit)
		return too_little(s, sz, memory.sz,
				  "free of the host's memory", err);
	snprintf(of, sizeof(of), "free of the %llu that %.300s allows",
		 memory.limit_sz >> 20, memory.limit);
	return too_little(s, sz, memory.sz, of, err);
}

/* takes_advice: a tmpfs gives huge pages on advice, but only for a mapping;
 * fallocate(2) alone would get small pages. */
static bool takes_advice(const struct pt_image *s)
{
	struct pt_image_mount m;

	pt_image_mount(s, &m);
	return !strcmp(m.type, "tmpfs") && strstr(m.options, "huge=advise") &&
	       !madvise(s->map, s->map_sz, MADV_HUGEPAGE);
}

/* allocate allocates the next sz bytes; returns -1 and sets errno if it
 * cannot. */
static int allocate(const struct pt_image *s, __u64 sz, bool by_fault)
{
	if (!by_fault && fallocate(s->fd, 0, s->populated_sz, sz) &&
	    errno != EOPNOTSUPP)
		return -1;
	return madvise(s->map + s->populated_sz, sz, MADV_POPULATE_WRITE);
}

/* populate uses system calls, which fail where a memory access would raise
 * SIGBUS. */
static int populate(struct pt_image *s, int stop_fd, struct pt_error *err)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
	bool by_fault = !s->takes_write || takes_advice(s);

	while (s->populated_sz < s->map_sz) {
		__u64 sz = s->map_sz - s->populated_sz;

		sz = sz < STEP_SZ ? sz : STEP_SZ;
		if (poll(&stop, 1, 0) > 0)
			return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
					    "interrupted; nothing was "
					    "received");
		if (allocate(s, sz, by_fault)) {
			if (errno == EINTR)
				continue;
			return pt_image_fail(s, "cannot allocate the "
					    "size of {prealloc}", err);
		}
		s->populated_sz += sz;
	}
	return 0;
}

static int reserve(struct pt_image *s, __u64 sz, int stop_fd,
		   struct pt_error *err)
{
	__u64 page_sz = huge_page_sz(s);
	void *map;
	int ret;

	sz = round_up(sz, page_sz ? page_sz : PT_PAGE_SZ);
	ret = check_guard(s, page_sz, err);
	if (!ret)
		ret = check_room(s, page_sz, sz, err);
	if (ret)
		return ret;
	s->takes_write = !page_sz;
	if (ftruncate(s->fd, sz))
		return pt_image_fail(s, "cannot make it as large as "
				    "{prealloc}", err);
	map = map_as(s, sz);
	s->map_sz = sz;
	if (map == MAP_FAILED && page_sz && errno == ENOMEM)
		return too_few_huge_pages(s, page_sz, err);
	if (map == MAP_FAILED && errno == ENODEV)
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "%s: its file "
				    "system has no shared mappings, which "
				    "{prealloc} needs (receive without, or "
				    "name another file system)", s->path);
	if (map == MAP_FAILED)
		return pt_image_fail(s, "cannot map it", err);
	s->map = map;
	return populate(s, stop_fd, err);
}

int pt_image_reserve(struct pt_sink **out, const char *path, __u64 sz,
		    int stop_fd, struct pt_error *err)
{
	struct pt_image *s;
	int ret = pt_image_make(&s, path, NULL, err);

	if (ret)
		return ret;
	ret = pt_image_claim(s, err);
	if (!ret)
		ret = reserve(s, sz, stop_fd, err);
	if (ret) {
		pt_sink_close(&s->sink);
		return ret;
	}
	*out = &s->sink;
	return 0;
}

int pt_image_op_fit(struct pt_sink *sink, const struct pt_layout *l,
		struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	s->sink.layout = l;
	return pt_image_map(s, err);
}
