/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_process: a sink that is memory of another process, written through its
 * /proc/PID/mem: the kernel charges the pages to that process and its cgroup,
 * not to this one. */
#ifndef SINK_SINK_PROCESS_H
#define SINK_SINK_PROCESS_H

#include <sys/types.h>

#include "memory/regions.h"
#include "sink/sink.h"

/* pt_sink_open_process: regions and is_zero are as in pt_sink_open_regions,
 * with addresses of the process.
 *   -ESRCH   no such process
 *   -EACCES, -EPERM  not allowed
 *   or as pt_regions_sort */
int pt_sink_open_process(struct pt_sink **out, pid_t pid,
			 const struct pt_region *regions, __u32 cnt,
			 bool is_zero, struct pt_error *err);

#endif
