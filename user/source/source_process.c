// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/source_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pagetrim/check.h>
#include "base/files.h"
#include "memory/freeze.h"
#include "memory/pagemap.h"
#include "memory/proc.h"
#include "source/process_left.h"
#include "source/process_rooms.h"
#include "source/process_task.h"

/* Bits of a word of /proc/PID/pagemap (Documentation/admin-guide/mm). */
#define PAGEMAP_PRESENT	(1ULL << 63)
#define PAGEMAP_SWAPPED	(1ULL << 62)
#define PAGEMAP_GUARD	(1ULL << 58)	/* MADV_GUARD_INSTALL: no content */

#define TRIES		8	/* to read a page */

struct process {
	struct pt_source src;
	pid_t pid;
	int mem;		/* /proc/PID/mem */
	int pagemap;		/* /proc/PID/pagemap */
	int maps;		/* /proc/PID/maps */
	int smaps;		/* /proc/PID/smaps */
	struct pt_freeze *freeze;	/* NULL: it runs on */
	struct pt_process_maps mapped;	/* at the last review */
	bool is_live;		/* pages may go while it runs */
};

static int gone(const struct process *p, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -ESRCH,
			    "process %d: it went away while it was read",
			    p->pid);
}

static int no_memory(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "process %d: no memory to read it", pid);
}

/* --- a region -------------------------------------------------------- */

/* untouched_find marks the pages from first to end that the process never
 * touched. */
static int untouched_find(const struct process *p, struct pt_view *v,
			  __u64 gfn, __u32 first, __u32 end,
			  struct pt_error *err)
{
	__u64 words[PT_REGION_PAGES];
	__u32 want = (end - first) * sizeof(words[0]);
	ssize_t got = pread(p->pagemap, words, want,
			    (gfn + first) * sizeof(words[0]));

	if (got != (ssize_t)want)
		return gone(p, err);
	for (__u32 i = first; i < end; i++)
		if (!(words[i - first] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) ||
		    words[i - first] & PAGEMAP_GUARD)
			pt_view_set_holes(v, i, i + 1);
	return 0;
}

/* contentless_find marks, of the pages from first to end, those beyond the end of the
 * mapping's file, or those that the process never touched. */
static int contentless_find(const struct process *p, struct pt_view *v,
			    const struct pt_process_map *m, __u64 gfn,
			    __u32 first, __u32 end, struct pt_error *err)
{
	__u64 content_end = m->seg.gfn + m->content_sz / PT_PAGE_SZ;

	if (m->is_anonymous)
		return untouched_find(p, v, gfn, first, end, err);
	if (content_end < gfn + first)
		content_end = gfn + first;
	if (content_end < gfn + end)
		pt_view_set_holes(v, content_end - gfn, end);
	return 0;
}

/* extent_find notes how far no page is there, from a region on that is a hole, if
 * one mapping has all of it. */
static void extent_find(const struct process *p, struct pt_view *v,
			const struct pt_piece *piece, __u64 gfn)
{
	__u32 i = pt_process_maps_find(&p->mapped, gfn);
	const struct pt_process_map *m = &p->mapped.all[i];
	const struct pt_segment *seg = &p->src.segs[piece->seg];
	__u64 start = seg->gfn * PT_PAGE_SZ, end = start + seg->sz, mapped_end;

	if (i == p->mapped.cnt || !m->is_anonymous || m->seg.gfn > gfn)
		return;
	mapped_end = m->seg.gfn * PT_PAGE_SZ + m->seg.sz;
	end = mapped_end < end ? mapped_end : end;
	if (start + piece->off + piece->sz >= end)
		return;
	v->extent_seg = piece->seg;
	v->known_off = piece->off;
	v->data_off = v->data_end = pt_pagemap_next(p->pagemap,
						    start + piece->off, end) -
				    start;
}

