/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* svg: a picture of a memory.
 *
 * Each segment is a band of cells, in order of address, 64 in a row.  A cell is
 * 2 MiB, or a multiple that keeps the picture below PT_SVG_CELLS_MAX cells, and
 * is filled from below: data, then zero blocks trimmed from data pages, then
 * zero pages.  Small segments share the last of at most PT_SVG_BANDS_MAX bands.
 * So the file stays below 1 MiB.
 */
#ifndef CLI_SVG_H
#define CLI_SVG_H

#include <pagetrim/error.h>
#include "memory/layout.h"
#include "survey/survey.h"

#define PT_SVG_CELLS_MAX	4096
#define PT_SVG_BANDS_MAX	24

/* pt_svg_write writes the picture to path, replacing a file of that name; title
 * is the source's name, for its heading.  -errno of the file, or -ENOMEM. */
int pt_svg_write(const char *path, const char *title,
		 const struct pt_survey *s, const struct pt_layout *l,
		 struct pt_error *err);

#endif
