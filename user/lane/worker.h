/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* worker: a thread that steps lanes of one TX queue, of one transfer or of several.
 *
 *     lanes --step--> each does what it can, and names what it waits for
 *       ^                                  |
 *       +--- until mail, device or time ---+
 *
 * A step is a turn: a batch of frames (batch.h), or a millisecond of looking for them.
 * Lanes with work take turns, so that one with endless work does not starve another.
 * A lane that reads its source delays the others of the worker for as long.
 *
 * Threads: its own; any may add and await lanes.
 */
#ifndef LANE_WORKER_H
#define LANE_WORKER_H

#include "base/cpus.h"
#include "xsk/xsk.h"

struct pt_lane;
struct pt_worker;

struct pt_worker_cfg {
	struct pt_xsk *xsk;		/* the caller's, of all its lanes */
	const struct pt_cpus *cpus;	/* of the workers; NULL: any */
	unsigned idx;			/* the thread's name and CPU */
};

/* pt_worker_source: the thread that changes AT_SOURCE first owns the socket. */
enum pt_worker_source {
	PT_WORKER_ELSEWHERE,
	PT_WORKER_AT_SOURCE,	/* a lane reads the source: the worker uses neither
				 * socket nor control */
	PT_WORKER_PARTED,	/* and never will use them again */
};

/* pt_worker_open starts the thread.  -ENOMEM, -EAGAIN. */
int pt_worker_open(struct pt_worker **out, const struct pt_worker_cfg *cfg);

/* pt_worker_close ends the thread, once its lanes have ended. */
void pt_worker_close(struct pt_worker *w);

/* pt_worker_add has the worker step the lane until it ends.  await waits for that. */
void pt_worker_add(struct pt_worker *w, struct pt_lane *l);
void pt_worker_await(struct pt_worker *w, const struct pt_lane *l);

/* pt_worker_part, once all its lanes were told to stop, returns true if they have ended,
 * or one is reading the source, which may take any time, and they will end afterwards.
 * The caller owns the socket from then on. */
bool pt_worker_part(struct pt_worker *w);

#endif
