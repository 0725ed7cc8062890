/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* path: a folder found by its path, through no symbolic link of a stranger.
 *
 * A link that somebody put into a folder that many may write would send what we
 * create where he likes.  Hence each part of a path is opened by itself, from
 * the folder before it, and a link is followed only if root or the effective
 * user made it.  What is opened is held, so nothing can be swapped between a
 * look and its use.
 */
#ifndef PT_MEMORY_PATH_H
#define PT_MEMORY_PATH_H

/* pt_path_folder returns a descriptor of the folder (O_RDONLY), the caller's to
 * close.
 *   -ELOOP   a link on the way is a stranger's, or there are too many
 *   -ENAMETOOLONG  the path, with what its links add
 *   or as the system says */
int pt_path_folder(const char *path);

/* pt_path_rewrite returns a descriptor of the file, made (mode) or emptied, to
 * write to.  For files that may be replaced, such as a picture: here a link as
 * the last part is followed, too, on the same condition.  It may lead to a
 * device, /dev/stdout.  Errors as above. */
int pt_path_rewrite(const char *path, unsigned int mode);

#endif
