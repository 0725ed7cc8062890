/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/aside.h"

#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t pt_aside_clone(void)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* keep_only: capset(2) refuses capabilities that the process does not have. */
static void keep_only(__u64 keep)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2] = { 0 };

	if (keep && !syscall(SYS_capget, &head, caps))
		for (int i = 0; i < 2; i++) {
			caps[i].permitted &= keep >> (32 * i);
			caps[i].effective = caps[i].permitted;
			caps[i].inheritable = 0;
		}
	syscall(SYS_capset, &head, caps);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void pt_aside_begin(const char *name, __u64 keep)
{
	setsid();
	if (chdir("/"))
		_exit(1);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	keep_only(keep);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
