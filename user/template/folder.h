/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* folder: the entries of a folder of templates, and their locks.  Threads: any. */
#ifndef TEMPLATE_FOLDER_H
#define TEMPLATE_FOLDER_H

#include "template/template.h"

#define PT_TEMPLATE_RECORD	"template.json"
#define PT_TEMPLATE_WITH	"with"
#define PT_TEMPLATE_NAME_SZ	(PT_NAME_IMAGE_MAX + 32)	/* of an entry, with its
								 * NUL */

/* pt_template_folder_open opens the folder (NULL: PT_TEMPLATE_FOLDER), and makes it
 * if makes.  Returns the descriptor, or
 *   -ENOENT  it is not there (err is not filled)
 *   -EPERM   it is another user's, or others may change it
 *   or as the system says */
int pt_template_folder_open(const char *folder, bool makes, struct pt_error *err);

/* pt_template_new_name writes the name of an entry while it is made. */
void pt_template_new_name(char to[PT_TEMPLATE_NAME_SZ], const char *name);

/* pt_template_lock opens the entry and takes its lock.  Returns the descriptor, which
 * has the lock, also after fork(2) and rename(2);
 *   -EBUSY  its holder, or the process that makes it, lives
 *   or as open(2) says */
int pt_template_lock(int folder, const char *entry);

/* pt_template_mark marks an entry that was made just now as ours. -errno. */
int pt_template_mark(int entry);

/* pt_template_is_ours: it has that mark, by root or by us.  All other folders are
 * somebody's, even where nobody locks them. */
bool pt_template_is_ours(int entry);

/* pt_template_clear removes the entry, whose lock the caller has as fd, and closes fd.
 * It removes nothing from a folder that is not ours. */
void pt_template_clear(int folder, const char *entry, int fd);

/* pt_template_sweep removes what makers and sweepers that were killed have left. */
void pt_template_sweep(int folder);

/* pt_template_record_read reads the entry NAME, whose lock another process has.
 *   -ENOENT  it is being removed, or its holder has ended
 *   -EINVAL  it is no record of ours */
int pt_template_record_read(struct pt_template *out, int folder, const char *name);

/* pt_template_record_write writes the record of t into the open entry. -errno. */
int pt_template_record_write(const struct pt_template *t, int entry, int held_fd);

#endif
