/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ctl_path: a listening socket with a path in the file system.
 *
 * A process that takes PATH holds PATH.pagetrim-lock from its check of the
 * present file until it listens itself.  So a process that does not listen yet
 * does not look dead, and if two processes find a dead socket, one replaces it
 * and the other finds the replacement.  The lock file exists only meanwhile; a
 * file that a killed process left is not locked.
 */
#ifndef CTL_CTL_PATH_H
#define CTL_CTL_PATH_H

#include <sys/stat.h>
#include <sys/un.h>
#include <pagetrim/error.h>

struct pt_ctl_path {
	struct sockaddr_un addr;
	dev_t dev;		/* of our socket's file */
	ino_t ino;		/* 0: there is none */
};

/* pt_ctl_path_take listens at path, mode 0600, replacing a socket there on
 * which nobody listens; *fd is the caller's, not blocking.  Errors as
 * pt_ctl_open. */
int pt_ctl_path_take(struct pt_ctl_path *p, const char *path, int *fd,
		     struct pt_error *err);

/* pt_ctl_path_check refuses a path that pt_ctl_path_take would refuse now, and
 * changes nothing; it does not look whether the folder may be written.
 *   -EADDRINUSE, -ENAMETOOLONG  as pt_ctl_open */
int pt_ctl_path_check(const char *path, struct pt_error *err);

/* pt_ctl_path_sweep removes a socket at path on which nobody listens, or a link to
 * one; anything else stays. */
void pt_ctl_path_sweep(const char *path);

/* pt_ctl_path_leave removes the socket's file, if it is still ours.  The
 * caller closes the socket afterwards, since another process may take the path
 * of a closed one. */
void pt_ctl_path_leave(const struct pt_ctl_path *p);

/* pt_ctl_path_fail sets the text and the remedy for -errno, and returns
 * it. */
int pt_ctl_path_fail(const char *path, int code, struct pt_error *err);

#endif
