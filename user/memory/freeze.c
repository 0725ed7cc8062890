// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/freeze.h"

#include <errno.h>
#include <linux/types.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "base/files.h"
#include "memory/proc.h"

#define POLL_NS		200000	/* between checks of a stopping thread */
#define FROZEN_POLLS	250	/* checks, 50 ms, between looks at its cgroup */
#define RELEASE_MS	1000	/* for killed threads to end */

struct thread {
	pid_t tid;
	int signo;	/* to deliver on release, or 0 */
	bool is_frozen;	/* by its cgroup: it stops for us once that thaws */
};

struct pt_freeze {
	pid_t pid;
	pid_t owner;		/* the thread that must release it */
	struct thread *threads;	/* the first sorted_cnt ascend in tid */
	__u32 thread_cnt, sorted_cnt, capacity;
	bool is_frozen;		/* by its cgroup, at the last look */
	__u64 deadline_ns;
	struct pt_error *err;	/* of pt_freeze_take */
};

static int thread_cmp(const void *a, const void *b)
{
	const struct thread *left = a, *right = b;

	return (left->tid > right->tid) - (left->tid < right->tid);
}

static int not_permitted(const struct pt_freeze *f)
{
	long tracer = pt_proc_number(f->pid, "TracerPid:");

	if (tracer > 0)
		return pt_error_set(f->err, PT_EXIT_HOST, -EPERM,
				    "process %d: process %ld traces it already "
				    "(end that debugger first)", f->pid,
				    tracer);
	return pt_error_set(f->err, PT_EXIT_HOST, -EPERM,
			    "process %d: not permitted to stop and read it%s",
			    f->pid, pt_trace_remedy());
}

/* stop_wait waits until the thread has stopped, at most to the deadline.
 * Returns 1, or 0 if it ended instead.  A thread that its cgroup froze does not
 * stop before that thaws, and then before it runs: it is as good as stopped. */
static int stop_wait(struct pt_freeze *f, struct thread *t)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	int status;

	for (__u32 polls = 1;; polls++) {
		pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);

		if (got == t->tid)
			break;
		if (got < 0 && errno != EINTR)
			return 0;
		if (!pt_left_ms(f->deadline_ns))
			return pt_error_set(f->err, PT_EXIT_HOST, -ETIMEDOUT,
					    "process %d: its thread %d does "
					    "not stop within %d s (see "
					    "/proc/%d/task/%d/stack)", f->pid,
					    t->tid, PT_FREEZE_TIMEOUT_MS / 1000,
					    f->pid, t->tid);
		if (f->is_frozen || polls % FROZEN_POLLS == 0)
			f->is_frozen = pt_proc_is_frozen(f->pid);
		t->is_frozen = f->is_frozen;
		if (t->is_frozen)
			return 1;
		nanosleep(&pause, NULL);
	}
	if (!WIFSTOPPED(status))
		return 0;
	/* A signal that came before our interrupt must not be lost. */
	if (status >> 16 != PTRACE_EVENT_STOP)
		t->signo = WSTOPSIG(status);
	return 1;
}

static int thread_add(struct pt_freeze *f, const struct thread *t)
{
	__u32 capacity = f->capacity ? 2 * f->capacity : 64;
	struct thread *threads;

	if (f->thread_cnt == f->capacity) {
		threads = realloc(f->threads, capacity * sizeof(threads[0]));
		if (!threads)
			return -ENOMEM;
		f->threads = threads;
		f->capacity = capacity;
	}
	f->threads[f->thread_cnt++] = *t;
	return 0;
}

/* thread_take stops a thread that is not stopped yet.  A thread that ends
 * meanwhile is skipped. */
static int thread_take(void *arg, pid_t tid)
{
	struct thread t = { .tid = tid };
	struct pt_freeze *f = arg;
	int code;

	if (f->sorted_cnt && bsearch(&t, f->threads, f->sorted_cnt, sizeof(t),
				     thread_cmp))
		return 0;
	if (ptrace(PTRACE_SEIZE, tid, 0, 0)) {
		if (errno == ESRCH || !pt_proc_thread_lives(f->pid, tid))
			return 0;
		return not_permitted(f);
	}
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		return 0;	/* ended */
	code = stop_wait(f, &t);
	if (code > 0 && thread_add(f, &t)) {
		ptrace(PTRACE_DETACH, tid, 0, t.signo);
		return pt_error_set(f->err, PT_EXIT_HOST, -ENOMEM,
				    "process %d: no memory to stop it", f->pid);
	}
	return code < 0 ? code : 0;
}

int pt_freeze_take(struct pt_freeze **out, pid_t pid, struct pt_error *err)
{
	struct pt_freeze *f = calloc(1, sizeof(*f));
	int code;

	if (!f)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "process %d: no memory to stop it", pid);
	f->pid = pid;
	f->owner = gettid();
	f->err = err;
	f->deadline_ns = pt_deadline_ns(PT_FREEZE_TIMEOUT_MS);

	/* A running thread may start others, so passes continue until one finds
	 * no new thread, at most to the deadline. */
	do {
		f->sorted_cnt = f->thread_cnt;
		if (f->thread_cnt)
			qsort(f->threads, f->thread_cnt, sizeof(f->threads[0]),
			      thread_cmp);
		code = pt_proc_threads(pid, thread_take, f);
		if (!code && !pt_left_ms(f->deadline_ns))
			code = pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT,
					    "process %d: starts threads faster "
					    "than they are stopped", pid);
	} while (!code && f->thread_cnt > f->sorted_cnt);
	if (!code && !f->thread_cnt)
		code = -ESRCH;
	if (code == -ESRCH)
		pt_error_set(err, PT_EXIT_HOST, code,
			     "process %d: it went away", pid);
	if (code) {
		pt_freeze_release(f);
		return code;
	}
	f->err = NULL;
	*out = f;
	return 0;
}

/* reap_killed waits for threads that were killed meanwhile and so could not be
 * released: each stays a zombie, and its process with it, until its tracer
 * waits for it.  The first thread of a process can only be reaped after the
 * others, hence the rounds; RELEASE_MS bounds them. */
static void reap_killed(struct pt_freeze *f)
{
	bool left = f->thread_cnt > 0;

	for (int ms = 0; left && ms < RELEASE_MS; ms++) {
		left = false;
		for (__u32 i = 0; i < f->thread_cnt; i++)
			left |= !waitpid(f->threads[i].tid, NULL,
					 __WALL | WNOHANG);
		if (left)
			usleep(1000);
	}
}

void pt_freeze_release(struct pt_freeze *f)
{
	__u32 killed_cnt = 0;

	if (!f)
		return;
	pt_check(f->owner == gettid());
	for (__u32 i = 0; i < f->thread_cnt; i++) {
		const struct thread t = f->threads[i];

		if (ptrace(PTRACE_DETACH, t.tid, 0, t.signo) && !t.is_frozen)
			f->threads[killed_cnt++] = t;
	}
	f->thread_cnt = killed_cnt;
	reap_killed(f);
	free(f->threads);
	free(f);
}
