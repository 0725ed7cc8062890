/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* folder: the entries of a folder of templates, and their locks.  Threads: any. */
#ifndef TEMPLATE_FOLDER_H
#define TEMPLATE_FOLDER_H

#include "template/template.h"

#define PT_TEMPLATE_RECORD	"template.json"
#define PT_TEMPLATE_WITH	"with"
#define PT_TEMPLATE_NAME_SZ	(PT_NAME_IMAGE_MAX + 32)	/* of an entry, with its
								 * NUL */
#define PT_TEMPLATE_LOOK_MS	5	/* between two looks at a lock that is taken */

/* pt_template_folder_open opens the folder (NULL: PT_TEMPLATE_FOLDER), and makes it
 * if makes.  Returns the descriptor, or
 *   -ENOENT  it is not there (err is not filled)
 *   -EPERM   it is another user's, or others may change it
 *   or as the system says */
int pt_template_folder_open(const char *folder, bool makes, struct pt_error *err);

/* pt_template_new_name writes the name of an entry while it is made. */
void pt_template_new_name(char to[PT_TEMPLATE_NAME_SZ], const char *name);

/* pt_template_entry: an open entry, and its lock: the mark, a file that only its owner
 * and root can open, so that nobody else can take the lock.  The lock stays with the
 * descriptor after fork(2) and rename(2). */
struct pt_template_entry {
	int dir, lock;		/* descriptors; -1: none */
};

#define PT_TEMPLATE_ENTRY_NONE	((struct pt_template_entry){ -1, -1 })

/* pt_template_lock opens the entry and takes its lock.  0, and *e is the caller's, to
 * close or to clear;
 *   -EBUSY   its holder, or the process that makes it, lives, or is another user's
 *   -ENOKEY  it has no mark by root or by us: it is somebody's folder
 *   or as open(2) says */
int pt_template_lock(struct pt_template_entry *e, int folder, const char *entry);

/* pt_template_mark marks an entry that was made just now as ours, and takes its lock.
 *   -EBUSY, -ENOENT  another process took it for the remains of a maker
 *   or as open(2) says */
int pt_template_mark(struct pt_template_entry *e, int folder, const char *entry);

void pt_template_entry_close(struct pt_template_entry *e);

/* pt_template_clear removes the entry, whose lock the caller has as e, and closes e. */
void pt_template_clear(int folder, const char *entry, struct pt_template_entry *e);

/* pt_template_sweep removes what makers and sweepers that were killed have left. */
void pt_template_sweep(int folder);

/* pt_template_record_read reads the entry NAME, whose lock another process has.
 *   -ENOENT  it is being removed, or its holder has ended
 *   -EINVAL  it is no record of ours */
int pt_template_record_read(struct pt_template *out, int folder, const char *name);

/* pt_template_record_write writes the record of t into the open entry. -errno. */
int pt_template_record_write(const struct pt_template *t, int entry, int held_fd);

#endif
