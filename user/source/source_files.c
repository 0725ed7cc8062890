// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/source_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/guard.h"
#include "source/unreadable_list.h"

struct file {
	int fd;
	__u8 *map;	/* NULL: read by pread(2) */
	__u64 sz;	/* bytes, when it was opened */
	bool is_device;	/* a block device */
	char *path;
	/* One bit per page, 512 bits per region: a view found the page to be no
	 * hole. */
	_Atomic __u64 *known;
	/* Likewise: the page cannot be read, by the image's list, or as a fault
	 * told, and is not touched (again). */
	_Atomic __u64 *lost;
};

struct files {
	struct pt_source src;
	unsigned int cnt;
	struct file files[];
};

static int fail(struct pt_error *err, int code, const char *path,
		const char *cause)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s", path, cause);
}

/* is_mappable: a read of a hole in a hugetlbfs file through a mapping would
 * take a huge page, so only a file without holes is mapped.  Without a guard a
 * truncated file would end the process. */
static bool is_mappable(int fd, const struct stat *st)
{
	struct statfs fs;

	if (pt_guard_is_barred())
		return false;
	return fstatfs(fd, &fs) || fs.f_type != HUGETLBFS_MAGIC ||
	       (__u64)st->st_blocks * 512 >= (__u64)st->st_size;
}

/* device_sz returns the size of a block device; 0: unknown, or it has no medium. */
static __u64 device_sz(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	return end < 0 ? 0 : end;
}

static int file_open(struct file *f, const char *path, enum pt_files how,
		     struct pt_error *err)
{
	struct stat st;
	int code;

	/* O_NONBLOCK: opening a pipe must not wait for its writer. */
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0) {
		code = -errno;
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s%s", path,
				    strerror(-code), pt_files_remedy(code));
	}
	if (fstat(f->fd, &st))
		return fail(err, -errno, path, strerror(errno));
	f->is_device = S_ISBLK(st.st_mode);
	if (!S_ISREG(st.st_mode) && (!f->is_device || how == PT_FILES_LIVE))
		return fail(err, -EINVAL, path,
			    "neither a regular file nor a block device (give an "
			    "image, or a memfd as /proc/PID/fd/N)");
	f->sz = f->is_device ? device_sz(f->fd) : (__u64)st.st_size;
	if (!f->sz)
		return fail(err, -EINVAL, path, "empty: no memory in it");
	f->path = strdup(path);
	f->known = calloc((f->sz + PT_REGION_SZ - 1) / PT_REGION_SZ,
			  PT_REGION_PAGES / 8);
	f->lost = calloc((f->sz + PT_REGION_SZ - 1) / PT_REGION_SZ,
			 PT_REGION_PAGES / 8);
	if (!f->path || !f->known || !f->lost)
		return fail(err, -ENOMEM, path, "no memory");
	code = how == PT_FILES_LIVE ? 0 : pt_unreadable_list(path, f->fd,
							      f->sz, f->lost,
							      err);
	if (code)
		return code;
	/* A read of a device that goes away is an error that says why. */
	if (how != PT_FILES_STILL || f->is_device || !is_mappable(f->fd, &st))
		return 0;
	f->map = mmap(NULL, f->sz, PROT_READ, MAP_SHARED | MAP_NORESERVE,
		      f->fd, 0);
	if (f->map == MAP_FAILED) {
		int code = -errno;

		f->map = NULL;
		if (code != -ENODEV)	/* a file system without mmap */
			return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot "
					    "map it: %s%s", path,
					    strerror(-code), code == -ENOMEM
					    ? " (raise ulimit -v or "
					    "vm.max_map_count)" : "");
	}
	return 0;
}

/* size_check: the file is as large as when it was opened. */
static int size_check(const struct file *f, struct pt_error *err)
{
	struct stat st;
	__u64 sz;

	if (fstat(f->fd, &st))
		return pt_error_set(err, PT_EXIT_FAILED, -EIO, "%s: %s",
				    f->path, strerror(errno));
	sz = f->is_device ? device_sz(f->fd) : (__u64)st.st_size;
	if (sz != f->sz)
		return pt_error_set(err, PT_EXIT_FAILED, -EIO,
				    "%s: %s while it was read, from %llu bytes "
				    "to %llu (keep it still until the transfer "
				    "ends)", f->path,
				    sz < f->sz ? "cut short" : "it grew",
				    f->sz, sz);
	return 0;
}

