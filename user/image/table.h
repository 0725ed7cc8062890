/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* table: the segments of a raw image, from the segments.json beside it. */
#ifndef IMAGE_TABLE_H
#define IMAGE_TABLE_H

#include "memory/layout.h"

/* pt_table_read reads IMAGE.with/segments.json.  *out: the layout, the caller's; NULL:
 * there is no such file.
 *   -EINVAL  it is not such a table (docs/process-image.md)
 *   or as the system says */
int pt_table_read(struct pt_layout **out, const char *image, struct pt_error *err);

#endif
