// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/enter.h"

#ifdef __x86_64__
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/ptrace.h>

#include <pagetrim/clock.h>
#include "memory/proc.h"

#define PAUSE_NS	20000	/* between checks of a thread that stops */
#define LOOK_NS		1000000	/* between looks for a thread that waits */
#define CS_64		0x33	/* the code segment of 64-bit programs */
#define SYSCALL_SZ	2	/* bytes of the instruction */
#define USER_MODE_ONLY	1	/* see userfaultfd(2) */
#define CALLS_MAX	1000	/* calls of a signal handler that are let by */

/* The kernel's own codes of a call that is to be restarted. */
#define ERESTARTSYS		512
#define ERESTARTNOHAND		514
#define ERESTART_RESTARTBLOCK	516

struct entry {
	pid_t pid, tid;
	__u64 deadline_ns;
	struct user_regs_struct own;	/* at the entry of its own call */
	int signo;			/* that came and is to be delivered */
	const struct pt_track_moments *moments;
};

static void moment(const struct entry *e, unsigned int moment)
{
	if (e->moments)
		e->moments->at(e->moments->arg, moment);
}

/* --- which thread ----------------------------------------------------- */

/* waits_in returns the number of the system call in which the thread waits; -1:
 * in none. */
static long waits_in(pid_t pid, pid_t tid)
{
	char path[64], text[32];
	ssize_t got;
	long nr;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return sscanf(text, "%ld", &nr) == 1 ? nr : -1;
}

/* is_harmless: an early end of the call, with a result of 0 or more, is.  A futex
 * is none: glibc aborts the process if a wait returns a descriptor's number. */
static bool is_harmless(long nr)
{
	return nr == SYS_poll || nr == SYS_ppoll;
}

static int waiter_find(void *arg, pid_t tid)
{
	struct entry *e = arg;

	e->tid = tid;
	return is_harmless(waits_in(e->pid, tid));
}

static int filtered_find(void *arg, pid_t tid)
{
	(void)arg;
	return pt_proc_number(tid, "Seccomp:") > 0;
}

static int has_filter(const struct entry *e, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EACCES, "process %d: it has a "
			    "seccomp filter, which might kill it when it is "
			    "entered", e->pid);
}

static int not_permitted(const struct entry *e, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "process %d: not "
			    "permitted to trace it (run as root, or with "
			    "CAP_SYS_PTRACE)", e->pid);
}

/* may_trace: as the kernel judges who opens its memory. */
static bool may_trace(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno != EACCES && errno != EPERM;
	close(fd);
	return true;
}

static int gone(const struct entry *e, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
			    "process %d: it has ended", e->pid);
}

/* --- stops ------------------------------------------------------------ */

/* status_wait returns the status of the stopped thread; -ESRCH, -ETIMEDOUT. */
static int status_wait(struct entry *e)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int status;

	for (;;) {
		pid_t got = waitpid(e->tid, &status, __WALL | WNOHANG);

		if (got == e->tid)
			return WIFSTOPPED(status) ? status : -ESRCH;
		if (got < 0 && errno != EINTR)
			return -ESRCH;
		if (!pt_left_ms(e->deadline_ns))
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

/* release resumes the thread wherever it stands.  A thread that is not stopped
 * yet, after a timeout, is waited for: it would stay stopped otherwise. */
static void release(struct entry *e)
{
	if (!ptrace(PTRACE_DETACH, e->tid, 0, e->signo))
		return;
	ptrace(PTRACE_INTERRUPT, e->tid, 0, 0);
	if (waitpid(e->tid, NULL, __WALL) == e->tid)
		ptrace(PTRACE_DETACH, e->tid, 0, 0);
}

/* resume_to lets the thread run to the entry or the exit of a call.  Signals
 * are delivered as they come. */
static int resume_to(struct entry *e, int op)
{
	struct ptrace_syscall_info info;

	for (int i = 0; i < CALLS_MAX; i++) {
		int status;

		if (ptrace(PTRACE_SYSCALL, e->tid, 0, e->signo))
			return -ESRCH;
		e->signo = 0;
		status = status_wait(e);
		if (status < 0)
			return status;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			if (status >> 16 != PTRACE_EVENT_STOP)
				e->signo = WSTOPSIG(status);
			continue;
		}
		if (ptrace(PTRACE_GET_SYSCALL_INFO, e->tid, sizeof(info),
			   &info) <= 0 ||
		    ptrace(PTRACE_GETREGS, e->tid, 0, &e->own))
			return -ESRCH;
		if (info.op != op)
			continue;
		if (op == PTRACE_SYSCALL_INFO_EXIT ||
		    is_harmless(info.entry.nr) ||
		    info.entry.nr == SYS_restart_syscall)
			return 0;
	}
	return -ETIMEDOUT;
}

/* exchange has the thread do a call in place of its own, and leaves it before
 * its own.  Returns the result; -ESRCH and -ETIMEDOUT may be our own. */
