/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* console_path: a listening socket that has a place in the file system.
 *
 * Who takes PATH holds PATH.pagetrim-lock, from the look at what stands there
 * until it listens itself: so nobody is taken for dead that only does not
 * listen yet, and of two that find a dead one, one replaces it and the other
 * finds that one.  The lock is there only meanwhile; one that somebody left
 * who was killed is free.
 */
#ifndef CTL_CONSOLE_PATH_H
#define CTL_CONSOLE_PATH_H

#include <sys/stat.h>
#include <sys/un.h>
#include <pagetrim/error.h>

struct pt_console_path {
	struct sockaddr_un addr;
	dev_t dev;		/* of the socket that stands there */
	ino_t ino;		/* 0: none of ours does */
};

/* pt_console_path_take listens at path, mode 0600, in place of a socket there
 * on which nobody listens any more; *fd is the caller's, not blocking.  Errors
 * as pt_console_open. */
int pt_console_path_take(struct pt_console_path *p, const char *path, int *fd,
			 struct pt_error *err);

/* pt_console_path_leave removes the socket, if it is still ours: before it is
 * closed, since then others may take its place. */
void pt_console_path_leave(const struct pt_console_path *p);

/* pt_console_path_fail: what to say of -errno, and what helps; returns it. */
int pt_console_path_fail(const char *path, int code, struct pt_error *err);

#endif
