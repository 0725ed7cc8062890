// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/inject.h"

#ifdef __x86_64__
#include <errno.h>
#include <fcntl.h>
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
#include "track/enter.h"

#define PAUSE_NS	20000	/* between checks of a thread that stops */
#define CS_64		0x33	/* the code segment of 64-bit programs */
#define SYSCALL_SZ	2	/* bytes of the instruction */
#define USER_MODE_ONLY	1	/* see userfaultfd(2) */
#define CALLS_MAX	1000	/* calls of a signal handler that are let by */
#define POLL_PLACE	"poll_schedule_timeout"	/* in the kernel */

/* The kernel's own codes of a call that is to be restarted. */
#define ERESTARTSYS		512
#define ERESTARTNOHAND		514
#define ERESTART_RESTARTBLOCK	516

/* tracing: of in->tid. */
struct tracing {
	struct pt_inject *in;
	__u64 deadline_ns;
	struct user_regs_struct own;	/* at the entry of its own call */
	int signo;			/* that came and is to be delivered */
};

static void moment(const struct tracing *t, unsigned int moment)
{
	if (t->in->moments)
		t->in->moments->at(t->in->moments->arg, moment);
}

/* --- which call ------------------------------------------------------- */

/* text_read reads a file of the thread, up to sz - 1 bytes of it. */
static bool text_read(pid_t pid, pid_t tid, const char *name, char *text,
		      size_t sz)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sz - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* is_harmless: an early end of the call, with a result of 0 or more, is.  A futex
 * is none: glibc aborts the process if a wait returns a descriptor's number. */
static bool is_harmless(long nr)
{
	return nr == SYS_poll || nr == SYS_ppoll;
}

static bool call_parse(struct pt_call *call, const char *text)
{
	return sscanf(text, "%ld %llx %llx %llx %llx %llx %llx %llx %llx",
		      &call->nr, &call->args[0], &call->args[1],
		      &call->args[2], &call->args[3], &call->args[4],
		      &call->args[5], &call->sp, &call->pc) == 9;
}

bool pt_call_read(struct pt_call *call, pid_t pid, pid_t tid)
{
	char text[256], place[64], again[256];

	if (!text_read(pid, tid, "syscall", text, sizeof(text)) ||
	    !call_parse(call, text))
		return false;
	if (is_harmless(call->nr))
		return true;
	/* A poll(2) that was interrupted goes on by this name, but so do other
	 * calls. */
	return call->nr == SYS_restart_syscall &&
	       text_read(pid, tid, "wchan", place, sizeof(place)) &&
	       !strncmp(place, POLL_PLACE, strlen(POLL_PLACE)) &&
	       text_read(pid, tid, "syscall", again, sizeof(again)) &&
	       !strcmp(text, again);
}

/* is_same: the registers are those of the call that was seen. */
static bool is_same(const struct pt_call *call,
		    const struct user_regs_struct *r)
{
	return (long)r->orig_rax == call->nr && r->rdi == call->args[0] &&
	       r->rsi == call->args[1] && r->rdx == call->args[2] &&
	       r->rsp == call->sp && r->rip == call->pc;
}

