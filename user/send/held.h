/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* held: what a receiver that resumes holds, compared with the source.  It says
 * so in HELD messages, as digests under this transfer's key; a page whose digest
 * is the source's need not be sent.
 *
 *     HELD ... HELD --> pt_held_take    notes digests; what is not spoken of is
 *                                       to be sent
 *                       its thread      reads the source: what differs, too
 *     ... until there is a result, and then the lanes go
 *
 * The source may take any time, and its reader must not be who answers the peer.
 * The digests stand where those of sent pages will stand: no memory beyond them.
 * Threads: its own, for pt_held_step; all else by one other, control's.  Both end
 * before lanes touch dirty set and digests; a region is control's until it is told.
 */
#ifndef SEND_HELD_H
#define SEND_HELD_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel/messages.h"
#include "lane/lane.h"	/* pt_send_job */
#include "source/source.h"

struct pt_held {
	const struct pt_send_job *job;	/* outlives it */
	/* For reading only: */
	_Atomic __u64 region_told;	/* HELD has spoken of all below */
	_Atomic __u64 region_next;	/* compared all below */
	atomic_bool is_told;	/* the last HELD has come */
	_Atomic __u64 heard_ns;	/* when one came last */
	__u64 doubt_ns;		/* when that was found too long ago; 0: it was not */
	_Atomic __u64 page_cnt;	/* that need not be sent, and are not zero */
	_Atomic __u64 block_bytes;	/* of blocks that would have been sent for
					 * them */
	struct pt_view view;
	pthread_t thread;
	bool has_thread;
	atomic_bool stop;
	atomic_bool is_over;	/* then the two are its last word: */
	int result;
	struct pt_error error;
	int told_fd;		/* eventfd: there is more to compare */
};

void pt_held_init(struct pt_held *h, const struct pt_send_job *job);
void pt_held_free(struct pt_held *h);

/* pt_held_skip: the receiver holds nothing; all is to be sent. */
void pt_held_skip(struct pt_held *h);

/* pt_held_take notes what a message says.  -EPROTO: of regions that are not
 * next, or do not exist. */
int pt_held_take(struct pt_held *h, const struct pt_msg_held *m,
		 struct pt_error *err);

/* pt_held_is_waiting: nothing is to be compared before the next message. */
bool pt_held_is_waiting(const struct pt_held *h);

/* pt_held_start has a thread compare until all is; -EAGAIN, -EMFILE.  result: 1: it
 * has, 0: not yet, or as pt_held_step.  cancel has the thread end once the source
 * lets it, stop waits until it has; both are fine without one. */
int pt_held_start(struct pt_held *h, struct pt_error *err);
int pt_held_result(const struct pt_held *h, struct pt_error *err);
void pt_held_cancel(struct pt_held *h);
bool pt_held_has_ended(const struct pt_held *h);
void pt_held_stop(struct pt_held *h);

/* pt_held_step compares the next 16 MiB.  1: done; 0: call again;
 *   -ETIMEDOUT  no HELD came for the job's progress_ns, though one is due
 *   -errno      as pt_source_view */
int pt_held_step(struct pt_held *h, struct pt_error *err);

#endif
