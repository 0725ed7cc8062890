/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room session: queues of a transfer, and the sums of its ledger.
 *
 *   knows         how many queues it gets, the identities of the ledger
 *   may use       xdp
 *   must not know frames, messages
 */
/* queues: how many of a device's queues a transfer gets.  More than there are is
 * refused, and what would work is named; taken it is only if asked for so. */
#ifndef SESSION_QUEUES_H
#define SESSION_QUEUES_H

#include "xdp/lease.h"

#define PT_QUEUES_AUTO	0

struct pt_queues_wish {
	__u32 cnt;		/* 1..PT_LANES_MAX, or PT_QUEUES_AUTO: as many
				 * as are free, ... */
	__u32 auto_max;		/* ... but no more than this, >= 1 */
	const char *kind;	/* "RX", "TX" */
	__u32 have_cnt;		/* the device has of that kind */
};

/* pt_queues_choose writes how many to lease, of those that nobody holds now.
 *   -EINVAL  the device has fewer
 *   -EBUSY   fewer are free, err names a holder */
int pt_queues_choose(__u32 *cnt, const struct pt_queues_wish *wish,
		     const struct pt_device *dev,
		     const struct pt_leases *leases, struct pt_error *err);

/* pt_queues_pass_over gives lease i of *cnt back, and closes the gap, if it is
 * not the only one: of a queue that turned out to be held by a socket that knows
 * no leases.  False: it is. */
bool pt_queues_pass_over(struct pt_lease **leases, __u32 *cnt, __u32 i);

/* pt_queues_cpu_cnt: CPUs that this process may run on: a queue is a thread, and
 * more of them than that help nobody. */
__u32 pt_queues_cpu_cnt(void);

#endif
