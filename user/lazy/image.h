/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room lazy: a guest that runs before its memory is there.
 *
 *   knows         page faults of another process (userfaultfd), which pages of a stored
 *                 image are not placed yet, the doors by which a VMM hands its memory over
 *   may use       base memory source image track vmm
 *   must not know frames, connections to other hosts, the command line
 */
/* image: the pages of a stored image by their number, which is the offset in the raw
 * image divided by 4096.
 *
 *     raw file       a unit is 64 KiB, and is read by system call: a file that is cut
 *                    short is an error, and no hole is filled
 *     NAME.ptrim     a unit is what was compressed together
 *
 * The file is not trusted: a page behind a damaged part is PT_LAZY_LOST, never other
 * bytes.  Threads: one at a time.  Memory: that of a reader (image/ptrim.h); of a raw
 * image a bit for each page.
 */
#ifndef LAZY_IMAGE_H
#define LAZY_IMAGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <pagetrim/error.h>

#define PT_LAZY_UNIT_MAX	64	/* pages that pt_lazy_image_unit returns */
#define PT_LAZY_ID_SZ		80	/* bytes of an image's id, with its NUL */

#define PT_LAZY_FILE_MAX	(1ULL << 30)	/* bytes of a small file */

struct pt_lazy_image;

enum pt_lazy_content {
	PT_LAZY_DATA,
	PT_LAZY_ZERO,
	PT_LAZY_LOST,	/* damaged, or its source could not read it */
};

/* pt_lazy_image_open opens path, and parent as pt_ptrim_open does.
 *   -EINVAL  a raw image that is empty or no regular file; NAME.ptrim: see
 *            pt_ptrim_open; IMAGE.with/unreadable.json is none of this image
 *   -ENOMEM, or as the system says */
int pt_lazy_image_open(struct pt_lazy_image **out, const char *path,
		       const char *parent, struct pt_error *err);
void pt_lazy_image_close(struct pt_lazy_image *im);	/* NULL: nothing */

__u64 pt_lazy_image_sz(const struct pt_lazy_image *im);		/* bytes, raw */

/* pt_lazy_image_id tells this image from others: the id of NAME.ptrim; or where a raw
 * image is, its size and when it was written last. */
const char *pt_lazy_image_id(const struct pt_lazy_image *im);

/* pt_lazy_image_part finds the memory that has that name at its source, and returns where
 * it begins in the raw image, in bytes.  An image of one memory has it by any name.
 *   -ENOENT  there is none
 *   -EINVAL  it has another size than sz bytes */
int pt_lazy_image_part(const struct pt_lazy_image *im, const char *name, __u64 sz,
		       __u64 *off, struct pt_error *err);

/* pt_lazy_image_is: the image, or one of its parents, is in that file. */
bool pt_lazy_image_is(const struct pt_lazy_image *im, __u64 dev, __u64 ino);

/* pt_lazy_image_file copies a small file of the image, or of IMAGE.with/, into a new
 * memfd, which is the caller's, at its start.
 *   -ENOENT  there is none of that name
 *   -EIO     it is damaged
 *   -EINVAL  no regular file
 *   -EFBIG   more than PT_LAZY_FILE_MAX
 *   or as the system says */
int pt_lazy_image_file(const struct pt_lazy_image *im, const char *name,
		       struct pt_error *err);

/* pt_lazy_image_read writes the 4096 bytes of a page, if it has data. */
enum pt_lazy_content pt_lazy_image_read(struct pt_lazy_image *im, __u64 page,
					void *to);

/* pt_lazy_image_unit stores the pages that are read together with page, ascending and
 * page among them, and returns how many. */
__u32 pt_lazy_image_unit(struct pt_lazy_image *im, __u64 page,
			 __u64 out[PT_LAZY_UNIT_MAX]);

/* pt_lazy_image_zeroes returns how many pages from page on are zero for sure, without
 * reading them, 65536 at most, though more may follow; 0: it is not known. */
__u64 pt_lazy_image_zeroes(struct pt_lazy_image *im, __u64 page);

#endif
