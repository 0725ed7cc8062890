/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a sender does with each message, and when a phase is over. */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "session/balance.h"

#define DIGESTS_STEP	4		/* messages of them, a step of control */
#define QUEUED_MAX	(256u << 10)	/* bytes that wait, for more digests */
#define FILES_LOG2	16		/* bytes of files that are a step forward */

static struct pt_inbox *inbox_of(struct pt_sender *s, __u16 lane)
{
	return lane < s->lane_cnt ? pt_lane_inbox(s->lanes[lane]) : NULL;
}

static int take_abort(struct pt_sender *s, const struct pt_msg_abort *m)
{
	s->is_aborted = true;
	return pt_error_set(s->err, pt_exit_of_peer(m->exit), -ECONNABORTED,
			    "receiver: %s", m->text);
}

/* take_mismatch names the first page whose digest differs. */
static int take_mismatch(struct pt_sender *s, const struct pt_msg_mismatch *m)
{
	__u64 page_idx = m->region * PT_REGION_PAGES;
	__u64 gfn;
	__u32 page_cnt;

	if (m->region >= pt_layout_region_cnt(s->layout))
		return pt_error_set(s->err, PT_EXIT_PEER, -EPROTO,
				    "receiver: a difference in region %llu, "
				    "which does not exist",
				    (unsigned long long)m->region);
	page_cnt = pt_layout_region(s->layout, m->region, &gfn);
	for (__u32 i = 0; i < page_cnt && i < m->digest_cnt; i++)
		if (m->digest[i] != pt_digests_get(&s->digests, page_idx + i))
			return pt_error_set(s->err, PT_EXIT_MISMATCH, -EIO,
					    "page %llu differs at the receiver "
					    "(did the source change while it "
					    "was sent?); nothing was committed",
					    (unsigned long long)(gfn + i));
	return pt_error_set(s->err, PT_EXIT_MISMATCH, -EIO,
			    "region %llu, from page %llu on, differs at the "
			    "receiver; nothing was committed",
			    (unsigned long long)m->region,
			    (unsigned long long)gfn);
}

static int take_ledger(struct pt_sender *s, const struct pt_ledger *ledger)
{
	pt_sender_count(s);
	s->report->has_ledger = true;
	s->report->ledger = *ledger;
	s->report->unaccounted = pt_balance(ledger, s->report->frames);
	if (!s->report->unaccounted)
		return 0;
	return pt_error_set(s->err, PT_EXIT_MISMATCH, -EIO,
			    "ledger: %llu frames or records unaccounted for; "
			    "nothing was committed",
			    (unsigned long long)s->report->unaccounted);
}

static int unexpected(struct pt_sender *s, const struct pt_message *m)
{
	return pt_error_set(s->err, PT_EXIT_PEER, -EPROTO, "receiver: unexpected "
			    "%s (another version of pagetrim?)",
			    pt_message_name(m->type));
}

static int take_held(struct pt_sender *s, const struct pt_message *m)
{
	if (!s->report->is_resumed || s->report->phase > PT_SEND_COMPARE)
		return unexpected(s, m);
	s->moves++;
	return pt_held_take(&s->held, &m->held, s->err);
}

static int take_ack(struct pt_sender *s, const struct pt_msg_ack *ack)
{
	struct pt_inbox *in = inbox_of(s, ack->lane);

	if (!in || !pt_inbox_ack(in, ack))
		return 0;
	return pt_error_set(s->err, PT_EXIT_PEER, -EPROTO, "receiver: misses more "
			    "frames of lane %u than are in flight (is it "
			    "pagetrim?)", ack->lane);
}

