/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sender_live: the sender's part in moving memory that changes: rounds, the
 * stop, and the hand-over of the device state.
 *
 *     ARM > ROUND > LOOK > ROUND > LOOK ... > BEGIN > STOP > LAST > (verify)
 *         > HAND_OVER > (commit)
 *
 * Threads: control's; the live thread does what may block.
 */
#ifndef SEND_SENDER_LIVE_H
#define SEND_SENDER_LIVE_H

#include "channel/relay.h"
#include "live/hot.h"
#include "live/live.h"
#include "live/round_clock.h"
#include "send/sender.h"

struct pt_send_live {
	struct pt_live *thread;		/* NULL: the memory stands still */
	enum pt_send_live_step step;
	struct pt_track_range *ranges;
	__u32 range_cnt;
	struct pt_hot *hot;		/* NULL: no page is left for last */
	struct pt_converge converge;
	struct pt_converge_cfg limits;	/* as they are at present */
	__u64 paced_ns;			/* the last change for a deadline */
	bool is_paced;			/* the pace follows it */
	bool is_held;			/* a look ended in a pause */
	bool looks_again;		/* after that pause */
	__u32 throttle;			/* percent, except in a pause */
	__u64 delay_ns;			/* of the look after the round */
	struct pt_round_clock clock;	/* of the round */
	__u64 round_pages;		/* counts at its start */
	__u64 round_zero_pages;
	__u64 round_wire_bytes;
	__u64 round_deltas;
	__u64 round_delta_saved;
	struct pt_relay *relay;		/* of the device state; NULL: none yet */
	bool is_sent;			/* all of it is placed, after the stop */
	__u64 stopped_ns;		/* the memory has stood still since */
	__u64 last_ns;			/* start of the last round, ... */
	__u64 verify_ns;		/* ... of the verification, ... */
	__u64 hand_over_ns;		/* ... and of the hand-over */
	bool is_warned;			/* of writers that no tracker sees */
	__u64 moved_sz;			/* bytes of the device state so far */
};

/* pt_sender_live_start begins to arm; a sender without live does nothing. */
int pt_sender_live_start(struct pt_sender *s);

/* pt_sender_live_is_armed: 1: pages may be read now; 0: not yet; or -errno. */
int pt_sender_live_is_armed(struct pt_sender *s);

/* pt_sender_live_go begins the first round. */
void pt_sender_live_go(struct pt_sender *s);

/* pt_sender_live_advance continues the rounds; is_clean: the lanes have sent
 * theirs.  1: the memory stands still, and all of it was sent. */
int pt_sender_live_advance(struct pt_sender *s, bool is_clean);

/* pt_sender_live_round: the lanes send what is dirty. */
void pt_sender_live_round(struct pt_sender *s, enum pt_send_live_step step);

/* pt_sender_live_throttle throttles the guest as was decided, except in a pause,
 * in which nothing converges.  While the live thread has a job, a later call does
 * it.  Errors as pt_live_result. */
int pt_sender_live_throttle(struct pt_sender *s);

/* pt_sender_live_is_stopping: the guest is being stopped, or stands still. */
bool pt_sender_live_is_stopping(const struct pt_sender *s);

/* pt_sender_deadline_left_ns: until the deadline; 1: it is over; 0: there is none.
 * pt_sender_deadline_watch is called in each step: it sets the pace of the first
 * round, and fails at the deadline, unless the guest is to be stopped for longer. */
__u64 pt_sender_deadline_left_ns(const struct pt_sender *s);
int pt_sender_deadline_watch(struct pt_sender *s);

/* pt_sender_fail_to_converge: -ETIME. */
int pt_sender_fail_to_converge(struct pt_sender *s);

/* pt_sender_live_resume: a pause of took_ns is over. */
void pt_sender_live_resume(struct pt_sender *s, __u64 took_ns);

/* pt_sender_live_hand_over continues the hand-over.  1: it is done, also if none
 * is needed. */
int pt_sender_live_hand_over(struct pt_sender *s);

/* pt_sender_live_relay moves bytes of the device state. */
int pt_sender_live_relay(struct pt_sender *s);
int pt_sender_live_take(struct pt_sender *s, const struct pt_msg_state *m);

/* pt_sender_live_unwatch: step is no longer called for the device state. */
void pt_sender_live_unwatch(const struct pt_sender *s);

/* pt_sender_live_committed notes the downtime. */
void pt_sender_live_committed(struct pt_sender *s);

/* pt_sender_live_cancel has the thread end, which resumes the guest unless
 * COMMIT was sent and the receiver has not said that the guest does not run
 * there.  The first call decides.  _free waits for it. */
void pt_sender_live_cancel(struct pt_sender *s);
bool pt_sender_live_has_ended(const struct pt_sender *s);
void pt_sender_live_free(struct pt_sender *s);

/* pt_sender_live_enter begins a step.  It is not inlined, so that a debugger can
 * stop a sender there. */
void pt_sender_live_enter(struct pt_sender *s, enum pt_send_live_step step)
	__attribute__((noinline));

#endif
