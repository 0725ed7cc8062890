// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/sink_run.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/check.h>
#include "sink/sink_whole.h"

static const __u8 zeroes[PT_PAGE_SZ];

int pt_sink_run_flush(struct pt_sink_run *run, struct pt_error *err)
{
	struct pt_sink *sink = run->sink;
	int ret;

	if (!run->sz)
		return 0;
	ret = (sink->whole ? pt_sink_whole_place : sink->ops->place)(
		sink, run->off, run->pieces, run->piece_cnt, run->sz, err);
	pt_sink_run_drop(run);
	return ret;
}

/* append extends the last piece if the bytes follow it in memory. */
static void append(struct pt_sink_run *run, const void *bytes, __u32 sz)
{
	struct iovec *last = &run->pieces[run->piece_cnt];

	if (run->piece_cnt && bytes != zeroes &&
	    (__u8 *)last[-1].iov_base + last[-1].iov_len == bytes) {
		last[-1].iov_len += sz;
	} else {
		last->iov_base = (void *)bytes;	/* pwritev only reads it */
		last->iov_len = sz;
		run->piece_cnt++;
	}
	run->sz += sz;
}

/* make_ready flushes the staged bytes if bytes for off cannot follow them. */
static int make_ready(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		      struct pt_error *err)
{
	int ret = 0;

	if (run->sz && (run->sink != sink || run->off + run->sz != off ||
			run->piece_cnt == PT_SINK_RUN_PIECES))
		ret = pt_sink_run_flush(run, err);
	if (!run->sz) {
		run->sink = sink;
		run->off = off;
	}
	return ret;
}

int pt_sink_run_add(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		    const void *bytes, __u32 sz, struct pt_error *err)
{
	__u64 end = sink->sz;
	int ret;

	pt_check(sz >= 1 && sz <= PT_PAGE_SZ);
	if (off >= end)
		return 0;
	if (sz > end - off)
		sz = end - off;
	ret = make_ready(run, sink, off, err);
	if (!ret)
		append(run, bytes ? bytes : zeroes, sz);
	return ret;
}

/* is_staged: the run holds a byte of the page at off. */
static bool is_staged(const struct pt_sink_run *run,
		      const struct pt_sink *sink, __u64 off)
{
	return run->sz && run->sink == sink && off < run->off + run->sz &&
	       run->off < off + PT_PAGE_SZ;
}

/* stage_page stages for the page at off what is at from, or zeroes. */
static int stage_page(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		      __u64 from, bool is_zero, __u8 **page,
		      struct pt_error *err)
{
	__u64 end = sink->sz;
	__u32 sz = PT_PAGE_SZ;
	const void *original;
	int ret = 0;
	__u8 *to;

	pt_check(off < end && from < end);
	if (sz > end - off)
		sz = end - off;
	if (run->copy_cnt == PT_SINK_RUN_COPIES || is_staged(run, sink, from))
		ret = pt_sink_run_flush(run, err);
	if (!ret)
		ret = make_ready(run, sink, off, err);
	if (ret)
		return ret;
	to = run->copies[run->copy_cnt];
	original = is_zero ? zeroes : pt_sink_see(sink, from, to, err);
	if (!original)
		return -EIO;
	run->copy_cnt++;
	if (original != to)
		memcpy(to, original, PT_PAGE_SZ);
	memset(to + sz, 0, PT_PAGE_SZ - sz);
	append(run, to, sz);
	*page = to;
	return 0;
}

int pt_sink_run_copy(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		     __u64 from, const void **page, struct pt_error *err)
{
	__u8 *staged;
	int ret = stage_page(run, sink, off, from, false, &staged, err);

	if (!ret)
		*page = staged;
	return ret;
}

int pt_sink_run_edit(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		     bool is_zero, __u8 **page, struct pt_error *err)
{
	return stage_page(run, sink, off, off, is_zero, page, err);
}
