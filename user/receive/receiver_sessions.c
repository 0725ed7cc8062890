/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Accepts connections, runs sessions and frees those that ended. */
#include "receive/receiver_internal.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <pagetrim/clock.h>
#include "receive/rx_guest.h"
#include "receive/rx_storage.h"

#define TICK_MS		100
#define VERIFY_TICK_MS	1		/* while counters settle */
#define PROGRESS_NS	250000000ULL
#define ACCEPT_MAX	8	/* connections, accepted or refused, per turn */

static void accept_all(struct pt_receiver *r)
{
	struct pt_rx_session *s;
	struct pt_conn *conn;
	struct pt_error err;
	int ret;

	for (int i = 0; i < ACCEPT_MAX && r->session_cnt < PT_RX_SESSIONS_MAX; i++) {
		ret = pt_listener_accept(r->listener, &conn, &err);
		if (!ret)
			return;
		if (ret < 0) {
			if (r->cfg.events.stranger)
				r->cfg.events.stranger(&err, r->cfg.events.arg);
			continue;
		}
		s = pt_rx_session_start(conn, &r->cfg, &r->host, &r->reserved,
					r->loop.wake_fd);
		if (s)
			r->sessions[r->session_cnt++] = s;
	}
}

const char *pt_receiver_look(const struct pt_receiver *r)
{
	return r->cfg.guest ? "see whether the guest runs there"
			    : "look for the image";
}

/* A session that asks for a transfer in commit is answered after the commit. */
void pt_receiver_answer(struct pt_receiver *r, struct pt_rx_session *s)
{
	struct pt_outcome *o;
	struct pt_error err;

	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *other = r->sessions[i];

		if (!other->request.is_open || other->parting.is_parted ||
		    other->report.transfer_id != s->request.asked_id)
			continue;
		if (other->state == PT_RX_DONE) {
			pt_rx_session_answer(s, NULL);
			other->parting.is_bye = true;
		}
		return;
	}
	o = pt_outcomes_find(&r->outcomes, s->request.asked_id);
	if (o) {
		pt_rx_session_answer(s, o->result ? &o->error : NULL);
		o->is_told = true;
		if (!r->cfg.serve)	/* else others may not have asked yet */
			r->linger_until_ns = 0;
		return;
	}
	pt_error_set(&err, PT_EXIT_UNKNOWN, 0, "does not know transfer %016llx "
		     "(the receiver was started after it, or has ended %u since; "
		     "%s)", (unsigned long long)s->request.asked_id, PT_OUTCOMES_CNT,
		     pt_receiver_look(r));
	pt_rx_session_answer(s, &err);
}

/* part: from here on the session's outcome is known, and the receiver owns its
 * connection.  Its storage may still be busy. */
static void part(struct pt_receiver *r, struct pt_rx_session *s)
{
	struct pt_conn *leaving;

	pt_receiver_unwatch(r, s);
	leaving = pt_rx_session_leave(s);
	s->parting.is_parted = true;
	if (s->request.is_open)
		pt_outcomes_note(&r->outcomes, s->report.transfer_id,
				 s->report.result, &s->report.error);
	if (leaving)
		pt_linger_take(r->linger, leaving, PT_RX_FINISH_MS);
	pt_conn_close(s->conn);
	s->conn = NULL;
	pt_rx_storage_clear(s);
}

/* may_be_asked: the sender may not know the outcome, and has not asked for it
 * since it is known. */
static bool may_be_asked(struct pt_receiver *r, const struct pt_rx_session *s)
{
	const struct pt_outcome *o =
		pt_outcomes_find(&r->outcomes, s->report.transfer_id);

	if (o && o->is_told)
		return false;
	return (!s->report.result && !s->parting.is_bye) || s->parting.may_be_asked;
}

/* is_stray: another transfer came where only the rest of a guest is taken, and was refused
 * before anything of it was opened. */
static bool is_stray(const struct pt_receiver *r, const struct pt_rx_session *s)
{
	return r->cfg.guest && r->cfg.guest->rest_of && s->request.is_open &&
	       !s->storage.store;
}

/* turn_away: the receiver waits on. */
static void turn_away(struct pt_receiver *r, struct pt_rx_session *s)
{
	r->host.is_full = false;
	if (r->cfg.events.stranger)
		r->cfg.events.stranger(&s->report.error, r->cfg.events.arg);
	pt_rx_session_free(s);
}

/* reap frees the session, and reports the outcome of a transfer. */
static void reap(struct pt_receiver *r, __u32 i)
{
	struct pt_rx_session *s = r->sessions[i];

	r->sessions[i] = r->sessions[--r->session_cnt];
	if (is_stray(r, s)) {
		turn_away(r, s);
		return;
	}
	if (s->request.is_open && !r->cfg.serve) {
		r->is_over = true;
		r->result = s->report.result;
		r->error = s->report.error;
		if (may_be_asked(r, s))
			s->report.answers_ms = r->cfg.peer_timeout_ms;
		r->linger_until_ns = pt_deadline_ns(s->report.answers_ms);
	} else if (s->request.is_open && may_be_asked(r, s)) {
		r->linger_until_ns = pt_deadline_ns(r->cfg.peer_timeout_ms);
	}
	if (s->request.is_open && r->cfg.events.ended)
		r->cfg.events.ended(&s->report, r->cfg.events.arg);
	pt_rx_session_free(s);
}

void pt_receiver_reap(struct pt_receiver *r)
{
	for (__u32 i = r->session_cnt; i-- > 0; ) {
		struct pt_rx_session *s = r->sessions[i];

		if (s->state != PT_RX_ENDED)
			continue;
		if (!s->parting.is_parted)
			part(r, s);
		if (pt_rx_storage_is_clear(s))
			reap(r, i);
	}
}

