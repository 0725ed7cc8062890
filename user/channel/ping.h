/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ping: the interval of PING. */
#ifndef CHANNEL_PING_H
#define CHANNEL_PING_H

#include <linux/types.h>

/* pt_ping_ns: four times per timeout, and at least once per second. */
static inline __u64 pt_ping_ns(__u32 peer_timeout_ms)
{
	return (peer_timeout_ms < 4000 ? peer_timeout_ms / 4 : 1000) *
	       1000000ULL;
}

#endif
