/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room qmp: a client of QEMU's monitor protocol.
 *
 *   knows         the monitor's socket, its greeting, commands, replies, events
 *   may use       base
 *   must not know what a command means
 */
/* qmp: one connection to the monitor of a QEMU.
 *
 *     open --> run, run, event, ... --> close
 *
 * Each call blocks until its deadline at most.  A command has an id, and a reply
 * with another id is skipped.  Events that arrive meanwhile are kept, the last
 * PT_QMP_EVENTS of them.  QEMU is not trusted: a line of its is at most
 * PT_QMP_LINE_MAX bytes, and PT_QMP_DEPTH_MAX deep.
 *
 * A monitor serves one client at a time; others wait in its queue.
 *
 * Threads: one at a time.  Source: QEMU docs/interop/qmp-spec.
 */
#ifndef QMP_QMP_H
#define QMP_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

#define PT_QMP_GREETING_MS	2000	/* a free monitor greets at once */
#define PT_QMP_TIMEOUT_MS	10000	/* the usual time limit of a command */
#define PT_QMP_LINE_MAX		(4u << 20)	/* bytes of one reply */
#define PT_QMP_DEPTH_MAX	32
#define PT_QMP_EVENTS		64

struct pt_qmp;

struct pt_qmp_version {
	unsigned int major, minor, micro;
};

/* pt_qmp_open connects to the socket at path and negotiates.  On success returns 0
 * and *out is the caller's.  Errors name the path:
 *   -ENOENT, -ECONNREFUSED, -EACCES, -ENAMETOOLONG, ...  no process listens
 *   -EBUSY   no greeting within PT_QMP_GREETING_MS: another client has it
 *   -EPROTO  the other end is no monitor
 *   -ENOMEM, -ECONNRESET, -ETIMEDOUT  as pt_qmp_run */
int pt_qmp_open(struct pt_qmp **out, const char *path, struct pt_error *err);

/* pt_qmp_connect is the part of it that may need a privilege: it returns a connected
 * socket, the caller's.  QEMU need not answer.
 * pt_qmp_adopt does the rest, on a connected socket, which becomes the client's
 * even if it fails.  name stands for the path in errors. */
int pt_qmp_connect(const char *path, struct pt_error *err);
int pt_qmp_adopt(struct pt_qmp **out, int fd, const char *name,
		 struct pt_error *err);

void pt_qmp_close(struct pt_qmp *q);	/* NULL is allowed */

/* pt_qmp_fd returns the socket, readable when there may be an event. */
int pt_qmp_fd(const struct pt_qmp *q);

/* pt_qmp_name returns the path of the socket. */
const char *pt_qmp_name(const struct pt_qmp *q);

/* pt_qmp_version returns the version that the greeting told. */
struct pt_qmp_version pt_qmp_version(const struct pt_qmp *q);

/* pt_qmp_pid returns the process that listens on the socket, as of its listen(2);
 * 0: none that is visible here. */
pid_t pt_qmp_pid(const struct pt_qmp *q);

/* pt_qmp_cmd: one command. */
struct pt_qmp_cmd {
	const char *name;
	json_t *args;		/* an object, or NULL; pt_qmp_run takes it over */
	int fd;			/* with has_fd: a descriptor to pass to QEMU */
	bool has_fd;
	int timeout_ms;		/* 0: PT_QMP_TIMEOUT_MS */
};

/* pt_qmp_run executes a command.  *ret, if ret is not NULL, receives what it
 * returned, for json_decref.
 *   -EREMOTEIO   QEMU refused it; err has QEMU's text
 *   -ETIMEDOUT   no reply in time
 *   -ECONNRESET  QEMU closed the connection
 *   -EPROTO      a line that is no JSON object, too long or too deep
 *   -ENOMEM
 * After -ETIMEDOUT the client can be used on; a late reply is skipped.  After
 * -ECONNRESET and -EPROTO every further call fails alike. */
int pt_qmp_run(struct pt_qmp *q, const struct pt_qmp_cmd *cmd, json_t **ret,
	       struct pt_error *err);

/* pt_qmp_event waits for an event that was not taken yet.  *event, for
 * json_decref, is the whole object with "event", "data" and "timestamp".
 *   -ETIMEDOUT  none within timeout_ms; 0 ms: only looks
 *   -ECONNRESET, -EPROTO, -ENOMEM  as pt_qmp_run */
int pt_qmp_event(struct pt_qmp *q, int timeout_ms, json_t **event,
		 struct pt_error *err);

#endif
