/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_run: bytes that stand one after another in a sink, written at once.
 *
 * The frames of a lane come in order, so the blocks of a batch of frames make
 * long runs.  Into an image, one pwritev(2) a run is cheaper than a page fault a
 * page: the kernel need not clear pages that are written whole, nor map them
 * (measured on tmpfs, a page: 2.8 us by fault, 1.7 us in runs of 15 pages).  A run
 * of less than two pages, and a hugetlbfs, which takes no write(2), are copied
 * through the mapping: never more than half a system call for each page.  What
 * was reserved (pt_image_reserve) is populated, and copied past the cache.  Where
 * storage may be waited for (pt_sink_may_wait) all goes by pwritev(2): a page fault
 * that waits holds a lock of the whole process's memory.
 *
 * A copy of another page of the image is taken from the mapping when it is staged
 * and kept in the run: what comes later to its original does not change it
 * (measured on tmpfs, with its digest, a page: 2.5 us; as a piece of the
 * mapping 2.5, by pread(2) 3.3, from mapping to mapping 4.4; without the
 * original 1.5).
 *
 * Threads: a run is of one thread.
 */
#ifndef PT_MEMORY_SINK_RUN_H
#define PT_MEMORY_SINK_RUN_H

#include <sys/uio.h>
#include "sink/sink.h"

#define PT_SINK_RUN_PIECES	1024	/* as many as pwritev(2) takes */
#define PT_SINK_RUN_COPIES	32	/* pages: 128 KiB stay in the cache */

/* pt_sink_run: fields are for reading only.  All zero is an empty run. */
struct pt_sink_run {
	struct pt_sink *sink;		/* of what is staged */
	__u64	off;			/* in the image, bytes */
	__u64	sz;			/* staged bytes; 0: empty */
	__u32	piece_cnt;
	__u32	copy_cnt;		/* of copies, staged */
	struct iovec pieces[PT_SINK_RUN_PIECES];
	__u8	copies[PT_SINK_RUN_COPIES][PT_PAGE_SZ];
};

/* pt_sink_run_drop empties the run and writes nothing. */
static inline void pt_sink_run_drop(struct pt_sink_run *run)
{
	run->sz = 0;
	run->piece_cnt = 0;
	run->copy_cnt = 0;
}

/* pt_sink_run_add stages sz (1..4096) bytes for the place off of the image;
 * what is staged already is flushed first if these do not follow it.  bytes
 * NULL: zeroes.  The bytes stay readable until they are flushed.  Bytes past
 * the image's end are dropped.  Errors as pt_sink_run_flush. */
int pt_sink_run_add(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		    const void *bytes, __u32 sz, struct pt_error *err);

/* pt_sink_run_copy stages, for the page at off of the image, what the page at
 * from holds now, with all that was staged before; it must have been written, or
 * a hole is filled.  *page: the bytes staged, until the next call; zero behind
 * the image's end.  Inside of a pt_guard.  Errors as pt_sink_run_flush. */
int pt_sink_run_copy(struct pt_sink_run *run, struct pt_sink *sink, __u64 off,
		     __u64 from, const void **page, struct pt_error *err);

/* pt_sink_run_flush writes what is staged and empties the run, whether it
 * fails or not.  Inside of a pt_guard: it may write the mapping.
 *   -ENOSPC  the file system is full, or a quota is
 *   -EIO     it failed otherwise */
int pt_sink_run_flush(struct pt_sink_run *run, struct pt_error *err);

#endif