int pt_sender_take(struct pt_sender *s, const struct pt_message *m)
{
	struct pt_message answer;
	struct pt_inbox *in;

	switch (m->type) {
	case PT_MSG_ACK:
		return take_ack(s, &m->ack);
	case PT_MSG_PROBE_SEEN:
		in = inbox_of(s, m->probe_seen.lane);
		if (in)
			pt_inbox_probe(in, &m->probe_seen);
		return 0;
	case PT_MSG_LANE_READY:
		in = inbox_of(s, m->lane_ready.lane);
		if (in)
			pt_inbox_ready(in, m->lane_ready.window);
		return 0;
	case PT_MSG_REPROBE:
		in = inbox_of(s, m->reprobe.lane);
		if (in)
			pt_inbox_reprobe(in);
		return 0;
	case PT_MSG_HELD:
		return take_held(s, m);
	case PT_MSG_PING:
		answer.type = PT_MSG_PONG;
		answer.pong.time_ns = m->ping.time_ns;
		pt_conn_send(s->conn, &answer, NULL);
		return 0;
	case PT_MSG_PONG:
		return 0;
	case PT_MSG_WORKING:
		s->moves++;
		s->held.heard_ns = pt_clock_ns();
		atomic_store(&s->job.waited_ns, s->held.heard_ns);
		return 0;
	case PT_MSG_LEDGER:
		return take_ledger(s, &m->ledger.counts);
	case PT_MSG_VERIFIED:
		s->is_verified = true;
		return 0;
	case PT_MSG_MISMATCH:
		return take_mismatch(s, &m->mismatch);
	case PT_MSG_COMMITTED:
		s->is_committed = true;
		return 0;
	case PT_MSG_ABORT:
		return take_abort(s, &m->abort);
	default:
		return unexpected(s, m);
	}
}

__u64 pt_sender_enter(struct pt_sender *s, enum pt_send_phase phase)
{
	__u64 now_ns = pt_clock_ns();
	__u64 took_ns = now_ns - s->phase_ns;

	s->report->phase = phase;
	s->phase_ns = now_ns;
	pt_due_begin(&s->due, pt_due_limit_ns(s->cfg->peer_timeout_ms), now_ns);
	return took_ns;
}

static __u16 lanes_ready(const struct pt_sender *s)
{
	__u16 cnt = 0;

	for (__u32 i = 0; i < s->lane_cnt; i++)
		cnt += pt_lane_state(s->lanes[i]) == PT_LANE_READY;
	return cnt;
}

/* check_mtu: who asked for an MTU is told when the path takes less.  Later,
 * when it begins to, the lanes make do with that. */
static int check_mtu(struct pt_sender *s)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_READY)
			ret = pt_send_path_check_mtu(&s->path, s->cfg->mtu,
				atomic_load(&pt_lane_counts(
					s->lanes[i])->frame_sz),
				"path and receiver", s->err);
	return ret;
}

/* probe waits until every lane has found a way, or that there is none. */
static int probe(struct pt_sender *s)
{
	int ret;

	for (__u32 i = 0; i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_PROBING)
			return 0;
	if (!lanes_ready(s))
		return pt_lane_error(s->lanes[0], s->err);
	ret = check_mtu(s);
	if (ret)
		return ret;
	pt_sender_enter(s, PT_SEND_COMPARE);
	eventfd_write(s->wake_fd, 1);	/* come back at once */
	if (s->report->is_resumed)
		return pt_held_start(&s->held, s->err);
	pt_held_skip(&s->held);
	return 0;
}

/* go divides the regions among the lanes that reach the receiver. */
static void go(struct pt_sender *s)
{
	__u16 reached = lanes_ready(s);
	__u16 slot = 0;

	for (__u32 i = 0; i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_READY)
			pt_inbox_go(pt_lane_inbox(s->lanes[i]), slot++,
				    reached);
	s->report->compare_ns = pt_sender_enter(s, PT_SEND_SEND);
	s->report->setup_ns = s->phase_ns - s->started_ns;
}

/* pt_sender_owed: while frames flow the lanes see to that.  A receiver that waits for
 * its storage says so, and each time is a move. */
int pt_sender_owed(struct pt_sender *s, const char *what)
{
	pt_due_look(&s->due, pt_clock_ns(), true, s->moves +
		    (pt_send_files_sent_sz(s->files) >> FILES_LOG2));
	if (!pt_due_is_over(&s->due))
		return 0;
	return pt_error_set(s->err, PT_EXIT_PEER, -ETIMEDOUT, "%s: answers, but "
			    "has not said %s for %.1f s (the deadline is %u "
			    "times {peer-timeout}; is it stuck? its log tells)",
			    pt_conn_peer_text(s->conn), what,
			    s->due.still_ns / 1e9, PT_DUE_TIMEOUTS);
}

