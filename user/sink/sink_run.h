/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_run: adjacent bytes of a sink, collected and written at once.
 *
 * A lane's frames come in order, so the blocks of a batch of frames make long
 * runs.  In an image, one pwritev(2) per run is cheaper than one page fault per
 * page: the kernel need not clear pages that are written whole, nor map them
 * (measured on tmpfs, per page: 2.8 us by fault, 1.7 us in runs of 15 pages).
 * A run of less than two pages is copied through the mapping, as is any run on
 * a hugetlbfs, which has no write(2): never more than half a system call for
 * each page.  Reserved memory (pt_image_reserve) is populated, and written past
 * the cache.  Where storage may be slow (pt_sink_may_wait) all runs use
 * pwritev(2): a page fault that waits holds a lock of the whole process's
 * memory.
 *
 * A copy of another page of the image is read from the mapping when it is
 * staged, and the run keeps the bytes: later data for its original does not
 * change them (measured on tmpfs, with its digest, per page: 2.5 us; as a piece
 * of the mapping 2.5, by pread(2) 3.3, from mapping to mapping 4.4; without the
 * original 1.5).
 *
 * Threads: one thread owns a run.
 */
#ifndef SINK_SINK_RUN_H
#define SINK_SINK_RUN_H

#include <sys/uio.h>
#include "sink/sink.h"

#define PT_SINK_RUN_PIECES	1024	/* the most that pwritev(2) takes */
#define PT_SINK_RUN_COPIES	32	/* pages: 128 KiB stay in the cache */

/* pt_sink_run: callers only read the fields.  An empty run is all zero. */
struct pt_sink_run {
	struct pt_sink *sink;		/* of the staged bytes */
	__u64	off;			/* in the image, bytes */
	__u64	sz;			/* staged bytes; 0: empty */
	__u32	piece_cnt;
	__u32	copy_cnt;		/* of copies, staged */
	struct iovec pieces[PT_SINK_RUN_PIECES];
	__u8	copies[PT_SINK_RUN_COPIES][PT_PAGE_SZ];
};

/* pt_sink_run_drop empties the run without a write. */
static inline void pt_sink_run_drop(struct pt_sink_run *run)
{
	run->sz = 0;
	run->piece_cnt = 0;
	run->copy_cnt = 0;
}

/* pt_sink_run_add stages sz (1..4096) bytes for position off of the image, and
 * first flushes staged bytes that these do not follow.  bytes NULL: zeroes.
 * The bytes must stay readable until they are flushed.  Bytes past the image's
 * end are dropped.  Errors as pt_sink_run_flush. */
int pt_sink_run_add(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		    const void *bytes, __u32 sz, struct pt_error *err);

/* pt_sink_run_copy stages for the page at off the present content of the page
 * at from, staged bytes included.  The page at from must have been written, or
 * a hole is filled.  *page: the staged bytes, until the next call; zero behind
 * the image's end.  Inside of a pt_guard.  Errors as pt_sink_run_flush. */
int pt_sink_run_copy(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		     __u64 from, const void **page, struct pt_error *err);

/* pt_sink_run_edit stages the page at off as it is, staged bytes included, and
 * sets *page to these bytes, which the caller may change until the next call.
 * is_zero: the page holds zeroes, and is not read.  Else and in all else as
 * pt_sink_run_copy. */
int pt_sink_run_edit(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		     bool is_zero, __u8 **page, struct pt_error *err);

/* pt_sink_run_flush writes the staged bytes and empties the run, even on
 * failure.  Inside of a pt_guard, since it may write the mapping.
 *   -ENOSPC  the file system or a quota is full
 *   -EIO     it failed otherwise */
int pt_sink_run_flush(struct pt_sink_run *run, struct pt_error *err);

#endif
