/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/sender_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "channel/ping.h"

#define PROGRESS_NS	250000000ULL
#define TICK_MS		100
#define READ_MAX	256	/* messages, before other things are looked after */
#define COMMIT_NS	300000000ULL	/* it may take, after a signal */

/* say_working: while the receiver waits for us, so that its deadline does not end a
 * sender whose source is slow.  It bears less with one that gets nowhere. */
static void say_working(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_WORKING,
		.working = { .on = PT_WORK_SOURCE },
	};
	__u64 page_cnt = 0;

	if (s->report->phase < PT_SEND_PROBE ||
	    s->report->phase > PT_SEND_VERIFY || s->is_told ||
	    !(pt_conn_capabilities(s->conn) & PT_CAP_WORKING))
		return;
	for (__u32 i = 0; i < s->lane_cnt; i++) {
		const struct pt_lane_counts *c = pt_lane_counts(s->lanes[i]);

		page_cnt += atomic_load(&c->pages) + atomic_load(&c->zero_pages);
	}
	m.working.done_sz = page_cnt * PT_PAGE_SZ +
			    s->held.region_next * PT_REGION_PAGES * PT_PAGE_SZ;
	m.working.done_sz += pt_send_files_sent_sz(s->files);
	if (s->recheck)
		m.working.done_sz += pt_recheck_read_sz(s->recheck);
	pt_conn_send(s->conn, &m, NULL);
}

int pt_sender_watch_peer(struct pt_sender *s)
{
	__u64 now_ns = pt_clock_ns();
	struct pt_message m = {
		.type = PT_MSG_PING,
		.ping = { .time_ns = now_ns },
	};
	__u64 heard_ns = pt_conn_last_recv_ns(s->conn);

	if (now_ns > heard_ns &&
	    now_ns - heard_ns > s->cfg->peer_timeout_ms * 1000000ULL)
		return pt_error_set(s->err, PT_EXIT_PEER, -ETIMEDOUT,
				    "%s: silent for %u ms ({peer-timeout})",
				    pt_conn_peer_text(s->conn),
				    s->cfg->peer_timeout_ms);
	if (now_ns - s->pinged_ns < pt_ping_ns(s->cfg->peer_timeout_ms))
		return 0;
	s->pinged_ns = now_ns;
	pt_conn_send(s->conn, &m, NULL);
	say_working(s);
	return 0;
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

/* take_some: a receiver that talks without pause does not keep us from our work. */
static int take_some(struct pt_sender *s, bool *has_more)
{
	struct pt_message m;
	int ret = 0;

	*has_more = false;
	for (int i = 0; i < READ_MAX; i++) {
		ret = pt_conn_recv(s->conn, &m, s->err);
		if (ret <= 0)
			return ret;
		ret = pt_sender_take(s, &m);
		if (ret)
			return ret;
	}
	*has_more = true;
	return 0;
}

int pt_sender_stopped(struct pt_sender *s)
{
	return pt_stop_wait(s->stop_fd, 0) ? pt_stop_error(s->err) : 0;
}

int pt_sender_interrupted(struct pt_sender *s)
{
	return pt_error_set(s->err, PT_EXIT_UNKNOWN, -ECANCELED, "outcome "
			    "unknown: interrupted during commit (look for the "
			    "image at the receiver)");
}

/* stop: a commit that has begun is given a moment more, as most take no longer. */
static int stop(struct pt_sender *s, bool is_asked)
{
	__u64 now_ns = pt_clock_ns();

	if (s->report->phase < PT_SEND_COMMIT)
		return is_asked ? pt_sender_stopped(s) : 0;
	if (is_asked && !s->stopped_ns)
		s->stopped_ns = now_ns;
	if (!s->stopped_ns || now_ns - s->stopped_ns < COMMIT_NS)
		return 0;
	return pt_sender_interrupted(s);
}

/* step: what has come is taken, what is next is done. */
static int step(struct pt_sender *s, bool path_changed, bool *has_more)
{
	__u64 now_ns;
	int ret;

	pt_sender_answer(s);
	ret = take_some(s, has_more);
	if (!ret && path_changed)
		ret = watch_path(s);
	if (!ret)
		ret = pt_send_path_judge(&s->path, s->err);
	if (!ret)
		ret = advance(s);
	if (!ret)
		ret = pt_sender_watch_peer(s);
	now_ns = pt_clock_ns();
	if (!ret)
		ret = pt_sender_watch_card(s, now_ns);
	if (s->cfg->progress && now_ns - s->shown_ns > PROGRESS_NS) {
		s->shown_ns = now_ns;
		pt_sender_count(s);
		s->cfg->progress(s->report, s->cfg->progress_arg);
	}
	return ret;
}

static int run(struct pt_sender *s)
{
	bool has_more = false;
	eventfd_t value;
	int ret = 0;

	while (!ret && s->report->phase != PT_SEND_DONE) {
		struct pollfd fds[] = {
			{ .fd = pt_conn_fd(s->conn), .events = POLLIN },
			{ .fd = s->wake_fd, .events = POLLIN },
			{ .fd = pt_monitor_fd(s->path.monitor),
			  .events = POLLIN },
			{ .fd = s->stopped_ns ? -1 : s->stop_fd,
			  .events = POLLIN },
			{ .fd = pt_console_fd(s->console), .events = POLLIN },
		};

		poll(fds, 5, has_more ? 0 : TICK_MS);
		/* Acknowledgements are what wakes us most: no call for more. */
		if (fds[1].revents)
			eventfd_read(s->wake_fd, &value);
		ret = stop(s, fds[3].revents);
		if (!ret)
			ret = step(s, fds[2].revents, &has_more);
	}
	return ret;
}

int pt_send(const struct pt_send_cfg *cfg, struct pt_send_report *report,
	    struct pt_error *err)
{
	struct pt_sender s = {
		.cfg = cfg,
		.report = report,
		.err = err,
		.wake_fd = -1,
		.held.told_fd = -1,
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
	ret = pt_sender_end(&s, ret);

	pt_conn_close(s.conn);
	pt_conn_close(s.left_conn);
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
