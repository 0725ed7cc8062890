/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_memfd: a sink that is a descriptor of memory: a memfd, or a file of a
 * tmpfs or hugetlbfs.  It holds the image: segments back to back, see
 * layout.h. */
#ifndef SINK_SINK_MEMFD_H
#define SINK_SINK_MEMFD_H

#include "sink/sink.h"

/* pt_sink_open_memfd: fd stays the caller's, and is used until pt_sink_close.
 * pt_sink_fit resizes an empty file to the image; any other must be large
 * enough.  It starts as zero if the file has no allocated bytes.
 *   -EINVAL  not a memfd nor a file of a tmpfs or hugetlbfs, or not open for reading
 *            and writing; pt_sink_fit: smaller than the image
 *   -ENOMEM, or as the system says */
int pt_sink_open_memfd(struct pt_sink **out, int fd, struct pt_error *err);

#endif
