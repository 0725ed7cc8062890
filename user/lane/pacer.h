/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pacer: keeps the rate of all lanes together under a limit that they can also
 * reach, whichever lanes have data.
 *
 * Two token buckets.  One keeps the rate: it saves up to PT_PACER_SAVED_NS, so
 * that a lane that was off the CPU for a while can catch up.  The other keeps
 * the pace: PT_PACER_BURST_NS of the saved time is spent at once, the rest at
 * 5/4 of the rate.
 *
 * Bytes are those of Ethernet frames, from the destination address to the end
 * of the payload: no preamble, FCS or gap.
 * Threads: any; the rate may change at any time.
 */
#ifndef LANE_PACER_H
#define LANE_PACER_H

#include <linux/types.h>
#include <stdatomic.h>
#include <stdbool.h>

#define PT_PACER_SAVED_NS	20000000ULL	/* at most 2 % more per
						 * second */
#define PT_PACER_BURST_NS	2000000ULL
#define PT_PACER_WAIT_NS	100000000ULL	/* then ask again, since the
						 * rate may have changed */

/* pt_pacer: all zero has no limit. */
struct pt_pacer {
	_Atomic bool is_paused;	/* nothing goes */
	_Atomic __u64 bytes_per_s;	/* up to PT_RATE_MAX; 0: no limit */
	_Atomic __u64 due_ns;	/* when all sent bytes are paid for */
	_Atomic __u64 pace_ns;	/* the same at 5/4 of the rate */
};

static inline __u64 pt_pacer_rate(const struct pt_pacer *p)
{
	return atomic_load_explicit(&p->bytes_per_s, memory_order_relaxed);
}

static inline bool pt_pacer_is_paused(const struct pt_pacer *p)
{
	return atomic_load_explicit(&p->is_paused, memory_order_relaxed);
}

/* pt_pacer_set changes the rate from now_ns on, and forgets debts and savings
 * of the old one. */
static inline void pt_pacer_set(struct pt_pacer *p, __u64 bytes_per_s,
				__u64 now_ns)
{
	atomic_store(&p->bytes_per_s, bytes_per_s);
	atomic_store(&p->due_ns, now_ns);
	atomic_store(&p->pace_ns, now_ns);
}

/* pt_pacer_from_ns returns the start for a bucket that is paid for until
 * due_ns, and full after saved_ns. */
static inline __u64 pt_pacer_from_ns(__u64 due_ns, __u64 now_ns,
				     __u64 saved_ns)
{
	return due_ns + saved_ns < now_ns ? now_ns - saved_ns : due_ns;
}

/* pt_pacer_wait_ns returns the time from now_ns until sz more bytes may go; 0:
 * at once, and only then it books them.  After a wait ask again: another lane
 * may have been first. */
static inline __u64 pt_pacer_wait_ns(struct pt_pacer *p, __u64 now_ns,
				     __u32 sz)
{
	__u64 rate = pt_pacer_rate(p);
	__u64 due_ns, pace_ns, from_ns, takes_ns, wait_ns;

	if (pt_pacer_is_paused(p))
		return PT_PACER_WAIT_NS;
	if (!rate)
		return 0;
	takes_ns = (sz * 1000000000ULL + rate - 1) / rate;
	due_ns = atomic_load_explicit(&p->due_ns, memory_order_relaxed);
	pace_ns = atomic_load_explicit(&p->pace_ns, memory_order_relaxed);
	do {
		from_ns = pt_pacer_from_ns(due_ns, now_ns, PT_PACER_SAVED_NS);
		wait_ns = from_ns > now_ns ? from_ns - now_ns : 0;
		if (pace_ns > now_ns + wait_ns)
			wait_ns = pace_ns - now_ns;
		if (wait_ns)
			return wait_ns < PT_PACER_WAIT_NS ? wait_ns
							  : PT_PACER_WAIT_NS;
	} while (!atomic_compare_exchange_weak_explicit(&p->due_ns, &due_ns,
			from_ns + takes_ns, memory_order_relaxed,
			memory_order_relaxed));
	do {
		from_ns = pt_pacer_from_ns(pace_ns, now_ns, PT_PACER_BURST_NS);
	} while (!atomic_compare_exchange_weak_explicit(&p->pace_ns, &pace_ns,
			from_ns + takes_ns - takes_ns / 5, memory_order_relaxed,
			memory_order_relaxed));
	return 0;
}

#endif
