/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* intake: the part of a receiving session for the queues: its lanes, its sink,
 * its connection.
 *
 * Threads: fields are set before the first queue gets the intake and stay
 * constant, except for the marked ones.  The lock of a lane's queue protects
 * the lane; placers have their own locks.
 */
#ifndef RXQ_INTAKE_H
#define RXQ_INTAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/stages.h"
#include "channel/conn.h"
#include "rxq/rx_lane.h"
#include <pagetrim/maps.h>

struct pt_intake {
	__u64 session_id;
	struct pt_endpoint endpoint;	/* destination of its frames */
	bool is_sealed;			/* all its frames are sealed */
	__u8 header_key[PT_SIPHASH_KEY_SZ];	/* if so */
	pthread_mutex_t probe_lock;	/* since probes come on any queue */
	bool places_apart;		/* the sink may wait for storage, so
					 * placers have threads */
	pthread_rwlock_t place_lock;	/* read: pages are placed; write: placed
					 * pages are read.  Its holder may wait
					 * for storage, so control never takes
					 * it */
	bool is_profiled;		/* placers have stage clocks */
	__u8 compressions;		/* 1 << enum pt_compression, of those
					 * that frames may have */
	struct pt_conn *conn;		/* ACK and PROBE_SEEN go here */
	struct pt_rebuild *rebuild;
	struct pt_rx_lane *lanes;	/* lane_cnt of them */
	__u16 lane_cnt;
	int wake_fd;			/* eventfd: control has work */
	bool was_shared;		/* with another session; control's */
	__u64 dropped_before;		/* by sockets, before this session;
					 * control's */

	atomic_bool is_closed;		/* frames are refused until rx_held has
					 * reported the held pages */
	atomic_bool is_waited_for;	/* a guest waits for pages, so that few frames
					 * are to be in flight */
	_Atomic __u64 reorder_min_ns;	/* any thread */
	_Atomic __u64 rtt_ns;		/* of the path without queues; 0:
					 * unknown; any thread */
	atomic_bool is_ahead;		/* of the limit of its sender's bandwidth:
					 * no credit comes back; any thread */
	_Atomic __u64 strays;		/* data frames on a queue that their
					 * lane had left; any thread */
	atomic_int failed;		/* 0, or -errno with error filled */
	struct pt_error error;		/* written by the thread that set
					 * failed */
};

/* pt_intake_lanes_make makes lane_cnt lanes, on no queue yet, with their
 * placers.  -ENOMEM; -EAGAIN: no threads. */
int pt_intake_lanes_make(struct pt_intake *i);

/* pt_intake_is_placed: no accepted frame waits to be placed.  Any thread. */
bool pt_intake_is_placed(const struct pt_intake *i);

/* pt_intake_since_ns returns since when a lane has waited for storage, for the
 * longest wait; 0: none waits.  Any thread. */
__u64 pt_intake_since_ns(const struct pt_intake *i);

/* pt_intake_profile sums the placers' threads since their start, for PLACE and
 * IDLE.  There are no threads if queues place. */
void pt_intake_profile(const struct pt_intake *i, struct pt_profile *out);

/* pt_intake_stop drops the frames that wait to be placed, once no queue has the
 * intake.  It does not wait. */
void pt_intake_stop(struct pt_intake *i);

/* pt_intake_free ends placers, frees lanes and wipes keys, once no queue has
 * the intake.  It waits for frames that are being placed. */
void pt_intake_free(struct pt_intake *i);

/* pt_intake_fail notes the first failure and wakes control.  Any thread. */
void pt_intake_fail(struct pt_intake *i, int code, const struct pt_error *err);

/* pt_intake_ledger adds up the lanes, with their queues locked. */
void pt_intake_ledger(const struct pt_intake *i, struct pt_ledger *ledger);

/* pt_intake_window_ns returns the longest reordering window of the lanes that
 * brought frames, with their queues locked. */
__u64 pt_intake_window_ns(const struct pt_intake *i);

#endif
