// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/sink_run.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/check.h>
#include "sink/sink_impl.h"
#include "sink/stream_copy.h"

#define WRITE_SZ_MIN	(2 * PT_PAGE_SZ)	/* below, the mapping is as good */

static const __u8 zeroes[PT_PAGE_SZ];

/* stream writes what is populated, which costs neither a fault nor a call. */
static void stream(const struct pt_sink_run *run)
{
	__u8 *to = run->sink->map + run->off;

	for (__u32 i = 0; i < run->piece_cnt; i++) {
		pt_stream_copy(to, run->pieces[i].iov_base,
			       run->pieces[i].iov_len);
		to += run->pieces[i].iov_len;
	}
	pt_stream_copy_end();
}

static void copy(const struct pt_sink_run *run)
{
	__u8 *to = run->sink->map + run->off;

	for (__u32 i = 0; i < run->piece_cnt; i++) {
		memcpy(to, run->pieces[i].iov_base, run->pieces[i].iov_len);
		to += run->pieces[i].iov_len;
	}
}

/* advance drops the first sz bytes, which are written. */
static void advance(struct pt_sink_run *run, __u64 sz, __u32 *first)
{
	run->off += sz;
	run->sz -= sz;
	while (sz) {
		struct iovec *piece = &run->pieces[*first];
		size_t part = sz < piece->iov_len ? sz : piece->iov_len;

		piece->iov_base = (__u8 *)piece->iov_base + part;
		piece->iov_len -= part;
		sz -= part;
		if (!piece->iov_len)
			++*first;
	}
}

static int write_all(struct pt_sink_run *run, struct pt_error *err)
{
	__u32 first = 0;

	while (run->sz) {
		ssize_t sz = pwritev(run->sink->fd, &run->pieces[first],
				     run->piece_cnt - first, run->off);

		if (sz < 0 && errno == EINTR)
			continue;
		if (sz <= 0)
			return pt_sink_write_failed(run->sink,
						    sz ? errno : ENOSPC, err);
		advance(run, sz, &first);
	}
	return 0;
}

int pt_sink_run_flush(struct pt_sink_run *run, struct pt_error *err)
{
	const struct pt_sink *sink = run->sink;
	int ret = 0;

	if (!run->sz)
		return 0;
	/* A page fault that waits for storage may hold the lock of our mappings,
	 * and who allocates memory then waits, too: control among others. */
	if (sink->takes_write && (sink->may_wait ||
				  (run->sz >= WRITE_SZ_MIN &&
				   run->off + run->sz > sink->populated_sz)))
		ret = write_all(run, err);
	else if (run->off + run->sz <= sink->populated_sz)
		stream(run);
	else
		copy(run);
	pt_sink_run_drop(run);
	return ret;
}

/* append makes the bytes part of the last piece if they follow it. */
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

/* make_ready flushes what is staged if bytes for off cannot follow it. */
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
	__u64 end = pt_layout_image_sz(sink->layout);
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

/* is_staged: some byte of the page at off waits in the run. */
static bool is_staged(const struct pt_sink_run *run,
		      const struct pt_sink *sink, __u64 off)
{
	return run->sz && run->sink == sink && off < run->off + run->sz &&
	       run->off < off + PT_PAGE_SZ;
}

int pt_sink_run_copy(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		     __u64 from, const void **page, struct pt_error *err)
{
	__u64 end = pt_layout_image_sz(sink->layout);
	__u32 sz = PT_PAGE_SZ;
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
	to = run->copies[run->copy_cnt++];
	memcpy(to, sink->map + from, PT_PAGE_SZ);
	memset(to + sz, 0, PT_PAGE_SZ - sz);
	append(run, to, sz);
	*page = to;
	return 0;
}
