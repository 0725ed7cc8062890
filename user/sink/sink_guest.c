/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_guest_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/pagemap.h"
#include "sink/sink_large.h"

#define PUNCH_SZ	PT_REGION_SZ	/* at least, and a multiple */

/* ---- fit ---- */

static int other_memory(const struct pt_guest_sink *g, __u32 cnt, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "the guest that comes "
			    "has %u pieces of memory, the one that waits %u "
			    "(start both with the same memory backends)", cnt,
			    g->cnt);
}

int pt_guest_check(const struct pt_guest_sink *g, const struct pt_segment *segs,
		   __u32 cnt, struct pt_error *err)
{
	if (cnt != g->cnt)
		return other_memory(g, cnt, err);
	for (__u32 i = 0; i < cnt; i++) {
		const struct pt_guest_range *r = &g->ranges[i];

		if (!strcmp(segs[i].name, r->name) && segs[i].sz == r->sz)
			continue;
		return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "memory '%s' "
				    "of %llu bytes comes, and '%s' of %llu "
				    "bytes waits (start both guests with the "
				    "same memory backends)", segs[i].name,
				    segs[i].sz, r->name, r->sz);
	}
	return 0;
}

/* fit_parts finds the pages of the segments in the ranges. */
static int fit_parts(struct pt_guest_sink *g, const struct pt_segment *segs,
		     const struct pt_layout *l, struct pt_error *err)
{
	struct pt_region *regions = calloc(g->cnt, sizeof(*regions));
	__u64 off = 0;
	int ret;

	if (!regions)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u regions", g->cnt);
	for (__u32 i = 0; i < g->cnt; i++) {
		regions[i] = (struct pt_region){
			.addr = (void *)(uintptr_t)g->ranges[i].addr,
			.gfn = segs[i].gfn,
			.sz = g->ranges[i].sz,
		};
		g->ranges[i].off = off;
		off += g->ranges[i].sz;
	}
	ret = pt_sink_parts_fit(&g->memory.parts, regions, g->cnt, l, err);
	free(regions);
	return ret;
}

/* note_data marks the range's pages that hold data.  A file system that knows no
 * holes calls all of it data, and so is what it does not tell; but a file without
 * blocks has none. */
static void note_data(struct pt_guest_sink *g, const struct pt_guest_range *r)
{
	const __u64 end = r->file_off + r->sz;
	__u64 at = r->file_off;
	struct stat st;

	if (!fstat(r->fd, &st) && !st.st_blocks)
		return;
	while (at < end) {
		off_t data = lseek(r->fd, at, SEEK_DATA), hole;
		__u64 first, last;

		if (data < 0 && errno == ENXIO)
			return;
		hole = data < 0 ? -1 : lseek(r->fd, data, SEEK_HOLE);
		if (hole < 0) {		/* the rest is unknown */
			data = at;
			hole = end;
		}
		if ((__u64)data >= end)
			return;
		at = (__u64)hole < end ? (__u64)hole : end;
		first = (data - r->file_off) / PT_PAGE_SZ;
		last = (at - r->file_off + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
		pt_guest_bits_set(g->held, r->off / PT_PAGE_SZ + first, last - first);
	}
}

/* check_unmarked refuses memory with marks of an earlier transfer, which would stay. */
static int check_unmarked(const struct pt_guest_sink *g, struct pt_error *err)
{
	for (__u32 i = 0; g->pagemap >= 0 && i < g->cnt; i++) {
		const struct pt_guest_range *r = &g->ranges[i];

		if (!r->is_hugetlb &&
		    pt_pagemap_has_marks(g->pagemap, r->addr, r->addr + r->sz))
			return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "memory '%s': "
					    "it has pages that an earlier transfer "
					    "marked as unreadable (start QEMU anew)",
					    r->name);
	}
	return 0;
}

