/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* line: lines over a UNIX stream socket, with deadlines.  Threads: one. */
#ifndef QMP_LINE_H
#define QMP_LINE_H

#include <linux/types.h>
#include <stddef.h>

struct pt_qmp_line {
	int fd;
	char *buf;		/* cap bytes, of which sz were received */
	size_t cap, sz;
	size_t taken;		/* of these, the caller's until the next take */
	size_t seen;		/* of these, known to hold no newline */
};

/* pt_qmp_line_connect returns a socket that is connected to path, or
 *   -EAGAIN  the queue of those that want to connect is full
 *   -ENAMETOOLONG, or as connect(2) says */
int pt_qmp_line_connect(const char *path);

/* pt_qmp_line_take waits for a line.  *bytes, its *sz bytes without the newline,
 * is valid until the next take.
 *   -ETIMEDOUT   the deadline
 *   -ECONNRESET  the other end closed
 *   -EPROTO      a line of more than PT_QMP_LINE_MAX bytes
 *   -ENOMEM */
int pt_qmp_line_take(struct pt_qmp_line *l, __u64 deadline_ns,
		     const char **bytes, size_t *sz);

/* pt_qmp_line_send sends text, and with its first byte the descriptor pass_fd; -1:
 * none.
 *   -ETIMEDOUT   nothing was sent before the deadline
 *   -EPIPE       the other end closed, or took a part only */
int pt_qmp_line_send(const struct pt_qmp_line *l, __u64 deadline_ns,
		     const char *text, int pass_fd);

void pt_qmp_line_close(struct pt_qmp_line *l);

#endif
