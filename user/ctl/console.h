/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room ctl: the local socket by which a running agent is asked and set.
 *
 *   knows         its path, its requests and answers as text
 *   may use       no other
 *   must not know what the requests mean
 */
/* console: the socket through which a user of this host asks a running process,
 * and tells it to change.  A request is a line, and so is its answer:
 *
 *	loop: poll(pt_console_fd(c), POLLIN)
 *		while (pt_console_take(c, line))
 *			pt_console_answer(c, ...);
 *
 * A UNIX stream socket of mode 0600.  Root and the user that the process runs
 * as are let in, nobody else.  Of PT_CONSOLE_CLIENTS places the one not heard
 * for longest goes to a newcomer; who sends a line that is too long, or reads
 * no answers, is dropped.  Nothing blocks, nothing grows.
 * Threads: one.
 */
#ifndef CTL_CONSOLE_H
#define CTL_CONSOLE_H

#include <stdbool.h>
#include <pagetrim/error.h>

#define PT_CONSOLE_CLIENTS	4
#define PT_CONSOLE_LINE_SZ	256	/* of a request, its end too */
#define PT_CONSOLE_ANSWER_SZ	1024	/* of an answer, its end too */

struct pt_console;

/* pt_console_open listens at path, in place of a socket there on which nobody
 * listens any more.  On success returns 0 and *out is the caller's.
 *   -EADDRINUSE    somebody listens there, or it is no socket
 *   -EBUSY         somebody holds path.pagetrim-lock (console_path.h)
 *   -ENAMETOOLONG  of 108 bytes or more
 *   -EACCES, -ENOENT, -EROFS, ...  as bind(2) says */
int pt_console_open(struct pt_console **out, const char *path,
		    struct pt_error *err);

/* pt_console_close also removes the socket, if it is still ours.  NULL is
 * allowed. */
void pt_console_close(struct pt_console *c);

/* pt_console_fd: for poll, POLLIN only; -1 for NULL. */
int pt_console_fd(const struct pt_console *c);

/* pt_console_take returns the next request in line, without its end; false:
 * there is none now. */
bool pt_console_take(struct pt_console *c, char line[PT_CONSOLE_LINE_SZ]);

/* pt_console_answer answers the request taken last; text is one line, without
 * its end. */
void pt_console_answer(struct pt_console *c, const char *text);

/* pt_console_ask connects to path, asks, and waits for the answer.
 *   -ENOENT, -ECONNREFUSED, -EACCES, ...  there is none to ask
 *   -ETIMEDOUT  no answer within timeout_ms
 *   -EPROTO     what came is no answer */
int pt_console_ask(const char *path, const char *line,
		   char answer[PT_CONSOLE_ANSWER_SZ], int timeout_ms,
		   struct pt_error *err);

#endif
