// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/source_impl.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pagetrim/check.h>

void pt_source_close(struct pt_source *src)
{
	struct pt_segment *segs;

	if (!src)
		return;
	segs = src->segs;
	pt_source_marks_close(src);
	free(src->zeroed);
	src->ops->close(src);
	free(segs);
}

int pt_source_stop(struct pt_source *src, struct pt_error *err)
{
	pt_check(src->ops->stop);
	return src->ops->stop(src, err);
}

void pt_source_resume(struct pt_source *src)
{
	pt_check(src->ops->resume);
	src->ops->resume(src);
}

bool pt_source_mapping(const struct pt_source *src, __u32 idx, __u64 *gfn,
		       __u64 *page_cnt)
{
	return src->ops->mapping && src->ops->mapping(src, idx, gfn, page_cnt);
}

bool pt_source_has_mappings(const struct pt_source *src)
{
	__u64 gfn, page_cnt;

	return pt_source_mapping(src, 0, &gfn, &page_cnt);
}

int pt_source_review(struct pt_source *src, struct pt_error *err)
{
	return src->ops->review ? src->ops->review(src, err) : 0;
}

void pt_source_set_name(struct pt_source *src, __u32 idx, const char *name)
{
	pt_check(idx < src->seg_cnt);
	pt_segment_set_name(&src->segs[idx], name);
}

const struct pt_segment *pt_source_segments(const struct pt_source *src,
					    __u32 *cnt)
{
	*cnt = src->seg_cnt;
	return src->segs;
}

bool pt_source_may_change(const struct pt_source *src)
{
	return src->may_change;
}

int pt_source_fault(const struct pt_source *src, const void *addr,
		    struct pt_error *err)
{
	return src->ops->fault(src, addr, err);
}

int pt_source_faulted(const struct pt_source *src, const void *addr,
		      struct pt_error *err)
{
	int ret = pt_source_fault(src, addr, err);

	return ret ? ret : pt_error_set(err, PT_EXIT_HOST, -EIO, "memory fault "
					"while reading the source");
}

/* buffer_room returns memory for the view's page_cnt pages, behind the kept
 * ones; a hole needs none of its own.  NULL if there is none. */
static __u8 *buffer_room(struct pt_view *v)
{
	void *map;
	__u8 *at;

	if (!v->buffer) {
		map = mmap(NULL, PT_REGION_SZ, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (map == MAP_FAILED)
			return NULL;
		v->buffer = map;
	}
	if (pt_view_is_hole_whole(v))
		return v->buffer;
	if (!pt_view_keeps(v, v->page_cnt))
		pt_view_drop(v);
	at = v->buffer + (__u64)v->kept_cnt * PT_PAGE_SZ;
	v->kept_cnt += v->page_cnt;
	return at;
}

/* count_zeroed counts each page that is taken for zero once, however often it is
 * read; without memory for that, each time. */
static void count_zeroed(struct pt_source *src, const struct pt_view *v, __u32 word,
			 __u64 bits)
{
	__u64 had = src->zeroed
		? atomic_fetch_or(&src->zeroed[v->first_page / 64 + word], bits) : 0;

	atomic_fetch_add(&src->zeroed_cnt, __builtin_popcountll(bits & ~had));
}

/* sort_unreadable: pages that the source knows to be unreadable are no holes; or they
 * are taken for some. */
static void sort_unreadable(struct pt_source *src, struct pt_view *v)
{
	for (__u32 i = 0; i < 8; i++) {
		__u64 lost = v->unreadable[i];

		v->holes[i] &= ~lost;
		if (!lost || src->on_unreadable != PT_UNREADABLE_ZERO)
			continue;
		v->holes[i] |= lost;
		v->unreadable[i] = 0;
		count_zeroed(src, v, i, lost);
	}
}

int pt_source_view(struct pt_source *src, struct pt_view *v,
		   const struct pt_layout *l, __u64 region_idx,
		   struct pt_error *err)
{
	struct pt_piece piece;
	__u64 left;
	int ret;

	piece.seg = pt_layout_region_segment(l, region_idx, &piece.off);
	pt_check(piece.seg < src->seg_cnt);
	left = src->segs[piece.seg].sz - piece.off;
	piece.sz = left < PT_REGION_SZ ? left : PT_REGION_SZ;

	v->piece = piece;
	v->first_page = region_idx * PT_REGION_PAGES;
	v->page_cnt = pt_layout_region(l, region_idx, NULL);
	v->pages = v->staged = NULL;
	memset(v->holes, 0, sizeof(v->holes));
	memset(v->unreadable, 0, sizeof(v->unreadable));
	ret = src->ops->view(src, v, &piece, err);
	if (!ret)
		ret = pt_source_marks_view(src, v, err);
	sort_unreadable(src, v);
	/* One read, a copy, makes mask, digest and frame if others write the memory. */
	pt_check(!v->pages || !src->may_change);
	v->is_stable = v->pages;
	if (ret || v->pages)
		return ret;
	v->pages = v->staged = buffer_room(v);
	return v->pages ? 0 : pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
					   "no memory to read the source");
}

/* load_run loads pages [first, end), all of which have content. */
static int load_run(struct pt_source *src, struct pt_view *v, __u32 first,
		    __u32 end, struct pt_error *err)
{
	__u64 end_off = (__u64)end * PT_PAGE_SZ;
	int ret = src->ops->load(src, v, first, end, err);

	if (end_off > v->piece.sz)
		memset(v->staged + v->piece.sz, 0, end_off - v->piece.sz);
	return ret;
}

