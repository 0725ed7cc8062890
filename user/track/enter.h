/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* enter: a userfaultfd out of another process, which notices nothing.
 *
 * One thread of the process waits in poll(2) or ppoll(2): calls that the kernel
 * restarts, and of which an early end without a result is harmless.  That call is exchanged for userfaultfd(2) at its
 * entry and done again afterwards; likewise for close(2), once the descriptor
 * was fetched by pidfd_getfd(2).
 *
 *     SEIZE, INTERRUPT --> entry: exchange --> exit: its own call again
 *          --> fetch --> entry: exchange --> exit: its own call again --> DETACH
 *
 * The kernel resumes the process if we are killed at any moment.  At the worst
 * its call ends early, and an unused descriptor stays open there.
 *
 * Source: ptrace(2), pidfd_getfd(2); x86-64 only.
 */
#ifndef TRACK_ENTER_H
#define TRACK_ENTER_H

#include <sys/types.h>
#include <pagetrim/error.h>
#include "track/tracker.h"

#define PT_ENTER_LOOK_MS	1000	/* for a thread to wait */
#define PT_ENTER_STOP_MS	5000	/* for it to stop and to do a call */

/* pt_enter returns a new userfaultfd of the address space of process pid, or
 *   -EACCES      it has a seccomp filter
 *   -EPERM       not permitted to trace it, or another process traces it
 *   -EAGAIN      no thread of it waits so, or it is stopped
 *   -ESRCH       it ended
 *   -ETIMEDOUT   a call in it took too long
 *   -EOPNOTSUPP  it is no x86-64 process
 *   other        userfaultfd(2) or pidfd_getfd(2) failed so: -EMFILE, ... */
int pt_enter(pid_t pid, const struct pt_track_moments *moments,
	     struct pt_error *err);

#endif