static int guest_fit(struct pt_sink *s, const struct pt_layout *l,
		     struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	const struct pt_segment *segs;
	__u64 words;
	__u32 cnt;
	int ret;

	segs = pt_layout_segments(l, &cnt);
	ret = pt_guest_check(g, segs, cnt, err);
	if (!ret)
		ret = check_unmarked(g, err);
	if (!ret)
		ret = fit_parts(g, segs, l, err);
	if (ret)
		return ret;
	s->sz = g->memory.parts.sz;
	words = s->sz / PT_PAGE_SZ / 64 + 1;
	free(g->held);
	free(g->written);
	g->held = calloc(words, sizeof(*g->held));
	g->written = calloc(words, sizeof(*g->written));
	if (!g->held || !g->written)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for "
				    "2 bits of each page");
	for (__u32 i = 0; i < g->cnt; i++)
		note_data(g, &g->ranges[i]);
	return 0;
}

/* ---- bytes ---- */

static int guest_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
		       __u32 cnt, __u64 sz, struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	__u64 first = off / PT_PAGE_SZ;
	__u64 end = (off + sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;

	pt_sink_large_ready(s, off, sz);
	for (__u64 page = first; page < end; page++)
		if (pt_guest_is_hole(g, page))
			pt_guest_bits_set(g->written, page, 1);
	return pt_process_memory_place(&g->memory, off, pieces, cnt, sz, err);
}

/* punch makes sz bytes a hole again, if all of them were one and their file
 * can. */
static bool punch(struct pt_guest_sink *g, __u64 off, __u64 sz)
{
	const struct pt_guest_range *r = pt_guest_range_at(g, off);
	__u64 page = off / PT_PAGE_SZ, cnt = sz / PT_PAGE_SZ;

	if (!r->may_punch || off - r->off + sz > r->sz)
		return false;
	for (__u64 i = 0; i < cnt; i++)
		if (pt_guest_bit(g->held, page + i))
			return false;
	if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      r->file_off + off - r->off, sz))
		return false;
	pt_guest_bits_clear(g->written, page, cnt);
	return true;
}

/* zero_written: the pages are no holes. */
static int zero_written(struct pt_guest_sink *g, __u64 off, __u64 sz,
			struct pt_error *err)
{
	if (sz >= PUNCH_SZ && !pt_sink_large_wants(&g->sink, off, sz) &&
	    punch(g, off, sz))
		return 0;
	pt_sink_large_ready(&g->sink, off, sz);
	return pt_process_memory_zero(&g->memory, off, sz, err);
}

static int guest_zero(struct pt_sink *s, __u64 off, __u64 sz,
		      struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	int ret = 0;

	while (!ret && sz) {
		__u64 page = off / PT_PAGE_SZ;
		__u64 run = pt_guest_holes_run(g, page, sz / PT_PAGE_SZ) * PT_PAGE_SZ;

		if (!pt_guest_is_hole(g, page))
			ret = zero_written(g, off, run, err);
		off += run;
		sz -= run;
	}
	return ret;
}

/* guest_read does not read holes: that would fill them. */
static int guest_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		      struct pt_error *err)
{
	const struct pt_guest_sink *g = pt_guest_of(s);
	__u8 *into = to;
	int ret = 0;

	while (!ret && sz) {
		__u64 page = off / PT_PAGE_SZ, in_page = off % PT_PAGE_SZ;
		__u64 cnt = (in_page + sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
		__u64 part = pt_guest_holes_run(g, page, cnt) * PT_PAGE_SZ - in_page;

		part = part < sz ? part : sz;
		if (pt_guest_is_hole(g, page))
			memset(into, 0, part);
		else
			ret = pt_process_memory_read(&g->memory, off, into,
						     part, err);
		into += part;
		off += part;
		sz -= part;
	}
	return ret;
}

static int guest_commit(struct pt_sink *s, struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	int ret = g->run(g->arg, err);

	if (!ret)
		pt_guest_mark_late(g);
	return ret;
}

/* ---- open and close ---- */

void pt_guest_op_close(struct pt_sink *s)
{
	struct pt_guest_sink *g = pt_guest_of(s);

	pt_process_memory_close(&g->memory);
	if (g->pagemap >= 0)
		close(g->pagemap);
	for (__u32 i = 0; g->ranges && i < g->cnt; i++)
		if (g->ranges[i].fd >= 0)
			close(g->ranges[i].fd);
	free(g->ranges);
	free(g->held);
	free(g->written);
	free(g->lacks);
	free(g);
}

static const struct pt_sink_ops guest_ops = {
	.fit = guest_fit,
	.place = guest_place,
	.zero = guest_zero,
	.read = guest_read,
	.lack = pt_guest_op_lack,
	.fill = pt_guest_op_fill,
	.check_marks = pt_guest_op_check_marks,
	.sync = pt_guest_op_sync,
	.commit = guest_commit,
	.build = pt_guest_op_build,
	.large_sz = pt_guest_op_large_sz,
	.unmapped = pt_guest_op_unmapped,
	.close = pt_guest_op_close,
};

/* open_file: holes can be punched in a file that may be written; in a hugetlbfs
 * that would give back a reserved page. */
static int open_file(struct pt_guest_range *r, const char *path, struct pt_error *err)
{
	struct statfs fs;
	struct stat st;

	r->fd = open(path, O_RDWR | O_CLOEXEC);
	r->may_punch = r->fd >= 0;
	if (r->fd < 0)
		r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "memory '%s': "
				    "%s: %s%s", r->name, path, strerror(errno),
				    pt_process_remedy(-errno));
	if (fstat(r->fd, &st) || !S_ISREG(st.st_mode))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "memory '%s': "
				    "%s is no regular file", r->name, path);
	r->is_hugetlb = fstatfs(r->fd, &fs) ||
			(unsigned long)fs.f_type == HUGETLBFS_MAGIC;
	r->may_punch &= !r->is_hugetlb;
	return 0;
}

