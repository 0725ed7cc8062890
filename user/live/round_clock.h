/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* round_clock: the times of a round and of the look after it.
 *
 *     begin ------> paused ------> end ---> delayed ---> look
 *          took_ns         took_ns
 *                  pause_ns             pause_ns
 *
 * Pages are written all the time, but are sent only outside of the pauses.  Pure:
 * the caller reads the clock.
 */
#ifndef LIVE_ROUND_CLOCK_H
#define LIVE_ROUND_CLOCK_H

#include "live/converge.h"

struct pt_round_clock {
	__u64 began_ns;		/* as if no pause had been */
	__u64 paused_ns;
	__u64 look_ns;		/* start of the look */
};

static inline void pt_round_clock_begin(struct pt_round_clock *c, __u64 now_ns)
{
	*c = (struct pt_round_clock){ .began_ns = now_ns };
}

/* pt_round_clock_pause: a pause of took_ns is over, during the round.  It may be
 * older than the round. */
static inline void pt_round_clock_pause(struct pt_round_clock *c,
					__u64 took_ns, __u64 now_ns)
{
	__u64 passed_ns = now_ns - c->began_ns;

	if (took_ns > passed_ns)
		took_ns = passed_ns;
	c->began_ns += took_ns;
	c->paused_ns += took_ns;
}

/* pt_round_clock_end fills the times of r up to its look, which is to begin
 * delay_ns later. */
static inline void pt_round_clock_end(struct pt_round_clock *c,
				      struct pt_round *r, __u64 delay_ns,
				      __u64 now_ns)
{
	r->took_ns = now_ns - c->began_ns;
	r->pause_ns = c->paused_ns + delay_ns;
	c->look_ns = now_ns + delay_ns;
}

/* pt_round_clock_look_again: the look begins anew, at once. */
static inline void pt_round_clock_look_again(struct pt_round_clock *c,
					     struct pt_round *r, __u64 now_ns)
{
	r->pause_ns += now_ns - c->look_ns;
	c->look_ns = now_ns;
}

#endif
