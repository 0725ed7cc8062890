/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_rate: holds a sender to the limit that OPENED told it.
 *
 *     frames --> level --5/4 of the limit--> gone
 *
 * An honest sender paces itself and never fills the level.  From another one
 * the queues withhold credit while it is full, so that the flow-control window
 * limits it.  Threads: control's. */
#ifndef RECEIVE_RX_RATE_H
#define RECEIVE_RX_RATE_H

#include <stdbool.h>

#include "rxq/intake.h"

#define PT_RX_RATE_BURST_SZ	(4u << 20)	/* the level is full, at least; a
						 * quarter of a second's bytes,
						 * if they are more */

/* pt_rx_rate: all zero: no limit. */
struct pt_rx_rate {
	__u64 bytes_per_s;	/* of Ethernet; 0: no limit */
	__u64 level_sz;
	__u64 seen_sz;		/* that came until ... */
	__u64 at_ns;		/* ... then; 0: not begun */
};

/* pt_rx_rate_take notes that came_sz bytes have come in all, until now_ns, and
 * returns whether that is ahead of the limit. */
bool pt_rx_rate_take(struct pt_rx_rate *r, __u64 came_sz, __u64 now_ns);

/* pt_rx_rate_hold has the intake's queues withhold credit, or no longer. */
void pt_rx_rate_hold(struct pt_rx_rate *r, struct pt_intake *i, __u64 now_ns);

#endif
