/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* proc: facts about a process from /proc. */
#ifndef MEMORY_PROC_H
#define MEMORY_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* pt_proc_number returns the decimal number behind a key ("Tgid:") of
 * /proc/PID/status; -1 if there is no such process or key. */
long pt_proc_number(pid_t pid, const char *key);

/* pt_proc_thread_lives returns whether the thread exists and has not ended (a
 * zombie waits to be reaped and has no memory). */
bool pt_proc_thread_lives(pid_t pid, pid_t tid);

/* pt_proc_is_frozen returns whether a cgroup of version 1 holds the process frozen
 * whole: no instruction of it runs, and no signal or ptrace(2) stops it.  False
 * where that cannot be told.  (A frozen cgroup of version 2 lets both.) */
bool pt_proc_is_frozen(pid_t pid);

/* pt_proc_threads calls fn for each thread of the process until fn returns
 * nonzero.  It returns that value, 0 at the end, or -ESRCH, -EMFILE, ... */
int pt_proc_threads(pid_t pid, int (*fn)(void *arg, pid_t tid), void *arg);

#endif
