/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pipe: bytes on their way from one non-blocking socket to another.  Threads:
 * one. */
#ifndef PROXY_PIPE_H
#define PROXY_PIPE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

struct pt_pipe {
	__u8 *bytes;
	size_t room;		/* bytes */
	size_t at, end;		/* bytes at..end wait */
};

/* pt_pipe_open allocates room bytes.  -ENOMEM. */
int pt_pipe_open(struct pt_pipe *p, size_t room);
void pt_pipe_close(struct pt_pipe *p);	/* may be called twice, and after {} */

static inline size_t pt_pipe_sz(const struct pt_pipe *p)
{
	return p->end - p->at;
}

static inline bool pt_pipe_is_full(const struct pt_pipe *p)
{
	return pt_pipe_sz(p) == p->room;
}

/* pt_pipe_free_sz returns the bytes that can be put. */
static inline size_t pt_pipe_free_sz(const struct pt_pipe *p)
{
	return p->room - pt_pipe_sz(p);
}

/* pt_pipe_tail returns where pt_pipe_free_sz bytes can be written, which
 * pt_pipe_add adds then. */
__u8 *pt_pipe_tail(struct pt_pipe *p);
static inline void pt_pipe_add(struct pt_pipe *p, size_t sz)
{
	p->end += sz;
}

/* pt_pipe_put returns whether there was room for all sz bytes. */
bool pt_pipe_put(struct pt_pipe *p, const void *bytes, size_t sz);

/* pt_pipe_read reads what is there, as far as there is room: the bytes read; 0:
 * the end of the stream; -EAGAIN: nothing now; or as recv(2). */
long pt_pipe_read(struct pt_pipe *p, int fd);

/* pt_pipe_write writes what fd takes; 0, or as send(2) but for EAGAIN. */
int pt_pipe_write(struct pt_pipe *p, int fd);

#endif
