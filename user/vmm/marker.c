/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "memory/mappings.h"
#include "track/poison.h"
#include "vmm/aside.h"

#define ASK_FD		0	/* descriptors of the other process */
#define MAPS_FD		1

#define ANSWER_MS	30000	/* every process may have to be looked at */

#define KEPT (1ULL << CAP_SYS_PTRACE | 1ULL << CAP_DAC_READ_SEARCH)

struct pt_marker {
	pid_t pid;
	int fd;
};

struct answer {
	int code;
	struct pt_error err;
};

static bool take(int fd, void *to, size_t sz)
{
	while (sz) {
		ssize_t got = read(fd, to, sz);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to = (__u8 *)to + got;
		sz -= got;
	}
	return true;
}

static bool give(int fd, const void *from, size_t sz)
{
	while (sz) {
		ssize_t sent = send(fd, from, sz, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		from = (const __u8 *)from + sent;
		sz -= sent;
	}
	return true;
}

/* answer_one returns whether there may be another. */
static bool answer_one(pid_t pid)
{
	struct answer answer = { 0 };
	struct pt_poison_range *ranges;
	bool is_done;
	__u32 cnt;

	if (!take(ASK_FD, &cnt, sizeof(cnt)) || cnt > PT_MARKER_MAX)
		return false;
	ranges = calloc(cnt, sizeof(*ranges));
	is_done = ranges && take(ASK_FD, ranges, cnt * sizeof(*ranges));
	if (is_done) {
		answer.code = pt_poison(pid, MAPS_FD, ranges, cnt, &answer.err);
		is_done = give(ASK_FD, &answer, sizeof(answer));
	}
	free(ranges);
	return is_done;
}

/* marker_main: the process from which it was forked had one thread, so that memory
 * can be allocated. */
__attribute__((noreturn)) static void marker_main(int ask_fd, int maps, pid_t pid)
{
	int high_ask = fcntl(ask_fd, F_DUPFD, 3);
	int high_maps = fcntl(maps, F_DUPFD, 3);

	if (high_ask < 0 || high_maps < 0 || dup2(high_ask, ASK_FD) < 0 ||
	    dup2(high_maps, MAPS_FD) < 0 || close_range(2, ~0U, 0))
		_exit(1);
	pt_aside_begin("pt-mark", KEPT);
	while (answer_one(pid))
		continue;
	_exit(0);
}

static int start(struct pt_marker *m, pid_t pid)
{
	int pair[2], code = 0, maps = pt_mappings_open(pid);

	if (maps < 0)
		return maps == -ENOENT ? -ESRCH : maps;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		code = -errno;
		close(maps);
		return code;
	}
	m->pid = pt_aside_clone();
	if (!m->pid)
		marker_main(pair[1], maps, pid);
	if (m->pid < 0)
		code = -errno;
	close(maps);
	close(pair[1]);
	m->fd = pair[0];
	if (code)
		close(m->fd);
	return code;
}

int pt_marker_open(struct pt_marker **out, pid_t pid, struct pt_error *err)
{
	struct pt_marker *m;
	int code;

	*out = NULL;
	if (!pt_poison_is_offered())
		return 0;
	m = calloc(1, sizeof(*m));
	code = m ? start(m, pid) : -ENOMEM;
	if (code) {
		free(m);
		return pt_error_set(err, PT_EXIT_HOST, code, "process %d: cannot "
				    "prepare to mark its pages: %s", pid,
				    strerror(-code));
	}
	*out = m;
	return 0;
}

/* is_answered waits for the answer.  A process that does not give one is ended, so that
 * it marks nothing later. */
static bool is_answered(const struct pt_marker *m)
{
	struct pollfd in = { .fd = m->fd, .events = POLLIN };
	__u64 until = pt_deadline_ns(ANSWER_MS);
	int got;

	do
		got = poll(&in, 1, pt_left_ms(until));
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		kill(m->pid, SIGKILL);
	return got > 0;
}

int pt_marker_do(struct pt_marker *m, const struct pt_marker_range *ranges, __u32 cnt,
		 struct pt_error *err)
{
	struct answer answer;

	_Static_assert(sizeof(struct pt_marker_range) ==
		       sizeof(struct pt_poison_range), "one is read as the other");
	if (cnt > PT_MARKER_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "%u ranges of pages "
				    "that cannot be read: more than %u", cnt,
				    PT_MARKER_MAX);
	if (!give(m->fd, &cnt, sizeof(cnt)) ||
	    !give(m->fd, ranges, cnt * sizeof(*ranges)))
		answer.code = -EPIPE;
	else if (!is_answered(m))
		return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT, "pages that could "
				    "not be read at the source are not marked after "
				    "%d s: some process cannot be looked at or entered "
				    "(one in state D: see ps)", ANSWER_MS / 1000);
	else
		answer.code = take(m->fd, &answer, sizeof(answer)) ? answer.code
								   : -EPIPE;
	if (answer.code == -EPIPE)
		return pt_error_set(err, PT_EXIT_HOST, -EPIPE, "pages that could "
				    "not be read at the source cannot be marked: "
				    "the process pt-mark has ended");
	if (answer.code && err)
		*err = answer.err;
	return answer.code;
}

void pt_marker_close(struct pt_marker *m)
{
	if (!m)
		return;
	close(m->fd);
	while (waitpid(m->pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	free(m);
}
