/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lookout: a process beside this one that looks at the mappings of all others, for which
 * it keeps CAP_SYS_PTRACE; this one gives it up before it listens.
 *
 *     this process --- look ---> pt-lookout: /proc/PID/maps of each process
 *                  <--- who has mapped the guest's memory, too ---
 *
 * It ends with this process.  Threads: one at a time calls a function.
 */
#ifndef POSTCOPY_LOOKOUT_H
#define POSTCOPY_LOOKOUT_H

#include "lazy/mappers.h"

struct pt_lookout {
	pid_t pid;		/* 0: not started */
	int fd;
};

/* pt_lookout_start: while this process has one thread.  It looks at the regions of a VMM.
 * -errno: no descriptors, no process. */
int pt_lookout_start(struct pt_lookout *l, pid_t vmm,
		     const struct pt_lazy_region *regions, __u32 cnt);

/* pt_lookout_look has it look, and waits.
 *   -EPIPE      it has ended
 *   -ETIMEDOUT  it cannot look: it was ended
 *   or as pt_lazy_mappers_look */
int pt_lookout_look(struct pt_lookout *l, struct pt_lazy_sight *sight,
		    struct pt_error *err);

void pt_lookout_end(struct pt_lookout *l);

#endif
