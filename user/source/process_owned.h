/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process_owned: the mappings of a process that have pages of its own, present or
 * swapped, by /proc/PID/smaps: for kernels before Linux 6.7, since a word for each page
 * of what is only reserved would take long.  Threads: no locks. */
#ifndef SOURCE_PROCESS_OWNED_H
#define SOURCE_PROCESS_OWNED_H

#include <stdbool.h>

#include <linux/types.h>

struct pt_process_owned {	/* zero: not read */
	bool is_read;
	int code;		/* 0, or why it is not whole: -errno */
	__u64 *starts;		/* ascending addresses */
	__u32 cnt, capacity;
};

/* pt_process_owned_has: the mapping that begins at start has some.  The first call
 * reads smaps. */
bool pt_process_owned_has(struct pt_process_owned *o, int smaps, __u64 start);
void pt_process_owned_free(struct pt_process_owned *o);

#endif
