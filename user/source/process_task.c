// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/proc.h"

int pt_process_check(pid_t pid, struct pt_error *err)
{
	long leader = pt_proc_number(pid, "Tgid:");

	if (pid <= 0 || leader < 0)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: no such process, or /proc "
				    "hides it", pid);
	if (leader != pid)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "process %d: it is a thread of process %ld "
				    "(give that number)", pid, leader);
	if (pid == getpid())
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "process %d: the calling process", pid);
	/* In a PID namespace number 2 is a process as any other. */
	if ((pid == 2 || pt_proc_number(pid, "PPid:") == 2) &&
	    pt_proc_number(pid, "VmSize:") < 0)
		return pt_error_set(err, PT_EXIT_HOST, -ENODATA,
				    "process %d: a thread of the kernel, it "
				    "has no memory of its own", pid);
	return 0;
}

static int tid_find(void *arg, pid_t tid)
{
	pid_t *pid = arg;

	if (!pt_proc_thread_lives(*pid, tid))
		return 0;
	*pid = tid;
	return 1;
}

int pt_process_task_find(pid_t pid, pid_t *tid, struct pt_error *err)
{
	int code;

	*tid = pid;
	code = pt_proc_threads(pid, tid_find, tid);
	if (code < 0 && code != -ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, code, "process %d: cannot "
				    "look for its threads: %s%s", pid,
				    strerror(-code), pt_files_remedy(code));
	return code == 1 ? 0 : pt_error_set(err, PT_EXIT_HOST, -ESRCH,
					    "process %d: it has ended", pid);
}

int pt_process_task_open(pid_t pid, pid_t tid, const char *name,
			 struct pt_error *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: it went away", pid);
	return pt_error_set(err, PT_EXIT_HOST, -errno,
			    "process %d: cannot open its %s: %s%s", pid, name,
			    strerror(errno), pt_process_remedy(-errno));
}
