/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/sender_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "transfer/ping.h"

#define PROGRESS_NS	250000000ULL

static void watch_peer(struct pt_sender *s, __u64 now_ns, int *ret)
{
	struct pt_message m = {
		.type = PT_MSG_PING,
		.ping = { .time_ns = now_ns },
	};
	__u64 heard_ns = pt_conn_last_recv_ns(s->conn);

	if (now_ns > heard_ns &&
	    now_ns - heard_ns > s->cfg->peer_timeout_ms * 1000000ULL)
		*ret = pt_error_set(s->err, PT_EXIT_PEER, -ETIMEDOUT,
				    "%s: silent for %u ms (--peer-timeout)",
				    pt_conn_peer_text(s->conn),
				    s->cfg->peer_timeout_ms);
	if (now_ns - s->pinged_ns < pt_ping_ns(s->cfg->peer_timeout_ms))
		return;
	s->pinged_ns = now_ns;
	pt_conn_send(s->conn, &m, NULL);
}

static int watch_path(struct pt_sender *s)
{
	int change = pt_monitor_read(s->path.monitor, s->err);
	int ret;

	if (change <= 0)
		return change;
	if (change & PT_CHANGE_GONE)
		return pt_error_set(s->err, PT_EXIT_HOST, -ENODEV,
				    "%s: was removed, or moved to another "
				    "network namespace (send again when it is "
				    "back)", s->cfg->dev);
	ret = pt_send_path_refresh(&s->path, change);
	if (s->path.trouble_code == -EXDEV && !s->is_warned && s->cfg->warn) {
		s->is_warned = true;
		s->cfg->warn(s->path.trouble.text, s->cfg->progress_arg);
	}
	for (__u32 i = 0; ret > 0 && i < s->lane_cnt; i++)
		pt_inbox_link(pt_lane_inbox(s->lanes[i]), &s->path.link);
	return 0;
}

/* advance: of a lane that failed since its device went away, the monitor knows
 * better why. */
static int advance(struct pt_sender *s)
{
	int ret = pt_sender_advance(s);
	int gone = ret ? watch_path(s) : 0;

	return gone < 0 ? gone : ret;
}

static int take_all(struct pt_sender *s)
{
	struct pt_message m;
	int ret;

	while ((ret = pt_conn_recv(s->conn, &m, s->err)) > 0) {
		ret = pt_sender_take(s, &m);
		if (ret)
			break;
	}
	return ret;
}

static int run(struct pt_sender *s)
{
	eventfd_t value;
	int ret = 0;

	while (!ret && s->report->phase != PT_SEND_DONE) {
		struct pollfd fds[] = {
			{ .fd = pt_conn_fd(s->conn), .events = POLLIN },
			{ .fd = s->wake_fd, .events = POLLIN },
			{ .fd = pt_monitor_fd(s->path.monitor),
			  .events = POLLIN },
			{ .fd = s->stop_fd, .events = POLLIN },
			{ .fd = pt_console_fd(s->console), .events = POLLIN },
		};
		__u64 now_ns;

		poll(fds, 5, 100);
		if (fds[3].revents)
			return pt_error_set(s->err, PT_EXIT_FAILED, -ECANCELED,
					    "interrupted; nothing was "
					    "committed");
		/* Acknowledgements are what wakes us most: no call for more. */
		if (fds[1].revents)
			eventfd_read(s->wake_fd, &value);
		pt_sender_answer(s);
		ret = take_all(s);
		if (!ret && fds[2].revents)
			ret = watch_path(s);
		if (!ret)
			ret = pt_send_path_judge(&s->path, s->err);
		if (!ret)
			ret = advance(s);
		now_ns = pt_clock_ns();
		if (!ret)
			watch_peer(s, now_ns, &ret);
		if (!ret)
			ret = pt_sender_watch_card(s, now_ns);
		if (s->cfg->progress && now_ns - s->shown_ns > PROGRESS_NS) {
			s->shown_ns = now_ns;
			pt_sender_count(s);
			s->cfg->progress(s->report, s->cfg->progress_arg);
		}
	}
	return ret;
}

