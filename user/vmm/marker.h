/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* marker: marks pages of another process, and of all that map the same memory, as
 * unreadable; see track/poison.h.
 *
 *     this process --- ranges ---> pt-mark: enters those processes
 *                  <--- result ---
 *
 * That takes CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH for another user's processes,
 * which this process gives up before it listens to a peer; a process of its own keeps
 * these two, and touches nothing before it is asked.  It ends with this one.
 */
#ifndef VMM_MARKER_H
#define VMM_MARKER_H

#include <linux/types.h>
#include <sys/types.h>

#include <pagetrim/error.h>

#define PT_MARKER_MAX	65536	/* ranges of one call */

struct pt_marker;

struct pt_marker_range {
	__u64 addr, sz;
};

/* pt_marker_open starts the process, before this one gives up its privileges, or has
 * other threads.  On success *out is the caller's, to close; NULL: this kernel has
 * no marks.
 *   -EPERM, -EACCES, -ESRCH, -ENOMEM, -EMFILE, -EAGAIN */
int pt_marker_open(struct pt_marker **out, pid_t pid, struct pt_error *err);

/* pt_marker_do marks the ranges, which ascend and do not touch.  One thread at a time.
 *   -E2BIG   more than PT_MARKER_MAX
 *   -EPIPE   that process has ended
 *   -ETIMEDOUT  it did not answer, and was ended
 *   or as pt_poison */
int pt_marker_do(struct pt_marker *m, const struct pt_marker_range *ranges, __u32 cnt,
		 struct pt_error *err);

/* pt_marker_close ends the process.  NULL is allowed. */
void pt_marker_close(struct pt_marker *m);

#endif
