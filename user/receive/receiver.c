/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/receiver.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "channel/farewell.h"
#include "channel/listener.h"
#include "receive/outcomes.h"
#include "receive/rx_storage.h"
#include "sink/sink.h"

#define SESSIONS_MAX	(2 * PT_TRANSFERS_MAX)	/* those that ask, too */
#define TICK_MS		100
#define VERIFY_TICK_MS	1		/* while counters settle */
#define PROGRESS_NS	250000000ULL
#define FINISH_MS	300	/* for a peer to read a last message */
#define ACCEPT_MAX	8	/* newcomers and strangers, before others are heard */
#define WATCH_NS	1000000000ULL	/* between looks at the device */

struct pt_receiver {
	struct pt_receiver_cfg cfg;
	struct pt_rx_host host;
	struct pt_listener *listener;
	struct pt_farewell *farewell;
	int wake_fd;
	struct pt_rx_session *sessions[SESSIONS_MAX];
	__u32 session_cnt;
	struct pt_outcomes outcomes;
	struct pt_sink *reserved;	/* by prealloc_sz, until it is taken */
	bool is_over;		/* the one transfer has ended */
	bool is_abandoned;	/* it ends, and its storage was not waited for */
	int result;
	struct pt_error error;	/* if result is not 0 */
	__u64 linger_until_ns;	/* for a sender that may ask again */
	__u64 shown_ns;
	__u64 watched_ns;
};

int pt_receiver_open(struct pt_receiver **out, const struct pt_receiver_cfg *cfg,
		     int stop_fd, struct pt_error *err)
{
	const struct pt_rx_host_cfg host = {
		.dev = cfg->dev,
		.queue_cnt = cfg->queue_cnt,
		.generic = cfg->generic,
		.zero_copy = cfg->zero_copy,
		.hugepages = cfg->hugepages,
		.profile = cfg->profile,
		.cpus = cfg->cpus,
		.memory_sz_max = cfg->memory_sz_max,
		.peer = cfg->peer,
		.stop_fd = stop_fd,
	};
	const struct pt_conn_cfg conn = {
		.role = PT_ROLE_RECEIVER,
		.capabilities = PT_CAP_COPIES | PT_CAP_ARRIVALS |
				PT_CAP_WORKING,
		.tls = cfg->tls,
	};
	struct pt_receiver *r;
	struct pt_address listen;
	int ret;

	ret = pt_address_parse(&listen, cfg->listen, PT_UDP_PORT, err);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	r->cfg = *cfg;
	if (!r->cfg.ciphers)
		r->cfg.ciphers = pt_ciphers_here();
	r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->wake_fd < 0) {
		ret = pt_error_set(err, PT_EXIT_HOST, -errno,
				   "eventfd: %m (raise ulimit -n)");
		goto free_receiver;
	}
	ret = pt_farewell_open(&r->farewell);
	if (ret) {
		pt_error_set(err, PT_EXIT_HOST, ret, "epoll: %s (raise ulimit "
			     "-n)", strerror(-ret));
		goto close_wake;
	}
	ret = pt_rx_host_open(&r->host, &host, err);
	if (ret)
		goto close_farewell;
	ret = pt_listener_open(&r->listener, &listen, &conn, err);
	if (ret)
		goto close_host;
	pt_rx_host_listen(&r->host, pt_listener_address(r->listener));
	*out = r;
	return 0;

close_host:
	pt_rx_host_free(&r->host);
close_farewell:
	pt_farewell_close(r->farewell);
close_wake:
	close(r->wake_fd);
free_receiver:
	free(r);
	return ret;
}

void pt_receiver_info(const struct pt_receiver *r,
		      struct pt_receiver_info *info)
{
	struct pt_program_info program;
	struct pt_xsk_info xsk;

	memset(info, 0, sizeof(*info));
	pt_address_print(pt_listener_address(r->listener), info->listen);
	pt_program_info(r->host.program, &program);
	pt_xsk_info(r->host.xsks[0], &xsk);
	info->generic = program.generic;
	info->pinned = program.pinned;
	info->program_id = program.id;
	info->copy_why = r->host.card.why;
	info->multi_buffer = xsk.multi_buffer;
	info->hugepages = r->host.hugepages;
	info->queue_cnt = r->host.queue_cnt;
	pt_rx_host_sockets(&r->host, info->queues, info->zero_copy);
}

