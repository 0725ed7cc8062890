/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_held: reads what a kept image holds, makes it the rebuild's, and tells the
 * sender in HELD messages.  Regions that are holes cost a look each and are not
 * spoken of.
 *
 * Threads: one of its own, for as long as that takes; start and cancel by the
 * session's, stop by whoever may wait.  It adopts without a lock: of a sender that sends frames
 * before the last HELD, the queues refuse them.
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
	struct pt_intake *intake;	/* is_closed, until all was said */
	struct pt_conn *conn;
	const struct pt_layout *layout;
	struct pt_sink *sink;
	struct pt_rebuild *rebuild;
	int wake_fd;		/* eventfd: it has failed */
	/* The rest is for reading only. */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;	/* of conn, against control that closes it; never
				 * held while storage is waited for */
	atomic_bool stop;
	atomic_bool is_told;	/* all was said, or is on its way */
	atomic_int failed;	/* -errno, and error says why */
	struct pt_error error;
	_Atomic __u64 page_cnt;	/* held, and not zero */
};

/* pt_rx_held_start: the fields above are set.  -EAGAIN, -ENOMEM. */
int pt_rx_held_start(struct pt_rx_held *h, struct pt_error *err);

/* pt_rx_held_is_told returns whether all was said, or is on its way.  True, too,
 * if it was never started. */
bool pt_rx_held_is_told(const struct pt_rx_held *h);

/* pt_rx_held_cancel: the thread is to end, and uses the connection no more.  Waits
 * for nothing.  pt_rx_held_stop waits for the thread wherever it is.  Twice is
 * fine. */
void pt_rx_held_cancel(struct pt_rx_held *h);
void pt_rx_held_stop(struct pt_rx_held *h);

#endif
