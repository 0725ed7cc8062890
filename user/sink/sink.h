/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room sink: memory that is received.
 *
 *   knows         image files with partial, journal and commit; the caller's regions;
 *                 memory of descriptors and of other processes; where a page fault is
 *                 allowed
 *   may use       base trim wire memory
 *   must not know frames, connections, queues
 */
/* sink: where memory is rebuilt.
 *
 *     image.h           a file, NAME.partial until it is committed as NAME
 *     sink_regions.h    memory of the caller's own
 *     sink_memfd.h      memory by its descriptor
 *     sink_process.h    memory of another process
 *
 *     open --> fit --> place, zero, read ... --> sync --> commit --> close
 *
 * A sink says what it starts as: all zero, or unknown.  Where that is unknown a
 * page that is to be zero must be made so.
 *
 * Threads: place, zero, read and see by any number, each its own pages; all else
 * by one thread at a time.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/error.h>
#include "memory/layout.h"

struct pt_sink;

/* pt_sink_fit makes it the sink of the memory l, which outlives it: once, before all
 * that follows.  An image that was made for a layout is fit already.
 *   -EINVAL  it has no place for a page of l; err names the page
 *   or as the kind's header says */
int pt_sink_fit(struct pt_sink *s, const struct pt_layout *l,
		struct pt_error *err);

/* pt_sink_starts_zero: all pages were zero when it was fit; or, of an image taken
 * up, hold what pt_sink_read says.  Else nothing is known of them. */
bool pt_sink_starts_zero(const struct pt_sink *s);

/* pt_sink_may_wait: reading or writing pages may wait for storage, or for another
 * process: it is not memory alone. */
bool pt_sink_may_wait(const struct pt_sink *s);

/* In all of the following off is in bytes of the layout's image, a multiple of 4096
 * for pt_sink_zero and pt_sink_see.  Bytes are placed by sink_run.h. */

/* pt_sink_zero makes sz bytes zero, up to the sink's end.  Inside of a pt_guard.
 * Errors as pt_sink_run_flush. */
int pt_sink_zero(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err);

/* pt_sink_read reads sz bytes: holes and what is behind the end are zero, and
 * holes stay holes.
 *   -EIO  it cannot be read; err says why */
int pt_sink_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		 struct pt_error *err);

/* pt_sink_see returns the 4096 bytes of a page that was written: the sink's memory
 * itself, or read into buffer, 4096 bytes of the caller's.  NULL: it cannot be
 * read; err says why.  Inside of a pt_guard. */
const void *pt_sink_see(const struct pt_sink *s, __u64 off, void *buffer,
			struct pt_error *err);

/* pt_sink_wants_whole: it takes whole pages alone, so that every block of a page
 * must be placed, zero or not; pieces wait outside of it for the rest. */
bool pt_sink_wants_whole(const struct pt_sink *s);

/* pt_sink_drop_pieces: new content of the page at off follows in pieces, and those of
 * older content that wait are dropped.  Of a sink that wants whole pages. */
void pt_sink_drop_pieces(struct pt_sink *s, __u64 off);

/* pt_sink_fault: what to say of a SIGBUS at addr.  Returns -ENOSPC or -EIO
 * and fills err if addr is in the sink's memory; 0 if it is not. */
int pt_sink_fault(const struct pt_sink *s, const void *addr,
		  struct pt_error *err);

/* pt_sink_check_files: small files may go beside the memory; else -EOPNOTSUPP. */
int pt_sink_check_files(const struct pt_sink *s, struct pt_error *err);

/* pt_sink_file_begin starts the next small file; the one before it must be
 * complete.  name is one path component: 1..255 bytes, no '/', no control
 * character, not ".", "..", or "segments.json".
 *   -EINVAL  the name; the file before is not complete
 *   -EEXIST  a file of that name was begun before
 *   -EOPNOTSUPP  this sink takes none
 *   or as the system says */
int pt_sink_file_begin(struct pt_sink *s, const char *name, __u64 sz,
		       struct pt_error *err);

/* pt_sink_file_write appends to it: -EINVAL beyond the sz that was begun. */
int pt_sink_file_write(struct pt_sink *s, const void *bytes, __u64 sz,
		       struct pt_error *err);

/* pt_sink_sync brings all to where it stays: files, image, folders.  No page is
 * written after it.  -EINVAL: a file is not complete. */
int pt_sink_sync(struct pt_sink *s, struct pt_error *err);

/* pt_sink_commit makes it what it is to be; an image gets its final name: folder
 * first, image last, then the parent folder goes to the disk.  After pt_sink_sync.
 * Never replaces a file (-EEXIST).  On failure nothing has its final name.  Twice
 * is fine. */
int pt_sink_commit(struct pt_sink *s, struct pt_error *err);

/* pt_sink_is_kept: what it holds stays after a failure, to be taken up: of an image,
 * it has a journal and was not invalidated. */
bool pt_sink_is_kept(const struct pt_sink *s);

/* pt_sink_invalidate: what it holds is worth nothing; it is kept no longer. */
void pt_sink_invalidate(struct pt_sink *s);

/* pt_sink_close frees it; what was neither committed nor is kept is removed, if it
 * is a file.  NULL is fine. */
void pt_sink_close(struct pt_sink *s);

#endif
