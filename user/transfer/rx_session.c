/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A session's life: start, time, end.  Its messages are in rx_messages.c. */
#include "transfer/rx_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "transfer/balance.h"
#include "transfer/ping.h"
#include "transfer/rx_messages.h"

#define QUEUES_NS	250000000ULL	/* between looks at what strayed */
#define READ_MAX	64	/* messages, before other sessions are heard */

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
	s->reserved = reserved;
	s->conn = conn;
	s->err = &s->report.error;
	s->wake_fd = wake_fd;
	s->pinged_ns = pt_clock_ns();
	strncpy(s->report.peer, pt_conn_peer_text(conn),
		sizeof(s->report.peer) - 1);
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
	s->stepped_ns = pt_clock_ns();
}

int pt_rx_session_fd(const struct pt_rx_session *s)
{
	return s->conn ? pt_conn_fd(s->conn) : -1;
}

/* lose_conn: a sender that is gone, or makes no sense, ends the transfer, unless
 * the commit has begun: that is carried through, and the sender may ask again.
 */
static void lose_conn(struct pt_rx_session *s, int code,
		      const struct pt_error *err)
{
	/* Who said ABORT sent no COMMIT. */
	s->may_be_asked = s->state == PT_RX_VERIFIED && !s->is_bye;
	if (s->state == PT_RX_COMMITTING) {
		pt_conn_close(s->conn);
		s->conn = NULL;
		s->intake.conn = NULL;
		s->is_bye = false;	/* it cannot know how this ends */
	} else if (s->state == PT_RX_DONE) {
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

	s->has_more = false;
	for (int i = 0; s->conn && s->state != PT_RX_ENDED; i++) {
		if (i == READ_MAX) {
			s->has_more = true;
			return;
		}
		ret = pt_conn_recv(s->conn, &m, &err);
		if (!ret)
			return;
		if (ret < 0) {
			lose_conn(s, ret, &err);
			return;
		}
		ret = pt_rx_take(s, &m, &err);
		if (ret < 0)
			lose_conn(s, ret, &err);
	}
}

void pt_rx_session_open(struct pt_rx_session *s)
{
	s->opened_ns = pt_clock_ns();
	s->report.queue_cnt = s->host->queue_cnt;
	s->report.hugepages = s->host->hugepages;
	if (s->cfg->profile)
		pt_rx_host_profile(s->host, &s->opened_profile);
}

/* close_times: what passed since OPEN was the transfer's. */
static void close_times(struct pt_rx_session *s)
{
	struct pt_receive_report *report = &s->report;

	report->total_ns = pt_clock_ns() - s->opened_ns;
	if (!s->cfg->profile)
		return;
	report->has_profile = true;
	pt_rx_host_profile(s->host, &report->profile);
	pt_profile_since(&report->profile, &s->opened_profile);
	report->profile.time_ns = report->total_ns *
				  report->profile.thread_cnt;
}

static void *commit_main(void *arg)
{
	struct pt_rx_session *s = arg;
	int ret = pt_sink_sync(s->sink, &s->commit_error);

	if (!ret)
		ret = pt_sink_commit(s->sink, &s->commit_error);
	atomic_store(&s->commit_result, ret);
	eventfd_write(s->wake_fd, 1);
	return NULL;
}

int pt_rx_session_commit(struct pt_rx_session *s, struct pt_error *err)
{
	int ret;

	/* No queue may touch the sink from here on. */
	pt_rx_host_remove(s->host, &s->intake);
	s->is_on_host = false;
	s->report.commit_ns = pt_clock_ns();
	atomic_store(&s->commit_result, 1);
	pt_rx_session_enter(s, PT_RX_COMMITTING);
	ret = -pthread_create(&s->committer, NULL, commit_main, s);
	if (ret) {
		pt_rx_session_enter(s, PT_RX_VERIFIED);
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				    "thread: %s (raise ulimit -u)",
				    strerror(-ret));
	}
	s->has_committer = true;
	return 0;
}

