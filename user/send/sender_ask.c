/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A sender that lost its receiver during the commit asks for the outcome, on
 * one new connection after another, until the peer timeout. */
#include "send/sender_internal.h"

#include <errno.h>

#include <pagetrim/clock.h>

#define PAUSE_NS	200000000ULL	/* between connections */
#define READ_MAX	16		/* messages per step */

void pt_sender_ask_begin(struct pt_sender *s)
{
	s->ask.deadline_ns = pt_deadline_ns(s->cfg.peer_timeout_ms);
	/* Threads may still use the first connection. */
	pt_conn_shut(s->conn);
	s->left_conn = s->conn;
	s->conn = NULL;
}

static int ask(struct pt_sender *s)
{
	const struct pt_message m = {
		.type = PT_MSG_ASK,
		.ask = { .transfer_id = s->report.transfer_id },
	};

	s->ask.has_offer = false;
	pt_sender_expect(s);
	return pt_conn_send(s->conn, &m, &s->error);
}

/* take handles a message.  1: it is the answer.  An ABORT before OFFER refuses the
 * connection (a receiver of another version, say), and answers nothing. */
static int take(struct pt_sender *s, const struct pt_message *m)
{
	if (m->type == PT_MSG_ABORT && !s->ask.has_offer)
		return pt_error_set(&s->error, PT_EXIT_PEER, -ECONNREFUSED,
				    "receiver: %s", m->abort.text);
	if (m->type == PT_MSG_COMMITTED)
		return pt_sender_take(s, m) ? : 1;
	if (m->type != PT_MSG_OFFER || s->ask.has_offer)
		return pt_sender_take(s, m);
	s->ask.has_offer = true;	/* each connection begins with OFFER */
	pt_sender_expect(s);
	return 0;
}

/* once continues one request.  1: committed; 0: no answer yet. */
static int once(struct pt_sender *s)
{
	struct pt_message m;
	int ret = 0;

	if (!s->conn) {
		ret = pt_sender_connect(s);
		if (ret <= 0)
			return ret;
		ret = ask(s);
	}
	for (int i = 0; !ret && i < READ_MAX; i++) {
		ret = pt_conn_recv(s->conn, &m, &s->error);
		if (!ret)
			break;
		if (ret > 0)
			ret = take(s, &m);
	}
	if (!ret)
		ret = pt_sender_watch_peer(s);
	return ret ? ret : pt_sender_owed(s, s->ask.has_offer ? "COMMITTED"
							      : "OFFER");
}

static int give_up(struct pt_sender *s, int ret)
{
	struct pt_error why = s->error;

	return pt_error_set(&s->error, PT_EXIT_UNKNOWN, ret, "outcome unknown: "
			    "lost the receiver during commit: %.300s (%s)",
			    why.text, pt_sender_look(s));
}

/* wait_for_turn returns 0 when the next request may start. */
static int wait_for_turn(struct pt_sender *s)
{
	if (pt_sender_is_cancelled(s))
		return give_up(s, s->end.ret);
	if (pt_clock_ns() < s->ask.again_ns)
		return 1;
	s->ask.again_ns = 0;
	return pt_clock_ns() < s->ask.deadline_ns ? 0 : give_up(s, s->end.ret);
}

int pt_sender_ask_step(struct pt_sender *s)
{
	int ret = s->ask.again_ns ? wait_for_turn(s) : 0;

	if (ret)
		return ret;
	if (pt_sender_is_cancelled(s))
		return pt_sender_interrupted(s);
	ret = once(s);
	if (!ret)
		return 1;
	if (ret > 0) {
		s->report.commit_ns = pt_sender_enter(s, PT_SEND_DONE);
		pt_sender_live_committed(s);
		return 0;
	}
	if (s->is_aborted)
		return ret;
	s->end.ret = ret;
	s->ask.again_ns = pt_clock_ns() + PAUSE_NS;
	pt_conn_close(s->conn);
	s->conn = NULL;
	return 1;
}
