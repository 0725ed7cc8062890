/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lockfile: files under /run/pagetrim; living processes hold parts of them.
 *
 * A part begins with the line "PID ROLE" of its owner, padded with spaces to
 * PT_LOCKFILE_LINE_SZ.  Only the lock counts: the kernel drops it when the
 * owner dies, and a file without a lock is litter.  The folder must belong to
 * root (or the effective user), and others must not be able to write it.
 *
 * A process that dropped the right to remove a file leaves it unlocked.  A
 * process that can open a file can lock it, so others cannot open it.
 */
#ifndef XDP_LOCKFILE_H
#define XDP_LOCKFILE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "xdp/device.h"
#include "xdp/grant.h"

#define PT_LOCKFILE_DIR	"/run/pagetrim"
#define PT_LOCKFILE_ROLE_SZ 32
#define PT_LOCKFILE_LINE_SZ 48	/* bytes of an owner's line, with its end */

struct pt_lockfile_owner {
	pid_t	pid;		/* 0: not known */
	char	role[PT_LOCKFILE_ROLE_SZ];
};

/* pt_lockfile_part: a range of the file, which may be beyond its end. */
struct pt_lockfile_part {
	__u64	off;
	__u64	sz;		/* 0: everything from off on */
};

/* pt_lockfile_path writes the path of the device's file TAIL ("queues"). */
void pt_lockfile_path(char path[96], const struct pt_device *dev,
		      const char *tail);

/* pt_lockfile_sweep removes queue files of any device that dead processes
 * left. */
void pt_lockfile_sweep(void);

/* pt_lockfile_open returns a descriptor of the file, which it creates if
 * missing. */
int pt_lockfile_open(const char *path, struct pt_error *err);

/* pt_lockfile_lock_part takes the part for this descriptor alone, _share_part
 * together with others that share; false: it is held. */
bool pt_lockfile_lock_part(int fd, struct pt_lockfile_part part);
bool pt_lockfile_share_part(int fd, struct pt_lockfile_part part);
void pt_lockfile_unlock_part(int fd, struct pt_lockfile_part part);

/* pt_lockfile_part_is_held: another descriptor holds the part without
 * sharing. */
bool pt_lockfile_part_is_held(int fd, struct pt_lockfile_part part);

/* The owner's line at the start of a part. */
void pt_lockfile_read_owner(int fd, struct pt_lockfile_part part,
			    struct pt_lockfile_owner *owner);
int pt_lockfile_write_owner(int fd, struct pt_lockfile_part part,
			    const char *role);

/* pt_lockfile_still_there: path still leads to the file of fd; another process
 * may have removed it between our open and our lock.  pt_lockfile_remove
 * removes it unless others hold a part. */
bool pt_lockfile_still_there(int fd, const char *path);
void pt_lockfile_remove(int fd, const char *path);

/* pt_lockfile_grant gives the file to the grant's user, and keeps pt_lockfile_remove
 * from removing it until pt_lockfile_recall: the sticky bit is the mark. */
int pt_lockfile_grant(int fd, const struct pt_grant *grant);
void pt_lockfile_recall(int fd);

#endif
