/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Starts, runs and ends a session.  rx_messages.c handles its messages. */
#include "receive/rx_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "receive/rx_fill.h"
#include "receive/rx_guest.h"
#include "receive/rx_messages.h"
#include "receive/rx_open.h"
#include "receive/rx_storage.h"
#include "receive/rx_watch.h"
#include "session/balance.h"

#define READ_MAX	64	/* messages per turn of a session */
#define SETTLE_NS	2000000000ULL	/* for counters to agree */
#define WAITING_NS	1000000000ULL	/* of waiting for storage before a
					 * report */

struct pt_rx_session *pt_rx_session_start(struct pt_conn *conn,
					  const struct pt_receiver_cfg *cfg,
					  struct pt_rx_host *host,
					  struct pt_sink **reserved,
					  int wake_fd)
{
	struct pt_rx_session *s = calloc(1, sizeof(*s));

	if (!s) {
		pt_conn_close(conn);
		return NULL;
	}
	s->cfg = cfg;
	s->host = host;
	s->storage.reserved = reserved;
	s->conn = conn;
	s->poll.wake_fd = wake_fd;
	s->poll.polled_fd = s->guest.polled_fd = s->guest.state_fd = -1;
	s->watch.pinged_ns = pt_clock_ns();
	strncpy(s->report.peer, pt_conn_peer_text(conn),
		sizeof(s->report.peer) - 1);
	strncpy(s->report.identity, pt_conn_peer_identity(conn),
		sizeof(s->report.identity) - 1);
	pt_rx_session_enter(s, PT_RX_OFFERED);
	if (pt_rx_offer(s)) {
		pt_rx_session_free(s);
		return NULL;
	}
	return s;
}

void pt_rx_session_enter(struct pt_rx_session *s, enum pt_rx_state state)
{
	s->state = state;
	pt_due_begin(&s->watch.due, pt_due_limit_ns(s->cfg->peer_timeout_ms),
		     pt_clock_ns());
}

int pt_rx_session_fd(const struct pt_rx_session *s)
{
	return s->conn && !s->storage.is_paused ? pt_conn_fd(s->conn) : -1;
}

void pt_rx_session_lose(struct pt_rx_session *s, int code,
			const struct pt_error *err)
{
	/* A sender that sent ABORT sends no COMMIT. */
	s->parting.may_be_asked = s->state == PT_RX_VERIFIED && !s->parting.is_bye;
	if (s->state == PT_RX_COMMITTING) {
		pt_rx_held_cancel(&s->held);	/* it may hold the last
						 * failure */
		pt_conn_close(s->conn);
		s->conn = NULL;
		s->intake.conn = NULL;
		s->parting.is_bye = false;	/* the sender does not know the
					 * outcome */
	} else if (s->state == PT_RX_DONE) {
		/* Our end of the connection follows the sender's. */
		s->parting.is_leaving = true;
		pt_rx_session_enter(s, PT_RX_ENDED);
	} else {
		pt_rx_session_end(s, code, err);
	}
}

void pt_rx_session_read(struct pt_rx_session *s)
{
	struct pt_message m;
	struct pt_error err;
	int ret;

	s->poll.has_more = false;
	for (int i = 0; s->conn && s->state != PT_RX_ENDED; i++) {
		s->storage.is_paused = (s->storage.store &&
					!pt_store_has_room(s->storage.store)) ||
				       pt_rx_guest_is_full(s);
		if (s->storage.is_paused) {
			s->storage.paused_ns = pt_clock_ns();
			return;
		}
		if (i == READ_MAX) {
			s->poll.has_more = true;
			return;
		}
		ret = pt_conn_recv(s->conn, &m, &err);
		if (!ret)
			return;
		if (ret < 0) {
			pt_rx_session_lose(s, ret, &err);
			return;
		}
		ret = pt_rx_take(s, &m, &err);
		if (ret < 0)
			pt_rx_session_lose(s, ret, &err);
	}
}

void pt_rx_session_open(struct pt_rx_session *s)
{
	s->start.ns = pt_clock_ns();
	s->report.queue_cnt = s->host->queue_cnt;
	s->report.hugepages = s->host->hugepages;
	pt_rx_host_sockets(s->host, s->report.queues, s->report.zero_copy);
	if (s->cfg->profile)
		pt_rx_host_profile(s->host, &s->start.profile);
}

/* close_times ends the transfer's times, since OPEN.  A closed host has no
 * profile. */
static void close_times(struct pt_rx_session *s)
{
	struct pt_receive_report *report = &s->report;

	report->total_ns = pt_clock_ns() - s->start.ns;
	if (!s->cfg->profile || !s->host->queue_cnt)
		return;
	report->has_profile = true;
	pt_rx_host_profile(s->host, &report->profile);
	pt_profile_since(&report->profile, &s->start.profile);
	report->profile.time_ns = report->total_ns *
				  report->profile.thread_cnt;
}

