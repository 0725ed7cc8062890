/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "postcopy/lookout.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "vmm/aside.h"

#define LOOK_MS	10000		/* for one look */
#define ASK_FD	0		/* of the other process */
#define KEPT	(1ULL << CAP_SYS_PTRACE)

struct answer {
	int code;
	struct pt_lazy_sight sight;
	struct pt_error err;
};

/* lookout_main: the process from which it was forked had one thread, so that memory can
 * be allocated. */
__attribute__((noreturn)) static void
lookout_main(int fd, pid_t vmm, const struct pt_lazy_region *regions, __u32 cnt)
{
	char ask;

	if (dup2(fd, ASK_FD) < 0 || close_range(1, ~0U, 0))
		_exit(1);
	pt_aside_begin("pt-lookout", KEPT);
	for (;;) {
		struct answer answer = { 0 };
		ssize_t got = recv(ASK_FD, &ask, sizeof(ask), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			_exit(0);
		answer.code = pt_lazy_mappers_look(&answer.sight, vmm, regions, cnt,
						   &answer.err);
		if (send(ASK_FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			_exit(0);
	}
}

int pt_lookout_start(struct pt_lookout *l, pid_t vmm,
		     const struct pt_lazy_region *regions, __u32 cnt)
{
	int pair[2], code;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	l->pid = pt_aside_clone();
	if (!l->pid)
		lookout_main(pair[1], vmm, regions, cnt);
	code = l->pid < 0 ? -errno : 0;
	close(pair[1]);
	l->fd = pair[0];
	if (!code)
		return 0;
	close(pair[0]);
	l->pid = 0;
	return code;
}

static int ask(struct pt_lookout *l, struct answer *answer)
{
	struct pollfd in = { .fd = l->fd, .events = POLLIN };
	__u64 until = pt_deadline_ns(LOOK_MS);
	int got;

	if (!l->pid || send(l->fd, "", 1, MSG_NOSIGNAL) != 1)
		return -EPIPE;
	do
		got = poll(&in, 1, pt_left_ms(until));
	while (got < 0 && errno == EINTR);
	if (!got)
		return -ETIMEDOUT;
	return recv(l->fd, answer, sizeof(*answer), 0) == sizeof(*answer)
		? answer->code : -EPIPE;
}

int pt_lookout_look(struct pt_lookout *l, struct pt_lazy_sight *sight,
		    struct pt_error *err)
{
	struct answer answer = { 0 };
	int code = ask(l, &answer);

	*sight = answer.sight;
	if (code == -EPIPE)
		return pt_error_set(err, PT_EXIT_HOST, code, "the mappers of the guest's "
				    "memory are not known: the process pt-lookout has "
				    "ended");
	if (code == -ETIMEDOUT) {
		pt_lookout_end(l);
		return pt_error_set(err, PT_EXIT_HOST, code, "the mappers of the guest's "
				    "memory are not known after %d s: some process cannot "
				    "be looked at (one in state D: see ps)", LOOK_MS / 1000);
	}
	if (code && err)
		*err = answer.err;
	return code;
}

void pt_lookout_end(struct pt_lookout *l)
{
	if (!l->pid)
		return;
	close(l->fd);
	kill(l->pid, SIGKILL);
	while (waitpid(l->pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	l->pid = 0;
}
