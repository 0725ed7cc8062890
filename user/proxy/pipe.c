// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "proxy/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int pt_pipe_open(struct pt_pipe *p, size_t room)
{
	*p = (struct pt_pipe){ .bytes = malloc(room), .room = room };
	return p->bytes ? 0 : -ENOMEM;
}

void pt_pipe_close(struct pt_pipe *p)
{
	free(p->bytes);
	*p = (struct pt_pipe){ 0 };
}

__u8 *pt_pipe_tail(struct pt_pipe *p)
{
	if (p->at) {
		memmove(p->bytes, p->bytes + p->at, pt_pipe_sz(p));
		p->end -= p->at;
		p->at = 0;
	}
	return p->bytes + p->end;
}

bool pt_pipe_put(struct pt_pipe *p, const void *bytes, size_t sz)
{
	if (sz > pt_pipe_free_sz(p))
		return false;
	memcpy(pt_pipe_tail(p), bytes, sz);
	p->end += sz;
	return true;
}

long pt_pipe_read(struct pt_pipe *p, int fd)
{
	__u8 *tail = pt_pipe_tail(p);
	ssize_t sz;

	do
		sz = recv(fd, tail, p->room - p->end, MSG_DONTWAIT);
	while (sz < 0 && errno == EINTR);
	if (sz < 0)
		return -errno;
	p->end += sz;
	return sz;
}

int pt_pipe_write(struct pt_pipe *p, int fd)
{
	while (p->at < p->end) {
		ssize_t sz = send(fd, p->bytes + p->at, p->end - p->at,
				  MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sz < 0 && errno == EINTR)
			continue;
		if (sz < 0)
			return errno == EAGAIN ? 0 : -errno;
		p->at += sz;
	}
	p->at = p->end = 0;
	return 0;
}
