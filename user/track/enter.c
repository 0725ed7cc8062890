// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "memory/proc.h"
#include "track/inject.h"

#define LOOK_NS		1000000	/* between looks for a thread that waits */
#define STACK_SZ	(256u << 10)

#ifdef __x86_64__
#define CAN_ENTER	true
#else
#define CAN_ENTER	false
#endif

/* --- which thread ----------------------------------------------------- */

/* shares_files: pidfd_getfd(2) reads the descriptors of the first thread. */
static bool shares_files(pid_t pid, pid_t tid)
{
	return tid == pid || syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) == 0;
}

static int waiter_find(void *arg, pid_t tid)
{
	struct pt_inject *in = arg;

	in->tid = tid;
	return pt_call_read(&in->call, in->pid, tid) &&
	       shares_files(in->pid, tid);
}

static int living_find(void *arg, pid_t tid)
{
	return pt_proc_thread_lives(*(const pid_t *)arg, tid);
}

static int filtered_find(void *arg, pid_t tid)
{
	(void)arg;
	return pt_proc_number(tid, "Seccomp:") > 0;
}

/* may_trace: as the kernel judges who opens its memory. */
static bool may_trace(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno != EACCES && errno != EPERM;
	close(fd);
	return true;
}

/* --- the tracer ------------------------------------------------------- */

static int tracer_main(void *arg)
{
	/* A stop of our process group, by the terminal, is not its own. */
	setpgid(0, 0);
	pt_inject(arg);
	return 0;
}

/* tracer_run has a process of its own do the work.  We wait for it without being
 * scheduled, so it may use this thread's errno. */
static int tracer_run(struct pt_inject *in)
{
	void *stack = mmap(NULL, STACK_SZ, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, before;
	int code = 0;
	pid_t pid;

	if (stack == MAP_FAILED)
		return -ENOMEM;
	in->how = PT_INJECTED_LOST;
	in->result = -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(tracer_main, (char *)stack + STACK_SZ,
		    CLONE_VM | CLONE_FILES | CLONE_VFORK, in);
	if (pid < 0)
		code = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	munmap(stack, STACK_SZ);
	return code;
}

/* --- the result ------------------------------------------------------- */

static int fail(pid_t pid, int code, const char *cause, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: %s", pid,
			    cause);
}

static int has_filter(pid_t pid, struct pt_error *err)
{
	return fail(pid, -EACCES, "it has a seccomp filter, which might kill it "
		    "when it is entered", err);
}

static int not_permitted(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "process %d: not permitted "
			    "to trace it%s", pid, pt_process_remedy(-EPERM));
}

static int gone(pid_t pid, struct pt_error *err)
{
	return fail(pid, -ESRCH, "it has ended", err);
}

static int barred(pid_t pid, struct pt_error *err)
{
	long tracer = pt_proc_number(pid, "TracerPid:");

	if (tracer <= 0)
		return not_permitted(pid, err);
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "process %d: process %ld "
			    "traces it already", pid, tracer);
}

static int done(const struct pt_inject *in, struct pt_error *err)
{
	if (in->result == -ESRCH)
		return gone(in->pid, err);
	if (in->result == -EPERM && in->also_kernel)
		return fail(in->pid, -EPERM, "it may not make a userfaultfd that gets "
			    "faults of the kernel, too (sysctl -w "
			    "vm.unprivileged_userfaultfd=1, or give it "
			    "CAP_SYS_PTRACE)", err);
	if (in->result < 0)
		return pt_error_set(err, PT_EXIT_HOST, in->result, "process %d: "
				    "%s: %s", in->pid, in->advised ? "madvise(2) in it"
				    : "a userfaultfd of it", strerror(-in->result));
	return in->result;
}

/* try_one has the thread do it.  Returns a descriptor, -errno, or -EAGAIN: the
 * thread left its call. */
static int try_one(struct pt_inject *in, struct pt_error *err)
{
	int code = tracer_run(in);

	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code == -EAGAIN ? -ENOMEM
				    : code, "process %d: no process can be "
				    "started to trace it: %s (memory, ulimit -u "
				    "or pids.max)", in->pid, strerror(-code));
	switch (in->how) {
	case PT_INJECTED_LEFT:
		return -EAGAIN;
	case PT_INJECTED_BARRED:
		return barred(in->pid, err);
	case PT_INJECTED_FILTERED:
		return has_filter(in->pid, err);
	case PT_INJECTED_LOST:
		if (in->result >= 0 && !in->advised)
			close(in->result);
		return fail(in->pid, -EINTR, "the process that traced it was "
			    "killed", err);
	case PT_INJECTED_DONE:
		break;
	}
	if (in->moments)
		in->moments->at(in->moments->arg, PT_TRACK_MOMENT_RELEASED);
	return done(in, err);
}

static int enter(struct pt_inject *in, struct pt_error *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	__u64 look_ns = pt_deadline_ns(PT_ENTER_LOOK_MS);
	pid_t pid = in->pid;
	bool has_first;

	if (!CAN_ENTER)
		return fail(pid, -EOPNOTSUPP, "on this kind of machine no "
			    "process is entered", err);
	if (!may_trace(pid))
		return not_permitted(pid, err);
	do {
		int code = pt_proc_threads(pid, filtered_find, NULL);

		if (code > 0)
			return has_filter(pid, err);
		if (code < 0 && code != -ESRCH)
			return fail(pid, code, strerror(-code), err);
		if (code < 0 || pt_proc_threads(pid, living_find, &pid) != 1)
			return gone(pid, err);
		has_first = pt_proc_thread_lives(pid, pid);
		if (has_first && pt_proc_threads(pid, waiter_find, in) == 1) {
			code = try_one(in, err);
			if (code != -EAGAIN)
				return code;
		}
		nanosleep(&pause, NULL);
	} while (pt_left_ms(look_ns));
	if (!has_first)
		return fail(pid, -EOPNOTSUPP, "its first thread has ended, and "
			    "the kernel shows its mappings no more", err);
	return fail(pid, -EAGAIN, "no thread of it waits in poll(2), or it is "
		    "stopped", err);
}

int pt_enter(pid_t pid, bool also_kernel, const struct pt_track_moments *moments,
	     struct pt_error *err)
{
	struct pt_inject in = {
		.pid = pid, .also_kernel = also_kernel, .moments = moments,
	};

	return enter(&in, err);
}

int pt_enter_advise(pid_t pid, const struct pt_enter_range *ranges, __u32 cnt,
		    int advice, struct pt_error *err)
{
	struct pt_inject in = {
		.pid = pid, .advised = ranges, .advised_cnt = cnt, .advice = advice,
	};

	return enter(&in, err);
}
