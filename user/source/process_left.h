/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process_left: the memory of a process that is not in its image.  Threads: no
 * state. */
#ifndef SOURCE_PROCESS_LEFT_H
#define SOURCE_PROCESS_LEFT_H

#include "source/process_maps.h"
#include "source/source.h"

/* pt_process_left_read adds up the mappings of /proc/PID/smaps, open at smaps, but
 * those that are sent; pagemap is of the same process.
 *   -ESRCH  the address space is gone
 *   -ENOMEM */
int pt_process_left_read(struct pt_source_left *out,
			 const struct pt_process_maps *sent, int smaps,
			 int pagemap, pid_t pid, struct pt_error *err);

#endif