static void count(struct pt_rx_session *s)
{
	s->report.total_ns = pt_clock_ns() - s->start.ns;
	s->report.placed_sz = 0;
	for (__u16 n = 0; n < s->intake.lane_cnt; n++)
		s->report.placed_sz += atomic_load(
			&s->intake.lanes[n].placed.bytes);
}

static void show(struct pt_receiver *r, __u64 now_ns)
{
	if (!r->cfg.events.progress || now_ns - r->shown_ns < PROGRESS_NS)
		return;
	r->shown_ns = now_ns;
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (!s->share.is_on_host)
			continue;
		count(s);
		r->cfg.events.progress(&s->report, r->cfg.events.arg);
	}
}

void pt_receiver_turn(struct pt_receiver *r)
{
	accept_all(r);
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		pt_rx_session_read(s);
		pt_rx_session_tick(s, pt_clock_ns());
		if (s->request.asked_id && s->state == PT_RX_OFFERED)
			pt_receiver_answer(r, s);
	}
	pt_linger_tick(r->linger);
	show(r, pt_clock_ns());
	pt_receiver_reap(r);
}

/* --- events of step -------------------------------------------------- */

static int watch_fd(struct pt_receiver *r, int op, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(r->loop.poll_fd, op, fd, &event);
}

void pt_receiver_tick_every(struct pt_receiver *r, __u32 ms)
{
	const struct timespec every = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};
	const struct itimerspec tick = {
		.it_value = every, .it_interval = every,
	};

	if (r->loop.tick_ms == ms)
		return;
	r->loop.tick_ms = ms;
	timerfd_settime(r->loop.tick_fd, 0, &tick, NULL);
}

/* pt_receiver_unwatch stops watching a closed connection, whose descriptor
 * number may be reused. */
static void unwatch(struct pt_receiver *r, int *polled_fd)
{
	if (*polled_fd >= 0)
		watch_fd(r, EPOLL_CTL_DEL, *polled_fd);
	*polled_fd = -1;
}

void pt_receiver_unwatch(struct pt_receiver *r, struct pt_rx_session *s)
{
	unwatch(r, &s->poll.polled_fd);
	unwatch(r, &s->guest.polled_fd);
}

static void watch(struct pt_receiver *r, int *polled_fd, int fd)
{
	if (fd != *polled_fd && !watch_fd(r, EPOLL_CTL_ADD, fd))
		*polled_fd = fd;
}

static void watch_listener(struct pt_receiver *r, bool wants)
{
	if (wants == r->loop.listens)
		return;
	r->loop.listens = wants;
	watch_fd(r, wants ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
		 pt_listener_fd(r->listener));
}

void pt_receiver_watch(struct pt_receiver *r)
{
	bool serves = r->state == PT_RECEIVER_SERVES, has_more = false;
	__u32 ms = TICK_MS;

	/* Removals come first, since descriptor numbers are reused. */
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (!serves || pt_rx_session_fd(s) != s->poll.polled_fd)
			unwatch(r, &s->poll.polled_fd);
		if (!serves || pt_rx_guest_fd(s) != s->guest.polled_fd)
			unwatch(r, &s->guest.polled_fd);
	}
	for (__u32 i = 0; serves && i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		has_more |= s->poll.has_more;
		if (s->state == PT_RX_VERIFYING || pt_rx_guest_is_held(s))
			ms = VERIFY_TICK_MS;
		watch(r, &s->poll.polled_fd, pt_rx_session_fd(s));
		watch(r, &s->guest.polled_fd, pt_rx_guest_fd(s));
	}
	if (r->listener)
		watch_listener(r, serves &&
			       r->session_cnt < PT_RX_SESSIONS_MAX);
	if (has_more)
		eventfd_write(r->loop.wake_fd, 1);
	if (serves)
		pt_receiver_tick_every(r, ms);
}

/* find_open returns the session of a transfer that has not ended; NULL: none. */
static struct pt_rx_session *find_open(const struct pt_receiver *r,
				       __u64 transfer_id)
{
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (s->request.is_open && s->state != PT_RX_ENDED &&
		    s->report.transfer_id == transfer_id)
			return s;
	}
	return NULL;
}

int pt_receiver_cancel_transfer(struct pt_receiver *r, __u64 transfer_id,
				struct pt_error *err)
{
	struct pt_rx_session *s;
	struct pt_error why;
	int ret = 0;

	pthread_mutex_lock(&r->lock);
	s = find_open(r, transfer_id);
	if (!s) {
		ret = pt_error_set(err, PT_EXIT_FAILED, -ENOENT, "no transfer "
				   "%016llx runs here", transfer_id);
	} else if (s->state == PT_RX_COMMITTING || s->state == PT_RX_DONE) {
		ret = pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "transfer "
				   "%016llx: too late to cancel: the commit has "
				   "begun", transfer_id);
	} else {
		pt_error_set(&why, PT_EXIT_FAILED, -ECANCELED, "cancelled at the "
			     "receiver; %s", pt_rx_session_left(s));
		pt_rx_session_end(s, -ECANCELED, &why);
		eventfd_write(r->loop.wake_fd, 1);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

__u32 pt_receiver_status(struct pt_receiver *r,
			 struct pt_receive_report *reports, __u32 max)
{
	__u32 cnt = 0;

	pthread_mutex_lock(&r->lock);
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (!s->request.is_open)
			continue;
		if (s->share.is_on_host)
			count(s);
		if (cnt < max)
			reports[cnt] = s->report;
		cnt++;
	}
	pthread_mutex_unlock(&r->lock);
	return cnt;
}