/* holes_find marks the pages that are not mapped, or have no content. */
static int holes_find(const struct process *p, struct pt_view *v, __u64 gfn,
		      struct pt_error *err)
{
	__u64 end = gfn + v->page_cnt, at = gfn;
	int ret = 0;

	for (__u32 i = pt_process_maps_find(&p->mapped, gfn);
	     !ret && at < end; i++) {
		const struct pt_process_map *m = &p->mapped.all[i];
		bool is_one = i < p->mapped.cnt && m->seg.gfn < end;
		__u64 first = is_one && m->seg.gfn > at ? m->seg.gfn : at;
		__u64 stop = is_one ? m->seg.gfn + m->seg.sz / PT_PAGE_SZ : end;

		stop = stop < end ? stop : end;
		pt_view_set_holes(v, at - gfn, (is_one ? first : end) - gfn);
		if (is_one)
			ret = contentless_find(p, v, m, gfn, first - gfn,
					       stop - gfn, err);
		at = stop;
	}
	return ret;
}

/* runs: a live process; at its stop, it does not. */
static bool runs(const struct process *p)
{
	return p->is_live && !p->freeze;
}

/* is_void: the page at start, which could not be read, has no content: it is of a
 * guard region, or not there, as pages are that a process unmapped while it runs.  The
 * tracker finds memory that comes there; at the stop, pages without content are holes. */
static bool is_void(const struct process *p, __u64 start)
{
	__u64 word = 0;

	if (pread(p->pagemap, &word, sizeof(word), start / PT_PAGE_SZ *
		  sizeof(word)) != sizeof(word))
		return false;
	return word & PAGEMAP_GUARD ||
	       (runs(p) && !(word & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)));
}

/* page_skip: the page at start cannot be read, of which the rest, or sz bytes if they
 * are fewer, goes to `to`; it returns how much that is; -1: it may not be left out. */
static ssize_t page_skip(struct process *p, struct pt_view *v, __u8 *to,
			 __u64 start, __u64 sz)
{
	__u64 left = PT_PAGE_SZ - start % PT_PAGE_SZ;

	if (!is_void(p, start) &&
	    !pt_view_lose(&p->src, v, (to - v->staged) / PT_PAGE_SZ))
		return -1;
	left = left < sz ? left : sz;
	memset(to, 0, left);
	return left;
}

static int unreadable(const struct process *p, const char *name, __u64 start,
		      int code, struct pt_error *err)
{
	if (p->src.may_change && !p->is_live)
		return pt_error_set(err, PT_EXIT_FAILED, -EIO, "process %d: "
				    "cannot read %s at 0x%llx: %s (it runs: did "
				    "it unmap it?)", p->pid, name, start,
				    strerror(code));
	return pt_error_set(err, PT_EXIT_FAILED, -EIO, "process %d: cannot "
			    "read %s at 0x%llx: %s ({on-unreadable} mark sends "
			    "such pages as unreadable, zero as zeroes)",
			    p->pid, name, start, strerror(code));
}

/* may_come: while the process runs, a page may be mapped just after it could not be
 * read. */
static bool may_come(const struct process *p, __u64 start, unsigned int *tries)
{
	return runs(p) && ++*tries < TRIES && !is_void(p, start);
}

static int run_read(struct process *p, struct pt_view *v, __u8 *to,
		    __u64 start, __u64 sz, struct pt_error *err)
{
	unsigned int tries = 0;

	while (sz) {
		ssize_t got = pread(p->mem, to, sz, start);
		int code = errno;

		if (got < 0 && (code == EINTR || may_come(p, start, &tries)))
			continue;
		if (!got)
			return gone(p, err);
		if (got < 0)
			got = page_skip(p, v, to, start, sz);
		if (got < 0)
			return unreadable(p, p->src.segs[v->piece.seg].name,
					  start, code, err);
		tries = 0;
		to += got;
		start += got;
		sz -= got;
	}
	return 0;
}

