/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* clock: nanoseconds that never go back. */
#ifndef TRANSFER_CLOCK_H
#define TRANSFER_CLOCK_H

#include <linux/types.h>
#include <time.h>

static inline __u64 pt_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* pt_ping_ns: how often a peer is asked for a sign of life: four times within
 * its timeout, and once a second at least. */
static inline __u64 pt_ping_ns(__u32 peer_timeout_ms)
{
	return (peer_timeout_ms < 4000 ? peer_timeout_ms / 4 : 1000) *
	       1000000ULL;
}

#endif