/* is_filtered looks for "Seccomp:" in the thread's status, which may be long. */
static bool is_filtered(const struct tracing *t)
{
	static const char key[] = "\nSeccomp:\t";
	const size_t keep = sizeof(key);	/* the key, and one byte more */
	char path[64], text[1024];
	bool is_clear = false, is_set = false;
	size_t kept = 0;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", t->in->pid,
		 t->in->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	while ((got = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
		const char *at;

		text[kept + got] = '\0';
		at = strstr(text, key);
		if (at && at[sizeof(key) - 1]) {
			is_clear = at[sizeof(key) - 1] == '0';
			is_set = !is_clear;
			break;
		}
		kept += got;
		if (kept > keep) {
			memmove(text, text + kept - keep, keep);
			kept = keep;
		}
	}
	close(fd);
	return is_set || (got < 0 && !is_clear);
}

/* --- stops ------------------------------------------------------------ */

/* status_wait returns the status of the stopped thread; -ESRCH, -ETIMEDOUT. */
static int status_wait(struct tracing *t)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int status;

	for (;;) {
		pid_t got = waitpid(t->in->tid, &status, __WALL | WNOHANG);

		if (got == t->in->tid)
			return WIFSTOPPED(status) ? status : -ESRCH;
		if (got < 0 && errno != EINTR)
			return -ESRCH;
		if (!pt_left_ms(t->deadline_ns))
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

/* signal_of returns the signal that a stop holds back. */
static int signal_of(int status)
{
	if (status < 0 || status >> 16 == PTRACE_EVENT_STOP ||
	    WSTOPSIG(status) == (SIGTRAP | 0x80))
		return 0;
	return WSTOPSIG(status);
}

/* release resumes the thread wherever it is.  After a timeout it runs, and has
 * to stop first.  If it does not, the kernel releases it when we end. */
static void release(struct tracing *t)
{
	int status;

	if (!ptrace(PTRACE_DETACH, t->in->tid, 0, t->signo))
		return;
	t->deadline_ns = pt_deadline_ns(PT_ENTER_STOP_MS);
	ptrace(PTRACE_INTERRUPT, t->in->tid, 0, 0);
	status = status_wait(t);
	if (status > 0)
		ptrace(PTRACE_DETACH, t->in->tid, 0, signal_of(status));
}

/* is_own: at the entry of a call, whether it may be exchanged. */
static bool is_own(const struct tracing *t)
{
	return is_harmless(t->own.orig_rax) ||
	       (t->own.orig_rax == SYS_restart_syscall &&
		t->own.rsp == t->in->call.sp && t->own.rip == t->in->call.pc);
}

/* resume_to lets the thread run to the entry or the exit of a call.  Signals
 * are delivered as they come. */
static int resume_to(struct tracing *t, int op)
{
	struct ptrace_syscall_info info;
	pid_t tid = t->in->tid;

	t->deadline_ns = pt_deadline_ns(PT_ENTER_STOP_MS);
	for (int i = 0; i < CALLS_MAX; i++) {
		int status;

		if (ptrace(PTRACE_SYSCALL, tid, 0, t->signo))
			return -ESRCH;
		t->signo = 0;
		status = status_wait(t);
		if (status < 0)
			return status;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			t->signo = signal_of(status);
			continue;
		}
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info),
			   &info) <= 0 ||
		    ptrace(PTRACE_GETREGS, tid, 0, &t->own))
			return -ESRCH;
		if (info.op != op)
			continue;
		if (op == PTRACE_SYSCALL_INFO_EXIT || is_own(t))
			return 0;
	}
	return -ETIMEDOUT;
}

/* exchange has the thread do a call in place of its own, and leaves it before
 * its own.  Returns the result; -ESRCH and -ETIMEDOUT may be our own. */
static long exchange(struct tracing *t, long nr, const __u64 args[3],
		     unsigned int first_moment)
{
	struct user_regs_struct own, regs;
	pid_t tid = t->in->tid;
	long result;
	int code;

	code = resume_to(t, PTRACE_SYSCALL_INFO_ENTRY);
	if (code)
		return code;
	moment(t, first_moment);
	own = regs = t->own;
	regs.orig_rax = nr;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs))
		return -ESRCH;
	moment(t, first_moment + 1);
	code = resume_to(t, PTRACE_SYSCALL_INFO_EXIT);
	if (code)
		return code;
	result = t->own.rax;
	moment(t, first_moment + 2);
	own.rip -= SYSCALL_SZ;
	own.rax = own.orig_rax;
	own.orig_rax = -1;
	if (ptrace(PTRACE_SETREGS, tid, 0, &own))
		return -ESRCH;
	moment(t, first_moment + 3);
	return result;
}

/* --- the whole -------------------------------------------------------- */

/* is_restartable: the stopped thread was in the call that was seen, which goes on
 * by itself, and is of a 64-bit program. */
