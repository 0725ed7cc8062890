/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* held: what a receiver that resumes holds, compared with the source.  It says
 * so in HELD messages, as digests under this transfer's key; a page whose digest
 * is the source's need not be sent.
 *
 *     HELD ... HELD --> pt_held_take    notes digests; what is not spoken of is
 *                                       to be sent
 *                       pt_held_step    reads the source: what differs, too
 *     ... until it returns 1, and then the lanes go
 *
 * In steps, so that the caller can do other things in between.  The digests
 * stand where those of sent pages will stand: no memory beyond them.
 * Threads: one, before lanes touch dirty set and digests.
 */
#ifndef TRANSFER_HELD_H
#define TRANSFER_HELD_H

#include "control/messages.h"
#include "memory/source.h"
#include "transfer/lane.h"	/* pt_send_job */

struct pt_held {
	const struct pt_send_job *job;	/* outlives it */
	/* For reading only: */
	__u64 region_told;	/* HELD has spoken of all below */
	__u64 region_next;	/* compared all below */
	bool is_told;		/* the last HELD has come */
	__u64 heard_ns;		/* when one came last */
	__u64 page_cnt;		/* that need not be sent, and are not zero */
	__u64 block_bytes;	/* of blocks that would have been sent for them */
	struct pt_view view;
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

/* pt_held_step compares the next 16 MiB.  1: done; 0: call again;
 *   -ETIMEDOUT  no HELD came for the job's progress_ns, though one is due
 *   -errno      as pt_source_view */
int pt_held_step(struct pt_held *h, struct pt_error *err);

#endif