/* leave_queues: afterwards no queue touches the sink, and placers get no
 * frames. */
static void leave_queues(struct pt_rx_session *s)
{
	if (!s->share.is_on_host)
		return;
	pt_rx_host_remove(s->host, &s->intake);
	s->share.is_on_host = false;
	pt_intake_profile(&s->intake, &s->report.placers);
}

void pt_rx_session_leave_host(struct pt_rx_session *s)
{
	if (s->start.ns)
		close_times(s);
	leave_queues(s);
	pt_rx_host_unclaim(s->host, s->share.claimed_sz);
	s->share.claimed_sz = 0;
}

int pt_rx_session_commit(struct pt_rx_session *s, struct pt_error *err)
{
	int ret;

	leave_queues(s);
	s->report.state_sz = pt_rx_guest_sz(s);
	s->report.commit_ns = pt_clock_ns();
	pt_rx_session_enter(s, PT_RX_COMMITTING);
	ret = pt_rx_storage_commit(s, err);
	if (ret)
		pt_rx_session_enter(s, PT_RX_VERIFIED);
	return ret;
}

static void take_commit_result(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_message m = {
		.type = PT_MSG_COMMITTED,
		.committed = { .transfer_id = s->request.open.transfer_id },
	};
	struct pt_error err;
	int ret;

	if (!pt_store_is_idle(s->storage.store))
		return;
	ret = pt_store_failed(s->storage.store, &err);
	s->report.commit_ns = now_ns - s->report.commit_ns;
	if (ret) {
		s->parting.may_be_asked = !s->conn;
		pt_rx_session_enter(s, PT_RX_VERIFIED);
		pt_rx_session_end(s, ret, &err);
		return;
	}
	s->report.result = 0;
	close_times(s);
	pt_rx_session_enter(s, PT_RX_DONE);
	if (!s->conn || pt_conn_send(s->conn, &m, NULL))
		pt_rx_session_enter(s, PT_RX_ENDED);
}

/* tell_mismatch has the differing region read first, then reports it. */
static void tell_mismatch(struct pt_rx_session *s)
{
	struct pt_error err;
	int ret;

	if (s->compare.is_differing)
		ret = pt_rx_say_mismatch(s, &err);
	else
		ret = pt_rx_storage_mismatch(s, &err);
	s->compare.is_differing = true;
	if (ret)
		pt_rx_session_end(s, ret, &err);
}

/* check_counters reports the ledger, and whether it balances, once the counters
 * have settled or cannot settle. */
static void check_counters(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_message m = { .type = PT_MSG_LEDGER };
	struct pt_ledger *ledger = &s->report.ledger;
	struct pt_error err;

	if (!pt_rx_storage_is_idle(s)) {
		s->verify.deadline_ns = 0;	/* it cannot settle before */
		return;
	}
	if (now_ns < s->verify.freeze_ns)
		return;
	if (s->compare.has_mismatch) {
		tell_mismatch(s);
		return;
	}
	if (!s->verify.is_frozen)
		pt_rx_host_freeze(s->host, &s->intake);
	s->verify.is_frozen = true;
	if (!s->verify.deadline_ns)
		s->verify.deadline_ns = now_ns + SETTLE_NS;
	if (!pt_rx_host_ledger(s->host, &s->intake, ledger) &&
	    now_ns < s->verify.deadline_ns)
		return;
	s->report.has_ledger = true;
	s->report.unaccounted = pt_balance(ledger, s->report.sent);
	m.ledger.counts = *ledger;
	pt_conn_send(s->conn, &m, NULL);
	if (s->report.unaccounted) {
		pt_error_set(&err, PT_EXIT_MISMATCH, -EIO, "ledger: %llu "
			     "frames or records unaccounted for",
			     (unsigned long long)s->report.unaccounted);
		pt_rx_session_end(s, -EIO, &err);
		return;
	}
	pt_rx_session_enter(s, PT_RX_VERIFIED);
	m.type = PT_MSG_VERIFIED;
	pt_conn_send(s->conn, &m, NULL);
}

/* watch_storage returns 0, or the failure of a queue, of rx_held, or of the
 * store. */
static int watch_storage(struct pt_rx_session *s, struct pt_error *err)
{
	int failed = atomic_load(&s->intake.failed);

	/* Until failed is set, another thread may be writing the error. */
	if (failed)
		*err = s->intake.error;
	else if ((failed = atomic_load(&s->held.failed)))
		*err = s->held.error;
	if (!failed && s->storage.store)
		failed = pt_store_failed(s->storage.store, err);
	if (!failed && s->storage.is_opening && pt_store_is_idle(s->storage.store))
		failed = pt_rx_opened(s, err);
	return failed;
}

