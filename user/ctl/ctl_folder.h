/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ctl_folder: the control sockets of all processes, where they are found by number.
 *
 *     /run/pagetrim/ctl/UID/PID.sock    a socket, or a link to one elsewhere
 *
 * The folder UID belongs to that user and is closed to others; each folder above it
 * belongs to root or to the user, and others cannot write it.  The entry of a
 * process that was killed stays until the user's next process sweeps it.
 * Threads: one at a time.
 */
#ifndef CTL_CTL_FOLDER_H
#define CTL_CTL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>
#include <pagetrim/error.h>

#define PT_CTL_FOLDER		"/run/pagetrim/ctl"
#define PT_CTL_PATH_SZ		sizeof(((struct sockaddr_un *)0)->sun_path)
#define PT_CTL_ENTRIES_MAX	256	/* in one list */

struct pt_ctl_entry {
	pid_t pid;
	uid_t uid;		/* the owner of the folder that it is in */
	char path[PT_CTL_PATH_SZ];
};

/* pt_ctl_folder_make makes the folder of the user uid, and those above it.  Only
 * root may do so for another user, and where the upper ones are root's.
 *   -EPERM   a folder is another's, or others can write it
 *   -EACCES, -EROFS, ...  as mkdir(2) and chown(2) say */
int pt_ctl_folder_make(uid_t uid, gid_t gid, struct pt_error *err);

/* pt_ctl_folder_path writes the entry of this process and its effective user. */
void pt_ctl_folder_path(char path[PT_CTL_PATH_SZ]);

/* pt_ctl_folder_link makes path a link to the socket at target, on which this
 * process listens.  -errno as realpath(3) and symlink(2). */
int pt_ctl_folder_link(const char *path, const char *target);

/* pt_ctl_folder_sweep removes the entries of the effective user on which nobody
 * listens. */
void pt_ctl_folder_sweep(void);

/* pt_ctl_folder_list writes the entries that the effective user may see, root all
 * of them, in the order of their numbers, and returns their count.  Nobody need
 * listen there.  *has_more: there may be more than PT_CTL_ENTRIES_MAX. */
unsigned pt_ctl_folder_list(struct pt_ctl_entry entries[PT_CTL_ENTRIES_MAX],
			    bool *has_more);

#endif
