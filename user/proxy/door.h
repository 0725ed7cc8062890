/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* door: UNIX stream sockets with a path, non-blocking. */
#ifndef PROXY_DOOR_H
#define PROXY_DOOR_H

#include <pagetrim/error.h>

/* pt_door_listen listens at path, mode 0600, and replaces a socket there on which
 * nobody listens.  *fd is the caller's; pt_door_leave removes the path and closes
 * it.
 *   -EADDRINUSE    something else is there
 *   -ENAMETOOLONG, or as the system says */
int pt_door_listen(int *fd, const char *path, struct pt_error *err);
void pt_door_leave(int fd, const char *path);

/* pt_door_connect connects to path; if nobody listens there yet, it tries again for
 * timeout_ms.  Errors as connect(2). */
int pt_door_connect(int *fd, const char *path, int timeout_ms,
		    struct pt_error *err);

#endif
