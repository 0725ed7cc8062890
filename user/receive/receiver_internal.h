/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* receiver_internal: shared by receiver.c (open, start, step and close),
 * receiver_sessions.c (the work of a step) and receiver_end.c (the end). */
#ifndef RECEIVE_RECEIVER_INTERNAL_H
#define RECEIVE_RECEIVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel/linger.h"
#include "channel/listener.h"
#include "receive/outcomes.h"
#include "receive/receiver.h"
#include "receive/rx_session.h"

#define PT_RX_SESSIONS_MAX (2 * PT_TRANSFERS_MAX)	/* including those that
							 * only ASK */
#define PT_RX_FINISH_MS	300	/* for a peer to read a last message */

/* pt_receiver_state: a receiver passes these states in this order. */
enum pt_receiver_state {
	PT_RECEIVER_OPEN,	/* not started, or that failed */
	PT_RECEIVER_SERVES,
	PT_RECEIVER_COMMITS,	/* it ends; begun commits get some time */
	PT_RECEIVER_PARTS,	/* peers read their last message */
	PT_RECEIVER_STORES,	/* only jobs of storage are left */
	PT_RECEIVER_OVER,
};

/* pt_receiver_loop: the events for which step is called. */
struct pt_receiver_loop {
	int poll_fd;		/* epoll, for the others and connections */
	int wake_fd;		/* eventfd: another step has work */
	int tick_fd;		/* timerfd */
	__u32 tick_ms;		/* its interval */
	int cancel_fd;		/* eventfd; stays readable after a cancel */
	atomic_uint cancel_cnt;
	atomic_bool drains;
	bool listens;		/* poll_fd includes the listener */
};

/* pt_receiver_end: the receiver's end, from COMMITS on. */
struct pt_receiver_end {
	struct pt_error why;	/* the reason that senders receive */
	bool is_deaf;		/* the device is lost */
	unsigned cancel_cnt;	/* the loop's, when the end began */
	__u64 deadline_ns;	/* of commits */
	__u64 remove_ns;	/* deadline of removals; 0: none */
};

struct pt_receiver {
	struct pt_receiver_cfg cfg;	/* with the defaults in place of zeroes */
	enum pt_receiver_state state;
	pthread_mutex_t lock;	/* recursive: event callbacks may call status */
	bool was_started;	/* by start, even if it failed */
	struct pt_receiver_info info;	/* as of start */
	struct pt_receiver_loop loop;
	struct pt_receiver_end end;
	struct pt_rx_host host;
	struct pt_listener *listener;
	struct pt_linger *linger;
	struct pt_rx_session *sessions[PT_RX_SESSIONS_MAX];
	__u32 session_cnt;
	struct pt_outcomes outcomes;
	struct pt_sink *reserved;	/* the caller's sink or that of
					 * prealloc_sz, until a session takes it */
	bool is_over;		/* the one transfer has ended */
	bool is_abandoned;	/* the end did not wait for storage */
	int result;		/* of step, once OVER; before: of the one transfer */
	struct pt_error error;	/* if result is not 0 */
	__u64 wait_until_ns;	/* for a first transfer; 0: any time */
	__u64 linger_until_ns;	/* a sender may ask for the outcome until then */
	__u64 shown_ns;		/* time of the last progress event */
	__u64 watched_ns;	/* time of the last look at the device */
};

/* pt_receiver_turn reads messages of all sessions, runs their timers, and
 * reports and frees those that ended. */
void pt_receiver_turn(struct pt_receiver *r);

/* pt_receiver_watch makes poll_fd readable on messages, new connections and
 * ticks; after the end began, on ticks only. */
void pt_receiver_watch(struct pt_receiver *r);
void pt_receiver_tick_every(struct pt_receiver *r, __u32 ms);

/* pt_receiver_answer sends a transfer's outcome, once known, to a session that
 * asks for it, see rx_session.h. */
void pt_receiver_answer(struct pt_receiver *r, struct pt_rx_session *s);

/* pt_receiver_look returns what to do about an unknown outcome, for messages. */
const char *pt_receiver_look(const struct pt_receiver *r);

/* pt_receiver_reap frees ended sessions whose storage is clear. */
void pt_receiver_reap(struct pt_receiver *r);

/* pt_receiver_unwatch stops polling the session's connection, before it gets
 * another owner or is closed. */
void pt_receiver_unwatch(struct pt_receiver *r, struct pt_rx_session *s);

/* pt_receiver_end_begin stops accepting transfers and ends the running ones.
 * pt_receiver_end_go_on does a step of COMMITS, PARTS or STORES. */
void pt_receiver_end_begin(struct pt_receiver *r);
void pt_receiver_end_go_on(struct pt_receiver *r);

#endif
