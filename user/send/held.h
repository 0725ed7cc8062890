/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* held: compares the pages that a resuming receiver holds with the source.  The
 * receiver reports them in HELD messages, as digests under this transfer's key;
 * a page whose digest equals the source's is not sent.
 *
 *     HELD ... HELD --> pt_held_take    notes digests, and makes regions dirty
 *                                       that are not reported
 *                       its thread      reads the source, and makes pages dirty
 *                                       that differ
 *     ... until there is a result; then the lanes start sending
 *
 * A read of the source may block, so it is not done by control, which answers
 * the peer.  The received digests use the table of sent pages' digests, and
 * need no other memory.  Threads: its own thread runs pt_held_step; control
 * calls all other functions.  Both end before lanes touch dirty set and
 * digests.  Control writes a region's digests before it raises region_told, and
 * its thread reads them afterwards.
 */
#ifndef SEND_HELD_H
#define SEND_HELD_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel/messages.h"
#include "lane/lane.h"	/* pt_send_job */
#include "source/source.h"

struct pt_held {
	const struct pt_send_job *job;	/* outlives this struct */
	/* Callers only read the rest. */
	_Atomic __u64 region_told;	/* HELD has reported all below */
	_Atomic __u64 region_next;	/* all below are compared */
	atomic_bool is_told;	/* the last HELD has come */
	_Atomic __u64 heard_ns;	/* time of the last HELD */
	__u64 doubt_ns;		/* time when heard_ns was found too old; 0: it is
				 * not */
	_Atomic __u64 page_cnt;	/* nonzero pages that are not sent */
	_Atomic __u64 block_bytes;	/* bytes of their blocks */
	struct pt_view view;
	pthread_t thread;
	bool has_thread;
	atomic_bool stop;
	atomic_bool is_over;	/* its thread has set the next two, and ends */
	int result;
	struct pt_error error;
	int told_fd;		/* eventfd: more regions can be compared */
};

void pt_held_init(struct pt_held *h, const struct pt_send_job *job);
void pt_held_free(struct pt_held *h);

/* pt_held_skip makes all pages dirty, since the receiver holds none. */
void pt_held_skip(struct pt_held *h);

/* pt_held_take notes the digests of a message.  -EPROTO: its regions are not
 * the next ones, or do not exist. */
int pt_held_take(struct pt_held *h, const struct pt_msg_held *m,
		 struct pt_error *err);

/* pt_held_is_waiting: all reported regions are compared. */
bool pt_held_is_waiting(const struct pt_held *h);

/* pt_held_start starts the thread; -EAGAIN, -EMFILE.  pt_held_result returns 1
 * when all is compared, 0 before, or an error of pt_held_step.  pt_held_cancel
 * has the thread end after its present read of the source; pt_held_stop also
 * waits for that.  Both are allowed without a thread. */
int pt_held_start(struct pt_held *h, struct pt_error *err);
int pt_held_result(const struct pt_held *h, struct pt_error *err);
void pt_held_cancel(struct pt_held *h);
bool pt_held_has_ended(const struct pt_held *h);
void pt_held_stop(struct pt_held *h);

/* pt_held_step compares the next 16 MiB.  1: all is compared; 0: call it again;
 *   -ETIMEDOUT  a HELD is due, and none came for the job's progress_ns
 *   -errno      as pt_source_view */
int pt_held_step(struct pt_held *h, struct pt_error *err);

#endif
