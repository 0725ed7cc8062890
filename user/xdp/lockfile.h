/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lockfile: a file under /run/pagetrim that a living process holds.
 *
 * It begins with the line "PID ROLE" of its owner, padded with spaces.  Only the lock counts: the
 * kernel drops it when the owner dies, and a file without one is litter.
 */
#ifndef PT_XDP_LOCKFILE_H
#define PT_XDP_LOCKFILE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "xdp/device.h"

#define PT_LOCKFILE_DIR	"/run/pagetrim"
#define PT_LOCKFILE_ROLE_SZ 32
#define PT_LOCKFILE_LINE_SZ 48	/* bytes of the first line, with its end */

struct pt_lockfile {
	int	fd;
	char	path[96];
};

struct pt_lockfile_owner {
	pid_t	pid;		/* 0: not known */
	char	role[PT_LOCKFILE_ROLE_SZ];
};

/* pt_lockfile_path writes where the lock TAIL ("q3") of the device lies. */
void pt_lockfile_path(char path[96], const struct pt_device *dev,
		      const char *tail);

/* pt_lockfile_take takes it for this process, at once or not at all.  The
 * folder is made when it is missing.
 *   -EBUSY   taken: *owner, which may be NULL, says by whom
 *   or what the system says, in err */
int pt_lockfile_take(struct pt_lockfile *lock, const char *path,
		     const char *role, struct pt_lockfile_owner *owner,
		     struct pt_error *err);

/* pt_lockfile_release removes the file; one who may not any more empties it. */
void pt_lockfile_release(struct pt_lockfile *lock);

/* pt_lockfile_open returns a descriptor of the file, made if it is missing,
 * for pt_lockfile_lock, which waits up to 5 s (-EBUSY), and pt_lockfile_unlock:
 * locks that are taken again and again, for moments, by descriptor alone. */
int pt_lockfile_open(const char *path, struct pt_error *err);
int pt_lockfile_lock(int fd, const struct pt_device *dev,
		     struct pt_error *err);
void pt_lockfile_unlock(int fd);

/* pt_lockfile_sweep removes what dead processes left: files of queues ("q3")
 * and of owners of sessions ("o1") of any device. */
void pt_lockfile_sweep(void);

/* pt_lockfile_is_held returns whether a process holds it, and which. */
bool pt_lockfile_is_held(const char *path, struct pt_lockfile_owner *owner);

/* pt_lockfile_open_held does the same, and returns a descriptor to read on by;
 * -1: no process holds it. */
int pt_lockfile_open_held(const char *path, struct pt_lockfile_owner *owner);

#endif
