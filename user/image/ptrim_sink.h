/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim_sink: a sink that is an image at rest, written as the pages come.
 *
 *     create ---------------------> journal --> pages, files --> sync, commit
 *     reopen --> journal --> resume -------------^ \--> close: kept
 *
 * NAME.partial is a log: each unit stands behind a note that says whose pages are in
 * it (ptrim_log.h), so that a later sink finds them.  A page that comes again goes
 * into a later unit; the blocks of units of which nothing is left are given back to the
 * file system at the end, and read as zeroes.  Tables and header are
 * written by sync, which reads all of the file once more for its id; then NAME
 * appears, whole and on the disk.
 *
 * It takes whole pages only (sink/sink_whole.h).  Equal pages are stored once, as far
 * as a table of 8 MiB finds them, compared byte for byte.
 *
 * Memory: 16 bytes per page that was written, and 8 times the memory of a compressor
 * and a decompressor, 2 MiB.  Threads: as for any sink.
 */
#ifndef IMAGE_PTRIM_SINK_H
#define IMAGE_PTRIM_SINK_H

#include "sink/sink.h"
#include "wire/compress.h"

/* pt_ptrim_sink_how: how units are compressed; all 0: by zstd, level 1, if that is
 * built. */
struct pt_ptrim_sink_how {
	bool is_chosen;
	enum pt_compression method;	/* that is built */
	int level;			/* for zstd, 1..PT_COMPRESS_LEVEL_MAX */
};

/* pt_ptrim_sink_check: -EOPNOTSUPP: the method is not built. */
int pt_ptrim_sink_check(const struct pt_ptrim_sink_how *how, struct pt_error *err);

/* pt_ptrim_sink_create makes NAME.partial for path NAME and a memory l, which outlives
 * the sink.  It needs no pt_sink_fit.  Errors as pt_image_create, or -ENOMEM. */
int pt_ptrim_sink_create(struct pt_sink **out, const char *path,
			 const struct pt_layout *l,
			 const struct pt_ptrim_sink_how *how,
			 struct pt_error *err);

/* pt_ptrim_sink_reopen locks what an earlier sink left, and changes nothing; *out is
 * for pt_ptrim_sink_file, pt_ptrim_sink_resume and pt_sink_close only.  Errors as
 * pt_image_reopen. */
int pt_ptrim_sink_reopen(struct pt_sink **out, const char *path,
			 const struct pt_layout *l,
			 const struct pt_ptrim_sink_how *how,
			 struct pt_error *err);

/* pt_ptrim_sink_file: the file, for its journal only: pt_image_journal_read and
 * pt_image_journal_write. */
struct pt_sink *pt_ptrim_sink_file(struct pt_sink *s);

/* pt_ptrim_sink_resume readies a reopened sink: it keeps all pages up to the first
 * that are damaged or half written, and cuts off the rest of the file. */
int pt_ptrim_sink_resume(struct pt_sink *s, struct pt_error *err);

#endif
