/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/sender_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/stop.h"
#include "channel/ping.h"

#define TICK_MS		100	/* between two checks of deadlines */
#define EVENTS_MAX	8
#define READ_MAX	256	/* messages per step */
#define COMMIT_NS	300000000ULL	/* for a commit after a cancel */

/* say_working reports progress while the receiver waits for us, so that its
 * deadline does not end the transfer of a slow source. */
static void say_working(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_WORKING,
		.working = { .on = PT_WORK_SOURCE },
	};
	__u64 page_cnt = 0;

	if (s->report.phase < PT_SEND_PROBE ||
	    s->report.phase > PT_SEND_VERIFY || s->is_told ||
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
	    now_ns - heard_ns > s->cfg.peer_timeout_ms * 1000000ULL)
		return pt_error_set(&s->error, PT_EXIT_PEER, -ETIMEDOUT,
				    "%s: silent for %u ms ({peer-timeout})",
				    pt_conn_peer_text(s->conn),
				    s->cfg.peer_timeout_ms);
	if (now_ns - s->pinged_ns < pt_ping_ns(s->cfg.peer_timeout_ms))
		return 0;
	s->pinged_ns = now_ns;
	pt_conn_send(s->conn, &m, NULL);
	say_working(s);
	return 0;
}

static int watch_path(struct pt_sender *s)
{
	int change = pt_monitor_read(s->path.monitor, &s->error);
	int ret;

	if (change <= 0)
		return change;
	if (s->report.phase == PT_SEND_SETUP && s->setup <= PT_SETUP_LINK)
		return 0;	/* this step looks up the link anyway */
	if (change & PT_CHANGE_GONE)
		return pt_error_set(&s->error, PT_EXIT_HOST, -ENODEV,
				    "%s: was removed, or moved to another "
				    "network namespace (send again when it is "
				    "back)", s->cfg.dev);
	ret = pt_send_path_refresh(&s->path, change);
	if (s->path.trouble_code == -EXDEV && !s->is_warned && s->cfg.warn) {
		s->is_warned = true;
		s->cfg.warn(s->path.trouble.text, s->cfg.arg);
	}
	for (__u32 i = 0; ret > 0 && i < s->lane_cnt; i++)
		pt_inbox_link(pt_lane_inbox(s->lanes[i]), &s->path.link);
	return 0;
}

/* advance prefers the monitor's error: a lane that failed since its device was
 * removed does not know that reason. */
static int advance(struct pt_sender *s)
{
	int ret = pt_sender_advance(s);
	int gone = ret && s->path.monitor ? watch_path(s) : 0;

	return gone < 0 ? gone : ret;
}

/* take_some handles at most READ_MAX messages, so that a receiver that sends
 * without pause does not delay the rest of the step. */
static int take_some(struct pt_sender *s, bool *has_more)
{
	struct pt_message m;
	int ret = 0;

	*has_more = false;
	for (int i = 0; i < READ_MAX; i++) {
		ret = pt_conn_recv(s->conn, &m, &s->error);
		if (ret <= 0)
			return ret;
		ret = pt_sender_take(s, &m);
		if (ret)
			return ret;
		/* The next messages may be for lanes, which start first. */
		if (s->report.phase == PT_SEND_SETUP &&
		    s->setup == PT_SETUP_OPENED)
			break;
	}
	*has_more = true;
	return 0;
}

bool pt_sender_is_cancelled(const struct pt_sender *s)
{
	return pt_stop_wait(s->cancel_fd, 0);
}

const char *pt_sender_look(const struct pt_sender *s)
{
	if (s->cfg.live && s->cfg.live->look)
		return s->cfg.live->look;
	return s->cfg.live && s->cfg.live->kind == PT_LIVE_GUEST
		? "the guest is paused here; unless it runs at the receiver, "
		  "end the QEMU there first, then continue it here by QMP "
		  "'cont'"
		: "look for the image at the receiver";
}

int pt_sender_interrupted(struct pt_sender *s)
{
	return pt_error_set(&s->error, PT_EXIT_UNKNOWN, -ECANCELED, "outcome "
			    "unknown: interrupted during commit (%s)",
			    pt_sender_look(s));
}

/* interrupted: a guest that was handed over early may run at the receiver. */
static int interrupted(struct pt_sender *s)
{
	return s->is_commit_sent || s->postcopy.is_handed
		? pt_error_set(&s->error, PT_EXIT_FAILED, -ECANCELED, "interrupted")
		: pt_stop_error(&s->error);
}

/* stop fails after a cancel.  A begun commit gets COMMIT_NS first, since most
 * commits take no longer. */
