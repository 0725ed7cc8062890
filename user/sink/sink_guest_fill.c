/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A guest that runs before all of its memory is here. */
#include "sink/sink_guest_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "sink/sink_whole.h"

int pt_guest_op_lack(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);

	if (!g->fill)
		return pt_error_set(err, PT_EXIT_PEER, -EOPNOTSUPP, "pages are to come "
				    "after the guest, and its faults are not answered "
				    "here (receive with {serve-faults})");
	if (!g->lacks)
		g->lacks = calloc(s->sz / PT_PAGE_SZ / 64 + 1, sizeof(*g->lacks));
	if (!g->lacks)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for a bit of "
				    "each page");
	pt_guest_bits_set(g->lacks, off / PT_PAGE_SZ, sz / PT_PAGE_SZ);
	return 0;
}

static int fill_complete(struct pt_sink *s, __u64 off, const void *page,
			 struct pt_error *err)
{
	const struct pt_guest_sink *g = pt_guest_of(s);

	return g->fill->page(g->arg, off / PT_PAGE_SZ, page, err);
}

static int fill_zero(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	const struct pt_guest_sink *g = pt_guest_of(s);

	return g->fill->zero(g->arg, off / PT_PAGE_SZ, sz / PT_PAGE_SZ, err);
}

static int fill_lose(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	const struct pt_guest_sink *g = pt_guest_of(s);

	return g->fill->lose(g->arg, off / PT_PAGE_SZ, sz / PT_PAGE_SZ, err);
}

/* fill_read: the guest changes its memory, and a page that is not here would be waited
 * for. */
static int fill_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		     struct pt_error *err)
{
	(void)s;
	(void)to;
	(void)sz;
	return pt_error_set(err, PT_EXIT_FAILED, -EIO, "the memory at %llu of a guest that "
			    "runs is not read", (unsigned long long)off);
}

static int fill_commit(struct pt_sink *s, struct pt_error *err)
{
	const struct pt_guest_sink *g = pt_guest_of(s);

	return g->fill->whole(g->arg, err);
}

static const struct pt_sink_ops fill_ops = {
	.complete = fill_complete,
	.zero = fill_zero,
	.lose = fill_lose,
	.read = fill_read,
	.check_marks = pt_guest_op_check_marks,
	.commit = fill_commit,
	.large_sz = pt_guest_op_large_sz,
	.unmapped = pt_guest_op_unmapped,
	.close = pt_guest_op_close,
};

static int rest_fit(struct pt_sink *s, const struct pt_layout *l, struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_layout_segments(l, &cnt);
	s->sz = 0;
	for (__u32 i = 0; i < g->cnt; i++)
		s->sz += g->ranges[i].sz;
	return pt_guest_check(g, segs, cnt, err);
}

/* The pages that lack do so already. */
static int rest_lack(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	(void)s;
	(void)off;
	(void)sz;
	(void)err;
	return 0;
}

static int rest_fill(struct pt_sink *s, struct pt_error *err)
{
	(void)s;
	(void)err;
	return 0;
}

static int rest_check_marks(const struct pt_sink *s, struct pt_error *err)
{
	(void)s;
	(void)err;
	return 0;
}

const struct pt_sink_ops pt_guest_rest_ops = {
	.fit = rest_fit,
	.complete = fill_complete,
	.zero = fill_zero,
	.lose = fill_lose,
	.read = fill_read,
	.lack = rest_lack,
	.fill = rest_fill,
	.check_marks = rest_check_marks,
	.commit = fill_commit,
	.close = pt_guest_op_close,
};

int pt_guest_op_fill(struct pt_sink *s, struct pt_error *err)
{
	struct pt_guest_sink *g = pt_guest_of(s);
	int ret = pt_guest_op_lack(s, 0, 0, err);

	if (!ret && pt_sink_whole_create(&s->whole, s->sz))
		ret = pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for pages in "
				   "pieces");
	if (!ret)
		ret = g->fill->arm(g->arg, g->lacks, s->sz / PT_PAGE_SZ, err);
	free(g->lacks);
	g->lacks = NULL;
	if (!ret)
		s->ops = &fill_ops;
	return ret;
}
