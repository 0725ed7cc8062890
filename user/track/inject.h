/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* inject: one thread of another process makes a userfaultfd, or calls madvise(2), and
 * notices nothing.
 *
 * The thread waits in poll(2) or ppoll(2), calls that the kernel restarts, and of
 * which an early end without a result is harmless.  That call is exchanged for
 * userfaultfd(2) at its entry and done again afterwards; likewise for close(2),
 * once the descriptor was fetched by pidfd_getfd(2).
 *
 *     SEIZE, INTERRUPT --> entry: exchange --> exit: its own call again
 *          --> fetch --> entry: exchange --> exit: its own call again --> DETACH
 *
 * The kernel resumes the thread if the tracer ends at any moment.  At the worst
 * its call ends early, and an unused descriptor stays open there.
 *
 * Threads: the tracer must be a process of its own, which ends afterwards: a
 * stop of ours must not stop the thread, nor our wait take the status of a
 * child.  It shares our memory, so nothing here takes a lock or memory.
 * Source: ptrace(2), pidfd_getfd(2); x86-64 only.
 */
#ifndef TRACK_INJECT_H
#define TRACK_INJECT_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include "track/tracker.h"

/* pt_call: a system call in which a thread waits, as /proc/PID/task/TID/syscall
 * has it. */
struct pt_call {
	long nr;
	__u64 args[6], sp, pc;
};

/* pt_call_read returns whether the thread waits in a call that may be exchanged,
 * and stores it. */
bool pt_call_read(struct pt_call *call, pid_t pid, pid_t tid);

struct pt_enter_range;

enum pt_injected {
	PT_INJECTED_LOST,	/* the tracer was killed; result may be open */
	PT_INJECTED_LEFT,	/* the thread left its call: nothing was done */
	PT_INJECTED_BARRED,	/* it cannot be traced */
	PT_INJECTED_FILTERED,	/* it has a seccomp filter */
	PT_INJECTED_DONE,	/* see result */
};

struct pt_inject {
	pid_t pid, tid;
	bool also_kernel;	/* see pt_enter */
	const struct pt_enter_range *advised;	/* see pt_enter_advise; NULL: a */
	__u32 advised_cnt;			/* userfaultfd is made */
	int advice;
	struct pt_call call;
	const struct pt_track_moments *moments;
	enum pt_injected how;
	long result;		/* a descriptor of ours; of madvise 0; or -errno */
};

/* pt_inject is the work of the tracer: it fills how and result. */
void pt_inject(struct pt_inject *in);

#endif
