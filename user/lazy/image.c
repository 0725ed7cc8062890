// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/ptrim.h"
#include "source/unreadable_list.h"

#define CLUSTER		16	/* pages that are read together of a raw image */
#define ZEROES_MAX	(1u << 16)	/* pages of a hole that are looked at in one call */

struct pt_lazy_image {
	char *path;
	char id[PT_LAZY_ID_SZ];
	__u64 sz;

	int fd;				/* of a raw image; -1 */
	_Atomic __u64 *unreadable;	/* its pages */

	struct pt_ptrim *ptrim;		/* NULL: a raw image */
	struct pt_ptrim_reader *reader;
	const struct pt_segment *segs;
	__u64 *seg_off;			/* where each begins in the raw image */
	__u32 seg_cnt;
};

static __u64 pages_of(__u64 sz)
{
	return (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
}

/* ---- opening ---- */

static int no_memory(const char *path, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory to serve it",
			    path);
}

static int raw_open(struct pt_lazy_image *im, struct pt_error *err)
{
	struct stat st;

	im->fd = open(im->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (im->fd < 0 || fstat(im->fd, &st))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s", im->path,
				    strerror(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: %s", im->path,
				    S_ISREG(st.st_mode) ? "empty"
							: "not a regular file");
	im->sz = st.st_size;
	snprintf(im->id, sizeof(im->id), "raw:%llx:%llx:%llx:%llx.%lx",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		 (unsigned long long)st.st_size,
		 (unsigned long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	im->unreadable = calloc(pages_of(im->sz) / 64 + 1, sizeof(__u64));
	if (!im->unreadable)
		return no_memory(im->path, err);
	return pt_unreadable_list(im->path, im->fd, im->sz, im->unreadable,
				  err);
}

static int ptrim_open(struct pt_lazy_image *im, const char *parent,
		      struct pt_error *err)
{
	const struct pt_ptrim_header *h;
	const struct pt_layout *l;
	__u64 off = 0;
	int code = pt_ptrim_open(&im->ptrim, im->path, parent, err);

	if (code)
		return code;
	l = pt_ptrim_layout(im->ptrim);
	h = pt_ptrim_header(im->ptrim);
	im->sz = pt_layout_image_sz(l);
	im->segs = pt_layout_segments(l, &im->seg_cnt);
	im->seg_off = calloc(im->seg_cnt, sizeof(*im->seg_off));
	if (!im->seg_off || pt_ptrim_reader_create(&im->reader, im->ptrim))
		return no_memory(im->path, err);
	for (__u32 i = 0; i < im->seg_cnt; i++) {
		im->seg_off[i] = off;
		off += pt_segment_page_cnt(&im->segs[i]) * PT_PAGE_SZ;
	}
	strcpy(im->id, "ptrim:");
	for (int i = 0; i < PT_PTRIM_ID_SZ; i++)
		sprintf(im->id + strlen(im->id), "%02x", h->id[i]);
	return 0;
}

int pt_lazy_image_open(struct pt_lazy_image **out, const char *path,
		       const char *parent, struct pt_error *err)
{
	struct pt_lazy_image *im = calloc(1, sizeof(*im));
	int code;

	if (!im)
		return no_memory(path, err);
	im->fd = -1;
	im->path = strdup(path);
	if (!im->path)
		code = no_memory(path, err);
	else if (pt_ptrim_is_name(path))
		code = ptrim_open(im, parent, err);
	else
		code = raw_open(im, err);
	if (code) {
		pt_lazy_image_close(im);
		return code;
	}
	*out = im;
	return 0;
}

void pt_lazy_image_close(struct pt_lazy_image *im)
{
	if (!im)
		return;
	pt_ptrim_reader_destroy(im->reader);
	pt_ptrim_close(im->ptrim);
	if (im->fd >= 0)
		close(im->fd);
	free((void *)im->unreadable);
	free(im->seg_off);
	free(im->path);
	free(im);
}

__u64 pt_lazy_image_sz(const struct pt_lazy_image *im)
{
	return im->sz;
}

const char *pt_lazy_image_id(const struct pt_lazy_image *im)
{
	return im->id;
}

/* ---- raw ---- */

static bool is_zero(const __u8 *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, PT_PAGE_SZ - 1);
}

static enum pt_lazy_content raw_read(const struct pt_lazy_image *im, __u64 page,
				     __u8 *to)
{
	__u64 off = page * PT_PAGE_SZ, got = 0;
	__u64 want = im->sz - off < PT_PAGE_SZ ? im->sz - off : PT_PAGE_SZ;

	if (im->unreadable[page / 64] >> (page % 64) & 1)
		return PT_LAZY_LOST;
	while (got < want) {
		ssize_t n = pread(im->fd, to + got, want - got, off + got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return PT_LAZY_LOST;
		got += n;
	}
	memset(to + want, 0, PT_PAGE_SZ - want);
	return is_zero(to) ? PT_LAZY_ZERO : PT_LAZY_DATA;
}

/* is_whole: the file was not cut short, or written longer, since it was opened. */
static bool is_whole(const struct pt_lazy_image *im)
{
	struct stat st;

	return !fstat(im->fd, &st) && (__u64)st.st_size == im->sz;
}

/* raw_zeroes: pages in the list of unreadable ones may be holes, too.  Behind the end of
 * the file there is no hole: pages that were cut off are lost. */
static __u64 raw_zeroes(const struct pt_lazy_image *im, __u64 page)
{
	off_t data = lseek(im->fd, page * PT_PAGE_SZ, SEEK_DATA);
	__u64 end, i;

	if (data < 0 && (errno != ENXIO || !is_whole(im)))
		return 0;
	end = data < 0 ? pages_of(im->sz) : (__u64)data / PT_PAGE_SZ;
	if (end > page + ZEROES_MAX)
		end = page + ZEROES_MAX;
	for (i = page; i < end; i++)
		if (im->unreadable[i / 64] >> (i % 64) & 1)
			break;
	return i - page;
}

/* ---- at rest ---- */

/* index_of finds the page's index in the layout. */
static __u64 index_of(const struct pt_lazy_image *im, __u64 page)
{
	__u64 idx, off = page * PT_PAGE_SZ;
	__u32 low = 0, high = im->seg_cnt;

	while (high - low > 1) {
		__u32 mid = (low + high) / 2;

		if (im->seg_off[mid] <= off)
			low = mid;
		else
			high = mid;
	}
	if (!pt_layout_find(pt_ptrim_layout(im->ptrim), im->segs[low].gfn +
			    (off - im->seg_off[low]) / PT_PAGE_SZ, &idx))
		return ~0ULL;
	return idx;
}

static enum pt_lazy_content ptrim_read(struct pt_lazy_image *im, __u64 page,
				       void *to)
{
	switch (pt_ptrim_read(im->reader, index_of(im, page), to)) {
	case PT_PTRIM_DATA:
		return PT_LAZY_DATA;
	case PT_PTRIM_ABSENT:
	case PT_PTRIM_ZERO:
		return PT_LAZY_ZERO;
	default:
		return PT_LAZY_LOST;
	}
}

static __u64 ptrim_zeroes(const struct pt_lazy_image *im, __u64 page)
{
	__u64 idx = index_of(im, page), region_idx = idx / PT_REGION_PAGES;
	enum pt_ptrim_state state = pt_ptrim_alike(im->ptrim, region_idx);

	if (state != PT_PTRIM_ABSENT && state != PT_PTRIM_ZERO)
		return 0;
	return pt_layout_region(pt_ptrim_layout(im->ptrim), region_idx, NULL) -
	       idx % PT_REGION_PAGES;
}

/* ptrim_unit looks at the pages around, in the same region: those of a unit ascend,
 * with zero pages and copies in between. */
static __u32 ptrim_unit(const struct pt_lazy_image *im, __u64 page,
			__u64 out[PT_LAZY_UNIT_MAX])
{
	__u64 idx = index_of(im, page), at = idx % PT_REGION_PAGES;
	__u32 half = PT_LAZY_UNIT_MAX / 2, cnt = 0;
	__u64 from = at < half ? 0 : at - half;
	__u64 end = pt_layout_region(pt_ptrim_layout(im->ptrim),
				     idx / PT_REGION_PAGES, NULL);
	struct pt_ptrim_entry own = pt_ptrim_look(im->ptrim, idx);

	end = end < from + PT_LAZY_UNIT_MAX ? end : from + PT_LAZY_UNIT_MAX;
	for (__u64 i = from; i < end; i++) {
		struct pt_ptrim_entry entry =
			pt_ptrim_look(im->ptrim, idx - at + i);

		if (i == at || (entry.state == own.state && entry.at == own.at))
			out[cnt++] = page - at + i;
	}
	return cnt;
}

/* ---- both ---- */

enum pt_lazy_content pt_lazy_image_read(struct pt_lazy_image *im, __u64 page,
					void *to)
{
	return im->ptrim ? ptrim_read(im, page, to) : raw_read(im, page, to);
}

__u32 pt_lazy_image_unit(struct pt_lazy_image *im, __u64 page,
			 __u64 out[PT_LAZY_UNIT_MAX])
{
	__u64 first = page / CLUSTER * CLUSTER, end = pages_of(im->sz);
	__u32 cnt = 0;

	if (im->ptrim)
		return ptrim_unit(im, page, out);
	for (; cnt < CLUSTER && first + cnt < end; cnt++)
		out[cnt] = first + cnt;
	return cnt;
}

__u64 pt_lazy_image_zeroes(struct pt_lazy_image *im, __u64 page)
{
	return im->ptrim ? ptrim_zeroes(im, page) : raw_zeroes(im, page);
}

/* ---- for a VMM that is restored ---- */

int pt_lazy_image_part(const struct pt_lazy_image *im, const char *name, __u64 sz,
		       __u64 *off, struct pt_error *err)
{
	__u32 cnt = im->ptrim ? im->seg_cnt : 1, i = 0;
	__u64 has = im->sz;

	while (cnt > 1 && i < cnt && strcmp(im->segs[i].name, name))
		i++;
	if (i == cnt)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: it has no memory "
				    "'%s' among its %u (pagetrim image info lists "
				    "them)", im->path, name, cnt);
	if (im->ptrim)
		has = im->segs[i].sz;
	if (has != sz)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: the guest's memory "
				    "'%s' has %llu bytes there, and %llu in the VMM "
				    "(start the VMM with the memory that the guest "
				    "had)", im->path, name, has, sz);
	*off = im->ptrim ? im->seg_off[i] : 0;
	return 0;
}

bool pt_lazy_image_is(const struct pt_lazy_image *im, __u64 dev, __u64 ino)
{
	const struct pt_ptrim *p = im->ptrim;
	struct stat st;

	if (!p)
		return !fstat(im->fd, &st) && st.st_dev == dev && st.st_ino == ino;
	for (; p; p = pt_ptrim_parent(p))
		if (!stat(pt_ptrim_path(p), &st) && st.st_dev == dev &&
		    st.st_ino == ino)
			return true;
	return false;
}

static int no_file(const struct pt_lazy_image *im, const char *name, int code,
		   struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: its small file '%s': %s",
			    im->path, name, code == -ENOENT ? "it has none of that "
			    "name (pack it with the image: pagetrim image pack {with}, "
			    "or put it into IMAGE.with/)" :
			    code == -EIO ? "it is damaged (use another copy of the "
			    "image)" : strerror(-code));
}