static int stop(struct pt_sender *s, bool is_asked)
{
	__u64 now_ns = pt_clock_ns();

	if (is_asked && s->connect)
		return pt_connect_stopped(s->connect, &s->error);
	if (s->report.phase < PT_SEND_COMMIT)
		return is_asked ? interrupted(s) : 0;
	if (is_asked && !s->stopped_ns)
		s->stopped_ns = now_ns;
	if (!s->stopped_ns || now_ns - s->stopped_ns < COMMIT_NS)
		return 0;
	return pt_sender_interrupted(s);
}

/* turn handles received messages, and continues the phase. */
static int turn(struct pt_sender *s, bool path_changed)
{
	bool has_more;
	int ret = take_some(s, &has_more);

	if (has_more)
		eventfd_write(s->wake_fd, 1);	/* step at once again */
	if (!ret && path_changed)
		ret = watch_path(s);
	if (!ret)
		ret = pt_send_path_judge(&s->path, &s->error);
	if (!ret)
		ret = pt_sender_live_relay(s);
	if (!ret)
		ret = advance(s);
	if (s->report.phase == PT_SEND_DONE)
		return ret;
	if (!ret)
		ret = pt_sender_watch_peer(s);
	return ret ? ret : pt_sender_watch_card(s, pt_clock_ns());
}

int pt_sender_watch(struct pt_sender *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd == s->cancel_fd)		/* stays readable: step would spin */
		event.events |= EPOLLONESHOT;
	if (!epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, fd, &event))
		return 0;
	return pt_error_set(&s->error, PT_EXIT_HOST, -errno, "epoll: %m");
}