static bool is_restartable(const struct tracing *t)
{
	struct user_regs_struct r;
	long insn;

	if (ptrace(PTRACE_GETREGS, t->in->tid, 0, &r))
		return false;
	errno = 0;
	insn = ptrace(PTRACE_PEEKTEXT, t->in->tid, r.rip - SYSCALL_SZ, 0);
	return !errno && (insn & 0xffff) == 0x050f && r.cs == CS_64 &&
	       is_same(&t->in->call, &r) &&
	       (r.rax == -(__u64)ERESTARTSYS ||
		r.rax == -(__u64)ERESTARTNOHAND ||
		r.rax == -(__u64)ERESTART_RESTARTBLOCK);
}

/* stop returns DONE once the thread is stopped in its call; else it is not
 * traced any more. */
static enum pt_injected stop(struct tracing *t)
{
	enum pt_injected how = PT_INJECTED_LEFT;
	pid_t tid = t->in->tid;
	int status;

	if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD))
		return errno == ESRCH ? PT_INJECTED_LEFT : PT_INJECTED_BARRED;
	t->deadline_ns = pt_deadline_ns(PT_ENTER_STOP_MS);
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		return PT_INJECTED_LEFT;	/* ended */
	status = status_wait(t);
	if (status == -ESRCH)
		return PT_INJECTED_LEFT;
	moment(t, PT_TRACK_MOMENT_STOPPED);
	t->signo = signal_of(status);
	if (status > 0 && !t->signo && WSTOPSIG(status) == SIGTRAP &&
	    is_restartable(t))
		how = is_filtered(t) ? PT_INJECTED_FILTERED : PT_INJECTED_DONE;
	if (how != PT_INJECTED_DONE)
		release(t);
	t->signo = 0;
	return how;
}

static long fetch(const struct tracing *t, long theirs)
{
	int pidfd = syscall(SYS_pidfd_open, t->in->pid, 0);
	long got;

	if (pidfd < 0)
		return -errno;
	got = syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	got = got < 0 ? -errno : got;
	close(pidfd);
	return got;
}

static long take(struct tracing *t)
{
	const __u64 flags[3] = {
		t->in->also_kernel ? O_CLOEXEC : O_CLOEXEC | USER_MODE_ONLY,
	};
	long theirs, ours, closed;

	theirs = exchange(t, SYS_userfaultfd, flags, PT_TRACK_MOMENT_ENTRY);
	if (theirs < 0)
		return theirs;
	ours = fetch(t, theirs);
	t->in->result = ours;	/* the caller's, if we are killed */
	moment(t, PT_TRACK_MOMENT_FETCHED);
	closed = exchange(t, SYS_close, (const __u64[3]){ theirs },
			  PT_TRACK_MOMENT_CLOSE);
	/* Left open there, it would keep the protection for ever. */
	if (closed && ours >= 0) {
		close(ours);
		ours = closed;
	}
	return ours;
}

static long advise(struct tracing *t)
{
	long result = 0;

	for (__u32 i = 0; !result && i < t->in->advised_cnt; i++) {
		const struct pt_enter_range *r = &t->in->advised[i];

		result = exchange(t, SYS_madvise,
				  (const __u64[3]){ r->addr, r->sz, t->in->advice },
				  PT_TRACK_MOMENT_ENTRY);
	}
	return result;
}

void pt_inject(struct pt_inject *in)
{
	struct tracing t = { .in = in };
	enum pt_injected how = stop(&t);

	if (how == PT_INJECTED_DONE) {
		in->result = in->advised ? advise(&t) : take(&t);
		release(&t);
	}
	in->how = how;		/* last: we may be killed at any moment */
}

#else

bool pt_call_read(struct pt_call *call, pid_t pid, pid_t tid)
{
	(void)call;
	(void)pid;
	(void)tid;
	return false;
}

void pt_inject(struct pt_inject *in)
{
	in->how = PT_INJECTED_LEFT;
}
#endif