/* bytes_write writes all of it. */
static int bytes_write(int fd, const __u8 *bytes, __u64 sz)
{
	while (sz) {
		ssize_t put = write(fd, bytes, sz);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		bytes += put;
		sz -= put;
	}
	return 0;
}

static int stored_copy(const struct pt_lazy_image *im, const char *name, int to)
{
	struct pt_ptrim_bytes f;

	for (__u32 i = 0; i < pt_ptrim_file_cnt(im->ptrim); i++)
		if (pt_ptrim_file(im->ptrim, i, &f) && !strcmp(f.name, name))
			return f.bytes ? bytes_write(to, f.bytes, f.sz) : -EIO;
	return -ENOENT;
}

static int folder_copy(const struct pt_lazy_image *im, const char *name, int to)
{
	__u8 chunk[16384];
	struct stat st;
	ssize_t got = -1;
	char *path;
	int fd, code = 0;

	if (asprintf(&path, "%s.with/%s", im->path, name) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	free(path);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		code = -EINVAL;
	else if (st.st_size > (off_t)PT_LAZY_FILE_MAX)
		code = -EFBIG;
	while (!code && (got = read(fd, chunk, sizeof(chunk))))
		code = got > 0 ? bytes_write(to, chunk, got)
			       : errno == EINTR ? 0 : -errno;
	close(fd);
	return code;
}

int pt_lazy_image_file(const struct pt_lazy_image *im, const char *name,
		       struct pt_error *err)
{
	int fd = memfd_create("pagetrim-file", MFD_CLOEXEC), code;

	if (fd < 0)
		return no_file(im, name, -errno, err);
	code = im->ptrim ? stored_copy(im, name, fd) : folder_copy(im, name, fd);
	if (code) {
		close(fd);
		return no_file(im, name, code, err);
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}
