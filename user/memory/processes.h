/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* processes: all that /proc shows.  Threads: no state but the caller's. */
#ifndef MEMORY_PROCESSES_H
#define MEMORY_PROCESSES_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

/* pt_processes: all that /proc shows.  next returns 0 at the end. */
struct pt_processes {
	DIR *dir;
	bool has_first;		/* process 1 was among them */
};

int pt_processes_open(struct pt_processes *all, struct pt_error *err);
pid_t pt_processes_next(struct pt_processes *all);
void pt_processes_close(struct pt_processes *all);

/* pt_processes_are_all: at the end; whether no process is hidden from us by
 * hidepid, or by a PID namespace that is not the first. */
bool pt_processes_are_all(const struct pt_processes *all);

#endif