/* tell_waiting reports once that storage is waited for, and once that the wait
 * is over. */
static void tell_waiting(struct pt_rx_session *s, __u64 now_ns)
{
	__u64 since_ns = pt_rx_storage_since_ns(s);
	bool is_waiting = since_ns && now_ns > since_ns + WAITING_NS;

	if (is_waiting == s->storage.is_waiting)
		return;
	if (is_waiting)
		s->storage.waits_ns = since_ns;
	s->storage.is_waiting = is_waiting;
	s->report.waited_ns = now_ns - s->storage.waits_ns;
	if (s->cfg->events.waiting)
		s->cfg->events.waiting(&s->report, is_waiting,
				       s->cfg->events.arg);
}

void pt_rx_session_tick(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_error err;
	int failed;

	if (s->state == PT_RX_COMMITTING)
		take_commit_result(s, now_ns);
	if (s->state == PT_RX_ENDED)
		return;
	failed = s->state < PT_RX_COMMITTING ? watch_storage(s, &err) : 0;
	if (!failed)
		failed = pt_rx_guest_step(s, &err);
	if (!failed)
		failed = pt_rx_fill_step(s, &err);
	if (failed) {
		pt_rx_session_end(s, failed, &err);
		return;
	}
	if (s->state == PT_RX_VERIFYING)
		check_counters(s, now_ns);
	else if (s->state == PT_RX_DATA && s->fill.is_told && s->compare.has_mismatch &&
		 pt_store_is_idle(s->storage.store))
		tell_mismatch(s);
	tell_waiting(s, now_ns);
	if (s->share.is_on_host)
		pt_rx_rate_hold(&s->rate, &s->intake, now_ns);
	pt_rx_watch(s, now_ns);
}

/* may_run: the guest is being handed over, and whether it runs here is not settled. */
static bool may_run(const struct pt_rx_session *s)
{
	return s->fill.is_handing && !s->fill.is_handed &&
	       !atomic_load(&s->fill.does_not_run);
}

const char *pt_rx_session_left(const struct pt_rx_session *s)
{
	if (s->fill.is_handed)
		return "the guest runs, and waits for the rest of its memory";
	return s->fill.is_handing ? "the guest may run" : "nothing was committed";
}

/* tell_why sends the reason to the sender before any wait.  Without an OPEN the
 * sender may be about to ASK for an earlier transfer, or does so: any exit but
 * UNKNOWN would tell it that this transfer was not committed.  To the sender of a guest
 * that may run here it would tell that the guest may run there. */
static void tell_why(struct pt_rx_session *s, const struct pt_error *err)
{
	bool is_known = s->request.wants_open && !may_run(s);
	struct pt_message m;

	if (!s->conn || s->parting.is_bye)
		return;
	pt_message_abort(&m, is_known ? err->exit : PT_EXIT_UNKNOWN, err->text);
	s->parting.is_leaving = !pt_conn_send(s->conn, &m, NULL);
}

void pt_rx_session_end(struct pt_rx_session *s, int code,
		       const struct pt_error *err)
{
	if (s->state == PT_RX_ENDED)
		return;
	pt_rx_session_enter(s, PT_RX_ENDED);
	s->report.result = code;
	if (err != &s->report.error)
		s->report.error = *err;
	tell_why(s, err);
	pt_rx_session_leave_host(s);
	pt_rx_storage_clear(s);
}

void pt_rx_session_answer(struct pt_rx_session *s, const struct pt_error *err)
{
	struct pt_message m = {
		.type = PT_MSG_COMMITTED,
		.committed = { .transfer_id = s->request.asked_id },
	};

	if (err)
		pt_message_abort(&m, err->exit, err->text);
	s->parting.is_leaving = !pt_conn_send(s->conn, &m, NULL);
	pt_rx_session_enter(s, PT_RX_ENDED);
}

struct pt_conn *pt_rx_session_leave(struct pt_rx_session *s)
{
	struct pt_conn *conn = s->parting.is_leaving ? s->conn : NULL;

	pt_rx_held_cancel(&s->held);
	if (conn)
		s->conn = NULL;
	return conn;
}

void pt_rx_session_free(struct pt_rx_session *s)
{
	if (!s)
		return;
	leave_queues(s);
	pt_rx_storage_clear(s);
	pt_store_close(s->storage.store);
	if (s->fill.is_told)
		s->cfg->guest->tell(s->cfg->guest->arg, -1);
	pt_rx_guest_free(s);
	pt_large_free(&s->large.want);
	pt_layout_free(s->memory.layout);
	pt_rx_host_unclaim(s->host, s->share.claimed_sz);
	pt_admission_leave(s->share.admitted);
	pt_conn_close(s->conn);
	free(s->memory.segments);
	free(s);
}
