/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/collapse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/madvise.h"
#include "vmm/aside.h"

#define ASK_FD		0	/* descriptors of the other process */
#define PID_FD		1

#define KEPT (1ULL << CAP_SYS_PTRACE | 1ULL << CAP_SYS_NICE)

struct pt_collapser {
	pid_t pid;
	int fd;
};

/* ask: one packet. */
struct ask {
	__u64 addr;
	__u64 sz;
};

static int collapse(const struct ask *ask)
{
	struct iovec all = { (void *)(unsigned long)ask->addr, ask->sz };
	ssize_t done = syscall(SYS_process_madvise, PID_FD, &all, 1,
			       MADV_COLLAPSE, 0);

	return done < 0 ? -errno : 0;
}

__attribute__((noreturn)) static void collapse_main(int ask_fd, int pid_fd)
{
	int high_ask = fcntl(ask_fd, F_DUPFD, 3);
	int high_pid = fcntl(pid_fd, F_DUPFD, 3);
	struct ask ask;

	if (high_ask < 0 || high_pid < 0 || dup2(high_ask, ASK_FD) < 0 ||
	    dup2(high_pid, PID_FD) < 0 || close_range(2, ~0U, 0))
		_exit(1);
	pt_aside_begin("pt-collapse", KEPT);
	for (;;) {
		ssize_t got = read(ASK_FD, &ask, sizeof(ask));
		int result;

		if (got < 0 && errno == EINTR)
			continue;
		if (got != sizeof(ask))
			_exit(0);
		result = collapse(&ask);
		if (write(ASK_FD, &result, sizeof(result)) != sizeof(result))
			_exit(0);
	}
}

static int fail(struct pt_error *err, int code, pid_t pid)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: cannot "
			    "prepare large pages for it: %s", pid,
			    strerror(-code));
}

static int start(struct pt_collapser *c, pid_t pid)
{
	int pair[2], code = 0, pid_fd = syscall(SYS_pidfd_open, pid, 0);

	if (pid_fd < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		code = -errno;
		close(pid_fd);
		return code;
	}
	c->pid = pt_aside_clone();
	if (!c->pid)
		collapse_main(pair[1], pid_fd);
	if (c->pid < 0)
		code = -errno;
	close(pid_fd);
	close(pair[1]);
	c->fd = pair[0];
	if (code)
		close(c->fd);
	return code;
}

int pt_collapser_open(struct pt_collapser **out, pid_t pid,
		      struct pt_error *err)
{
	struct pt_collapser *c = calloc(1, sizeof(*c));
	int code = c ? start(c, pid) : -ENOMEM;

	if (code) {
		free(c);
		return fail(err, code, pid);
	}
	*out = c;
	return 0;
}

int pt_collapser_do(struct pt_collapser *c, __u64 addr, __u64 sz)
{
	const struct ask ask = { addr, sz };
	int result;
	ssize_t got;

	if (send(c->fd, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask))
		return -EPIPE;
	do
		got = read(c->fd, &result, sizeof(result));
	while (got < 0 && errno == EINTR);
	return got == sizeof(result) ? result : -EPIPE;
}

void pt_collapser_close(struct pt_collapser *c)
{
	if (!c)
		return;
	close(c->fd);
	while (waitpid(c->pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	free(c);
}
