/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room session: queues of a transfer, and the sums of its ledger.
 *
 *   knows the count of queues, the identities of the ledger
 *   may use       xdp wire channel
 *   must not know frames, messages
 */
/* queues: chooses how many of a device's queues a transfer gets.  More than
 * exist are refused, and the error names the possible count; only auto takes
 * fewer than requested. */
#ifndef SESSION_QUEUES_H
#define SESSION_QUEUES_H

#include "xdp/lease.h"

#define PT_QUEUES_AUTO	0

struct pt_queues_wish {
	__u32 cnt;		/* 1..PT_LANES_MAX, or PT_QUEUES_AUTO: as many
				 * as are free, ... */
	__u32 auto_max;		/* ... but no more than this, >= 1 */
	const char *kind;	/* "RX", "TX" */
	__u32 have_cnt;		/* queues of that kind on the device */
};

/* pt_queues_choose writes the count of queues to lease, among the free ones.
 *   -EINVAL  the device has fewer
 *   -EBUSY   fewer are free, err names a holder */
int pt_queues_choose(__u32 *cnt, const struct pt_queues_wish *wish,
		     const struct pt_device *dev,
		     const struct pt_leases *leases, struct pt_error *err);

/* pt_queues_pass_over releases lease i of *cnt and closes the gap, for a queue
 * that a socket without a lease holds, or that is gone.  False: it is the only lease. */
bool pt_queues_pass_over(struct pt_lease **leases, __u32 *cnt, __u32 i);

/* pt_queues_cpu_cnt returns the CPUs of this process, since each queue has a
 * thread, and more threads than CPUs do not help. */
__u32 pt_queues_cpu_cnt(void);

#endif
