/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* collapse: large pages in the address space of another process.
 *
 *     this process --- address, size ---> pt-collapse: process_madvise(2) on it
 *                  <------ result -------
 *
 * The call collapses small pages into large ones, and maps these in that process, whose
 * cgroup is charged.  It takes CAP_SYS_PTRACE and CAP_SYS_NICE, which this process
 * gives up before it listens to a peer; a process of its own keeps these two, and does
 * nothing else.  It ends with this one.
 */
#ifndef VMM_COLLAPSE_H
#define VMM_COLLAPSE_H

#include <linux/types.h>
#include <sys/types.h>

#include <pagetrim/error.h>

struct pt_collapser;

/* pt_collapser_open starts the process, before this one gives up its privileges.  On
 * success *out is the caller's, to close.  -ESRCH, -ENOMEM, -EMFILE, -EAGAIN. */
int pt_collapser_open(struct pt_collapser **out, pid_t pid,
		      struct pt_error *err);

/* pt_collapser_do makes sz bytes at addr, multiples of 2 MiB, large pages.
 * One thread at a time.  0: all are; else, with those that could be made large:
 *   -EPERM          a capability is missing
 *   -ENOMEM, -EAGAIN, -EBUSY  no large page is free, or the cgroup allows none
 *   -EINVAL         the memory cannot be in large pages; Linux before 6.1
 *   -EPIPE          that process has ended
 *   or as process_madvise(2) */
int pt_collapser_do(struct pt_collapser *c, __u64 addr, __u64 sz);

/* pt_collapser_close ends the process.  NULL is allowed. */
void pt_collapser_close(struct pt_collapser *c);

#endif
