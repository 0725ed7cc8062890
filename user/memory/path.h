/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* path: opens a folder by its path, without following a stranger's symbolic
 * link.
 *
 * A stranger's link in a folder that many users may write would redirect our
 * files.  Hence each part of a path is opened by itself, from the folder before
 * it, and a link is followed only if root or the effective user made it.
 * Opened folders are held, so nothing can be swapped between check and use.
 */
#ifndef MEMORY_PATH_H
#define MEMORY_PATH_H

/* pt_path_folder returns a descriptor of the folder (O_RDONLY), the caller's to
 * close.
 *   -ELOOP         the path has a stranger's link, or too many links
 *   -ENAMETOOLONG  the path, with what its links add
 *   or as the system says */
int pt_path_folder(const char *path);

/* pt_path_rewrite returns a descriptor for writing the file, which is created
 * with mode or truncated.  It is for files that may be replaced, such as a
 * picture: a link as the last part is followed, too, on the same condition.  It
 * may lead to a device, /dev/stdout.  Errors as above, or -ENXIO: a pipe that nobody
 * reads. */
int pt_path_rewrite(const char *path, unsigned int mode);

#endif