int pt_receiver_start(struct pt_receiver *r, int stop_fd, struct pt_error *err)
{
	int ret = r->cfg.serve ? pt_sink_check_folder(r->cfg.path, err) :
				 pt_sink_check_path(r->cfg.path, err);

	pt_check(!r->cfg.prealloc_sz || !(r->cfg.serve || r->cfg.resume));
	if (!ret && r->cfg.prealloc_sz)
		ret = pt_sink_reserve(&r->reserved, r->cfg.path,
				      r->cfg.prealloc_sz, stop_fd, err);
	return ret ? ret : pt_rx_host_start(&r->host, err);
}

static void accept_all(struct pt_receiver *r)
{
	struct pt_rx_session *s;
	struct pt_conn *conn;
	struct pt_error err;
	int ret;

	for (int i = 0; i < ACCEPT_MAX && r->session_cnt < SESSIONS_MAX; i++) {
		ret = pt_listener_accept(r->listener, &conn, &err);
		if (!ret)
			return;
		if (ret < 0) {
			if (r->cfg.events.stranger)
				r->cfg.events.stranger(&err, r->cfg.events.arg);
			continue;
		}
		s = pt_rx_session_start(conn, &r->cfg, &r->host, &r->reserved,
					r->wake_fd);
		if (s)
			r->sessions[r->session_cnt++] = s;
	}
}

/* answer finds out what became of the transfer that s asks for.  One that is
 * still committing is answered when it is not any more. */
static void answer(struct pt_receiver *r, struct pt_rx_session *s)
{
	struct pt_outcome *o;
	struct pt_error err;

	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *other = r->sessions[i];

		if (!other->is_open || other->is_parted ||
		    other->report.transfer_id != s->asked_id)
			continue;
		if (other->state == PT_RX_DONE) {
			pt_rx_session_answer(s, NULL);
			other->is_bye = true;
		}
		return;
	}
	o = pt_outcomes_find(&r->outcomes, s->asked_id);
	if (o) {
		pt_rx_session_answer(s, o->result ? &o->error : NULL);
		o->is_told = true;
		r->linger_until_ns = 0;
		return;
	}
	pt_error_set(&err, PT_EXIT_UNKNOWN, 0, "does not know transfer %016llx "
		     "(it was started after it; look for the image)",
		     (unsigned long long)s->asked_id);
	pt_rx_session_answer(s, &err);
}

/* part: how a session ended is known from here on, and its connection is not its
 * any more.  Its storage may still be waited for. */
static void part(struct pt_receiver *r, struct pt_rx_session *s)
{
	struct pt_conn *leaving = pt_rx_session_leave(s);

	s->is_parted = true;
	if (s->is_open)
		pt_outcomes_note(&r->outcomes, s->report.transfer_id,
				 s->report.result, &s->report.error);
	if (leaving)
		pt_farewell_take(r->farewell, leaving, FINISH_MS);
	pt_conn_close(s->conn);
	s->conn = NULL;
	pt_rx_storage_clear(s);
}

/* may_be_asked: its sender may not know how it ended, and has not asked since
 * that is known: its storage may have been waited for. */
static bool may_be_asked(struct pt_receiver *r, const struct pt_rx_session *s)
{
	const struct pt_outcome *o =
		pt_outcomes_find(&r->outcomes, s->report.transfer_id);

	if (o && o->is_told)
		return false;
	return (!s->report.result && !s->is_bye) || s->may_be_asked;
}

/* reap frees the session; if it was a transfer, its outcome is told. */
static void reap(struct pt_receiver *r, __u32 i)
{
	struct pt_rx_session *s = r->sessions[i];

	r->sessions[i] = r->sessions[--r->session_cnt];
	if (s->is_open && !r->cfg.serve) {
		r->is_over = true;
		r->result = s->report.result;
		r->error = s->report.error;
		if (may_be_asked(r, s))
			s->report.answers_ms = r->cfg.peer_timeout_ms;
		r->linger_until_ns = pt_deadline_ns(s->report.answers_ms);
	}
	if (s->is_open && r->cfg.events.ended)
		r->cfg.events.ended(&s->report, r->cfg.events.arg);
	pt_rx_session_free(s);
}

