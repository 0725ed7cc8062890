/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room sink: memory that is received.
 *
 *   knows         image files with partial, journal and commit; the caller's regions;
 *                 memory of descriptors and of other processes; where a page fault is
 *                 allowed
 *   may use       base trim wire memory
 *   must not know frames, connections, queues
 */
/* sink: the memory that a receiver rebuilds.
 *
 *     image.h           a file, NAME.partial until it is committed as NAME
 *     sink_regions.h    memory of the caller's own
 *     sink_memfd.h      memory by its descriptor
 *     sink_process.h    memory of another process
 *
 *     open --> fit --> place, zero, read ... --> sync --> commit --> close
 *
 * A sink reports what it starts as: all zero, or unknown.  In an unknown sink
 * the receiver writes the zeroes of a zero page.
 *
 * Threads: any number of threads may place, zero, read and see, each its own
 * pages; one thread at a time does all else.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/error.h>
#include "memory/layout.h"

struct pt_sink;

/* pt_sink_fit prepares the sink for the memory l, which outlives it: once,
 * before all calls that follow.  An image that was made for a layout needs
 * none.
 *   -EINVAL  it has no place for a page of l; err names the page
 *   or as the kind's header says */
int pt_sink_fit(struct pt_sink *s, const struct pt_layout *l,
		struct pt_error *err);

/* pt_sink_starts_zero: all pages were zero at pt_sink_fit.  In an imported
 * image they hold the bytes that pt_sink_read returns.  Else their content is
 * unknown. */
bool pt_sink_starts_zero(const struct pt_sink *s);

/* pt_sink_may_wait: reading or writing pages may wait for storage or for
 * another process: the sink is not memory alone. */
bool pt_sink_may_wait(const struct pt_sink *s);

/* In the following, off is in bytes of the layout's image, a multiple of 4096
 * for pt_sink_zero and pt_sink_see.  sink_run.h places bytes. */

/* pt_sink_zero makes sz bytes zero, up to the sink's end.  Inside of a
 * pt_guard.  Errors as pt_sink_run_flush. */
int pt_sink_zero(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);

/* pt_sink_read reads sz bytes: holes and bytes behind the end read as zero, and
 * holes stay holes.
 *   -EIO  it cannot be read; err has the cause */
int pt_sink_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		 struct pt_error *err);

/* pt_sink_data finds the first stretch of data of a kept sink that contains off or
 * starts behind it: [*from, *to), in bytes of the image.  False: all the rest is a
 * hole.  One thread at a time. */
bool pt_sink_data(const struct pt_sink *s, __u64 off, __u64 *from, __u64 *to);

/* pt_sink_see returns the 4096 bytes of a page that was written: the sink's
 * memory itself, or a copy in buffer, 4096 bytes of the caller's.  NULL: it
 * cannot be read; err has the cause.  Inside of a pt_guard. */
const void *pt_sink_see(const struct pt_sink *s, __u64 off, void *buffer,
			struct pt_error *err);

/* pt_sink_wants_whole: the sink takes only whole pages, so the frames must
 * place every block of a page, zero or not; pieces wait outside of it for the
 * rest. */
bool pt_sink_wants_whole(const struct pt_sink *s);

/* pt_sink_drop_pieces: new content of the page at off follows in pieces, and
 * waiting pieces of older content are dropped.  For a sink that wants whole
 * pages. */
void pt_sink_drop_pieces(struct pt_sink *s, __u64 off);

/* pt_sink_lack: sz bytes, whole pages, are to come once the memory is in use already; for
 * the thread that then calls pt_sink_fill, while no page is placed.  From then on the
 * owner may use the memory: the sink wants whole pages, places those that lack, each
 * once, and no others; it is not read any more.  completed is called for each page with
 * data before it is placed, in the thread that places it; pt_sink_commit then fails if
 * a page never came.
 *   -EOPNOTSUPP  the sink is no such memory, or as its header says */
int pt_sink_lack(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);
int pt_sink_fill(struct pt_sink *s,
		 void (*completed)(void *arg, __u64 page, const void *bytes),
		 void *arg, struct pt_error *err);

/* pt_sink_lose: the source cannot read these lacking pages; after pt_sink_fill. */
int pt_sink_lose(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);

/* pt_sink_fault sets the error for a SIGBUS at addr.  Returns -ENOSPC or -EIO
 * and fills err if addr is in the sink's memory; 0 if it is not. */
int pt_sink_fault(const struct pt_sink *s, const void *addr,
		  struct pt_error *err);

/* pt_sink_check_files: small files may accompany the memory; else
 * -EOPNOTSUPP. */
int pt_sink_check_files(const struct pt_sink *s, struct pt_error *err);

/* pt_sink_file_begin starts the next small file; the previous one must be
 * complete.  name is one path component: 1..255 bytes, no '/', no control
 * character, not ".", "..", "segments.json" or "unreadable.json".
 *   -EINVAL  the name; the previous file is not complete
 *   -EEXIST  an earlier file has that name
 *   -EOPNOTSUPP  this sink takes none
 *   or as the system says */
int pt_sink_file_begin(struct pt_sink *s, const char *name, __u64 sz,
		       struct pt_error *err);

/* pt_sink_file_write appends to it: -EINVAL beyond the sz of
 * pt_sink_file_begin. */
int pt_sink_file_write(struct pt_sink *s, const void *bytes, __u64 sz,
		       struct pt_error *err);

/* pt_sink_check_marks: the sink can keep in mind, or show, that pages could not be
 * read at the source; else -EOPNOTSUPP, and err tells which memory cannot. */
int pt_sink_check_marks(const struct pt_sink *s, struct pt_error *err);

/* pt_sink_mark notes that the sz bytes from off on, whole pages, zero now, could not
 * be read: before pt_sink_sync, ascending.  An image lists them, a guest gets a
 * memory error where it touches them.
 *   -E2BIG  more than PT_PAGE_RANGES_MAX ranges
 *   -ENOMEM */
int pt_sink_mark(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);

/* pt_sink_sync syncs files, image and folders to the disk.  No page is written
 * after it.  -EINVAL: a file is not complete. */
int pt_sink_sync(struct pt_sink *s, struct pt_error *err);

/* pt_sink_commit gives the sink its final state.  An image gets its final name:
 * folder first, image last, then the parent folder is synced.  After
 * pt_sink_sync.  Never replaces a file (-EEXIST).  On failure no file has its
 * final name.  A second call does nothing. */
int pt_sink_commit(struct pt_sink *s, struct pt_error *err);

/* pt_sink_is_kept: the content stays after a failure, for a resumption: an
 * image with a journal that was not invalidated. */
bool pt_sink_is_kept(const struct pt_sink *s);

/* pt_sink_invalidate: the content is wrong, so the sink is no longer kept. */
void pt_sink_invalidate(struct pt_sink *s);

/* pt_sink_close frees the sink, and removes a file that was neither committed
 * nor kept.  NULL is allowed. */
void pt_sink_close(struct pt_sink *s);

#endif