/* compare: a thread marks what is to be sent: the peer wants answers meanwhile. */
static int compare(struct pt_sender *s)
{
	int ret = s->report->is_resumed ? pt_held_result(&s->held, s->err) : 1;

	s->report->held_page_cnt = s->held.page_cnt;
	s->report->held_block_bytes = s->held.block_bytes;
	if (ret < 0)
		return ret;
	if (!ret && pt_held_is_waiting(&s->held))
		return pt_sender_owed(s, "HELD");
	s->moves++;	/* the receiver waits for us */
	if (!ret)
		return 0;
	pt_held_stop(&s->held);
	go(s);
	return 0;
}

static bool lanes_are_clean(struct pt_sender *s)
{
	for (__u32 i = 0; i < s->lane_cnt; i++) {
		enum pt_lane_state state = pt_lane_state(s->lanes[i]);

		if (state != PT_LANE_CLEAN && state != PT_LANE_UNREACHED)
			return false;
	}
	return true;
}

/* say_digests sums up the pages of each region and says the sums; a step at a time,
 * and no more than the receiver reads. */
static int say_digests(struct pt_sender *s)
{
	__u64 region_cnt = pt_layout_region_cnt(s->layout);
	__u64 sums[PT_DIGESTS_MAX];
	int ret = 0;

	for (int i = 0; !ret && i < DIGESTS_STEP && s->region_told < region_cnt &&
	     pt_conn_queued_sz(s->conn) < QUEUED_MAX; i++) {
		__u64 left = region_cnt - s->region_told;
		struct pt_message m = {
			.type = PT_MSG_DIGESTS,
			.digests = {
				.region_first = s->region_told,
				.digest_cnt = left < PT_DIGESTS_MAX
					? left : PT_DIGESTS_MAX,
				.digest = sums,
			},
		};

		for (__u32 n = 0; n < m.digests.digest_cnt; n++)
			sums[n] = pt_digests_sum(&s->digests,
						 s->region_told++);
		s->moves++;
		ret = pt_conn_send(s->conn, &m, s->err);
	}
	if (!ret && pt_conn_queued_sz(s->conn) < QUEUED_MAX)
		eventfd_write(s->wake_fd, 1);	/* come back at once */
	return ret;
}

/* start_recheck: a source that may have changed is read again, in threads of
 * its own: the peer wants answers meanwhile. */
static int start_recheck(struct pt_sender *s)
{
	const struct pt_recheck_cfg cfg = {
		.source = s->cfg->source,
		.layout = s->layout,
		.digests = &s->digests,
		.digest_key = s->digest_key,
		.wake_fd = s->wake_fd,
	};

	s->is_rechecked = !s->cfg->recheck;
	if (s->is_rechecked)
		return 0;
	pt_stage_enter(s->clock, PT_SEND_STAGE_RECHECK);
	return pt_recheck_start(&s->recheck, &cfg, s->err);
}

static int watch_recheck(struct pt_sender *s)
{
	int ret;

	if (s->is_rechecked)
		return 0;
	ret = pt_recheck_result(s->recheck, s->err);
	if (ret <= 0)
		return ret;
	s->is_rechecked = true;
	s->report->recheck_ns = pt_clock_ns() - s->phase_ns;
	pt_stage_bytes(s->clock, PT_SEND_STAGE_RECHECK,
		       pt_recheck_read_sz(s->recheck));
	pt_stage_enter(s->clock, PT_SEND_STAGE_IDLE);
	return 0;
}

static int verify(struct pt_sender *s)
{
	s->report->send_ns = pt_sender_enter(s, PT_SEND_VERIFY);
	eventfd_write(s->wake_fd, 1);
	return start_recheck(s);
}

/* ask_verify: digests, then VERIFY. */
static int ask_verify(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_VERIFY,
		.verify = { .sent_cnt = s->lane_cnt },
	};

	if (s->region_told < pt_layout_region_cnt(s->layout))
		return say_digests(s);
	for (__u32 i = 0; i < s->lane_cnt; i++)
		m.verify.sent[i] = atomic_load(
			&pt_lane_counts(s->lanes[i])->frames);
	s->is_asked = true;
	return pt_conn_send(s->conn, &m, s->err);
}