static int process_view(struct pt_source *src, struct pt_view *v,
			const struct pt_piece *piece, struct pt_error *err)
{
	const struct process *p = (const struct process *)src;
	__u64 gfn = src->segs[piece->seg].gfn + piece->off / PT_PAGE_SZ;
	int ret;

	if (v->extent_seg == piece->seg && v->known_off <= piece->off &&
	    piece->off + piece->sz <= v->data_off) {
		pt_view_set_holes(v, 0, v->page_cnt);
		return 0;
	}
	ret = holes_find(p, v, gfn, err);
	if (!ret && pt_view_is_hole_whole(v))
		extent_find(p, v, piece, gfn);
	return ret;
}

static int process_load(struct pt_source *src, struct pt_view *v, __u32 first,
			__u32 end, struct pt_error *err)
{
	__u64 start = src->segs[v->piece.seg].gfn * PT_PAGE_SZ + v->piece.off;
	__u64 off = (__u64)first * PT_PAGE_SZ;

	return run_read((struct process *)src, v, v->staged + off, start + off,
			(__u64)(end - first) * PT_PAGE_SZ, err);
}

static const __u8 *process_page(const struct pt_source *src, __u32 seg,
				__u64 off, __u32 sz, void *buffer)
{
	const struct process *p = (const struct process *)src;

	if (pt_source_pread(p->mem, buffer, sz,
			    src->segs[seg].gfn * PT_PAGE_SZ + off))
		return buffer;
	return src->on_unreadable == PT_UNREADABLE_ZERO ? memset(buffer, 0, sz)
							: NULL;
}

static int process_fault(const struct pt_source *src, const void *addr,
			 struct pt_error *err)
{
	(void)src;
	(void)addr;
	(void)err;
	return 0;	/* it has no mapping */
}

/* --- open and close -------------------------------------------------- */

static void process_close(struct pt_source *src)
{
	struct process *p = (struct process *)src;

	pt_freeze_release(p->freeze);
	if (p->mem >= 0)
		close(p->mem);
	if (p->pagemap >= 0)
		close(p->pagemap);
	if (p->maps >= 0)
		close(p->maps);
	if (p->smaps >= 0)
		close(p->smaps);
	pt_process_maps_free(&p->mapped);
	free(p);
}

static int process_stop(struct pt_source *src, struct pt_error *err)
{
	struct process *p = (struct process *)src;

	pt_check(p->is_live && !p->freeze);
	return pt_freeze_take(&p->freeze, p->pid, err);
}

static void process_resume(struct pt_source *src)
{
	struct process *p = (struct process *)src;

	pt_freeze_release(p->freeze);
	p->freeze = NULL;
}

static int maps_read(struct process *p, struct pt_error *err)
{
	const struct pt_process_files files = {
		.maps = p->maps, .smaps = p->smaps, .pagemap = p->pagemap,
	};

	return pt_process_maps_read(&p->mapped, &files, p->pid, err);
}

static int process_review(struct pt_source *src, struct pt_error *err)
{
	struct process *p = (struct process *)src;
	int ret;
	__u64 at;

	if (!p->is_live)
		return 0;
	ret = maps_read(p, err);
	at = ret || !p->freeze ? ~0ULL
		: pt_process_rooms_lack(src->segs, src->seg_cnt, &p->mapped);
	if (at == ~0ULL)
		return ret;
	return pt_error_set(err, PT_EXIT_FAILED, -ESTALE, "process %d: it mapped "
			    "memory at 0x%llx while it was sent, for which no "
			    "room was left (a larger {room}, or without {live})",
			    p->pid, at);
}

static bool process_mapping(const struct pt_source *src, __u32 idx,
			    __u64 *gfn, __u64 *page_cnt)
{
	const struct process *p = (const struct process *)src;

	if (!p->is_live || idx >= p->mapped.cnt)
		return false;
	*gfn = p->mapped.all[idx].seg.gfn;
	*page_cnt = p->mapped.all[idx].seg.sz / PT_PAGE_SZ;
	return true;
}

