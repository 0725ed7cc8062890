/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* batch: pages that came in a stream, until they are sent.
 *
 *     add, add, ... --> next --collect--> sent as a round --collect--> freed
 *
 * Each block is a memfd, which holds the pages of two batches.  collect is called
 * when the previous batch is placed at the receiver.  A page that comes again
 * while it is sent is in the next batch, too.
 *
 * The next batch is full at as many bytes as take about 50 ms to be sent, so that
 * the stream's writer sees the path's rate.
 *
 * Threads: one adds, one collects.
 */
#ifndef PROXY_BATCH_H
#define PROXY_BATCH_H

#include <stdatomic.h>

#include <pagetrim/error.h>
#include "qstream/qstream.h"
#include "track/tracker.h"

struct pt_batch;

/* pt_batch_open: blocks outlive it.  room_fd: an eventfd of the caller's, written
 * when there is room again.  -ENOMEM, -EMFILE, or as the system says. */
int pt_batch_open(struct pt_batch **out, const struct pt_qstream_block *blocks,
		  __u32 cnt, int room_fd, struct pt_error *err);
void pt_batch_close(struct pt_batch *b);	/* NULL is allowed */

/* pt_batch_fd returns the memory of a block. */
int pt_batch_fd(const struct pt_batch *b, __u32 block);

/* pt_batch_begin and pt_batch_done enclose calls of pt_batch_add, which adds a page
 * of 4096 bytes; NULL: it is zero.  False: the batch is full. */
void pt_batch_begin(struct pt_batch *b);
bool pt_batch_add(struct pt_batch *b, __u32 block, __u64 off,
		  const __u8 *page);
void pt_batch_done(struct pt_batch *b);

/* pt_batch_end: no page follows; pt_batch_fail: collect fails from now on; the
 * first failure counts. */
void pt_batch_end(struct pt_batch *b);
void pt_batch_fail(struct pt_batch *b, int code, const struct pt_error *err);

/* pt_batch_collect waits for pages, and reports those of the next batch, by the
 * index that they have in a layout of the blocks.  For pt_tracker_open_told; to
 * has is_sent.
 *   -EIO         a page of the previous batch was not sent as it came
 *   -ECANCELED   or as pt_batch_fail says */
int pt_batch_collect(struct pt_batch *b, const struct pt_track_to *to,
		     const atomic_bool *is_cancelled, struct pt_error *err);

/* pt_batch_is_last: the last collect reported the last page. */
bool pt_batch_is_last(struct pt_batch *b);

#endif