/* ask_once asks on a new connection whether the transfer was committed. */
static int ask_once(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_ASK,
		.ask = { .transfer_id = s->report->transfer_id },
	};
	int ret;

	pt_conn_close(s->conn);
	s->conn = NULL;
	ret = pt_sender_connect(s);
	if (!ret)
		ret = pt_conn_send(s->conn, &m, s->err);
	if (!ret)	/* it offers before it hears what we want */
		ret = pt_sender_reply(s, PT_MSG_OFFER, &m);
	return ret ? ret : pt_sender_reply(s, PT_MSG_COMMITTED, &m);
}

/* ask asks as long as the peer timeout lasts. */
static int ask(struct pt_sender *s)
{
	__u64 deadline = pt_clock_ns() + s->cfg->peer_timeout_ms * 1000000ULL;
	struct pt_error why;
	int ret;

	do {
		ret = ask_once(s);
		if (!ret)
			pt_sender_enter(s, PT_SEND_DONE);
		if (!ret || s->is_aborted)
			return ret;
		poll(NULL, 0, 200);
	} while (pt_clock_ns() < deadline);
	why = *s->err;
	return pt_error_set(s->err, PT_EXIT_UNKNOWN, ret, "outcome unknown: "
			    "lost the receiver during commit: %.300s (look "
			    "for the image at the receiver)", why.text);
}

/* part says goodbye, or why not. */
static void part(struct pt_sender *s, int ret)
{
	struct pt_message m = { .type = PT_MSG_BYE };

	if (!s->conn)
		return;
	if (ret && !s->is_aborted)
		pt_message_abort(&m, s->err->exit, s->err->text);
	pt_conn_send(s->conn, &m, NULL);
	pt_conn_finish(s->conn, 1000);
}

int pt_send(const struct pt_send_cfg *cfg, struct pt_send_report *report,
	    struct pt_error *err)
{
	struct pt_sender s = {
		.cfg = cfg,
		.report = report,
		.err = err,
		.wake_fd = -1,
		.stop_fd = cfg->stop_fd,
		.started_ns = pt_clock_ns(),
	};
	int ret;

	pt_regulator_init(&s.regulator);
	if (cfg->profile)
		s.clock = &s.control_clock;
	pt_stage_start(s.clock, PT_SEND_STAGE_IDLE);
	memset(report, 0, sizeof(*report));
	report->observes = cfg->observe;
	pt_sender_enter(&s, PT_SEND_CONNECT);
	ret = pt_sender_set_up(&s);
	if (!ret)
		ret = run(&s);
	pt_send_path_explain(&s.path, ret, err);
	pt_sender_count(&s);
	pt_recheck_stop(s.recheck);
	pt_sender_stop_lanes(&s);
	if (ret && report->phase == PT_SEND_COMMIT && !s.is_aborted)
		ret = ask(&s);
	/* What the receiver does after the commit is its own time. */
	report->total_ns = pt_clock_ns() - s.started_ns;
	part(&s, ret);

	pt_console_close(s.console);
	pt_conn_close(s.conn);
	pt_send_path_close(&s.path);
	pt_send_files_close(s.files);
	pt_held_free(&s.held);
	pt_digests_free(&s.digests);
	pt_dirty_destroy(s.dirty);
	pt_layout_free(s.layout);
	pt_regulator_destroy(&s.regulator);
	if (s.wake_fd >= 0)
		close(s.wake_fd);
	return ret;
}

const char *pt_send_phase_name(enum pt_send_phase phase)
{
	static const char *const names[] = {
#define X(symbol, name) name,
		PT_SEND_PHASES(X)
#undef X
	};

	return names[phase];
}