/* reap_ended: those whose storage is clear, too. */
static void reap_ended(struct pt_receiver *r)
{
	for (__u32 i = r->session_cnt; i-- > 0; ) {
		struct pt_rx_session *s = r->sessions[i];

		if (s->state != PT_RX_ENDED)
			continue;
		if (!s->is_parted)
			part(r, s);
		if (pt_rx_storage_is_clear(s))
			reap(r, i);
	}
}

static void show(struct pt_receiver *r, __u64 now_ns)
{
	if (!r->cfg.events.progress || now_ns - r->shown_ns < PROGRESS_NS)
		return;
	r->shown_ns = now_ns;
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (!s->is_on_host)
			continue;
		s->report.placed_sz = 0;
		for (__u16 n = 0; n < s->intake.lane_cnt; n++)
			s->report.placed_sz += atomic_load(
				&s->intake.lanes[n].placed.bytes);
		r->cfg.events.progress(&s->report, r->cfg.events.arg);
	}
}

/* wait_any polls listener, stop, wake and every session; returns whether to
 * stop. */
static bool wait_any(struct pt_receiver *r, int stop_fd)
{
	struct pollfd fds[4 + SESSIONS_MAX] = {
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = r->wake_fd, .events = POLLIN },
		{ .fd = r->session_cnt < SESSIONS_MAX
			? pt_listener_fd(r->listener) : -1, .events = POLLIN },
		{ .fd = pt_farewell_fd(r->farewell), .events = POLLIN },
	};
	int timeout_ms = TICK_MS;
	eventfd_t value;

	for (__u32 i = 0; i < r->session_cnt; i++) {
		fds[4 + i].fd = pt_rx_session_fd(r->sessions[i]);
		fds[4 + i].events = POLLIN;
		if (r->sessions[i]->state == PT_RX_VERIFYING &&
		    timeout_ms > VERIFY_TICK_MS)
			timeout_ms = VERIFY_TICK_MS;
		if (r->sessions[i]->has_more)
			timeout_ms = 0;
	}
	poll(fds, 4 + r->session_cnt, timeout_ms);
	eventfd_read(r->wake_fd, &value);
	return fds[0].revents;
}

/* end_session ends what can be ended; a commit that has begun goes on. */
static void end_session(struct pt_receiver *r, struct pt_rx_session *s,
			const struct pt_error *err)
{
	if (s->state == PT_RX_COMMITTING)
		return;
	if (s->state == PT_RX_DONE)
		pt_rx_session_enter(s, PT_RX_ENDED);
	if (s->asked_id && s->state == PT_RX_OFFERED)
		answer(r, s);
	if (!s->asked_id || s->state == PT_RX_ENDED)
		pt_rx_session_end(s, -ECANCELED, err);
}

/* await_commits gives commits a moment, as most take no longer. */
static void await_commits(struct pt_receiver *r)
{
	__u64 deadline = pt_deadline_ns(FINISH_MS);
	__u32 left = 1;

	while (left && pt_left_ms(deadline)) {
		left = 0;
		for (__u32 i = 0; i < r->session_cnt; i++) {
			if (r->sessions[i]->state != PT_RX_COMMITTING)
				continue;
			pt_rx_session_tick(r->sessions[i], pt_clock_ns());
			left += r->sessions[i]->state == PT_RX_COMMITTING;
		}
		if (left)
			poll(NULL, 0, 5);
	}
}

/* leave_commits: the senders of those that take longer, and who asks for one, are
 * told that nobody can tell them any more. */
static void leave_commits(struct pt_receiver *r)
{
	struct pt_message m;
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_UNKNOWN, -ECANCELED, "outcome unknown: "
		     "interrupted while its storage commits (look for the "
		     "image)");
	pt_message_abort(&m, err.exit, err.text);
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		if (s->state == PT_RX_OFFERED)
			pt_rx_session_answer(s, &err);
		if (s->state != PT_RX_COMMITTING || !s->conn)
			continue;
		pt_rx_held_cancel(&s->held);
		pt_conn_send(s->conn, &m, NULL);
		pt_farewell_take(r->farewell, s->conn, FINISH_MS);
		s->conn = NULL;
	}
}

