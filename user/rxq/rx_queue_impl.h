/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_queue_impl: the internals that rx_queue.c (a queue's thread) and rx_take.c
 * (its processing of a frame) share. */
#ifndef RXQ_RX_QUEUE_IMPL_H
#define RXQ_RX_QUEUE_IMPL_H

#include <pthread.h>

#include "rxq/depot.h"
#include "rxq/rx_queue.h"

#define PT_RX_BATCH	64	/* frames taken under one lock */

struct pt_rx_queue {
	struct pt_rx_queue_cfg cfg;
	pthread_t thread;
	pthread_mutex_t turn;	/* held by a thread that waits for the lock */
	pthread_mutex_t lock;
	atomic_bool stop;
	bool is_stopped;
	int event_fd;
	__u64 ticked_ns;
	__u64 looked_ns;		/* when the ring was last read */
	__u64 round_ns;			/* when the present round through the
					 * ring began */
	__u32 round_desc_cnt;		/* descriptors taken since */
	__u64 taken_ns;			/* when the last frame was taken */
	__u32 nap_ns;			/* the last nap */
	__u32 nap_desc_cnt;		/* descriptors taken since */

	struct pt_intake *sessions[PT_TRANSFERS_MAX];
	__u32 session_cnt;
	struct pt_rx_lane *lanes[PT_QUEUE_LANES_MAX];
	__u32 lane_cnt;
	__u64 shared_ns;		/* when the credit was divided, and what ... */
	__u32 share;			/* ... lanes with demand have each since */
	__u32 fill_cnt;			/* descriptors that waited, at most, since
					 * the last look at stretches */
	struct pt_rx_lane *last;	/* the lane of the frame before */
	__u64 received;

	struct pt_rx_lane *taking[PT_RX_BATCH];	/* took frames of this batch */
	__u32 taking_cnt;
	struct pt_depot depot;		/* of the frames that wait for storage */
	struct pt_rx_frame frames[PT_RX_BATCH];
	struct pt_reader reader;
};

/* pt_rx_take_frame finds the frame's lane, checks it, and passes it to the
 * lane's placer.  If the placer keeps the frame, it has no spans afterwards. */
void pt_rx_take_frame(struct pt_rx_queue *q, struct pt_rx_frame *frame);

/* pt_rx_hand_over ends a batch: its frames are written, or handed to the
 * placers, before they are recycled. */
void pt_rx_hand_over(struct pt_rx_queue *q);

#endif
