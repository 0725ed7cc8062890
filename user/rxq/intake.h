/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* intake: the half of a receiving session that the queues see: its lanes,
 * where its blocks go, whom to tell.
 *
 * Threads: fields are set before the first queue knows the intake and stay,
 * but for those marked.  Lanes are under the lock of the queue they are on; their
 * placers see to themselves.
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
	struct pt_endpoint endpoint;	/* where its frames are sent */
	bool is_sealed;			/* its frames are, all of them */
	__u8 header_key[PT_SIPHASH_KEY_SZ];	/* if so */
	pthread_mutex_t probe_lock;	/* probes come on any queue */
	bool places_apart;		/* the sink may wait for storage: lanes'
					 * placers have threads */
	pthread_rwlock_t place_lock;	/* read: pages are placed; write: what was
					 * placed is read.  Who holds it may wait
					 * for storage: not for control */
	bool is_profiled;		/* those have stage clocks */
	struct pt_conn *conn;		/* ACK and PROBE_SEEN go here */
	struct pt_rebuild *rebuild;
	struct pt_rx_lane *lanes;	/* lane_cnt of them */
	__u16 lane_cnt;
	int wake_fd;			/* eventfd: control has work to do */
	bool was_shared;		/* with another session; control's */
	__u64 dropped_before;		/* by sockets, before it; control's */

	atomic_bool is_closed;		/* what it holds is not told yet: frames
					 * are refused; rx_held opens it */
	_Atomic __u64 grace_ns;		/* any thread */
	_Atomic __u64 rtt_ns;		/* of the path, no queues; 0: not known;
					 * any thread */
	_Atomic __u64 strays;		/* data frames met on a queue that
					 * their lane had left; any thread */
	atomic_int failed;		/* 0, or -errno with error filled */
	struct pt_error error;		/* by whoever set failed */
};

/* pt_intake_lanes_make makes lane_cnt lanes, on no queue yet, with their
 * placers.  -ENOMEM; -EAGAIN: no threads. */
int pt_intake_lanes_make(struct pt_intake *i);

/* pt_intake_is_placed: nothing of what was accepted waits to be placed.  Any
 * thread. */
bool pt_intake_is_placed(const struct pt_intake *i);

/* pt_intake_since_ns: since when storage has been waited for, the longest of its
 * lanes; 0: it is not.  Any thread. */
__u64 pt_intake_since_ns(const struct pt_intake *i);

/* pt_intake_profile: of the placers' threads, since they started; PLACE and IDLE.
 * No threads where queues place. */
void pt_intake_profile(const struct pt_intake *i, struct pt_profile *out);

/* pt_intake_stop drops what waits to be placed, when no queue knows it any
 * more.  Waits for nothing. */
void pt_intake_stop(struct pt_intake *i);

/* pt_intake_free ends placers, frees lanes and wipes keys, when no queue knows
 * it (any more).  Waits until what is being placed has been. */
void pt_intake_free(struct pt_intake *i);

/* pt_intake_fail notes the first failure and wakes control.  Any thread. */
void pt_intake_fail(struct pt_intake *i, int code, const struct pt_error *err);

/* pt_intake_ledger adds up the lanes, with their queues locked. */
void pt_intake_ledger(const struct pt_intake *i, struct pt_ledger *ledger);

/* pt_intake_window_ns returns the longest reordering window of the lanes on which
 * something came, with their queues locked. */
__u64 pt_intake_window_ns(const struct pt_intake *i);

#endif
