/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cpus: on which CPUs the threads of the data path run.
 *
 * A NIC's queue raises its interrupts on one CPU; the thread of the queue is
 * best beside it, and two threads are best not on one CPU.  The scheduler does
 * not know the first, and learns the second late.
 *
 * Source: taskset(1), whose LIST this is.
 */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <linux/types.h>
#include <pagetrim/error.h>
#include <pagetrim/wire.h>

/* pt_cpus: thread i runs on cpus[i % cnt]; cnt 0: where the scheduler likes. */
struct pt_cpus {
	__u32 cnt;		/* 0..PT_LANES_MAX */
	__u16 cpus[PT_LANES_MAX];
};

/* pt_cpus_parse reads "0,2-3": numbers and ranges, in the order of the threads.
 *   -EINVAL  no such list, or more than PT_LANES_MAX CPUs in it
 *   -ENODEV  this process may not run on one of them; err names those it may */
int pt_cpus_parse(struct pt_cpus *out, const char *list, struct pt_error *err);

/* pt_cpus_pin keeps the calling thread, the idx-th, on its CPU; NULL: nowhere.
 * A CPU that went away since it was parsed is no error: the scheduler decides
 * then. */
void pt_cpus_pin(const struct pt_cpus *cpus, __u32 idx);

#endif
