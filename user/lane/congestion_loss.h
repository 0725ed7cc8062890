/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* congestion_loss: attributes a loss to a queue that overflowed, which a
 * smaller window ends, or to the path itself.
 *
 * The queue at the time of sending decides, and the path's loss without a
 * queue.  Much loss is attributed to a queue too short to be seen; but such a
 * queue no longer overflows when half as much is in flight.  Loss that stays
 * then is the path's, whatever its rate, for some seconds; then the test is
 * repeated.  For congestion.c only.  Threads: one at a time. */
#ifndef LANE_CONGESTION_LOSS_H
#define LANE_CONGESTION_LOSS_H

#include "lane/congestion_filter.h"

#define PT_CC_SEEN_NS	400000	/* a shorter queue is noise */

/* pt_cc_mean_ns returns the average queueing delay of a round's frames. */
__s64 pt_cc_mean_ns(const struct pt_cc_round *r);

/* pt_cc_take_loss judges lost frames by the queue at the time of sending, since
 * they may be reported much later.  Frames sent before the last cut of the
 * window are no new loss. */
void pt_cc_take_loss(struct pt_congestion *c,
		     const struct pt_congestion_ack *a);

/* pt_cc_is_congested: bytes were lost in the round, and not by chance: with a
 * queue, and more than the path loses without one; or more than any path
 * loses. */
bool pt_cc_is_congested(struct pt_congestion *c, const struct pt_cc_round *r,
			__u64 now_ns);

/* pt_cc_stays is called before the window is cut for a loss.  It returns 0, or
 * the window before earlier cuts if these did not reduce the loss. */
double pt_cc_stays(struct pt_congestion *c, __u64 now_ns);

#endif