static int commit(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_COMMIT,
		.commit = { .transfer_id = s->report->transfer_id },
	};

	s->report->verify_ns = pt_sender_enter(s, PT_SEND_COMMIT);
	return pt_conn_send(s->conn, &m, s->err);
}

/* watch_verify: nothing is committed before both ends are sure: the receiver
 * of its copy, we that the source stood still until now. */
static int watch_verify(struct pt_sender *s)
{
	int ret = watch_recheck(s);

	if (!ret && !s->is_asked)
		ret = ask_verify(s);
	if (ret)
		return ret;
	if (!s->is_verified)
		return pt_sender_owed(s, "VERIFIED");
	return s->is_rechecked ? commit(s) : 0;
}

/* await_files: all of the memory is there, but files travel still. */
static int await_files(struct pt_sender *s, int is_done)
{
	return is_done ? verify(s)
		: pt_sender_owed(s, "WORKING, nor read more of the {with} "
				    "files");
}

int pt_sender_advance(struct pt_sender *s)
{
	int files = pt_send_files_result(s->files, s->err);
	bool is_clean;

	if (files < 0)
		return files;
	for (__u32 i = 0; i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_FAILED)
			return pt_lane_error(s->lanes[i], s->err);
	switch (s->report->phase) {
	case PT_SEND_PROBE:
		return probe(s);
	case PT_SEND_COMPARE:
		return compare(s);
	case PT_SEND_SEND:
		is_clean = lanes_are_clean(s);
		pt_send_files_alone(s->files, is_clean);
		return is_clean ? await_files(s, files) : 0;
	case PT_SEND_VERIFY:
		return watch_verify(s);
	case PT_SEND_COMMIT:
		if (!s->is_committed)
			return pt_sender_owed(s, "COMMITTED");
		s->report->commit_ns = pt_sender_enter(s, PT_SEND_DONE);
		return 0;
	default:
		return 0;
	}
}

void pt_sender_count(struct pt_sender *s)
{
	struct pt_send_report *r = s->report;

	r->files_sent_sz = pt_send_files_sent_sz(s->files);
	if (!s->lane_cnt)
		return;
	r->pages_left = r->pages_sent = r->zero_pages_sent = 0;
	r->copies = r->put_off = 0;
	r->frames = r->frames_lost = r->probes = 0;
	r->wire_bytes = r->block_bytes = r->credit_waits = r->path_waits = 0;
	r->generations = 0;
	r->has_path = pt_regulator_look(&s->regulator, &r->path);
	memset(&r->governor, 0, sizeof(r->governor));
	r->lane_cnt = s->lane_cnt;
	for (__u32 i = 0; i < s->lane_cnt; i++) {
		const struct pt_lane_counts *c = pt_lane_counts(s->lanes[i]);
		struct pt_xsk_info xsk;

		r->pages_left += atomic_load(&c->dirty_pages);
		r->pages_sent += atomic_load(&c->pages);
		r->copies += atomic_load(&c->copies);
		r->put_off += atomic_load(&c->put_off);
		r->zero_pages_sent += atomic_load(&c->zero_pages);
		r->frames += atomic_load(&c->frames);
		r->frames_lost += atomic_load(&c->frames_lost);
		r->probes += atomic_load(&c->probes);
		r->wire_bytes += atomic_load(&c->wire_bytes);
		r->block_bytes += atomic_load(&c->block_bytes);
		r->credit_waits += atomic_load(&c->credit_waits);
		r->path_waits += atomic_load(&c->path_waits);
#define X(symbol, name, text) \
		r->governor.symbol += atomic_load(&c->governor.symbol);
		PT_GOVERNOR_COUNTS(X)
#undef X
		if (atomic_load(&c->generation) > r->generations)
			r->generations = atomic_load(&c->generation);
		pt_xsk_info(s->path.xsks[i], &xsk);
		r->lanes[i] = (struct pt_send_lane_report){
			.tx_queue = pt_lease_queue(s->path.leases[i]),
			.rx_queue = atomic_load(&c->queue),
			.frame_sz = atomic_load(&c->frame_sz),
			.hugepages = xsk.hugepages,
			.zero_copy = xsk.zero_copy,
			.frames = atomic_load(&c->frames),
		};
	}
}