void pt_sender_unwatch(const struct pt_sender *s, int fd)
{
	epoll_ctl(s->poll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* look resets the descriptors that only wake step, and sets *path_changed if
 * the monitor has news. */
static void look(struct pt_sender *s, bool *path_changed)
{
	struct epoll_event events[EVENTS_MAX];
	int cnt = epoll_wait(s->poll_fd, events, EVENTS_MAX, 0);
	__u64 value;

	for (int i = 0; i < cnt; i++) {
		int fd = events[i].data.fd;

		/* Most wake-ups are for acknowledgements, so only these two
		 * descriptors cost a read. */
		if ((fd == s->wake_fd || fd == s->tick_fd) &&
		    read(fd, &value, sizeof(value)) < 0)
			continue;
		*path_changed |= s->path.monitor &&
				 fd == pt_monitor_fd(s->path.monitor);
	}
}

/* go_on does a step of the transfer.  1: it continues; 0: committed. */
static int go_on(struct pt_sender *s, bool path_changed)
{
	int ret = stop(s, pt_sender_is_cancelled(s));

	if (!ret)
		ret = s->conn ? turn(s, path_changed) : pt_sender_greet(s);
	return ret ? ret : s->report.phase != PT_SEND_DONE;
}

/* end_begin: an error behind COMMITTED changes nothing. */
static void end_begin(struct pt_sender *s, int ret)
{
	if (ret && s->is_committed && s->report.phase == PT_SEND_COMMIT) {
		s->report.commit_ns = pt_sender_enter(s, PT_SEND_DONE);
		pt_sender_live_committed(s);
		ret = 0;
	}
	pt_send_path_explain(&s->path, ret, &s->error);
	ret = pt_sender_postcopy_explain(s, ret);
	pt_sender_count(s);
	pt_sender_end_begin(s, ret);
	eventfd_write(s->wake_fd, 1);
}

/* step does a step of the transfer, or of its end. */
static int step(struct pt_sender *s)
{
	bool path_changed = false;
	int ret;

	look(s, &path_changed);
	if (!s->end.state) {
		ret = go_on(s, path_changed);
		if (ret <= 0)
			end_begin(s, ret);
	} else if (!pt_sender_end_step(s)) {
		s->result = s->end.ret;
	}
	return s->result;
}

int pt_sender_step(struct pt_sender *s, struct pt_error *err)
{
	int ret = s->result;

	pthread_mutex_lock(&s->lock);
	if (!s->is_started)
		ret = pt_error_set(&s->error, PT_EXIT_FAILED, -EINVAL,
				   "the sender was not started");
	else if (s->result > 0)
		ret = step(s);
	if (ret < 0 && err)
		*err = s->error;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int pt_sender_start(struct pt_sender *s, struct pt_error *err)
{
	if (s->is_started)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "the sender was started already");
	pthread_mutex_lock(&s->lock);
	s->is_started = true;
	pt_sender_enter(s, PT_SEND_CONNECT);
	eventfd_write(s->wake_fd, 1);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

void pt_sender_tick_every(const struct pt_sender *s, __u32 ms)
{
	const struct timespec every = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};
	const struct itimerspec tick = {
		.it_value = every, .it_interval = every,
	};

	timerfd_settime(s->tick_fd, 0, &tick, NULL);
}

/* open_descriptors opens those that wake step. */
static int open_descriptors(struct pt_sender *s)
{
	int ret = 0;

	s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->cancel_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->tick_fd = timerfd_create(CLOCK_MONOTONIC,
				    TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->poll_fd < 0 || s->wake_fd < 0 || s->cancel_fd < 0 ||
	    s->tick_fd < 0)
		return pt_error_set(&s->error, PT_EXIT_HOST, -errno, "no "
				    "descriptors to wait on: %m%s",
				    pt_files_remedy(-errno));
	pt_sender_tick_every(s, TICK_MS);
	ret = pt_sender_watch(s, s->wake_fd);
	if (!ret)
		ret = pt_sender_watch(s, s->cancel_fd);
	return ret ? ret : pt_sender_watch(s, s->tick_fd);
}

static void close_descriptors(const struct pt_sender *s)
{
	const int fds[] = { s->poll_fd, s->wake_fd, s->cancel_fd, s->tick_fd };

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void free_all(struct pt_sender *s)
{
	pt_connect_end(s->connect);
	pt_conn_close(s->conn);
	pt_conn_close(s->left_conn);
	pt_send_path_close(&s->path);
	pt_send_files_close(s->files);
	pt_held_free(&s->held);
	pt_source_large_free(&s->large.found);
	pt_digests_free(&s->digests);
	pt_dirty_destroy(s->dirty);
	pt_layout_free(s->layout);
	pt_regulator_destroy(&s->regulator);
	close_descriptors(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void set_defaults(struct pt_sender_cfg *cfg)
{
	if (!cfg->trim)
		cfg->trim = PT_SEND_TRIM_BLOCKS;
	if (!cfg->rekey_log2)
		cfg->rekey_log2 = PT_REKEY_LOG2_MAX;
	if (!cfg->peer_timeout_ms)
		cfg->peer_timeout_ms = PT_PEER_TIMEOUT_MS;
}

static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

int pt_sender_open(struct pt_sender **out, const struct pt_sender_cfg *cfg,
		   struct pt_error *err)
{
	struct pt_sender *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	s->cfg = *cfg;
	set_defaults(&s->cfg);
	s->result = 1;
	s->held.told_fd = -1;
	s->started_ns = s->phase_ns = pt_clock_ns();
	s->report.observes = cfg->observe;
	init_lock(&s->lock);
	pt_regulator_init(&s->regulator);
	if (cfg->profile)
		s->clock = &s->control_clock;
	pt_stage_start(s->clock, PT_SEND_STAGE_IDLE);
	ret = open_descriptors(s);
	if (!ret)
		ret = pt_sender_prepare(s);
	if (ret) {
		if (err)
			*err = s->error;
		free_all(s);
		return ret;
	}
	*out = s;
	return 0;
}

int pt_sender_fd(const struct pt_sender *s)
{
	return s->poll_fd;
}

bool pt_sender_is_held_up(const struct pt_sender *s)
{
	return s->result <= 0 &&
	       !(s->is_joined && pt_sender_live_has_ended(s));
}

void pt_sender_cancel(struct pt_sender *s)
{
	eventfd_write(s->cancel_fd, 1);
}

void pt_sender_status(struct pt_sender *s, struct pt_send_report *report)
{
	pthread_mutex_lock(&s->lock);
	if (!s->end.state) {
		pt_sender_count(s);
		s->report.total_ns = pt_clock_ns() - s->started_ns;
	}
	*report = s->report;
	pthread_mutex_unlock(&s->lock);
}

/* cut cancels, and steps until the end, for about a second. */
static void cut(struct pt_sender *s)
{
	struct pollfd fd = { .fd = s->poll_fd, .events = POLLIN };

	pt_sender_cancel(s);
	if (!s->end.state)
		end_begin(s, interrupted(s));
	while (pt_sender_step(s, NULL) > 0)
		poll(&fd, 1, -1);
}

void pt_sender_close(struct pt_sender *s)
{
	if (!s)
		return;
	if (s->is_started && s->result > 0)
		cut(s);
	if (s->is_started) {
		pt_sender_live_cancel(s);
		pt_sender_live_free(s);
		pt_sender_join(s);
	}
	free_all(s);
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
