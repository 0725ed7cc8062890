/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* image: a sink that is a file, with the small files that accompany it.
 *
 *     while it is received          once committed
 *     NAME.partial                  NAME             the image (see layout.h)
 *     NAME.with.partial/            NAME.with/       only if needed:
 *         segments.json                 segments.json   more than one segment
 *         unreadable.json               unreadable.json pages that could not
 *                                                       be read at the source
 *         device-state ...              device-state    or any file
 *
 *     NAME.journal                               if it is to be kept
 *
 * No file has its final name before pt_sink_commit, and NAME is renamed last:
 * NAME.with/ without NAME is no result.  The .partial is created anew (O_EXCL,
 * O_NOFOLLOW, 0600), sparse, and locked (flock) as long as the sink is open, so
 * a .partial without a lock is a dead receiver's and is replaced.
 *
 * A sink with a journal is kept: closed without commit, or killed, it leaves
 * NAME.partial and NAME.journal, and a later sink imports them:
 *
 *     create ---------------------> journal_write --> pages --> sync, commit
 *     reopen --> journal_read --> resume --------------^ \--> close: kept
 *
 * The journal's bytes are the caller's and identify the image that the .partial
 * belongs to.  A .partial without a journal, or a journal without a .partial,
 * is invalid.
 *
 * A sink may be reserved before a layout is known: reserve --> fit --> pages.
 *
 * pt_sink_file_begin writes the small files, as for any sink.
 * Threads: as for any sink, see sink.h.
 * No memory per page.
 */
#ifndef SINK_IMAGE_H
#define SINK_IMAGE_H

#include <stddef.h>
#include "sink/sink.h"

/* pt_image_check_path: pt_image_create could make the file now, with the
 * current credentials; it reports a mistake before a peer connects.
 * pt_image_check_folder: the same for any file in the folder. */
int pt_image_check_path(const char *path, struct pt_error *err);
int pt_image_check_folder(const char *path, struct pt_error *err);

/* pt_image_create makes NAME.partial for path NAME, as large as the layout's
 * image, all holes, and maps it.  The layout must outlive the sink.  On success
 * returns 0 and *out is the caller's, to pt_sink_close.  Else:
 *   -EEXIST  NAME or NAME.with exists; NAME.partial is no regular file
 *   -ELOOP   NAME.partial is a symbolic link; or a link on the way to NAME
 *            is neither root's nor the effective user's
 *   -EBUSY   another receiver writes NAME.partial
 *   -ENOENT, -EACCES, -EROFS, -EFBIG, -ENOSPC ...  as the system says
 *   -ENAMETOOLONG, -EINVAL  path cannot name a file
 *   -ENOMEM  no memory; too few huge pages, for a hugetlbfs
 * hugetlbfs: the image's size must be a multiple of its page size (-EINVAL). */
int pt_image_create(struct pt_sink **out, const char *path,
		   const struct pt_layout *l, struct pt_error *err);

/* pt_image_create_plain makes NAME.partial for path NAME, empty: a file of another
 * form, which the caller writes by pt_image_fd.  *out is for what a kept image is
 * for, for pt_sink_sync, pt_sink_commit and pt_sink_close only.  Errors as
 * pt_image_create. */
int pt_image_create_plain(struct pt_sink **out, const char *path,
			  struct pt_error *err);

/* pt_image_fd: NAME.partial, the sink's. */
int pt_image_fd(const struct pt_sink *s);

/* pt_image_reserve makes NAME.partial before its image is known: sz bytes (up
 * to PT_LAYOUT_SZ_MAX, rounded up to whole pages), allocated and mapped, in
 * huge pages where the file system has them.  It takes about 0.5 s per GiB, and
 * gives up once stop_fd (-1: none) is readable.  On success *out is the
 * caller's, for pt_sink_fit and pt_sink_close only.  Else, besides those of
 * pt_image_create:
 *   -ENOSPC     less is free, or a cgroup allows less (headroom.h); err
 *               states how much
 *   -ECANCELED  stop_fd
 * pt_sink_fit makes it the sink of an image, as pt_image_create would have: a
 * larger image ends in holes, a smaller one releases the rest. */
int pt_image_reserve(struct pt_sink **out, const char *path, __u64 sz,
		    int stop_fd, struct pt_error *err);

/* pt_image_reopen locks the NAME.partial that an earlier sink for path left,
 * and changes nothing.  On success *out is the caller's, for
 * pt_image_journal_read, pt_image_resume and pt_sink_close only.  l NULL: the file
 * has another form, as that of pt_image_create_plain.  Else:
 *   -ENOENT  there is none
 *   -EPERM   another user owns it or may write it, or it has a second name:
 *            a user who can write it could change it after the comparison
 *   -ELOOP, -EEXIST, -EBUSY and the rest  as pt_image_create */
int pt_image_reopen(struct pt_sink **out, const char *path,
		   const struct pt_layout *l, struct pt_error *err);

/* pt_image_journal_read: *bytes, sz of them, are the caller's, to free.
 *   -ENOENT  there is none
 *   -EFBIG   larger than PT_IMAGE_JOURNAL_SZ_MAX
 *   -EPERM, -ELOOP, -EEXIST  as of the .partial, or as the system says
 * A commit removes the journal that was written or read, marked or not. */
#define PT_IMAGE_JOURNAL_SZ_MAX	(8u << 20)
int pt_image_journal_read(struct pt_sink *s, void **bytes, size_t *sz,
			 struct pt_error *err);

/* pt_image_resume prepares a reopened sink for pages: it keeps its content,
 * and gets the size of the layout's image, if it has one.  Errors as
 * pt_image_create. */
int pt_image_resume(struct pt_sink *s, struct pt_error *err);

/* pt_image_journal_write writes NAME.journal: a failure at any time leaves it
 * whole or absent.  From here on the sink is kept.  On a hugetlbfs it takes a
 * huge page, and the bytes behind sz are zero.  -ENOMEM: no huge page is free;
 * or as the system says. */
int pt_image_journal_write(struct pt_sink *s, const void *bytes, size_t sz,
			  struct pt_error *err);

/* pt_image_data finds the first stretch of data that contains off or starts
 * behind it: [*from, *to), in bytes of the image.  False: all the rest is a
 * hole.  One thread at a time. */
bool pt_image_data(const struct pt_sink *s, __u64 off, __u64 *from, __u64 *to);

/* pt_image_page returns the 4096 bytes of the layout's page page_idx, to read
 * and write; zero until written, or the imported content.  A write raises
 * SIGBUS when the file system is full or fails: write inside of a pt_guard, and
 * give pt_sink_fault the address. */
__u8 *pt_image_page(const struct pt_sink *s, __u64 page_idx);

/* pt_image_discard removes what is neither committed nor kept now.  After it
 * only pt_sink_close is allowed (the mapping stays until then).  A second call
 * does nothing. */
void pt_image_discard(struct pt_sink *s);

#endif