static int read_failed(const struct pt_source *src, const struct file *f, __u64 off,
		       int code, struct pt_error *err)
{
	int ret = size_check(f, err);

	if (ret)
		return ret;
	/* With DEFAULT the command has no such option. */
	if (src->on_unreadable != PT_UNREADABLE_FAIL || code != EIO)
		return pt_error_set(err, PT_EXIT_FAILED, -EIO,
				    "%s: cannot be read at byte %llu: %s (see the "
				    "kernel's log)", f->path, off,
				    strerror(code));
	return pt_error_set(err, PT_EXIT_FAILED, -EIO, "%s: cannot be read at byte "
			    "%llu: %s ({on-unreadable} mark sends such pages as "
			    "unreadable, zero as zeroes)", f->path, off,
			    strerror(code));
}

static void files_close(struct pt_source *src)
{
	struct files *s = (struct files *)src;

	for (unsigned int i = 0; i < s->cnt; i++) {
		struct file *f = &s->files[i];

		if (f->map)
			munmap(f->map, f->sz);
		if (f->fd >= 0)
			close(f->fd);
		free(f->path);
		free(f->known);
		free(f->lost);
	}
	free(s);
}

static int files_fault(const struct pt_source *src, const void *addr,
		       struct pt_error *err)
{
	const struct files *s = (const struct files *)src;

