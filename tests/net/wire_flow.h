/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_flow: one queue of the test wire in one direction.
 *
 *     in --> judged --> [held] --> out
 *              |--> dropped        + repetition --> out
 *
 * Threads: no locks; one thread uses both flows of a queue.
 */
#ifndef WIRE_FLOW_H
#define WIRE_FLOW_H

#include <linux/types.h>
#include <stdbool.h>

#include "wire_plan.h"
#include "wire_queue.h"

/* WIRE_COUNTS: what the wire did, by the names that its JSON has.  Each data
 * frame is one of: vanished, delivered once, delivered twice.  So
 *
 *     data_out = data_in - vanished + surplus
 *     data_in + repeated = data_out + dropped
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
	X(vanished)	/* data frames of which no copy went out */	\
	X(surplus)	/* data frames of which both copies went out */	\
	X(probes)	/* probes; the plan leaves them alone */	\
	X(others)	/* frames that are not pagetrim's */		\
	X(eaten)	/* probes and data frames longer than eat_above */ \
	X(lost)		/* frames that the wire itself lost */

struct wire_counts {
#define X(name) __u64 name;
	WIRE_COUNTS(X)
#undef X
};

struct wire_flow_cfg {
	const struct wire_plan *plan;	/* outlives the flow */
	struct wire_queue *queue;	/* shared with the other direction */
	unsigned from;			/* side 0 or 1, where frames come in */
	__u16 port;			/* UDP port of pagetrim's frames */
	__u64 hold_ns;			/* a held frame waits no longer */
	__u32 eat_above;		/* Ethernet bytes: pagetrim's frames
					 * that are longer vanish, before the
					 * plan; 0: none does */
};

struct wire_flow;

/* wire_flow_create returns NULL when there is no memory. */
struct wire_flow *wire_flow_create(const struct wire_flow_cfg *cfg);
void wire_flow_free(struct wire_flow *flow);

/* wire_flow_turn moves what it can at now_ns.  On success returns 0, and
 * *next_ns is when the flow needs its next turn even if nothing arrives: 0 at
 * once, ~0 never.  Returns -errno when the socket is broken. */
int wire_flow_turn(struct wire_flow *flow, __u64 now_ns, __u64 *next_ns);

/* wire_flow_counts: lost has what was dropped on the way out, and what is still
 * held: nothing, unless the flow is about to end. */
struct wire_counts wire_flow_counts(const struct wire_flow *flow);

#endif
