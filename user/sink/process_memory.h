/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process_memory: memory of another process that a sink consists of, written
 * through its /proc/PID/mem: the kernel charges the pages to that process and
 * its cgroup, not to this one.
 *
 * Only open needs the right to trace the process.  Threads: any number may
 * place, zero and read, each its own pages, once parts are fit.
 */
#ifndef SINK_PROCESS_MEMORY_H
#define SINK_PROCESS_MEMORY_H

#include <sys/types.h>

#include "sink/sink_parts.h"

struct pt_process_memory {
	pid_t pid;
	int fd;			/* of its /proc/PID/mem */
	struct pt_sink_parts parts;	/* the caller's, to pt_sink_parts_fit */
};

/* pt_process_memory_open fills *m, which pt_process_memory_close then frees.
 *   -ESRCH   no such process
 *   -EACCES, -EPERM  not allowed
 *   or as open(2) */
int pt_process_memory_open(struct pt_process_memory *m, pid_t pid,
			   struct pt_error *err);
void pt_process_memory_close(struct pt_process_memory *m);

/* As the operations of a sink, see sink_ops.h.  -EIO: the memory went away. */
int pt_process_memory_place(const struct pt_process_memory *m, __u64 off,
			    struct iovec *pieces, __u32 cnt, __u64 sz,
			    struct pt_error *err);
int pt_process_memory_zero(const struct pt_process_memory *m, __u64 off,
			   __u64 sz, struct pt_error *err);
int pt_process_memory_read(const struct pt_process_memory *m, __u64 off,
			   void *to, __u64 sz, struct pt_error *err);

#endif
