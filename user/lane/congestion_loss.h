/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* congestion_loss: whose is a loss: that of a queue that overflowed, which a smaller
 * window ends, or the path's own?
 *
 * It is judged by the queue that stood when the frame was sent, and by what the path
 * loses while none stands.  Much loss is taken for a queue too short to be seen; but
 * one overflows no more when half as much is on the way.  Loss that stays then is the
 * path's, however much it is, for some seconds; then it is tried again.
 * For congestion.c alone.  Threads: the caller's one at a time. */
#ifndef LANE_CONGESTION_LOSS_H
#define LANE_CONGESTION_LOSS_H

#include "lane/congestion_filter.h"

#define PT_CC_SEEN_NS	400000	/* below this a queue is noise */

/* pt_cc_mean_ns: how long frames of a round waited in a queue, on average. */
__s64 pt_cc_mean_ns(const struct pt_cc_round *r);

/* pt_cc_take_loss judges what was lost by the queue that stood when it was sent:
 * it may be told much later.  What had been sent before the window was last cut for
 * a loss is no other one. */
void pt_cc_take_loss(struct pt_congestion *c,
		     const struct pt_congestion_ack *a);

/* pt_cc_is_congested: bytes were lost in the round, and not by chance: while a
 * queue stood, and more than the path loses without one; or more than any path
 * loses. */
bool pt_cc_is_congested(struct pt_congestion *c, const struct pt_cc_round *r,
			__u64 now_ns);

/* pt_cc_stays, before the window is cut for a loss: 0, or the window as it was before
 * such cuts, which did not make the loss less. */
double pt_cc_stays(struct pt_congestion *c, __u64 now_ns);

#endif
