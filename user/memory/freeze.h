/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* freeze: stops all threads of a process, at most while this process lives.
 *
 * It uses ptrace(2) seize and interrupt: the process and its parent see no
 * signal, and the kernel resumes every thread when the tracing thread ends,
 * even by SIGKILL.  A process that SIGSTOP had stopped stays stopped
 * afterwards.  One that its cgroup froze (docker pause) stays frozen, and the
 * kernel releases it when the tracing thread ends.
 */
#ifndef MEMORY_FREEZE_H
#define MEMORY_FREEZE_H

#include <sys/types.h>
#include <pagetrim/error.h>

#define PT_FREEZE_TIMEOUT_MS	5000	/* for all threads to stop */

struct pt_freeze;

/* pt_freeze_take stops process pid.  On success returns 0 and *out is the
 * caller's, to pt_freeze_release by the same thread.  Else none is stopped:
 *   -ESRCH      it has ended
 *   -EPERM      not allowed, or another process traces it (named)
 *   -ETIMEDOUT  a thread did not stop (named), e.g. it waits for a dead disk
 *   -ENOMEM */
int pt_freeze_take(struct pt_freeze **out, pid_t pid, struct pt_error *err);

/* pt_freeze_release resumes all threads, each with the signal that was pending
 * when it stopped.  NULL is allowed. */
void pt_freeze_release(struct pt_freeze *f);

#endif