static long exchange(struct entry *e, long nr, long argument,
		     unsigned int first_moment)
{
	struct user_regs_struct own, regs;
	long result;
	int code;

	code = resume_to(e, PTRACE_SYSCALL_INFO_ENTRY);
	if (code)
		return code;
	moment(e, first_moment);
	own = regs = e->own;
	regs.orig_rax = nr;
	regs.rdi = argument;
	if (ptrace(PTRACE_SETREGS, e->tid, 0, &regs))
		return -ESRCH;
	moment(e, first_moment + 1);
	code = resume_to(e, PTRACE_SYSCALL_INFO_EXIT);
	if (code)
		return code;
	result = e->own.rax;
	moment(e, first_moment + 2);
	own.rip -= SYSCALL_SZ;
	own.rax = own.orig_rax;
	own.orig_rax = -1;
	if (ptrace(PTRACE_SETREGS, e->tid, 0, &own))
		return -ESRCH;
	moment(e, first_moment + 3);
	return result;
}

/* --- the whole -------------------------------------------------------- */

/* is_restartable: the stopped thread was in a call that goes on by itself, of a
 * 64-bit program. */
static bool is_restartable(struct entry *e)
{
	struct user_regs_struct r;
	long insn;

	if (ptrace(PTRACE_GETREGS, e->tid, 0, &r))
		return false;
	errno = 0;
	insn = ptrace(PTRACE_PEEKTEXT, e->tid, r.rip - SYSCALL_SZ, 0);
	return !errno && (insn & 0xffff) == 0x050f && r.cs == CS_64 &&
	       (is_harmless(r.orig_rax) ||
		r.orig_rax == SYS_restart_syscall) &&
	       (r.rax == -(__u64)ERESTARTSYS ||
		r.rax == -(__u64)ERESTARTNOHAND ||
		r.rax == -(__u64)ERESTART_RESTARTBLOCK);
}

/* stop returns 1 once the thread is stopped in such a call, 0 if it left it
 * meanwhile, or -errno; then it is not ours. */
static int stop(struct entry *e, struct pt_error *err)
{
	int status, code = 0;

	if (ptrace(PTRACE_SEIZE, e->tid, 0, PTRACE_O_TRACESYSGOOD)) {
		long tracer = pt_proc_number(e->pid, "TracerPid:");

		if (errno == ESRCH)
			return 0;
		if (tracer > 0)
			return pt_error_set(err, PT_EXIT_HOST, -EPERM,
					    "process %d: process %ld traces it "
					    "already", e->pid, tracer);
		return not_permitted(e, err);
	}
	if (ptrace(PTRACE_INTERRUPT, e->tid, 0, 0))
		return 0;	/* ended */
	status = status_wait(e);
	if (status == -ESRCH)
		return 0;
	moment(e, PT_TRACK_MOMENT_STOPPED);
	if (status > 0 && status >> 16 != PTRACE_EVENT_STOP)
		e->signo = WSTOPSIG(status);
	else if (status > 0 && WSTOPSIG(status) == SIGTRAP && is_restartable(e))
		code = filtered_find(e, e->tid) ? has_filter(e, err) : 1;
	if (code <= 0)
		release(e);
	e->signo = 0;
	return code;
}

static int fetch(const struct entry *e, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, e->pid, 0);
	int got;

	if (pidfd < 0)
		return -errno;
	got = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	got = got < 0 ? -errno : got;
	close(pidfd);
	return got;
}

static int take(struct entry *e, struct pt_error *err)
{
	long theirs, ours, closed;

	theirs = exchange(e, SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY,
			  PT_TRACK_MOMENT_ENTRY);
	ours = theirs;
	if (theirs >= 0) {
		ours = fetch(e, theirs);
		moment(e, PT_TRACK_MOMENT_FETCHED);
		closed = exchange(e, SYS_close, theirs, PT_TRACK_MOMENT_CLOSE);
		/* Left open there, it would keep the protection for ever. */
		if (closed && ours >= 0) {
			close(ours);
			ours = closed;
		}
	}
	release(e);
	moment(e, PT_TRACK_MOMENT_RELEASED);
	if (ours == -ESRCH)
		return gone(e, err);
	if (ours < 0)
		return pt_error_set(err, PT_EXIT_HOST, ours, "process %d: a "
				    "userfaultfd of it: %s", e->pid,
				    strerror(-ours));
	return ours;
}

int pt_enter(pid_t pid, const struct pt_track_moments *moments,
	     struct pt_error *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	__u64 look_ns = pt_deadline_ns(PT_ENTER_LOOK_MS);
	struct entry e = { .pid = pid, .moments = moments };

	if (!may_trace(pid))
		return not_permitted(&e, err);
	do {
		int code = pt_proc_threads(pid, filtered_find, NULL);

		if (code > 0)
			return has_filter(&e, err);
		if (code < 0 || !pt_proc_thread_lives(pid, pid))
			return gone(&e, err);
		e.deadline_ns = pt_deadline_ns(PT_ENTER_STOP_MS);
		if (pt_proc_threads(pid, waiter_find, &e) == 1) {
			code = stop(&e, err);
			if (code)
				return code < 0 ? code : take(&e, err);
		}
		nanosleep(&pause, NULL);
	} while (pt_left_ms(look_ns));
	return pt_error_set(err, PT_EXIT_HOST, -EAGAIN, "process %d: no thread "
			    "of it waits in poll(2), or it is stopped", pid);
}

#else
#include <errno.h>

int pt_enter(pid_t pid, const struct pt_track_moments *moments,
	     struct pt_error *err)
{
	(void)moments;
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "process %d: on "
			    "this kind of machine no process is entered", pid);
}
#endif
