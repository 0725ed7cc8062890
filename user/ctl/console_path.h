/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* console_path: a listening socket with a path in the file system.
 *
 * A process that takes PATH holds PATH.pagetrim-lock from its check of the
 * present file until it listens itself.  So a process that does not listen yet
 * does not look dead, and if two processes find a dead socket, one replaces it
 * and the other finds the replacement.  The lock file exists only meanwhile; a
 * file that a killed process left is not locked.
 */
#ifndef CTL_CONSOLE_PATH_H
#define CTL_CONSOLE_PATH_H

#include <sys/stat.h>
#include <sys/un.h>
#include <pagetrim/error.h>

struct pt_console_path {
	struct sockaddr_un addr;
	dev_t dev;		/* of our socket's file */
	ino_t ino;		/* 0: there is none */
};

/* pt_console_path_take listens at path, mode 0600, replacing a socket there on
 * which nobody listens; *fd is the caller's, not blocking.  Errors as
 * pt_console_open. */
int pt_console_path_take(struct pt_console_path *p, const char *path, int *fd,
			 struct pt_error *err);

/* pt_console_path_leave removes the socket's file, if it is still ours.  The
 * caller closes the socket afterwards, since another process may take the path
 * of a closed one. */
void pt_console_path_leave(const struct pt_console_path *p);

/* pt_console_path_fail sets the text and the remedy for -errno, and returns
 * it. */
int pt_console_path_fail(const char *path, int code, struct pt_error *err);

#endif
