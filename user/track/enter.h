/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* enter: a userfaultfd out of another process, or a call of madvise(2) there, which
 * it does not notice.  See track/inject.h for how.
 *
 * A process of our own traces it, which blocks all signals, shares our memory
 * and descriptors, and ends within some ms, also if we are stopped or killed
 * meanwhile.  The calling thread waits for it.  It is no ancestor of the other
 * process, so that with Yama's ptrace_scope 1 CAP_SYS_PTRACE is needed.
 */
#ifndef TRACK_ENTER_H
#define TRACK_ENTER_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "track/tracker.h"

#define PT_ENTER_LOOK_MS	1000	/* for a thread to wait */
#define PT_ENTER_STOP_MS	5000	/* for it to stop and to do a call */

/* pt_enter returns a new userfaultfd of the address space of process pid.
 * also_kernel: it gets the faults of the kernel there, too, as of a read(2) into that
 * memory; for this the process needs CAP_SYS_PTRACE, or sysctl
 * vm.unprivileged_userfaultfd=1.  Errors:
 *   -EACCES      it has a seccomp filter
 *   -EPERM       not permitted to trace it, or another process traces it, or also_kernel
 *                and it may not make such a one
 *   -EAGAIN      no thread of it waits so, or it is stopped
 *   -ESRCH       it ended
 *   -ETIMEDOUT   a call in it took too long
 *   -EINTR       the process that traced it was killed
 *   -EOPNOTSUPP  this machine is no x86-64, or the first thread has ended
 *   other        userfaultfd(2) or pidfd_getfd(2) failed so: -EMFILE, ... */
int pt_enter(pid_t pid, bool also_kernel, const struct pt_track_moments *moments,
	     struct pt_error *err);

struct pt_enter_range {
	__u64 addr, sz;		/* in the process; multiples of the size of a page */
};

/* pt_enter_advise calls madvise(2) in process pid, for one range after the other, until
 * one fails.  Errors as pt_enter, or as madvise(2). */
int pt_enter_advise(pid_t pid, const struct pt_enter_range *ranges, __u32 cnt,
		    int advice, struct pt_error *err);

#endif
