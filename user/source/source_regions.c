// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The caller's own memory.  A page is copied before it is scanned: the caller
 * may write it at any time. */
#include "source/source_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/guard.h"

struct regions {
	struct pt_source src;
	struct pt_region *table;	/* as src.segs */
};

static const __u8 *bytes_of(const struct pt_source *src, __u32 seg, __u64 off)
{
	const struct regions *s = (const struct regions *)src;

	return (const __u8 *)s->table[seg].addr + off;
}

/* copy_guarded returns whether all of it could be read. */
static bool copy_guarded(void *to, const __u8 *from, __u32 sz)
{
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		return false;
	memcpy(to, from, sz);
	pt_guard_leave(&guard);
	return true;
}

static int regions_view(struct pt_source *src, struct pt_view *v,
			const struct pt_piece *piece, struct pt_error *err)
{
	(void)src;
	(void)v;
	(void)piece;
	(void)err;
	return 0;	/* holes are found only by reading */
}

/* regions_load reads them as one, or, if that fails, each by itself. */
static int regions_load(struct pt_source *src, struct pt_view *v, __u32 first,
			__u32 end, struct pt_error *err)
{
	const __u8 *from = bytes_of(src, v->piece.seg, v->piece.off);
	__u64 off = (__u64)first * PT_PAGE_SZ;

	if (copy_guarded(v->staged + off, from + off,
			 (end - first) * PT_PAGE_SZ))
		return 0;
	for (; first < end; first++, off += PT_PAGE_SZ)
		if (!copy_guarded(v->staged + off, from + off, PT_PAGE_SZ) &&
		    !pt_view_lose(src, v, first))
			return pt_error_set(err, PT_EXIT_FAILED, -EIO,
					    "region '%s': its memory cannot be read "
					    "(is its file too short? {on-unreadable} "
					    "mark sends such pages as unreadable, "
					    "zero as zeroes)",
					    src->segs[v->piece.seg].name);
	return 0;
}

static const __u8 *regions_page(const struct pt_source *src, __u32 seg,
				__u64 off, __u32 sz, void *buffer)
{
	return copy_guarded(buffer, bytes_of(src, seg, off), sz) ? buffer
								 : NULL;
}

static int regions_fault(const struct pt_source *src, const void *addr,
			 struct pt_error *err)
{
	(void)src;
	(void)addr;
	(void)err;
	return 0;	/* views show only copies of it */
}

static void regions_close(struct pt_source *src)
{
	struct regions *s = (struct regions *)src;

	free(s->table);
	free(s);
}

static const struct pt_source_ops regions_ops = {
	.view = regions_view,
	.load = regions_load,
	.page = regions_page,
	.fault = regions_fault,
	.close = regions_close,
};

int pt_source_open_regions(struct pt_source **out,
			   const struct pt_region *regions, __u32 cnt,
			   struct pt_error *err)
{
	struct regions *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u regions", cnt);
	s->src.ops = &regions_ops;
	s->src.may_change = true;
	ret = pt_regions_sort(&s->table, regions, cnt, err);
	if (!ret)
		s->src.segs = calloc(cnt, sizeof(*s->src.segs));
	if (!ret && !s->src.segs)
		ret = pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				   "no memory for %u regions", cnt);
	if (ret) {
		pt_source_close(&s->src);
		return ret;
	}
	for (__u32 i = 0; i < cnt; i++) {
		struct pt_segment *seg = &s->src.segs[i];

		pt_segment_set_name(seg, s->table[i].name ? s->table[i].name
							  : "region");
		seg->gfn = s->table[i].gfn;
		seg->sz = s->table[i].sz;
	}
	s->src.seg_cnt = cnt;
	*out = &s->src;
	return 0;
}
