/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The client of a control socket: one request, one answer. */
#include "ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/clock.h>

static int fail(struct pt_error *err, const char *path, int code)
{
	char own[PT_ERROR_OWN_SZ];
	const char *remedy = "";

	switch (code) {
	case -ENOENT:
		remedy = " (a transfer with {control} PATH makes it; it goes "
			 "when that ends)";
		break;
	case -ECONNREFUSED:
		remedy = " (nobody listens there: no socket, or that of a "
			 "process that was killed)";
		break;
	case -EACCES:
	case -ECONNRESET:
	case -EPIPE:
		remedy = " (ask as root, or as the user that its process runs "
			 "as, while it runs)";
		break;
	case -EPERM:
		remedy = " (another user listens there than the one whose "
			 "folder it is in)";
		break;
	case -EAGAIN:
		remedy = " (too many ask at once: try again)";
		break;
	}
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s%s", path,
			    strerror(-code), pt_error_own(own, remedy));
}

static bool is_of(int fd, uid_t of)
{
	struct ucred cred;
	socklen_t sz = sizeof(cred);

	return of == PT_CTL_ANYBODY ||
	       (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &sz) &&
		cred.uid == of);
}

static int connect_to(const char *path, uid_t of, struct pt_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, code;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return fail(err, path, -ENAMETOOLONG);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(err, path, -errno);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		code = -errno;
	else if (is_of(fd, of))
		return fd;
	else
		code = -EPERM;
	close(fd);
	return fail(err, path, code);
}

/* read_line returns -EPROTO for more bytes than an answer has, or for an end
 * without an answer.  The time limit also holds for a peer that answers byte by
 * byte. */
static int read_line(int fd, char answer[PT_CTL_ANSWER_SZ], int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	__u64 deadline = pt_deadline_ns(timeout_ms);
	size_t sz = 0;

	while (sz < PT_CTL_ANSWER_SZ) {
		ssize_t got;

		if (!pt_left_ms(deadline))
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, pt_left_ms(deadline)) <= 0)
			continue;	/* a signal, or the timeout */
		got = recv(fd, answer + sz, PT_CTL_ANSWER_SZ - sz, 0);
		if (got < 0)
			return -errno;
		if (!got)
			return sz ? -EPROTO : -ECONNRESET;
		sz += got;
		if (answer[sz - 1] == '\n') {
			answer[sz - 1] = '\0';
			return 0;
		}
	}
	return -EPROTO;
}

int pt_ctl_ask(const char *path, uid_t of, const char *line,
	       char answer[PT_CTL_ANSWER_SZ], int timeout_ms,
	       struct pt_error *err)
{
	char request[PT_CTL_LINE_SZ];
	int sz = snprintf(request, sizeof(request), "%s\n", line);
	int fd, ret;

	if (sz >= (int)sizeof(request))
		return fail(err, path, -EMSGSIZE);
	fd = connect_to(path, of, err);
	if (fd < 0)
		return fd;
	ret = send(fd, request, sz, MSG_NOSIGNAL) == sz
		? read_line(fd, answer, timeout_ms) : -errno;
	close(fd);
	if (ret == -ETIMEDOUT)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: no answer for "
				    "%d s (a sender has none before it is "
				    "connected; is the process stopped?)", path,
				    timeout_ms / 1000);
	if (ret == -EPROTO)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: not an "
				    "answer of pagetrim (is it the PATH of "
				    "{control}?)", path);
	return ret ? fail(err, path, ret) : 0;
}
