/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cgroup: the cgroup that limits a process's CPU time, of version 1 or 2.
 *
 * Threads: one at a time.
 */
#ifndef VMM_CGROUP_H
#define VMM_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

struct pt_cgroup {
	bool is_v2;
	char path[PATH_MAX];	/* its folder */
};

/* pt_cgroup_find finds the smallest cgroup that holds all threads of the process.
 *   -ESRCH       the process has ended
 *   -EINVAL      it is the root cgroup, which limits nothing
 *   -EOPNOTSUPP  no cgroup file system of it is mounted here */
int pt_cgroup_find(struct pt_cgroup *c, pid_t pid, struct pt_error *err);

/* pt_cgroup_check_own fails unless all processes in it, and in those below it, are
 * pid and those that it started.
 *   -EBUSY  one is not (named), or is of another PID namespace, or they cannot be
 *           read; or as fts_open(3) */
int pt_cgroup_check_own(const struct pt_cgroup *c, pid_t pid,
			struct pt_error *err);

#endif
