/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process_task: a process by its number, and its files below /proc.  They are opened
 * by a thread that lives, since a process whose first thread has ended shows no memory
 * by its own number. */
#ifndef SOURCE_PROCESS_TASK_H
#define SOURCE_PROCESS_TASK_H

#include <sys/types.h>
#include <pagetrim/error.h>

/* pt_process_check refuses a number that names no process with memory: -ESRCH, -EINVAL,
 * -ENODATA. */
int pt_process_check(pid_t pid, struct pt_error *err);

/* pt_process_task_find finds a thread that lives: -ESRCH, or as opendir(3). */
int pt_process_task_find(pid_t pid, pid_t *tid, struct pt_error *err);

/* pt_process_task_open opens "mem" or another file of its for reading, and returns the
 * descriptor, which is the caller's; -ESRCH, or as open(2). */
int pt_process_task_open(pid_t pid, pid_t tid, const char *name,
			 struct pt_error *err);

#endif