/* await_storage: false: somebody asks twice, and it still waits. */
static bool await_storage(struct pt_receiver *r, int stop_fd)
{
	struct pollfd fds[] = {
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = r->wake_fd, .events = POLLIN },
	};
	eventfd_t value;

	for (;;) {
		for (__u32 i = 0; i < r->session_cnt; i++)
			pt_rx_session_tick(r->sessions[i], pt_clock_ns());
		reap_ended(r);
		if (!r->session_cnt)
			return true;
		poll(fds, 2, TICK_MS);
		if (fds[0].revents)
			return false;
		eventfd_read(r->wake_fd, &value);
	}
}

static bool is_committing(const struct pt_receiver *r)
{
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->state == PT_RX_COMMITTING)
			return true;
	return false;
}

/* end_all: within moments peers are told, and connections, sockets and program
 * are closed.  Then comes what may wait for storage.  False: a commit was not
 * waited for. */
static bool end_all(struct pt_receiver *r, int stop_fd,
		    const struct pt_error *err)
{
	char signal[128];	/* a signalfd's, or an eventfd's number */
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };

	if (poll(&stop, 1, 0) > 0 && read(stop_fd, signal, sizeof(signal)) < 0)
		signal[0] = 0;	/* the next is then taken for the second */
	/* Transfers first, so that who asks is told how they ended. */
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->is_open)
			end_session(r, r->sessions[i], err);
	await_commits(r);
	reap_ended(r);
	for (__u32 i = 0; i < r->session_cnt; i++)
		if (r->sessions[i]->state != PT_RX_ENDED)
			end_session(r, r->sessions[i], err);
	leave_commits(r);
	reap_ended(r);
	pt_farewell_wait(r->farewell);
	pt_listener_close(r->listener);
	r->listener = NULL;
	pt_rx_host_close(&r->host);
	r->is_abandoned = !await_storage(r, stop_fd);
	return !r->is_abandoned || !is_committing(r);
}

/* watch_device: a receiver that frames do not reach is deaf, and its senders
 * would wait for the peer timeout to learn it. */
static bool watch_device(struct pt_receiver *r, __u64 now_ns,
			 struct pt_error *why)
{
	if (r->is_over || now_ns - r->watched_ns < WATCH_NS)
		return true;
	r->watched_ns = now_ns;
	return !pt_rx_host_watch(&r->host, why);
}

/* turn: what has come is read, what has ended is told. */
static void turn(struct pt_receiver *r)
{
	accept_all(r);
	for (__u32 i = 0; i < r->session_cnt; i++) {
		struct pt_rx_session *s = r->sessions[i];

		pt_rx_session_read(s);
		pt_rx_session_tick(s, pt_clock_ns());
		if (s->asked_id && s->state == PT_RX_OFFERED)
			answer(r, s);
	}
	pt_farewell_tick(r->farewell);
	show(r, pt_clock_ns());
	reap_ended(r);
}

int pt_receiver_run(struct pt_receiver *r, int stop_fd, struct pt_error *err)
{
	struct pt_error why;
	bool stop = false;
	bool deaf = false;

	while (!stop && !deaf &&
	       !(r->is_over && pt_clock_ns() >= r->linger_until_ns)) {
		stop = wait_any(r, stop_fd);
		turn(r);
		deaf = !watch_device(r, pt_clock_ns(), &why);
	}
	if (!deaf)
		pt_error_set(&why, PT_EXIT_FAILED, -ECANCELED,
			     "interrupted; nothing was committed");
	if (!end_all(r, stop_fd, &why))
		return pt_error_set(err, PT_EXIT_UNKNOWN, -ECANCELED,
				    "outcome unknown: interrupted twice during "
				    "commit (look for the image)");
	if (r->is_over) {
		*err = r->error;
		return r->result;
	}
	if (deaf) {
		*err = why;
		return -ENODEV;
	}
	if (r->cfg.serve)
		return 0;
	return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
			    "interrupted; nothing was received");
}

void pt_receiver_close(struct pt_receiver *r)
{
	if (!r)
		return;
	if (r->is_abandoned)	/* threads are still at it */
		return;
	pt_listener_close(r->listener);
	pt_farewell_close(r->farewell);
	pt_rx_host_free(&r->host);
	pt_sink_close(r->reserved);
	close(r->wake_fd);
	free(r);
}
