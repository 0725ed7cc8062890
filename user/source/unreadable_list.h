/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* unreadable_list: NAME.with/unreadable.json, the pages of the image NAME that could
 * not be read where it came from; sink/image.h writes it. */
#ifndef SOURCE_UNREADABLE_LIST_H
#define SOURCE_UNREADABLE_LIST_H

#include <linux/types.h>
#include <pagetrim/error.h>

/* pt_unreadable_list sets the bits, one for each page, of what the list of the image
 * at path names, of which image_fd is a descriptor; an image of sz bytes without one has none.
 * A page of the list is zero in the image that it belongs to.
 *   -EINVAL  it is no such list, or one of another image; err has its name
 *   -ENOMEM, or as the system says */
int pt_unreadable_list(const char *path, int image_fd, __u64 sz, _Atomic __u64 *bits,
		       struct pt_error *err);

#endif
