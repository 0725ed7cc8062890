/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pacer: keeps what all lanes send together under a rate, whichever of them has
 * something to send.  A token bucket that may save up PT_PACER_BURST_NS of
 * silence.
 * Threads: any. */
#ifndef TRANSFER_PACER_H
#define TRANSFER_PACER_H

#include <linux/types.h>
#include <stdatomic.h>

#define PT_PACER_BURST_NS	2000000ULL

struct pt_pacer {
	__u64 bytes_per_s;	/* 0: no limit */
	_Atomic __u64 due_ns;	/* when all that was sent is paid for */
};

/* pt_pacer_wait_ns returns how long to wait from now_ns until sz more bytes
 * may go, 0 for at once, and books them in that case only.  After a wait ask
 * again: another lane may have been first. */
static inline __u64 pt_pacer_wait_ns(struct pt_pacer *p, __u64 now_ns,
				     __u32 sz)
{
	__u64 due_ns = atomic_load_explicit(&p->due_ns, memory_order_relaxed);
	__u64 from_ns;

	if (!p->bytes_per_s)
		return 0;
	do {
		from_ns = due_ns + PT_PACER_BURST_NS < now_ns
			? now_ns - PT_PACER_BURST_NS : due_ns;
		if (from_ns > now_ns)
			return from_ns - now_ns;
	} while (!atomic_compare_exchange_weak_explicit(&p->due_ns, &due_ns,
			from_ns + sz * 1000000000ULL / p->bytes_per_s,
			memory_order_relaxed, memory_order_relaxed));
	return 0;
}

#endif
