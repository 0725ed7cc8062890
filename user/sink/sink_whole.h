/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_whole: keeps pieces of pages until a page is whole, for a sink that
 * takes only whole pages (struct pt_sink_ops, complete).
 *
 * Memory: 8 bytes per page touched, and one buffer for each page in pieces,
 * whose other frames are in flight, or lost until they are sent again.
 * Threads: any number, each its own pages; the buffers are shared under a lock
 * that only pages in pieces take.
 */
#ifndef SINK_SINK_WHOLE_H
#define SINK_SINK_WHOLE_H

#include "sink/sink_ops.h"

/* pt_sink_whole_create makes one for a sink of sz bytes, whole pages.
 * -ENOMEM. */
int pt_sink_whole_create(struct pt_sink_whole **out, __u64 sz);
void pt_sink_whole_free(struct pt_sink_whole *w);	/* NULL is allowed */

/* pt_sink_whole_place is the place operation of such a sink: it passes whole
 * pages to complete.  -ENOMEM: no buffer; or as complete. */
int pt_sink_whole_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
			__u32 cnt, __u64 sz, struct pt_error *err);

/* pt_sink_whole_drop drops waiting pieces of the pages in sz bytes at off. */
void pt_sink_whole_drop(struct pt_sink_whole *w, __u64 off, __u64 sz);

#endif
