/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plpmtud: the PLPMTUD search for the largest frame that passes (RFC 8899):
 * chooses the sizes to probe next.
 *
 * First the largest size alone (the common case: it passes); then rounds of
 * evenly spaced sizes between the largest that was seen and the smallest that
 * was not, until they are one step apart.
 *
 *     min_sz      seen_sz         lost_sz          max_sz
 *     |--------------|...............|-----------------|
 *          passes       rungs          believed not to pass
 *
 * A path may lose a probe whose size it passes.  So lost_sz is probed again in
 * each round, PT_PLPMTUD_TRIES times, before it is final; once it arrives after
 * all, larger sizes are tried again.  Pure: no clock, no socket.
 */
#ifndef NET_PLPMTUD_H
#define NET_PLPMTUD_H

#include <stdbool.h>
#include <linux/types.h>

#define PT_PLPMTUD_SIZES	16	/* sizes of one round */
#define PT_PLPMTUD_STEP_SZ	64	/* bytes: a block more or less */
#define PT_PLPMTUD_TRIES	3	/* rounds without lost_sz */

struct pt_plpmtud {
	__u32 seen_sz;		/* largest that passed; 0: none yet */
	__u32 lost_sz;		/* smallest that seems not to pass; or max_sz +
				 * 1 */
	__u32 lost_tries;	/* rounds in which lost_sz did not arrive */
	__u32 min_sz;
	__u32 max_sz;
};

/* Sizes are Ethernet bytes; PT_PLPMTUD_STEP_SZ < min_sz <= max_sz. */
void pt_plpmtud_init(struct pt_plpmtud *l, __u32 min_sz, __u32 max_sz);

/* pt_plpmtud_next writes the sizes of the next round, descending, and returns
 * their count; 0: finished, seen_sz is the result (0: nothing passes). */
__u32 pt_plpmtud_next(struct pt_plpmtud *l, __u32 sizes[PT_PLPMTUD_SIZES]);

/* pt_plpmtud_seen notes that a probe of sz bytes arrived.  A size outside min_sz
 * .. max_sz is the peer's mistake and is ignored. */
void pt_plpmtud_seen(struct pt_plpmtud *l, __u32 sz);

/* pt_plpmtud_close ends a round after its timeout: sizes above the largest that
 * arrived count as lost. */
void pt_plpmtud_close(struct pt_plpmtud *l, const __u32 *sizes, __u32 cnt);

#endif
