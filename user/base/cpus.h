/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cpus: the CPUs on which the threads of the data path run.
 *
 * A NIC's queue raises its interrupts on one CPU.  The queue's thread runs best
 * near that CPU, and no two threads run well on one CPU.  The scheduler does
 * not know the first fact, and learns the second late.
 *
 * Source: taskset(1), whose LIST this is.
 */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <linux/types.h>
#include <pagetrim/error.h>
#include <pagetrim/wire.h>

/* pt_cpus: thread i runs on cpus[i % cnt]; with cnt 0 the scheduler decides. */
struct pt_cpus {
	__u32 cnt;		/* 0..PT_LANES_MAX */
	__u16 cpus[PT_LANES_MAX];
};

/* pt_cpus_parse reads "0,2-3": numbers and ranges, in the order of the threads.
 *   -EINVAL  malformed, or more than PT_LANES_MAX CPUs
 *   -ENODEV  this process may not run on one of them; err names those it may */
int pt_cpus_parse(struct pt_cpus *out, const char *list, struct pt_error *err);

/* pt_cpus_pin binds the calling thread, the idx-th, to its CPU; NULL binds
 * nothing.  If the CPU went offline after parsing, the scheduler decides; that
 * is no error. */
void pt_cpus_pin(const struct pt_cpus *cpus, __u32 idx);

#endif