static int open_range(struct pt_guest_range *r, const struct pt_sink_guest_range *from,
		      bool is_rest, struct pt_error *err)
{
	if (!from->sz || from->sz % PT_PAGE_SZ ||
	    strlen(from->name) >= sizeof(r->name))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "memory '%s': "
				    "%llu bytes: not whole pages, or a name "
				    "that is too long", from->name, from->sz);
	strcpy(r->name, from->name);
	r->sz = from->sz;
	r->addr = from->addr;
	r->file_off = from->off;
	return is_rest ? 0 : open_file(r, from->path, err);
}

/* open_all: without a pagemap nothing is counted. */
static int open_all(struct pt_guest_sink *g, const struct pt_sink_guest_cfg *cfg,
		    struct pt_error *err)
{
	char path[64];
	int ret = 0;

	g->ranges = calloc(cfg->cnt, sizeof(*g->ranges));
	if (!g->ranges)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u ranges", cfg->cnt);
	g->cnt = cfg->cnt;
	for (__u32 i = 0; i < g->cnt; i++)
		g->ranges[i].fd = -1;
	for (__u32 i = 0; !ret && i < g->cnt; i++)
		ret = open_range(&g->ranges[i], &cfg->ranges[i], cfg->is_rest, err);
	if (ret || cfg->is_rest)
		return ret;
	if (!ret)
		ret = pt_process_memory_open(&g->memory, cfg->pid, err);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", cfg->pid);
	g->pagemap = ret ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	return ret;
}

int pt_sink_open_guest(struct pt_sink **out,
		       const struct pt_sink_guest_cfg *cfg,
		       struct pt_error *err)
{
	struct pt_guest_sink *g;
	int ret;

	if (!cfg->cnt || cfg->cnt > PT_SEGMENTS_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%u pieces of "
				    "memory: not 1..%u", cfg->cnt,
				    PT_SEGMENTS_MAX);
	g = calloc(1, sizeof(*g));
	if (!g)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "process %d: no memory", cfg->pid);
	g->sink.ops = cfg->is_rest ? &pt_guest_rest_ops : &guest_ops;
	g->sink.starts_zero = cfg->is_rest;	/* nothing is known of it */
	g->sink.may_wait = true;	/* its file may be on a disk */
	g->memory.fd = g->pagemap = -1;
	g->run = cfg->run;
	g->collapse = cfg->collapse;
	g->poison = cfg->poison;
	g->unmarked = cfg->unmarked;
	g->fill = cfg->fill;
	g->arg = cfg->arg;
	ret = open_all(g, cfg, err);
	if (ret) {
		pt_guest_op_close(&g->sink);
		return ret;
	}
	*out = &g->sink;
	return 0;
}
