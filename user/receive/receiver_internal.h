/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* receiver_internal: what receiver.c (its life), receiver_sessions.c (what it does
 * meanwhile) and receiver_end.c share. */
#ifndef RECEIVE_RECEIVER_INTERNAL_H
#define RECEIVE_RECEIVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel/linger.h"
#include "channel/listener.h"
#include "receive/outcomes.h"
#include "receive/receiver.h"
#include "receive/rx_session.h"

#define PT_RX_SESSIONS_MAX (2 * PT_TRANSFERS_MAX)	/* those that ask, too */
#define PT_RX_FINISH_MS	300	/* for a peer to read a last message */

/* pt_receiver_state, in the order in which they are passed. */
enum pt_receiver_state {
	PT_RECEIVER_OPEN,	/* not started, or that failed */
	PT_RECEIVER_SERVES,
	PT_RECEIVER_COMMITS,	/* ends; commits are given a moment */
	PT_RECEIVER_PARTS,	/* peers read their last message */
	PT_RECEIVER_STORES,	/* only storage is waited for */
	PT_RECEIVER_OVER,
};

/* pt_receiver_loop: what step is called for. */
struct pt_receiver_loop {
	int poll_fd;		/* epoll: of all below, and connections */
	int wake_fd;		/* eventfd: there is more to do */
	int tick_fd;
	__u32 tick_ms;		/* its interval */
	int cancel_fd;		/* eventfd; once readable it stays so */
	atomic_uint cancel_cnt;
	bool listens;		/* the listener is watched */
};

/* pt_receiver_end: how it ends. */
struct pt_receiver_end {
	struct pt_error why;	/* what sessions are told */
	bool is_deaf;		/* the device is lost */
	unsigned cancel_cnt;	/* the loop's, when the end began */
	__u64 deadline_ns;	/* of commits */
	__u64 remove_ns;	/* deadline of what is removed; 0: none */
};

struct pt_receiver {
	struct pt_receiver_cfg cfg;	/* with the defaults in place of zeroes */
	enum pt_receiver_state state;
	pthread_mutex_t lock;	/* recursive: events may ask for the status */
	bool was_started;	/* successfully or not: it is not again */
	struct pt_receiver_info info;	/* since it started */
	struct pt_receiver_loop loop;
	struct pt_receiver_end end;
	struct pt_rx_host host;
	struct pt_listener *listener;
	struct pt_linger *linger;
	struct pt_rx_session *sessions[PT_RX_SESSIONS_MAX];
	__u32 session_cnt;
	struct pt_outcomes outcomes;
	struct pt_sink *reserved;	/* by prealloc_sz, until it is taken */
	bool is_over;		/* the one transfer has ended */
	bool is_abandoned;	/* it ends, and its storage was not waited for */
	int result;		/* of step, once OVER; before: of the one transfer */
	struct pt_error error;	/* if result is not 0 */
	__u64 linger_until_ns;	/* for a sender that may ask again */
	__u64 shown_ns;
	__u64 watched_ns;
};

/* pt_receiver_turn: what has come is read, what has ended is told. */
void pt_receiver_turn(struct pt_receiver *r);

/* pt_receiver_watch has step called when there is something for the sessions, the
 * listener or, at the latest, time.  Not for sessions and listener once it ends. */
void pt_receiver_watch(struct pt_receiver *r);
void pt_receiver_tick_every(struct pt_receiver *r, __u32 ms);

/* pt_receiver_answer answers a session that asks, see rx_session.h. */
void pt_receiver_answer(struct pt_receiver *r, struct pt_rx_session *s);

/* pt_receiver_reap frees sessions that ended, those whose storage is clear. */
void pt_receiver_reap(struct pt_receiver *r);

/* pt_receiver_unwatch: its connection is another's from here on. */
void pt_receiver_unwatch(struct pt_receiver *r, struct pt_rx_session *s);

/* pt_receiver_end_begin: nothing new is taken, what runs is ended.  end_go_on: a step of
 * COMMITS, PARTS or STORES. */
void pt_receiver_end_begin(struct pt_receiver *r);
void pt_receiver_end_go_on(struct pt_receiver *r);

#endif
