/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fill: copies a still source into a sink.  Zero pages are not written.  One thread. */
#ifndef TEMPLATE_FILL_H
#define TEMPLATE_FILL_H

#include "sink/sink.h"
#include "source/source.h"

/* pt_template_fill copies the pages of src, whose segments layout is made of, to a sink
 * that is fit for it; without the commit.  is_ended is asked before each region; NULL:
 * nobody.
 *   -ECANCELED  it said so
 *   -EIO  a page cannot be read
 *   or as the source and the sink say */
int pt_template_fill(struct pt_sink *sink, struct pt_source *src,
		     const struct pt_layout *layout, bool (*is_ended)(void),
		     struct pt_error *err);

/* pt_template_fill_file adds the file at path under its last part. */
int pt_template_fill_file(struct pt_sink *sink, const char *path,
			  struct pt_error *err);

/* pt_template_fill_folder adds the files of IMAGE.with/, but for its tables.  There
 * need be no such folder. */
int pt_template_fill_folder(struct pt_sink *sink, const char *image,
			    struct pt_error *err);

/* pt_template_fill_stored adds the small files of the image at rest at path.
 *   -EIO  one is damaged (exit code 5)
 *   or as pt_ptrim_open */
int pt_template_fill_stored(struct pt_sink *sink, const char *path,
			    struct pt_error *err);

#endif