int pt_view_load(struct pt_source *src, struct pt_view *v, __u32 first,
		 __u64 bits, struct pt_error *err)
{
	int ret = 0;

	if (!v->staged)
		return 0;
	bits &= ~(v->holes[first / 64] | v->unreadable[first / 64]);
	while (!ret && bits) {
		unsigned at = __builtin_ctzll(bits);
		__u64 others = ~(bits >> at);
		unsigned cnt = others ? __builtin_ctzll(others) : 64;

		ret = load_run(src, v, first + at, first + at + cnt, err);
		bits &= cnt + at < 64 ? ~0ULL << (at + cnt) : 0;
	}
	return ret;
}

const __u8 *pt_source_page(const struct pt_source *src,
			   const struct pt_layout *l, __u64 page_idx,
			   void *buffer)
{
	__u64 off, left;
	__u32 seg = pt_layout_region_segment(l, page_idx / PT_REGION_PAGES,
					     &off);

	off += page_idx % PT_REGION_PAGES * PT_PAGE_SZ;
	pt_check(seg < src->seg_cnt);
	pt_check(off < src->segs[seg].sz);
	left = src->segs[seg].sz - off;
	if (left >= PT_PAGE_SZ)
		return src->ops->page(src, seg, off, PT_PAGE_SZ, buffer);
	memset((__u8 *)buffer + left, 0, PT_PAGE_SZ - left);
	return src->ops->page(src, seg, off, left, buffer);
}

int pt_source_find_left(const struct pt_source *src, struct pt_source_left *out,
			struct pt_error *err)
{
	*out = (struct pt_source_left){ 0 };
	return src->ops->find_left ? src->ops->find_left(src, out, err) : 0;
}

void pt_source_on_unreadable(struct pt_source *src, enum pt_on_unreadable how)
{
	__u64 region_cnt = 0;

	src->on_unreadable = how;
	if (how != PT_UNREADABLE_ZERO || src->zeroed)
		return;
	for (__u32 i = 0; i < src->seg_cnt; i++)
		region_cnt += (pt_segment_page_cnt(&src->segs[i]) +
			       PT_REGION_PAGES - 1) / PT_REGION_PAGES;
	src->zeroed = calloc(region_cnt, PT_REGION_PAGES / 8);
}

bool pt_view_lose(struct pt_source *src, struct pt_view *v, __u32 page)
{
	switch (src->on_unreadable) {
	case PT_UNREADABLE_MARK:
		v->unreadable[page / 64] |= 1ULL << (page % 64);
		return true;
	case PT_UNREADABLE_ZERO:
		pt_view_set_holes(v, page, page + 1);
		count_zeroed(src, v, page / 64, 1ULL << (page % 64));
		return true;
	default:
		return false;
	}
}

int pt_source_lose(struct pt_source *src, struct pt_view *v, const void *addr,
		   struct pt_error *err)
{
	__u64 page = ((const __u8 *)addr - v->pages) / PT_PAGE_SZ;

	if (v->staged || (const __u8 *)addr < v->pages || page >= v->page_cnt ||
	    !src->ops->lose || !src->ops->lose(src, v, page) ||
	    !pt_view_lose(src, v, page))
		return pt_source_faulted(src, addr, err);
	return 0;
}

__u64 pt_source_zeroed_cnt(const struct pt_source *src)
{
	return atomic_load(&src->zeroed_cnt);
}

bool pt_source_pread(int fd, void *to, __u32 sz, __u64 off)
{
	ssize_t got;

	do
		got = pread(fd, to, sz, off);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sz;
}

void pt_view_init(struct pt_view *v)
{
	memset(v, 0, sizeof(*v));
	v->extent_seg = ~0u;	/* no segment's extent is known */
}

void pt_view_free(struct pt_view *v)
{
	if (v->buffer)
		munmap(v->buffer, PT_REGION_SZ);
	pt_view_init(v);
}

void pt_view_set_holes(struct pt_view *v, __u32 first, __u32 end)
{
	pt_check(end <= v->page_cnt);
	for (__u32 page = first, next; page < end; page = next) {
		next = page / 64 * 64 + 64 < end ? page / 64 * 64 + 64 : end;
		v->holes[page / 64] |= (~0ULL >> (64 - (next - page)))
				       << (page % 64);
	}
}

__u32 pt_view_run(const struct pt_view *v, __u32 first)
{
	__u64 like = pt_view_is_hole(v, first) ? ~0ULL : 0;
	__u32 end = first;

	while (end < v->page_cnt) {
		__u64 others = (v->holes[end / 64] ^ like) >> (end % 64);

		if (others) {
			end += __builtin_ctzll(others);
			break;
		}
		end = end / 64 * 64 + 64;
	}
	return end < v->page_cnt ? end : v->page_cnt;
}

void pt_segment_set_name(struct pt_segment *seg, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t i;

	/* "[anon:a/b]" is a name, and "x/" has no last part. */
	if (path[0] != '[' && slash && slash[1])
		path = slash + 1;
	memset(seg->name, 0, sizeof(seg->name));
	for (i = 0; i < sizeof(seg->name) - 1 && path[i]; i++)
		seg->name[i] = path[i] < ' ' || path[i] > '~' ? '?' : path[i];
}
