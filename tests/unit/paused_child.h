/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* paused_child: a process that only has memory, for tests that work on another's. */
#ifndef TEST_PAUSED_CHILD_H
#define TEST_PAUSED_CHILD_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* paused_child forks one, which ends with its parent. */
static inline pid_t paused_child(void)
{
	pid_t parent = getpid(), child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			pause();
		_exit(0);
	}
	return child;
}

#endif