	for (unsigned int i = 0; i < s->cnt; i++) {
		const struct file *f = &s->files[i];
		__u64 off = (const __u8 *)addr - f->map;

		if (!f->map || (const __u8 *)addr < f->map ||
		    off >= (f->sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ)
			continue;
		return read_failed(src, f, off, EIO, err);
	}
	return 0;
}

/* extent_find makes [v->data_off, v->data_end) the first data at or after off.
 * Both are the end of the file if there is none, or if the data begins at end
 * or later: its end would be expensive, since the kernel walks all its
 * pages. */
static void extent_find(struct pt_view *v, const struct file *f, __u32 seg,
			__u64 off, __u64 end)
{
	off_t at;

	if (v->extent_seg == seg && v->known_off <= off && off < v->data_end)
		return;		/* as last time: a big extent, a long hole */
	v->extent_seg = seg;
	v->known_off = off;
	at = lseek(f->fd, off, SEEK_DATA);
	if (at < 0 && errno == ENXIO) {
		v->data_off = v->data_end = f->sz;
		return;
	}
	/* A file system without holes reports data everywhere. */
	v->data_off = at < 0 ? off : (__u64)at;
	v->data_end = v->data_off;
	if (v->data_off >= end)
		return;
	at = lseek(f->fd, v->data_off, SEEK_HOLE);
	v->data_end = at < 0 ? f->sz : (__u64)at;
}

/* holes_find marks the pages of the piece that lie in holes entirely. */
static void holes_find(struct pt_view *v, const struct file *f,
		       const struct pt_piece *piece)
{
	__u64 end = piece->off + piece->sz;
	__u64 off = piece->off;

	while (off < end) {		/* each round passes a hole and data */
		__u64 data_off;
		__u32 first, last;

		extent_find(v, f, piece->seg, off, end);
		data_off = v->data_off < end ? v->data_off : end;
		first = (off - piece->off + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
		last = data_off == end ?
			       v->page_cnt :
			       (data_off - piece->off) / PT_PAGE_SZ;
		if (data_off > off && first < last)
			pt_view_set_holes(v, first, last);
		if (v->data_end <= off)
			break;
		off = v->data_end;
	}
}

static _Atomic __u64 *known_of(const struct file *f,
			       const struct pt_piece *piece)
{
	return &f->known[piece->off / PT_REGION_SZ * (PT_REGION_PAGES / 64)];
}

/* is_hole_still: the file has no data from off to end, once a hole. */
static bool is_hole_still(struct pt_view *v, const struct file *f, __u32 seg,
			  __u64 off, __u64 end)
{
	off_t at;

	if (v->extent_seg == seg && v->known_off <= off && end <= v->data_off)
		return true;
	at = lseek(f->fd, off, SEEK_DATA);
	v->extent_seg = seg;
	v->known_off = off;
	v->data_off = at < 0 && errno == ENXIO ? f->sz :
		      at < 0 ? off : (__u64)at;
	v->data_end = v->data_off;	/* unknown: the search would cost
					 * more */
	return end <= v->data_off;
}

/* holes_recall marks the pages that were holes when the region was seen before,
 * if they still are.  Former data is always read, since the kernel finds the
 * end of data by walking all its pages.  Returns whether no more holes remain
 * to be marked. */
static bool holes_recall(struct pt_view *v, const struct file *f,
			 const struct pt_piece *piece)
{
	const _Atomic __u64 *known = known_of(f, piece);
	__u64 stop = piece->off + piece->sz;
	__u64 any = 0;

	for (unsigned i = 0; i < PT_REGION_PAGES / 64; i++) {
		__u32 left = v->page_cnt > i * 64 ? v->page_cnt - i * 64 : 0;
		__u64 is_data = atomic_load_explicit(&known[i],
						     memory_order_relaxed);

		any |= is_data;
		v->holes[i] = ~is_data & (left >= 64 ? ~0ULL :
							(1ULL << left) - 1);
	}
	if (!any)	/* a hole, or never seen */
		return false;
	for (__u32 page = 0, end; page < v->page_cnt; page = end) {
		__u64 last;

		end = pt_view_run(v, page);
		last = piece->off + (__u64)end * PT_PAGE_SZ;
		if (pt_view_is_hole(v, page) &&
		    !is_hole_still(v, f, piece->seg,
				   piece->off + (__u64)page * PT_PAGE_SZ,
				   last < stop ? last : stop))
			return false;
	}
	return true;
}

/* holes_mark marks the holes, and remembers the data for the next time. */
static void holes_mark(struct pt_view *v, const struct file *f,
		       const struct pt_piece *piece)
{
	_Atomic __u64 *known = known_of(f, piece);

	if (!v->is_fresh && holes_recall(v, f, piece))
		return;
	memset(v->holes, 0, sizeof(v->holes));
	holes_find(v, f, piece);
	for (unsigned i = 0; i * 64 < v->page_cnt; i++)
		if (~v->holes[i])
			atomic_store_explicit(&known[i], ~v->holes[i],
					      memory_order_relaxed);
}

/* may_skip: the page at off cannot be read, for no other reason than itself, and may
 * be left out. */
static bool may_skip(struct pt_source *src, struct pt_view *v, __u32 page)
{
	const struct file *f = &((struct files *)src)->files[v->piece.seg];

	return !size_check(f, NULL) && pt_view_lose(src, v, page);
}

static int files_load(struct pt_source *src, struct pt_view *v, __u32 first,
		      __u32 end, struct pt_error *err)
{
	const struct file *f = &((struct files *)src)->files[v->piece.seg];
	__u64 at = (__u64)first * PT_PAGE_SZ, stop = (__u64)end * PT_PAGE_SZ;

	stop = stop < v->piece.sz ? stop : v->piece.sz;
	while (at < stop) {
		ssize_t got = pread(f->fd, v->staged + at, stop - at,
				    v->piece.off + at);
		int code = got < 0 ? errno : EIO;

		if (got < 0 && code == EINTR)
			continue;
		/* The page is not the cause of another error, such as ENOMEM. */
		if (got < 0 && (code == EIO || code == EHWPOISON) &&
		    may_skip(src, v, at / PT_PAGE_SZ))
			got = PT_PAGE_SZ - at % PT_PAGE_SZ;
		if (got <= 0)
			return read_failed(src, f, v->piece.off + at, code,
					   err);
		at += got;
	}
	return 0;
}

/* files_lose: a mapped page raises SIGBUS where the file was cut short, which is an
 * error, or cannot be read. */
static bool files_lose(struct pt_source *src, const struct pt_view *v,
		       __u32 page)
{
	const struct file *f = &((struct files *)src)->files[v->piece.seg];

	if (size_check(f, NULL))
		return false;
	atomic_fetch_or(&f->lost[v->piece.off / PT_REGION_SZ *
				 (PT_REGION_PAGES / 64) + page / 64],
			1ULL << (page % 64));
	return true;
}

/* lost_mark marks the pages that are known to be unreadable. */
static void lost_mark(struct pt_view *v, const struct file *f,
		      const struct pt_piece *piece)
{
	const _Atomic __u64 *lost = &f->lost[piece->off / PT_REGION_SZ *
					     (PT_REGION_PAGES / 64)];

	for (__u32 i = 0; i < PT_REGION_PAGES / 64; i++)
		v->unreadable[i] = atomic_load_explicit(&lost[i],
							memory_order_relaxed);
}

static int files_view(struct pt_source *src, struct pt_view *v,
		      const struct pt_piece *piece, struct pt_error *err)
{
	const struct file *f = &((struct files *)src)->files[piece->seg];
	int code;

	/* This costs little beside 2 MiB, and finds most changes without a
	 * SIGBUS. */
	code = size_check(f, err);
	if (code)
		return code;
	holes_mark(v, f, piece);
	lost_mark(v, f, piece);
	/* The bytes of a mapping past the end of the file are undefined; there
	 * the view uses the buffer, else the mapping itself.  A read faults its
	 * pages in, sixteen at a time (the kernel's fault-around), which is
	 * cheaper than madvise(2) and free for pages that are present. */
	if (f->map && piece->sz % PT_PAGE_SZ == 0)
		v->pages = f->map + piece->off;
	return 0;
}

static const __u8 *files_page(const struct pt_source *src, __u32 seg, __u64 off,
			      __u32 sz, void *buffer)
{
	const struct file *f = &((const struct files *)src)->files[seg];

	if (f->map && sz == PT_PAGE_SZ)
		return f->map + off;
	return pt_source_pread(f->fd, buffer, sz, off) ? buffer : NULL;
}

static int files_find_large(const struct pt_source *src,
			    struct pt_source_large *out)
{
	const struct files *s = (const struct files *)src;
	int ret = 0;

	for (unsigned int i = 0; !ret && i < s->cnt; i++)
		ret = s->files[i].is_device ? 0 :
		      pt_source_large_file(out, s->files[i].fd, s->files[i].sz,
					   src->segs[i].gfn * PT_PAGE_SZ);
	return ret;
}

static const struct pt_source_ops files_ops = {
	.view = files_view,
	.load = files_load,
	.page = files_page,
	.fault = files_fault,
	.find_large = files_find_large,
	.lose = files_lose,
	.close = files_close,
};

int pt_source_open_files_as(struct pt_source **out, enum pt_files how,
			    const char *const *paths, unsigned int cnt,
			    struct pt_error *err)
{
	struct files *s;
	__u64 gfn = 0;
	int code;

	if (!cnt || cnt > PT_SOURCE_FILES_MAX)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "%u files: give 1..%u", cnt,
				    PT_SOURCE_FILES_MAX);
	s = calloc(1, sizeof(*s) + cnt * sizeof(s->files[0]));
	if (!s)
		return fail(err, -ENOMEM, paths[0], "no memory");
	s->src.ops = &files_ops;
	s->src.may_change = how == PT_FILES_LIVE;
	s->src.segs = calloc(cnt, sizeof(s->src.segs[0]));
	code = -ENOMEM;
	if (!s->src.segs) {
		fail(err, code, paths[0], "no memory");
		goto close_files;
	}
	for (unsigned int i = 0; i < cnt; i++) {
		struct pt_segment *seg = &s->src.segs[i];

		s->cnt = i + 1;
		code = file_open(&s->files[i], paths[i], how, err);
		if (code)
			goto close_files;
		pt_segment_set_name(seg, paths[i]);
		seg->gfn = gfn;
		seg->sz = s->files[i].sz;
		gfn += (pt_segment_page_cnt(seg) + PT_REGION_PAGES - 1) /
		       PT_REGION_PAGES * PT_REGION_PAGES;
		if (gfn > PT_GFN_MAX) {
			code = fail(err, -E2BIG, paths[i],
				    "more memory than a transfer can number");
			goto close_files;
		}
	}
	s->src.seg_cnt = cnt;
	*out = &s->src;
	return 0;

close_files:
	pt_source_close(&s->src);
	return code;
}

int pt_source_open_files(struct pt_source **out, const char *const *paths,
			 unsigned int cnt, struct pt_error *err)
{
	return pt_source_open_files_as(out, PT_FILES_STILL, paths, cnt, err);
}
