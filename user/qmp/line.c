/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "qmp/line.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "qmp/qmp.h"

#define CAP_MIN	4096

int pt_qmp_line_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, code;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	code = -errno;
	close(fd);
	return code;
}

/* ready waits for events on the socket. */
static int ready(const struct pt_qmp_line *l, short events, __u64 deadline_ns)
{
	struct pollfd poll_fd = { .fd = l->fd, .events = events };

	for (;;) {
		int ms = pt_left_ms(deadline_ns);
		int got = poll(&poll_fd, 1, ms);

		if (got > 0)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (!ms)
			return -ETIMEDOUT;
	}
}

static int make_room(struct pt_qmp_line *l)
{
	size_t cap = l->cap ? 2 * l->cap : CAP_MIN;
	char *buf;

	if (l->sz < l->cap)
		return 0;
	if (cap > PT_QMP_LINE_MAX)
		return -EPROTO;
	buf = realloc(l->buf, cap);
	if (!buf)
		return -ENOMEM;
	l->buf = buf;
	l->cap = cap;
	return 0;
}

/* receive adds bytes to the buffer. */
static int receive(struct pt_qmp_line *l, __u64 deadline_ns)
{
	int code = make_room(l);
	ssize_t got;

	if (code)
		return code;
	for (;;) {
		got = recv(l->fd, l->buf + l->sz, l->cap - l->sz,
			   MSG_DONTWAIT);
		if (got > 0) {
			l->sz += got;
			return 0;
		}
		if (!got)
			return -ECONNRESET;
		if (errno == EAGAIN)
			code = ready(l, POLLIN, deadline_ns);
		else if (errno != EINTR)
			code = -errno;
		if (code)
			return code;
	}
}

int pt_qmp_line_take(struct pt_qmp_line *l, __u64 deadline_ns,
		     const char **bytes, size_t *sz)
{
	const char *end;
	int code;

	if (l->taken) {
		l->sz -= l->taken;
		memmove(l->buf, l->buf + l->taken, l->sz);
		l->taken = 0;
	}
	while (l->seen == l->sz ||
	       !(end = memchr(l->buf + l->seen, '\n', l->sz - l->seen))) {
		l->seen = l->sz;
		code = receive(l, deadline_ns);
		if (code)
			return code;
	}
	*bytes = l->buf;
	*sz = end - l->buf;
	l->taken = *sz + 1;
	l->seen = 0;
	return 0;
}

int pt_qmp_line_send(const struct pt_qmp_line *l, __u64 deadline_ns,
		     const char *text, int pass_fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	size_t sz = strlen(text), sent = 0;

	while (sent < sz) {
		struct iovec part = {
			.iov_base = (char *)text + sent, .iov_len = sz - sent,
		};
		struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
		ssize_t got;
		int code;

		if (pass_fd >= 0 && !sent) {
			msg.msg_control = &control;
			msg.msg_controllen = sizeof(control);
			control.head.cmsg_level = SOL_SOCKET;
			control.head.cmsg_type = SCM_RIGHTS;
			control.head.cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(&control.head), &pass_fd, sizeof(int));
		}
		got = sendmsg(l->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (got >= 0) {
			sent += got;
			continue;
		}
		if (errno == EINTR)
			continue;
		code = errno == EAGAIN ? ready(l, POLLOUT, deadline_ns)
				       : -errno;
		if (code)
			return sent ? -EPIPE : code;
	}
	return 0;
}

void pt_qmp_line_close(struct pt_qmp_line *l)
{
	free(l->buf);
	close(l->fd);
}
