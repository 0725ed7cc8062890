/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Ends a receiver: notifies the peers and closes connections, sockets and
 * program at once; then it ends the parts that may wait for storage. */
#include "receive/receiver_internal.h"

#include <errno.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>

#define COMMIT_TICK_MS	5
#define STORAGE_TICK_MS	100
#define REMOVE_MS	10000	/* cancelled twice, to remove received data */

/* end_session ends a session, except for a commit that has begun. */
static void end_session(struct pt_receiver *r, struct pt_rx_session *s,
			const struct pt_error *err)
{
	struct pt_error unread, own;

	if (s->state == PT_RX_COMMITTING)
		return;
	if (s->fill.is_handing && !r->end.is_deaf) {
		pt_error_set(&own, PT_EXIT_FAILED, -ECANCELED, "interrupted; %s",
			     pt_rx_session_left(s));
		err = &own;
	}
	if (s->state == PT_RX_DONE)
		pt_rx_session_enter(s, PT_RX_ENDED);
	if (s->request.asked_id && s->state == PT_RX_OFFERED)
		pt_receiver_answer(r, s);
	if (!s->request.wants_open && !r->end.is_deaf) {
		pt_error_set(&unread, PT_EXIT_UNKNOWN, -ECANCELED, "receiver "
			     "interrupted before OPEN (for the outcome of an "
			     "earlier transfer, %s)", pt_receiver_look(r));
		err = &unread;
	}
	if (!s->request.asked_id || s->state == PT_RX_ENDED)
		pt_rx_session_end(s, -ECANCELED, err);
}

/* are_committing: some sessions are in commit, and continue. */
static bool are_committing(struct pt_receiver *r)
{
	bool are = false;

	for (__u32 i = 0; i < r->session_cnt; i++) {
		if (r->sessions[i]->state != PT_RX_COMMITTING)
			continue;
		pt_rx_session_tick(r->sessions[i], pt_clock_ns());
		are |= r->sessions[i]->state == PT_RX_COMMITTING;
	}
	return are;
}

/* leave_commits tells the senders of unfinished commits, and those that ask for
 * one, that the outcome stays unknown. */
static void leave_commits(struct pt_receiver *r)
{
	const char *look = pt_receiver_look(r);
	struct pt_message m;
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_UNKNOWN, -ECANCELED, "outcome unknown: "
		     "interrupted while its storage commits (%s)", look);
	pt_message_abort(&m, err.exit, err.text);
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (s->state == PT_RX_OFFERED)
			pt_rx_session_answer(s, &err);
		if (s->state != PT_RX_COMMITTING || !s->conn)
			continue;
		pt_receiver_unwatch(r, s);
		pt_rx_held_cancel(&s->held);
		pt_conn_send(s->conn, &m, NULL);
		pt_linger_take(r->linger, s->conn, PT_RX_FINISH_MS);
		s->conn = NULL;
	}
}

static bool is_committing(const struct pt_receiver *r)
{
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->state == PT_RX_COMMITTING)
			return true;
	return false;
}

void pt_receiver_end_begin(struct pt_receiver *r)
{
	if (!r->end.is_deaf)
		pt_error_set(&r->end.why, PT_EXIT_FAILED, -ECANCELED,
			     "interrupted; nothing was committed");
	r->end.cancel_cnt = atomic_load(&r->loop.cancel_cnt);
	r->end.deadline_ns = pt_deadline_ns(PT_RX_FINISH_MS);
	r->state = PT_RECEIVER_COMMITS;
	/* Transfers come first, so that senders that ask learn the outcome. */
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->request.is_open)
			end_session(r, r->sessions[i], &r->end.why);
	pt_receiver_tick_every(r, COMMIT_TICK_MS);
	eventfd_write(r->loop.wake_fd, 1);
}

/* part_all notifies all peers at once. */
static void part_all(struct pt_receiver *r)
{
	pt_receiver_reap(r);
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->state != PT_RX_ENDED)
			end_session(r, r->sessions[i], &r->end.why);
	leave_commits(r);
	pt_receiver_reap(r);
}

/* finish sets the result that step returns from now on. */
static void finish(struct pt_receiver *r)
{
	r->state = PT_RECEIVER_OVER;
	if (r->is_abandoned && is_committing(r))
		r->result = pt_error_set(&r->error, PT_EXIT_UNKNOWN,
					 -ECANCELED, "outcome unknown: "
					 "interrupted twice during commit "
					 "(%s)", pt_receiver_look(r));
	else if (r->is_over)
		return;
	else if (r->end.is_deaf) {
		r->error = r->end.why;
		r->result = -ENODEV;
	} else if (!r->cfg.serve)
		r->result = pt_error_set(&r->error, PT_EXIT_FAILED,
					 -ECANCELED, "interrupted; %s",
					 r->cfg.guest && r->cfg.guest->rest_of ?
					 "the guest runs, and waits for the rest of "
					 "its memory" : "nothing was received");
}

/* has_to_remove: storage must still remove a transfer's data. */
static bool has_to_remove(const struct pt_receiver *r)
{
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->state != PT_RX_COMMITTING)
			return true;
	return false;
}

/* is_impatient: after two cancels it waits for no commit, and REMOVE_MS for the
 * rest; after three it does not wait. */
static bool is_impatient(struct pt_receiver *r)
{
	unsigned more = atomic_load(&r->loop.cancel_cnt) - r->end.cancel_cnt;

	if (!more)
		return false;
	if (!r->end.remove_ns)
		r->end.remove_ns = pt_deadline_ns(REMOVE_MS);
	return more > 1 || !has_to_remove(r) || !pt_left_ms(r->end.remove_ns);
}

static void await_storage(struct pt_receiver *r)
{
	for (__u32 i = 0; i < r->session_cnt; i++)
		pt_rx_session_tick(r->sessions[i], pt_clock_ns());
	pt_receiver_reap(r);
	r->is_abandoned = r->session_cnt && is_impatient(r);
	if (!r->session_cnt || r->is_abandoned)
		finish(r);
}

void pt_receiver_end_go_on(struct pt_receiver *r)
{
	if (r->state == PT_RECEIVER_COMMITS &&
	    (!are_committing(r) || !pt_left_ms(r->end.deadline_ns))) {
		part_all(r);
		r->state = PT_RECEIVER_PARTS;
	}
	if (r->state == PT_RECEIVER_PARTS && !pt_linger_tick(r->linger)) {
		pt_listener_close(r->listener);
		r->listener = NULL;
		pt_rx_host_close(&r->host);
		pt_receiver_tick_every(r, STORAGE_TICK_MS);
		r->state = PT_RECEIVER_STORES;
	}
	if (r->state == PT_RECEIVER_STORES)
		await_storage(r);
}
