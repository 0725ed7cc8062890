/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* source_impl: the interface that a kind of source implements; for user/source
 * and user/image alone.  A kind embeds struct pt_source as its first member. */
#ifndef SOURCE_SOURCE_IMPL_H
#define SOURCE_SOURCE_IMPL_H

#include "source/source.h"
#include "source/source_large.h"

struct pt_source_ops {
	/* Fills v->holes and v->unreadable (given as zero); and pages, if it
	 * shows the memory itself. */
	int (*view)(struct pt_source *src, struct pt_view *v,
		    const struct pt_piece *piece, struct pt_error *err);
	/* Reads pages [first, end) of what v shows, none of them a hole or known
	 * to be unreadable, to v->staged, or has pt_view_lose take one; bytes
	 * past the segment's end need not be written. */
	int (*load)(struct pt_source *src, struct pt_view *v, __u32 first,
		    __u32 end, struct pt_error *err);
	/* off: bytes into the segment, a multiple of 4096; sz: the bytes of
	 * that page inside the segment, 1..4096; a copy goes to buffer. */
	const __u8 *(*page)(const struct pt_source *src, __u32 seg, __u64 off,
			    __u32 sz, void *buffer);
	int (*fault)(const struct pt_source *src, const void *addr,
		     struct pt_error *err);
	/* For sources that show their memory itself, else NULL.  Returns whether
	 * a fault there can only be that of an unreadable page; it is noted as
	 * one for all views to come. */
	bool (*lose)(struct pt_source *src, const struct pt_view *v,
		     __u32 page);
	/* A live process; NULL: it is none. */
	int (*review)(struct pt_source *src, struct pt_error *err);
	bool (*mapping)(const struct pt_source *src, __u32 idx, __u64 *gfn,
			__u64 *page_cnt);
	int (*stop)(struct pt_source *src, struct pt_error *err);
	void (*resume)(struct pt_source *src);
	/* For any process; NULL: nothing is left out. */
	int (*find_left)(const struct pt_source *src,
			 struct pt_source_left *out, struct pt_error *err);
	/* See source_large.h.  -errno: not known. */
	int (*find_large)(const struct pt_source *src,
			  struct pt_source_large *out);
	void (*close)(struct pt_source *src);
};

struct pt_source {
	const struct pt_source_ops *ops;
	struct pt_segment *segs;	/* freed by pt_source_close */
	__u32 seg_cnt;
	bool may_change;		/* see pt_source_may_change */
	enum pt_on_unreadable on_unreadable;
	_Atomic __u64 zeroed_cnt;	/* pages taken for zero, and */
	_Atomic __u64 *zeroed;		/* which, one bit each, by layout; or NULL */
	__u64 *addrs;			/* see pt_source_mapped_by; NULL: none, and */
	int pagemap, mem;		/* then none; of the process */
};

/* pt_source_marks_view adds the pages that the process cannot read to
 * v->unreadable. */
int pt_source_marks_view(const struct pt_source *src, struct pt_view *v,
			 struct pt_error *err);
void pt_source_marks_close(struct pt_source *src);

/* pt_view_set_holes marks pages [first, end) as holes. */
void pt_view_set_holes(struct pt_view *v, __u32 first, __u32 end);

/* pt_view_lose has page of v, which cannot be read, taken for zero, or marks it as
 * unreadable; false: neither is allowed. */
bool pt_view_lose(struct pt_source *src, struct pt_view *v, __u32 page);

/* pt_view_run returns the end of the run of pages from `first` on that are all
 * holes, or all none; v->page_cnt ends it. */
__u32 pt_view_run(const struct pt_view *v, __u32 first);

/* pt_source_pread returns whether all sz bytes, up to a page, were read. */
bool pt_source_pread(int fd, void *to, __u32 sz, __u64 off);

/* pt_segment_set_name copies the last part of path, as far as it fits, in
 * printable ASCII: other bytes become '?'. */
void pt_segment_set_name(struct pt_segment *seg, const char *path);

#endif
