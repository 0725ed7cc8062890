/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* unpack: makes a raw, sparse image of an image at rest, and NAME.with/ beside it, as
 * a receiver does (sink/image.h).  Lost pages are zero.  One thread. */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include "image/walk.h"

/* pt_unpack writes the image to path.  walk: as in pt_walk, page is not used.
 * file_lost is called for each small file that is damaged; name may be "", if its
 * entry is.
 *   -ENOMEM, or as pt_image_create and its writes */
int pt_unpack(const struct pt_ptrim *p, const char *path,
	      const struct pt_walk *walk,
	      void (*file_lost)(void *arg, const char *name),
	      struct pt_walk_result *out, struct pt_error *err);

/* pt_verify: -EIO, too, or what read(2) says.  It walks all pages and files, and checks the ids of the image and its
 * parents.  id_wrong: an image whose bytes are not those that were written. */
int pt_verify(const struct pt_ptrim *p, const struct pt_walk *walk,
	      void (*file_lost)(void *arg, const char *name),
	      void (*id_wrong)(void *arg, const char *path),
	      struct pt_walk_result *out, struct pt_error *err);

#endif
