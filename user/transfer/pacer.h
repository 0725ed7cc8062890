/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pacer: keeps a lane's bytes under a rate.  A token bucket that may save up
 * PT_PACER_BURST_NS of silence.
 * Threads: one lane's. */
#ifndef TRANSFER_PACER_H
#define TRANSFER_PACER_H

#include <linux/types.h>

#define PT_PACER_BURST_NS	2000000ULL

struct pt_pacer {
	__u64 bytes_per_s;	/* 0: no limit */
	__u64 due_ns;		/* when all that was sent is paid for */
};

/* pt_pacer_wait_ns returns how long to wait from now_ns until sz more bytes
 * may go, 0 for at once, and books them in that case only. */
static inline __u64 pt_pacer_wait_ns(struct pt_pacer *p, __u64 now_ns,
				     __u32 sz)
{
	if (!p->bytes_per_s)
		return 0;
	if (p->due_ns + PT_PACER_BURST_NS < now_ns)
		p->due_ns = now_ns - PT_PACER_BURST_NS;
	if (p->due_ns > now_ns)
		return p->due_ns - now_ns;
	p->due_ns += sz * 1000000000ULL / p->bytes_per_s;
	return 0;
}

#endif
