/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room ctl: the control socket of a running agent.
 *
 *   knows         its path, its requests and answers as text
 *   may use       no other
 *   must not know the meaning of the requests
 */
/* ctl: the control socket, on which a local user queries and configures a
 * running process.  A request is one line, and so is its answer:
 *
 *	loop: poll(pt_ctl_fd(c), POLLIN)
 *		while (pt_ctl_take(c, line))
 *			pt_ctl_answer(c, ...);
 *
 * A UNIX stream socket of mode 0600.  Only root and the user of the process may
 * connect.  A new client takes the slot, of PT_CTL_CLIENTS, that was idle for
 * longest; a client that sends too long a line or reads no answers is dropped.
 * No call blocks, and memory is bounded.  Threads: one.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

#define PT_CTL_CLIENTS		4
#define PT_CTL_LINE_SZ		256	/* of a request with its newline */
#define PT_CTL_ANSWER_SZ	8192	/* of an answer with its newline */

struct pt_ctl;

/* pt_ctl_open listens at path, replacing a socket there on which nobody
 * listens.  On success returns 0 and *out is the caller's.
 *   -EADDRINUSE    a process listens there, or the file is no socket
 *   -EBUSY         another process holds path.pagetrim-lock (ctl_path.h)
 *   -ENAMETOOLONG  of 108 bytes or more
 *   -EACCES, -ENOENT, -EROFS, ...  as bind(2) says */
int pt_ctl_open(struct pt_ctl **out, const char *path,
		struct pt_error *err);

/* pt_ctl_close also removes the socket's file, if it is still ours.  NULL
 * is allowed. */
void pt_ctl_close(struct pt_ctl *c);

/* pt_ctl_fd returns a descriptor to poll for POLLIN; -1 for NULL. */
int pt_ctl_fd(const struct pt_ctl *c);

/* pt_ctl_take writes the next request to line, without its newline; false:
 * there is none now. */
bool pt_ctl_take(struct pt_ctl *c, char line[PT_CTL_LINE_SZ]);

/* pt_ctl_answer answers the last request; text is one line without its
 * newline. */
void pt_ctl_answer(struct pt_ctl *c, const char *text);

#define PT_CTL_ANYBODY		((uid_t)-1)

/* pt_ctl_ask connects to path, sends a request and waits for the answer; of: the
 * user who must listen there, or PT_CTL_ANYBODY.
 *   -EPERM      another user listens, and was not asked
 *   -ENOENT, -ECONNREFUSED, -EACCES, ...  no process listens
 *   -ETIMEDOUT  no answer within timeout_ms
 *   -EPROTO     the reply is no answer */
int pt_ctl_ask(const char *path, uid_t of, const char *line,
	       char answer[PT_CTL_ANSWER_SZ], int timeout_ms,
	       struct pt_error *err);

#endif