static void take_commit_result(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_message m = {
		.type = PT_MSG_COMMITTED,
		.committed = { .transfer_id = s->open.transfer_id },
	};
	int ret = atomic_load(&s->commit_result);

	if (ret > 0)
		return;
	pthread_join(s->committer, NULL);
	s->has_committer = false;
	s->report.commit_ns = now_ns - s->report.commit_ns;
	if (ret) {
		pt_rx_session_enter(s, PT_RX_VERIFIED);
		pt_rx_session_end(s, ret, &s->commit_error);
		return;
	}
	s->report.result = 0;
	close_times(s);
	pt_rx_session_enter(s, PT_RX_DONE);
	if (!s->conn || pt_conn_send(s->conn, &m, NULL))
		pt_rx_session_enter(s, PT_RX_ENDED);
}

/* check_counters: once they have settled, or never will, the ledger is told,
 * and whether it balances. */
static void check_counters(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_message m = { .type = PT_MSG_LEDGER };
	struct pt_ledger *ledger = &s->report.ledger;
	struct pt_error err;

	if (now_ns < s->freeze_ns)
		return;
	if (!s->is_frozen)
		pt_rx_host_freeze(s->host, &s->intake);
	s->is_frozen = true;
	if (!pt_rx_host_ledger(s->host, &s->intake, ledger) &&
	    now_ns < s->verify_deadline_ns)
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

/* ask_again: the lane may have lost its way: REPROBE, once a LANE_SET. */
static void ask_again(struct pt_rx_session *s, struct pt_rx_lane *l)
{
	struct pt_message m = {
		.type = PT_MSG_REPROBE,
		.reprobe = { .lane = l->lane_idx },
	};

	l->is_asked = !pt_conn_send(s->conn, &m, NULL);
}

/* watch_queues: frames on a wrong queue mean that a lane's way has changed, but
 * only for a lane that takes none any more on the right one: who repeats a
 * recorded frame, from a port that hashes to another queue, must not keep the
 * lanes that go well probing for ever. */
static void watch_queues(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_counters c;
	bool have_strayed;

	if (!s->is_on_host || s->state != PT_RX_DATA ||
	    now_ns - s->looked_ns < QUEUES_NS ||
	    pt_program_session_counters(s->host->program,
					s->intake.session_id, &c))
		return;
	s->looked_ns = now_ns;
	have_strayed = c.wrong_queue != s->wrong_queue;
	s->wrong_queue = c.wrong_queue;
	pt_rx_host_session_lock(s->host, &s->intake);
	for (__u16 i = 0; i < s->intake.lane_cnt; i++) {
		struct pt_rx_lane *l = &s->intake.lanes[i];

		l->is_deaf = l->accepted == l->looked_accepted;
		l->looked_accepted = l->accepted;
	}
	pt_rx_host_session_unlock(s->host, &s->intake);
	for (__u16 i = 0; have_strayed && i < s->intake.lane_cnt; i++) {
		struct pt_rx_lane *l = &s->intake.lanes[i];

		if (l->is_deaf && !l->is_asked && l->queue != PT_QUEUE_ANY)
			ask_again(s, l);
	}
}

static void watch_peer(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_message m = {
		.type = PT_MSG_PING,
		.ping = { .time_ns = now_ns },
	};
	__u64 heard_ns = pt_conn_last_recv_ns(s->conn);
	struct pt_error err;

	if (now_ns > heard_ns &&
	    now_ns - heard_ns > s->cfg->peer_timeout_ms * 1000000ULL) {
		pt_error_set(&err, PT_EXIT_PEER, -ETIMEDOUT, "%s: silent for "
			     "%u ms (--peer-timeout)", s->report.peer,
			     s->cfg->peer_timeout_ms);
		lose_conn(s, -ETIMEDOUT, &err);
		return;
	}
	if (now_ns - s->pinged_ns < pt_ping_ns(s->cfg->peer_timeout_ms))
		return;
	s->pinged_ns = now_ns;
	pt_conn_send(s->conn, &m, NULL);
}

/* watch_steps: a sender that only PINGs would keep its place for ever.  Data and
 * digests take the time that they take, and the sender's --peer-timeout sees
 * to them. */
static void watch_steps(struct pt_rx_session *s, __u64 now_ns)
{
	static const char *const due[] = {
		[PT_RX_OFFERED] = "opened no transfer",
		[PT_RX_OPENING] = "went on with no SEGMENT",
		[PT_RX_DONE] = "said no BYE",
	};
	struct pt_error err;

	if (s->state != PT_RX_OFFERED && s->state != PT_RX_OPENING &&
	    s->state != PT_RX_DONE)
		return;
	if (s->asked_id || now_ns < s->stepped_ns ||
	    now_ns - s->stepped_ns <= s->cfg->peer_timeout_ms * 1000000ULL)
		return;
	pt_error_set(&err, PT_EXIT_PEER, -ETIMEDOUT, "%s: %s for %u ms "
		     "(--peer-timeout)", s->report.peer, due[s->state],
		     s->cfg->peer_timeout_ms);
	lose_conn(s, -ETIMEDOUT, &err);
}

void pt_rx_session_tick(struct pt_rx_session *s, __u64 now_ns)
{
	int failed = atomic_load(&s->intake.failed);

	if (s->state == PT_RX_COMMITTING)
		take_commit_result(s, now_ns);
	if (s->state == PT_RX_ENDED)
		return;
	if (failed && s->state < PT_RX_COMMITTING) {
		pt_rx_session_end(s, failed, &s->intake.error);
		return;
	}
	failed = atomic_load(&s->held.failed);
	if (failed && s->state < PT_RX_COMMITTING) {
		pt_rx_session_end(s, failed, &s->held.error);
		return;
	}
	if (s->state == PT_RX_VERIFYING)
		check_counters(s, now_ns);
	watch_queues(s, now_ns);
	if (s->conn && s->state != PT_RX_ENDED)
		watch_peer(s, now_ns);
	if (s->conn)
		watch_steps(s, now_ns);
}

/* let_go: a copy that was found wrong is not worth keeping. */
static void let_go(struct pt_rx_session *s, const struct pt_error *err)
{
	if (err->exit == PT_EXIT_MISMATCH)
		pt_sink_spoil(s->sink);
	s->report.is_kept = pt_sink_is_kept(s->sink);
	pt_sink_discard(s->sink);
}

void pt_rx_session_end(struct pt_rx_session *s, int code,
		       const struct pt_error *err)
{
	struct pt_message m;

	if (s->state == PT_RX_ENDED)
		return;
	pt_rx_session_enter(s, PT_RX_ENDED);
	s->report.result = code;
	if (err != &s->report.error)
		s->report.error = *err;
	if (s->opened_ns)
		close_times(s);
	pt_rx_held_stop(&s->held);
	s->report.held_page_cnt = atomic_load(&s->held.page_cnt);
	if (s->is_on_host)
		pt_rx_host_remove(s->host, &s->intake);
	s->is_on_host = false;
	if (s->sink)
		let_go(s, err);
	if (!s->conn || s->is_bye)
		return;
	pt_message_abort(&m, err->exit, err->text);
	s->is_leaving = !pt_conn_send(s->conn, &m, NULL);
}

void pt_rx_session_answer(struct pt_rx_session *s, const struct pt_error *err)
{
	struct pt_message m = {
		.type = PT_MSG_COMMITTED,
		.committed = { .transfer_id = s->asked_id },
	};

	if (err)
		pt_message_abort(&m, err->exit, err->text);
	s->is_leaving = !pt_conn_send(s->conn, &m, NULL);
	pt_rx_session_enter(s, PT_RX_ENDED);
}

struct pt_conn *pt_rx_session_leave(struct pt_rx_session *s)
{
	struct pt_conn *conn = s->is_leaving ? s->conn : NULL;

	if (conn)
		s->conn = NULL;
	return conn;
}

void pt_rx_session_free(struct pt_rx_session *s)
{
	if (!s)
		return;
	if (s->has_committer)
		pthread_join(s->committer, NULL);
	pt_rx_held_stop(&s->held);
	if (s->is_on_host)
		pt_rx_host_remove(s->host, &s->intake);
	pt_intake_free(&s->intake);
	pt_rebuild_destroy(s->rebuild);
	pt_sink_close(s->sink);
	pt_layout_free(s->layout);
	pt_rx_host_unclaim(s->host, s->claimed_sz);
	pt_conn_close(s->conn);
	free(s->segments);
	free(s);
}
