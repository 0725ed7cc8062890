/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* freeze: all threads of a process stopped, for as long as we live.
 *
 * By ptrace(2) seize and interrupt: no signal that the process or its parent
 * could see, and the kernel lets every thread go on when the thread that
 * stopped them ends, even by SIGKILL.  A process that SIGSTOP had stopped
 * before is stopped by it again afterwards.
 */
#ifndef PT_MEMORY_FREEZE_H
#define PT_MEMORY_FREEZE_H

#include <sys/types.h>
#include <pagetrim/error.h>

#define PT_FREEZE_TIMEOUT_MS	5000	/* for all threads to stop */

struct pt_freeze;

/* pt_freeze_take stops process pid.  On success returns 0 and *out is the
 * caller's, to pt_freeze_release by the same thread.  Else none is stopped:
 *   -ESRCH      it went away
 *   -EPERM      not allowed, or another traces it (named)
 *   -ETIMEDOUT  a thread did not stop (named), e.g. it waits for a dead disk
 *   -ENOMEM */
int pt_freeze_take(struct pt_freeze **out, pid_t pid, struct pt_error *err);

/* pt_freeze_release lets all go on, each with the signal that was on its way
 * when it was stopped.  NULL is fine. */
void pt_freeze_release(struct pt_freeze *f);

#endif
