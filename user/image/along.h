/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* along: the small files beside a raw image, in IMAGE.with/, as a receiver leaves them.
 * segments.json and unreadable.json say how the image is to be read, and are none.
 */
#ifndef IMAGE_ALONG_H
#define IMAGE_ALONG_H

#include <stdbool.h>
#include <linux/types.h>
#include <pagetrim/error.h>

struct pt_along {
	char **paths;
	__u32 cnt;
};

/* pt_along_add adds the files of the image's folder, in the order of their names.  A
 * path that fault has a fault for is left out, and told to left; both get arg.  An
 * image without a folder has no files.  -ENOMEM, or as the system says. */
int pt_along_add(struct pt_along *a, const char *image,
		 const char *(*fault)(void *arg, const char *path),
		 void (*left)(const char *path, const char *why), void *arg,
		 struct pt_error *err);

/* pt_along_fault returns why no image takes a file of that path; NULL: one does. */
const char *pt_along_fault(const char *path);

/* pt_along_name: the last part of the path, by which an image knows the file. */
const char *pt_along_name(const char *path);

void pt_along_free(struct pt_along *a);

#endif
