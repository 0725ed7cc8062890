/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room rxq: one receive queue and its thread.
 *
 *   knows         taking frames, sequence numbers, the reordering window, credit,
 *                 handing over to placers
 *   may use       base seal wire xsk channel rebuild
 *   must not know messages of control, files, how a transfer begins and ends
 */
/* rx_queue: one thread that takes the frames of one queue's AF_XDP socket and
 * gives them to the lanes of the sessions.
 *
 * Locking: the thread holds the queue's lock for a batch of frames, and any
 * thread holds it to change the queue's lists or to read its lanes.  A lane is
 * on one queue at a time, and one thread moves lanes, so it need not hold two
 * locks.  A thread that takes several locks takes them in the order of the
 * queues' numbers.
 */
#ifndef RXQ_RX_QUEUE_H
#define RXQ_RX_QUEUE_H

#include "base/cpus.h"
#include "base/stages.h"
#include "rxq/intake.h"
#include "xsk/xsk.h"

#define PT_TRANSFERS_MAX	64	/* sessions of one receiver at once */
#define PT_QUEUE_LANES_MAX	256	/* lanes on one queue */

struct pt_rx_queue;

struct pt_rx_queue_cfg {
	struct pt_xsk *xsk;	/* stays the caller's; outlives the queue */
	__u16 queue;
	__u32 desc_sz;		/* bytes of a frame per charged descriptor */
	__u32 credit;		/* descriptors to grant to all lanes together */
	__u64 idle_ns;		/* a lane without frames for so long idles */
	__u32 ring_cnt;		/* descriptors that may wait in the RX ring */
	const struct pt_cpus *cpus;	/* the caller's; NULL: any; ... */
	__u32 thread_idx;		/* ... index of its thread */
	struct pt_stage_clock *clock;	/* of PT_RECEIVE_STAGES, the caller's;
					 * NULL: not profiled */
};

/* pt_rx_queue_start starts the thread.  -ENOMEM, -EAGAIN. */
int pt_rx_queue_start(struct pt_rx_queue **out,
		      const struct pt_rx_queue_cfg *cfg, struct pt_error *err);

/* pt_rx_queue_stop ends the thread.  pt_rx_queue_free does so, too, and frees
 * the queue, once no placer has a frame of it.  NULL is allowed. */
void pt_rx_queue_stop(struct pt_rx_queue *q);
void pt_rx_queue_free(struct pt_rx_queue *q);

void pt_rx_queue_lock(struct pt_rx_queue *q);
void pt_rx_queue_unlock(struct pt_rx_queue *q);

__u16 pt_rx_queue_number(const struct pt_rx_queue *q);

/* pt_rx_queue_wake makes a waiting thread look at its lanes again. */
void pt_rx_queue_wake(struct pt_rx_queue *q);

/* The following need the lock.  -ENOSPC: PT_TRANSFERS_MAX or
 * PT_QUEUE_LANES_MAX. */
int pt_rx_queue_session_add(struct pt_rx_queue *q, struct pt_intake *intake);
void pt_rx_queue_session_remove(struct pt_rx_queue *q,
				struct pt_intake *intake);
int pt_rx_queue_lane_add(struct pt_rx_queue *q, struct pt_rx_lane *lane);
void pt_rx_queue_lane_remove(struct pt_rx_queue *q, struct pt_rx_lane *lane);

/* pt_rx_queue_received returns the frames taken from the socket, of all
 * sessions. */
__u64 pt_rx_queue_received(const struct pt_rx_queue *q);

#endif
