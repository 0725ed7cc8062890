/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sender_postcopy: the sender's part in a guest that is handed over before all of its
 * memory was sent.  From the stop on:
 *
 *     LACK    the receiver hears which pages it lacks, and the digests of all others
 *     EARLY   it answers faults: the device state flows, and the rest of the memory
 *     RUN     HAND_OVER was sent: the guest may run there, and not here
 *     FILL    it runs there, and the rest flows, pages first for which it waits
 *
 * then VERIFY and COMMIT, as ever.
 *
 * If one of both was lost behind FILL, another sender sends the rest (PT_LIVE_REST): the
 * receiver says what it lacks, and all else is as for memory that stands still.
 * Threads: control's.
 */
#ifndef SEND_SENDER_POSTCOPY_H
#define SEND_SENDER_POSTCOPY_H

#include "channel/messages.h"

struct pt_sender;

struct pt_send_postcopy {
	__u64 told_idx;		/* pages below it were told as lacking, or not */
	bool is_told;		/* all were; or the receiver of a rest has told all */
	bool is_ready;		/* the receiver answers faults */
	bool is_handed;		/* the guest runs there */
	__u64 handed_ns;
};

/* pt_sender_postcopy_agree refuses a receiver that cannot. */
int pt_sender_postcopy_agree(struct pt_sender *s);

/* pt_sender_postcopy_begin: the guest stands still, and all pages that were not sent as
 * they are now are dirty. */
void pt_sender_postcopy_begin(struct pt_sender *s);

/* pt_sender_postcopy_is_on: it has begun. */
bool pt_sender_postcopy_is_on(const struct pt_sender *s);

/* pt_sender_postcopy_advance is as pt_sender_live_advance, from then on. */
int pt_sender_postcopy_advance(struct pt_sender *s, bool is_clean);

/* pt_sender_postcopy_go: the lanes begin to send a rest. */
void pt_sender_postcopy_go(struct pt_sender *s);

/* pt_sender_postcopy_lacking: the receiver of a rest says what it lacks. */
int pt_sender_postcopy_lacking(struct pt_sender *s,
			       const struct pt_msg_pages_lacking *m);

/* pt_sender_postcopy_take handles PAGES_WANTED, PAGES_READY and HANDED_OVER. */
int pt_sender_postcopy_take(struct pt_sender *s, const struct pt_message *m);

/* pt_sender_postcopy_explain says, after a failure, where the guest is. */
int pt_sender_postcopy_explain(struct pt_sender *s, int ret);

#endif
