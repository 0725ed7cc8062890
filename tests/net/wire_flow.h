/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_flow: one queue of the test wire in one direction.
 *
 *     in --> silence? --> judged --> [damaged] --> [held] --> out
 *               |           |           + repetition, likewise --> out
 *            silenced    dropped
 *
 * Threads: no locks; one thread uses all flows of a wire.
 */
#ifndef WIRE_FLOW_H
#define WIRE_FLOW_H

#include <linux/types.h>
#include <stdbool.h>

#include "wire_parts.h"
#include "wire_plan.h"
#include "wire_queue.h"

/* WIRE_COUNTS: the wire's actions, by their names in its JSON.  Each data frame
 * is one of: vanished, whole once, whole more often.  A copy is whole if none
 * of it is missing or wrong, headers around the frame aside: the hosts decide
 * the meaning of a bit there, and such a frame is doubtful.  So
 *
 *     data_in + repeated = data_out + dropped
 *     data_out = data_in - vanished + surplus + cut + flips but of outer
 *
 * for frames that came through no silence and are not eaten.
 */
#define WIRE_COUNTS(X)							\
	X(in)		/* frames that came in */			\
	X(out)		/* frames that went out, repetitions too */	\
	X(in_bytes)							\
	X(out_bytes)							\
	X(data_in)	/* data frames, before the plan */		\
	X(data_out)	/* data frames that went out, both copies */	\
	X(dropped)	/* copies that the plan dropped */		\
	X(repeated)	/* copies that the plan added */		\
	X(reordered)	/* copies that waited for later frames */	\
	X(delayed)	/* copies that waited for their time */		\
	X(cut)		/* copies that lost their end */		\
	X(flip_outer)	/* copies of which a bit changed: where */	\
	X(flip_header)							\
	X(flip_auth)							\
	X(flip_contents)						\
	X(flip_records)							\
	X(flip_pad)							\
	X(flip_blocks)							\
	X(vanished)	/* data frames of which no copy went out whole */ \
	X(surplus)	/* copies that did, beyond a first */		\
	X(doubtful)	/* data frames with a copy of flip_outer */	\
	X(probes)	/* probes; the plan leaves them alone */	\
	X(others)	/* frames that are not pagetrim's */		\
	X(eaten)	/* probes and data frames longer than eat_above */ \
	X(silenced)	/* frames of any kind that came in a silence */	\
	X(lost)		/* frames that the wire itself lost */

struct wire_counts {
#define X(name) __u64 name;
	WIRE_COUNTS(X)
#undef X
};

/* wire_path: the data that all flows of a wire share: its plan, and the events
 * at a moment of the transfer, which is the number of data frames that have
 * come in from side 0. */
struct wire_path {
	struct wire_plan plan;
	__u16 port;		/* UDP port of pagetrim's frames */
	__u32 flip_parts;	/* where bits change: 1 << enum wire_part */
	__u64 hold_ns;		/* a reordered frame waits no longer */
	__u32 eat_above;	/* Ethernet bytes: pagetrim's frames that are
				 * longer vanish, before the plan; 0: none */
	__u64 eat_after;	/* data frames that come before that */
	__u64 silence_after;	/* data frames; then nothing passes, */
	__u64 silence_ns;	/* as long; 0: no silence */

	__u64 data_cnt;		/* data frames so far */
	__u64 silent_until_ns;	/* 0: the silence has not begun */
};

struct wire_flow_cfg {
	struct wire_path *path;		/* outlives the flow */
	struct wire_queue *queue;	/* shared with the other direction */
	unsigned from;			/* side 0 or 1, where frames come in */
};

struct wire_flow;

/* wire_flow_create returns NULL when there is no memory. */
struct wire_flow *wire_flow_create(const struct wire_flow_cfg *cfg);
void wire_flow_free(struct wire_flow *flow);

/* wire_flow_turn moves all it can at now_ns.  On success returns 0, and
 * *next_ns is when the flow needs its next turn even if no frame arrives: 0 at
 * once, ~0 never.  Returns -errno when the socket is broken. */
int wire_flow_turn(struct wire_flow *flow, __u64 now_ns, __u64 *next_ns);

/* wire_flow_counts: lost counts frames dropped on the way out, and held ones:
 * none, unless the flow is about to end. */
struct wire_counts wire_flow_counts(const struct wire_flow *flow);

#endif