static int process_find_left(const struct pt_source *src,
			     struct pt_source_left *out, struct pt_error *err)
{
	const struct process *p = (const struct process *)src;

	for (__u32 i = 0; i < p->mapped.cnt; i++)
		out->beyond_sz += p->mapped.all[i].seg.sz -
				  p->mapped.all[i].content_sz;
	return pt_process_left_read(out, &p->mapped, p->smaps, p->pagemap,
				    p->pid, err);
}

static int process_find_large(const struct pt_source *src,
			      struct pt_source_large *out)
{
	return pt_source_large_segments(out, src,
					((const struct process *)src)->pagemap);
}

static const struct pt_source_ops process_ops = {
	.view = process_view,
	.load = process_load,
	.page = process_page,
	.fault = process_fault,
	.review = process_review,
	.mapping = process_mapping,
	.stop = process_stop,
	.resume = process_resume,
	.find_left = process_find_left,
	.find_large = process_find_large,
	.close = process_close,
};

static int segments_make(struct process *p, __u64 room_sz,
			 struct pt_error *err)
{
	int ret = pt_process_rooms_make(&p->src.segs, &p->src.seg_cnt,
					&p->mapped, room_sz);

	return ret ? no_memory(p->pid, err) : 0;
}

/* process_map opens its files in /proc, by the thread number of a living
 * thread: the first thread may have ended before the others. */
static int process_map(struct process *p, __u64 room_sz, struct pt_error *err)
{
	pid_t tid;
	int code = pt_process_task_find(p->pid, &tid, err);

	if (code)
		return code;
	p->mem = pt_process_task_open(p->pid, tid, "mem", err);
	if (p->mem < 0)
		return p->mem;
	p->pagemap = pt_process_task_open(p->pid, tid, "pagemap", err);
	if (p->pagemap < 0)
		return p->pagemap;
	p->maps = pt_process_task_open(p->pid, tid, "maps", err);
	if (p->maps < 0)
		return p->maps;
	p->smaps = pt_process_task_open(p->pid, tid, "smaps", err);
	if (p->smaps < 0)
		return p->smaps;
	code = maps_read(p, err);
	if (code)
		return code;
	if (!p->mapped.cnt)
		return pt_error_set(err, PT_EXIT_HOST, -ENODATA,
				    "process %d: it has no private memory",
				    p->pid);
	return segments_make(p, room_sz, err);
}

/* open_as: is_stopped: while it is opened, and after that unless it is live. */
static int open_as(struct pt_source **out, pid_t pid, bool is_stopped,
		   bool is_live, __u64 room_sz, struct pt_error *err)
{
	struct process *p;
	int code;

	code = pt_process_check(pid, err);
	if (code)
		return code;
	p = calloc(1, sizeof(*p));
	if (!p)
		return no_memory(pid, err);
	p->src.ops = &process_ops;
	p->src.may_change = is_live || !is_stopped;
	p->pid = pid;
	p->is_live = is_live;
	p->mem = p->pagemap = p->maps = p->smaps = -1;
	if (is_stopped)
		code = pt_freeze_take(&p->freeze, pid, err);
	if (!code)
		code = process_map(p, room_sz, err);
	if (code) {
		pt_source_close(&p->src);
		return code;
	}
	if (is_live)
		process_resume(&p->src);
	*out = &p->src;
	return 0;
}

int pt_source_open_pid(struct pt_source **out, pid_t pid, bool keep_running,
		       struct pt_error *err)
{
	return open_as(out, pid, !keep_running, false, 0, err);
}

int pt_source_open_live(struct pt_source **out, pid_t pid, __u64 room_sz,
			struct pt_error *err)
{
	return open_as(out, pid, true, true, room_sz, err);
}
