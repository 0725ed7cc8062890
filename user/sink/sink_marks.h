/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_marks: a memfd sink whose pages are taken out again, each after its last
 * change.
 *
 *     place, zero --> page, mark --> pt_sink_marks_take --> the caller reads it
 *
 * A mark is set after the page was written, and taken before it is read; a write
 * meanwhile sets it again.  So the last content is always read last.
 *
 * Placing waits while PT_SINK_MARKS_MAX pages are marked.
 *
 * Memory: the memory's size, and 2 bits a page.  Threads: one takes; others as in
 * sink.h.
 */
#ifndef SINK_SINK_MARKS_H
#define SINK_SINK_MARKS_H

#include "sink/sink.h"

#define PT_SINK_MARKS_MAX	8192	/* pages */

struct pt_sink_marks;

/* pt_sink_open_marks: wake_fd is an eventfd of the caller's, written when a page is
 * marked after pt_sink_marks_await.  The sink starts as unknown, so that zero
 * pages are marked, too.  Close by pt_sink_close.
 *   -ENOMEM, -EMFILE, or as the system says */
int pt_sink_open_marks(struct pt_sink_marks **out, int wake_fd,
		       struct pt_error *err);
struct pt_sink *pt_sink_marks_sink(struct pt_sink_marks *m);

/* pt_sink_marks_layout: NULL before pt_sink_fit, which another thread may have
 * called. */
const struct pt_layout *pt_sink_marks_layout(const struct pt_sink_marks *m);

/* pt_sink_marks_take returns the next marked page, bytes into the image, from *off
 * on, circling, and takes its mark.  *page: its 4096 bytes; NULL: it is zero.
 * False: no page is marked. */
bool pt_sink_marks_take(struct pt_sink_marks *m, __u64 *off,
			const __u8 **page);

/* pt_sink_marks_await: the next mark writes wake_fd. */
void pt_sink_marks_await(struct pt_sink_marks *m);

/* pt_sink_marks_fail: nobody takes pages any more; placing fails with err's text.
 * Once. */
void pt_sink_marks_fail(struct pt_sink_marks *m, int code,
			const struct pt_error *err);

#endif
