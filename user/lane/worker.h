/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* worker: a thread that steps lanes of one TX queue, of one transfer or of several.
 *
 *     lanes --step--> each does what it can, and names what it waits for
 *       ^                                  |
 *       +--- until mail, device or time ---+
 *
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
	const struct pt_cpus *cpus;	/* see pt_send_job; NULL: any */
	unsigned idx;			/* the thread's name and CPU */
};

/* pt_worker_open starts the thread.  -ENOMEM, -EAGAIN. */
int pt_worker_open(struct pt_worker **out, const struct pt_worker_cfg *cfg);

/* pt_worker_close ends the thread, once its lanes have ended. */
void pt_worker_close(struct pt_worker *w);

/* pt_worker_add has the worker step the lane until it ends.  await waits for that. */
void pt_worker_add(struct pt_worker *w, struct pt_lane *l);
void pt_worker_await(struct pt_worker *w, const struct pt_lane *l);

#endif
