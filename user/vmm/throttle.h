/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* throttle: takes CPU time from a process, by the limit of its cgroup (cpu.max, or
 * cpu.cfs_quota_us of version 1).
 *
 * 100 % is the CPU time that the process used on average from the open until it is
 * throttled first.  The limit as it was at the open is kept as text, for another
 * process that has the descriptor.
 *
 * Threads: one at a time.
 */
#ifndef VMM_THROTTLE_H
#define VMM_THROTTLE_H

#include <stddef.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "vmm/cgroup.h"

#define PT_THROTTLE_TEXT_SZ	64
#define PT_THROTTLE_MAX		99	/* percent */

struct pt_throttle;

/* pt_throttle_open needs the right to write the limit; set does not.  On success
 * returns 0 and *out is the caller's; nothing is changed.
 *   -EBUSY, -EINVAL, -EOPNOTSUPP, -ESRCH  as pt_cgroup_find and
 *           pt_cgroup_check_own; -EOPNOTSUPP also: the cgroup has no such limit
 *   -EACCES, -EROFS  the limit may not be written */
int pt_throttle_open(struct pt_throttle **out, pid_t pid, struct pt_error *err);

/* pt_throttle_open_in is that for a cgroup that is known. */
int pt_throttle_open_in(struct pt_throttle **out, const struct pt_cgroup *c,
			pid_t pid, struct pt_error *err);

/* pt_throttle_set takes so many percent of the CPU time, 1..PT_THROTTLE_MAX; 0: the
 * limit is as it was.  -EBUSY: another process has come to the cgroup; or as
 * write(2). */
int pt_throttle_set(struct pt_throttle *t, unsigned percent,
		    struct pt_error *err);

/* pt_throttle_close sets 0.  NULL is allowed. */
void pt_throttle_close(struct pt_throttle *t);

/* pt_throttle_fd and pt_throttle_undo: writing the text to the descriptor is
 * setting 0. */
int pt_throttle_fd(const struct pt_throttle *t);
const char *pt_throttle_undo(const struct pt_throttle *t);

#endif
