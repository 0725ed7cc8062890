/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How a sender ends.  The receiver is told first.  Then threads are waited for, but
 * no longer than they may take by themselves: one that reads the source is held up
 * by its storage for any time, and connection, sockets and program do not wait for
 * that. */
#include "base/stop.h"
#include "send/sender_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>

#define GRACE_MS	200	/* for threads to end, unless the source holds them */
#define LOOK_MS		10	/* between looks at them */
#define REPLY_MS	100
#define FINISH_MS	500	/* for the receiver to read a last message */

/* leave_conn: the first connection stays in the hands of threads. */
static void leave_conn(struct pt_sender *s)
{
	if (s->conn)
		pt_conn_shut(s->conn);
	s->left_conn = s->conn;
	s->conn = NULL;
}

/* next: 1 and a message, 0 none for a while. */
static int next(struct pt_sender *s, struct pt_message *m)
{
	int ret = pt_sender_stopped(s);

	if (ret)
		return ret;
	ret = pt_conn_recv_wait(s->conn, m, REPLY_MS, s->cancel_fd, &s->error);
	if (ret == -ECANCELED)
		return pt_sender_stopped(s);
	return ret == -ETIMEDOUT ? 0 : ret;
}

/* reply waits for a message of a type. */
static int reply(struct pt_sender *s, enum pt_message_type type,
		 struct pt_message *m)
{
	pt_sender_expect(s);
	for (;;) {
		int ret = next(s, m);

		if (ret > 0 && m->type == type)
			return 0;
		if (ret > 0)
			ret = pt_sender_take(s, m);
		if (!ret)
			ret = pt_sender_watch_peer(s);
		if (!ret)
			ret = pt_sender_owed(s, pt_message_name(type));
		if (ret)
			return ret;
	}
}

/* ask_once asks on a new connection whether the transfer was committed. */
static int ask_once(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_ASK,
		.ask = { .transfer_id = s->report.transfer_id },
	};
	int ret;

	if (s->left_conn)
		pt_conn_close(s->conn);
	else
		leave_conn(s);
	s->conn = NULL;
	ret = pt_sender_connect(s);
	if (!ret)
		ret = pt_conn_send(s->conn, &m, &s->error);
	if (!ret)	/* it offers before it hears what we want */
		ret = reply(s, PT_MSG_OFFER, &m);
	return ret ? ret : reply(s, PT_MSG_COMMITTED, &m);
}

/* ask asks as long as the peer timeout lasts. */
static int ask(struct pt_sender *s)
{
	__u64 deadline = pt_clock_ns() + s->cfg.peer_timeout_ms * 1000000ULL;
	struct pt_error why;
	int ret;

	do {
		ret = ask_once(s);
		if (!ret)
			pt_sender_enter(s, PT_SEND_DONE);
		if (!ret || s->is_aborted)
			return ret;
		if (pt_stop_wait(s->cancel_fd, 200))
			break;
	} while (pt_clock_ns() < deadline);
	if (ret == -ECANCELED)
		return pt_sender_interrupted(s);
	why = s->error;
	return pt_error_set(&s->error, PT_EXIT_UNKNOWN, ret, "outcome unknown: "
			    "lost the receiver during commit: %.300s (look "
			    "for the image at the receiver)", why.text);
}

/* tell: the receiver hears at once why it is over, whatever our threads wait for. */
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

/* cancel has all threads end; returns whether they did. */
static bool cancel(struct pt_sender *s)
{
	struct pollfd wake = { .fd = s->wake_fd, .events = POLLIN };
	__u64 deadline_ns = pt_deadline_ns(GRACE_MS);
	eventfd_t value;

	pt_send_files_cancel(s->files);
	pt_held_cancel(&s->held);
	pt_recheck_cancel(s->recheck);
	for (__u32 i = 0; i < s->lane_cnt; i++)
		pt_inbox_stop(pt_lane_inbox(s->lanes[i]));
	while (!have_ended(s)) {
		if (!pt_left_ms(deadline_ns))
			return false;
		if (poll(&wake, 1, LOOK_MS) > 0)
			eventfd_read(s->wake_fd, &value);
	}
	return true;
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

/* leave closes what the threads that are held up have, but their memory. */
static void leave(struct pt_sender *s)
{
	bool is_unused[PT_LANES_MAX];

	if (s->conn)
		pt_conn_shut(s->conn);
	cancel(s);	/* those whom only the connection kept */
	for (__u32 i = 0; i < PT_LANES_MAX; i++)
		is_unused[i] = i >= s->lane_cnt || pt_lane_part(s->lanes[i]);
	pt_send_path_shut(&s->path, is_unused);
	if (have_ended(s))
		pt_sender_join(s);
}

int pt_sender_end(struct pt_sender *s, int ret)
{
	bool is_unknown = ret && ret != -ECANCELED && !s->is_aborted &&
			  s->report.phase == PT_SEND_COMMIT;
	bool is_joined;

	if (!is_unknown)
		tell(s, ret);
	is_joined = !ret || cancel(s);
	if (is_joined)
		pt_sender_join(s);
	if (is_unknown)
		ret = ask(s);
	/* What the receiver does after the commit is its own time. */
	s->report.total_ns = pt_clock_ns() - s->started_ns;
	tell(s, ret);
	if (s->conn)
		pt_conn_finish(s->conn, FINISH_MS);
	if (!is_joined)
		leave(s);
	return ret;
}
