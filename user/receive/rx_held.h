/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_held: reads a kept image, imports it into the rebuild, and reports it to
 * the sender in HELD messages.  Regions that are holes cost one lookup each and
 * are not reported.
 *
 * Threads: one of its own during the read; the session's thread calls start and
 * cancel, a thread that may wait calls stop.  It imports without a lock, since
 * the queues refuse frames before the last HELD.
 */
#ifndef RECEIVE_RX_HELD_H
#define RECEIVE_RX_HELD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "channel/conn.h"
#include "rebuild/rebuild.h"
#include "rxq/intake.h"

struct pt_rx_held {
	struct pt_intake *intake;	/* is_closed, until all is reported */
	struct pt_conn *conn;
	const struct pt_layout *layout;
	struct pt_sink *sink;
	struct pt_rebuild *rebuild;
	int wake_fd;		/* eventfd, written when reading fails */
	/* Callers only read the rest. */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;	/* of conn, which control may close; never held
				 * during a wait for storage */
	atomic_bool stop;
	atomic_bool is_told;	/* all is reported, or in the output queue */
	atomic_int failed;	/* -errno, with the reason in error */
	struct pt_error error;
	_Atomic __u64 page_cnt;	/* held nonzero pages */
};

/* pt_rx_held_start: the fields above are set.  -EAGAIN, -ENOMEM. */
int pt_rx_held_start(struct pt_rx_held *h, struct pt_error *err);

/* pt_rx_held_is_told returns whether all is reported, or in the output queue.
 * Also true if it was never started. */
bool pt_rx_held_is_told(const struct pt_rx_held *h);

/* pt_rx_held_cancel tells the thread to end and to stop using the connection,
 * without waiting.  pt_rx_held_stop waits for the thread in any state.  Both
 * may be called twice. */
void pt_rx_held_cancel(struct pt_rx_held *h);
void pt_rx_held_stop(struct pt_rx_held *h);

#endif
