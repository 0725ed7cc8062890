/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* credit: divides a queue's RX descriptors among its lanes, by demand.
 *
 *     nobody sends    all lanes have the same
 *     some send       lanes that idle have together a quarter of the credit,
 *                     each at least PT_CREDIT_FLOOR and at most an even share;
 *                     the lanes that send share the rest
 *
 * So a peer that opens many lanes and uses none takes at most half of the
 * credit from active lanes.  With many lanes the sum of the windows may exceed
 * the credit: an idle lane has a window of one frame, and only active lanes
 * have frames in flight.  If all idle lanes wake at once, the reserve of the
 * fill ring absorbs their first frames, or the socket drops and counts some,
 * and they are sent again.
 *
 * Chunks that wait for storage are divided by demand, too: a lane may hold up
 * to PT_HOLD_TIMES the free chunks, so that some are always free for a new
 * lane.
 *
 * Pure: numbers in, numbers out.
 */
#ifndef RXQ_CREDIT_H
#define RXQ_CREDIT_H

#include <stdbool.h>

#include <linux/types.h>

#include <pagetrim/span.h>

#define PT_CREDIT_FLOOR		PT_SPANS_MAX	/* a frame of any size */
#define PT_CREDIT_IDLE_NS	1000000000ULL	/* without a frame: idle */
#define PT_CREDIT_FEW		8	/* a part of its share, for a lane whose frames
					 * somebody waits for */
#define PT_HOLD_TIMES		4		/* a single lane: 4/5 of all
						 * chunks */

struct pt_windows {
	__u32 idle;	/* descriptors of each idle lane */
	__u32 busy;	/* of each active lane */
};

/* pt_credit_share divides credit among idle_cnt and busy_cnt lanes. */
struct pt_windows pt_credit_share(__u32 credit, __u32 idle_cnt,
				  __u32 busy_cnt);

/* pt_credit_may_hold: a lane that holds own_cnt chunks may hold cnt more, if
 * all lanes hold held_cnt of ring_cnt. */
bool pt_credit_may_hold(__u32 ring_cnt, __u32 held_cnt, __u32 own_cnt,
			__u32 cnt);

#endif
