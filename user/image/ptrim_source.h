/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ptrim_source: an image at rest as memory that is sent, without a raw copy of it.
 *
 * Pages that are absent or zero are holes; one that its own source could not read is
 * unreadable here, too.  A page that is lost fails the read, and err names it.
 *
 * Threads: as for any source; each that reads takes one of PT_PTRIM_READERS readers,
 * made when it is needed first, and waits while all are taken.  Memory: 3 MiB per
 * reader and image of the chain.
 */
#ifndef IMAGE_PTRIM_SOURCE_H
#define IMAGE_PTRIM_SOURCE_H

#include "image/ptrim.h"
#include "source/source.h"

#define PT_PTRIM_READERS	8

/* pt_ptrim_source_open opens the image and its parents.  Errors as pt_ptrim_open. */
int pt_ptrim_source_open(struct pt_source **out, const char *path,
			 struct pt_error *err);

/* pt_ptrim_source_open_any opens an image at rest if that is the only path, by its
 * name, else raw images as pt_source_open_files does.  Errors as of either. */
int pt_ptrim_source_open_any(struct pt_source **out, const char *const *paths,
			     unsigned int cnt, struct pt_error *err);

/* pt_ptrim_source_image returns the image of such a source, whose small files are no
 * part of the source; NULL: it is of another kind. */
const struct pt_ptrim *pt_ptrim_source_image(const struct pt_source *src);

#endif
