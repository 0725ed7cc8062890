/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Ends a sender.  First it notifies the receiver.  Then it waits for the
 * threads, but only for THREADS_MS: a thread that reads the source may wait for
 * its storage for any time, and connection, sockets and program are closed
 * before that. */
#include "send/sender_internal.h"

#include <errno.h>

#include <pagetrim/clock.h>

#define THREADS_MS	200	/* for threads to end that do not wait for storage */
#define LOOK_MS		10	/* between two checks of them */
#define FINISH_MS	500	/* for the receiver to read a last message */
#define RESUME_MS	35000	/* for the guest to run again; it has its own
				 * limit, which is less */

/* tell notifies the receiver at once, before threads end. */
static void tell(struct pt_sender *s, int ret)
{
	struct pt_message m = { .type = PT_MSG_BYE };

	if (!s->conn || s->is_told)
		return;
	s->is_told = true;
	if (ret && s->is_aborted)
		return;
	if (ret)
		pt_message_abort(&m, s->error.exit, s->error.text);
	pt_conn_send(s->conn, &m, NULL);
}

static bool have_ended(const struct pt_sender *s)
{
	for (__u32 i = 0; i < s->lane_cnt; i++)
		if (!pt_lane_has_ended(s->lanes[i]))
			return false;
	return pt_send_files_has_ended(s->files) &&
	       pt_held_has_ended(&s->held) &&
	       pt_recheck_has_ended(s->recheck);
}

/* cancel has all threads end, without waiting; that of a guest whose outcome is
 * unknown goes on, since the answer may let it resume the guest. */
static void cancel(struct pt_sender *s)
{
	pt_send_files_cancel(s->files);
	pt_held_cancel(&s->held);
	if (!s->end.is_unknown)
		pt_sender_live_cancel(s);
	pt_recheck_cancel(s->recheck);
	for (__u32 i = 0; i < s->lane_cnt; i++)
		pt_inbox_stop(pt_lane_inbox(s->lanes[i]));
}

void pt_sender_join(struct pt_sender *s)
{
	if (s->is_joined)
		return;
	s->is_joined = true;
	pt_send_files_stop(s->files);
	pt_held_stop(&s->held);
	pt_recheck_stop(s->recheck);
	s->recheck = NULL;
	pt_sender_stop_lanes(s);
}

static void enter(struct pt_sender *s, enum pt_send_ending state, int ms)
{
	s->end.state = state;
	s->end.deadline_ns = pt_deadline_ns(ms);
}

/* finish ends total_ns here, since the receiver's work after the commit is not
 * part of the transfer. */
static void finish(struct pt_sender *s)
{
	s->report.total_ns = pt_clock_ns() - s->started_ns;
	tell(s, s->end.ret);
	if (s->conn)
		pt_sender_watch(s, pt_conn_fd(s->conn));
	enter(s, PT_ENDING_FINISH, FINISH_MS);
}

/* unwatch_all: descriptors that step no longer reads would wake it forever. */
static void unwatch_all(struct pt_sender *s)
{
	if (s->conn)
		pt_sender_unwatch(s, pt_conn_fd(s->conn));
	if (s->path.monitor)
		pt_sender_unwatch(s, pt_monitor_fd(s->path.monitor));
	pt_sender_live_unwatch(s);
}

void pt_sender_end_begin(struct pt_sender *s, int ret)
{
	bool is_unknown = ret && ret != -ECANCELED && !s->is_aborted &&
			  s->is_commit_sent &&
			  s->report.phase == PT_SEND_COMMIT;

	pt_connect_end(s->connect);
	s->connect = NULL;
	s->end.ret = ret;
	s->end.is_unknown = is_unknown;
	unwatch_all(s);
	pt_sender_tick_every(s, LOOK_MS);
	if (!is_unknown)
		tell(s, ret);
	if (!ret) {
		pt_sender_live_cancel(s);
		pt_sender_live_free(s);
		pt_sender_join(s);
		finish(s);
		return;
	}
	cancel(s);
	enter(s, PT_ENDING_THREADS, THREADS_MS);
}

/* threads_ended: all have ended, or THREADS_MS are over. */
static bool threads_ended(struct pt_sender *s)
{
	if (have_ended(s))
		pt_sender_join(s);
	return s->is_joined || !pt_left_ms(s->end.deadline_ns);
}

static void after_threads(struct pt_sender *s)
{
	if (!s->end.is_unknown) {
		finish(s);
		return;
	}
	pt_sender_ask_begin(s);
	enter(s, PT_ENDING_ASK, 0);
}

static void go_on_asking(struct pt_sender *s)
{
	int ret = pt_sender_ask_step(s);

	if (ret > 0)
		return;
	s->end.ret = ret;
	unwatch_all(s);
	pt_connect_end(s->connect);
	s->connect = NULL;
	s->end.is_unknown = false;
	pt_sender_live_cancel(s);
	finish(s);
}

/* after_finish shuts the connection, since the remaining threads may wait for
 * it. */
static void after_finish(struct pt_sender *s)
{
	if (s->is_joined && pt_sender_live_has_ended(s)) {
		enter(s, PT_ENDING_OVER, 0);
		return;
	}
	if (s->conn)
		pt_conn_shut(s->conn);
	cancel(s);
	enter(s, PT_ENDING_LEAVE, pt_sender_live_has_ended(s) ? THREADS_MS
							      : RESUME_MS);
}

/* leave closes everything except the memory of threads that still wait for
 * storage. */
static void leave(struct pt_sender *s)
{
	bool is_unused[PT_LANES_MAX];

	for (__u32 i = 0; i < PT_LANES_MAX; i++)
		is_unused[i] = i >= s->worker_cnt ||
			       pt_worker_part(s->workers[i]);
	pt_send_path_shut(&s->path, is_unused);
	if (have_ended(s))
		pt_sender_join(s);
	enter(s, PT_ENDING_OVER, 0);
}

int pt_sender_end_step(struct pt_sender *s)
{
	switch (s->end.state) {
	case PT_ENDING_THREADS:
		if (threads_ended(s))
			after_threads(s);
		return 1;
	case PT_ENDING_ASK:
		go_on_asking(s);
		return 1;
	case PT_ENDING_FINISH:
		if (!s->conn || pt_conn_finish_step(s->conn) ||
		    !pt_left_ms(s->end.deadline_ns))
			after_finish(s);
		break;
	case PT_ENDING_LEAVE:
		if ((have_ended(s) && pt_sender_live_has_ended(s)) ||
		    !pt_left_ms(s->end.deadline_ns))
			leave(s);
		break;
	default:
		break;
	}
	return s->end.state != PT_ENDING_OVER;
}
