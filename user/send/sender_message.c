/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Handles a sender's received messages. */
#include "send/sender_internal.h"

#include <errno.h>

#include <pagetrim/clock.h>
#include "session/balance.h"

static int unexpected(struct pt_sender *s, const struct pt_message *m)
{
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: unexpected "
			    "%s (another version of pagetrim?)",
			    pt_message_name(m->type));
}

static int take_abort(struct pt_sender *s, const struct pt_msg_abort *m)
{
	enum pt_exit code = pt_exit_of_peer(m->exit);

	s->is_aborted = true;
	if (code == PT_EXIT_UNKNOWN && !s->is_commit_sent)
		code = PT_EXIT_PEER;	/* no COMMIT was sent */
	if (code == PT_EXIT_UNKNOWN)
		return pt_error_set(&s->error, code, -ECONNABORTED, "outcome "
				    "unknown: receiver: %.300s (%s)", m->text,
				    pt_sender_look(s));
	return pt_error_set(&s->error, code, -ECONNABORTED, "receiver: %s",
			    m->text);
}

/* but: the end of a text about a failure. */
static const char *but(const struct pt_sender *s)
{
	return s->postcopy.is_handed ? "" : "; nothing was committed";
}

/* take_mismatch names the first page whose digest differs. */
static int take_mismatch(struct pt_sender *s, const struct pt_msg_mismatch *m)
{
	__u64 page_idx = m->region * PT_REGION_PAGES;
	__u64 gfn;
	__u32 page_cnt;

	if (m->region >= pt_layout_region_cnt(s->layout))
		return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO,
				    "receiver: sent MISMATCH for region %llu, "
				    "which does not exist",
				    (unsigned long long)m->region);
	page_cnt = pt_layout_region(s->layout, m->region, &gfn);
	for (__u32 i = 0; i < page_cnt && i < m->digest_cnt; i++)
		if (m->digest[i] != pt_digests_get(&s->digests, page_idx + i))
			return pt_error_set(&s->error, PT_EXIT_MISMATCH, -EIO,
					    "page %llu differs at the receiver "
					    "(did the source change while it "
					    "was sent?)%s",
					    (unsigned long long)(gfn + i), but(s));
	return pt_error_set(&s->error, PT_EXIT_MISMATCH, -EIO,
			    "region %llu, from page %llu on, differs at the "
			    "receiver%s", (unsigned long long)m->region,
			    (unsigned long long)gfn, but(s));
}

/* take_ledger: LEDGER comes once, in answer to VERIFY.  The counts of an earlier
 * one would not be those of the frames that VERIFY names. */
static int take_ledger(struct pt_sender *s, const struct pt_message *m)
{
	const struct pt_ledger *ledger = &m->ledger.counts;

	if (!s->is_asked || s->report.has_ledger)
		return unexpected(s, m);
	pt_sender_count(s);
	s->report.has_ledger = true;
	s->report.ledger = *ledger;
	s->report.unaccounted = pt_balance(ledger, s->report.frames);
	if (!s->report.unaccounted)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_MISMATCH, -EIO,
			    "ledger: %llu frames or records unaccounted for%s",
			    (unsigned long long)s->report.unaccounted, but(s));
}

/* take_verified refuses a commit without a balanced ledger. */
static int take_verified(struct pt_sender *s)
{
	s->is_verified = s->report.has_ledger;
	if (s->is_verified) {
		pt_sender_name_unreadable(s);
		return 0;
	}
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: "
			    "VERIFIED without a LEDGER after VERIFY, so its "
			    "frames are not accounted for%s", but(s));
}

static int take_held(struct pt_sender *s, const struct pt_message *m)
{
	if (!s->report.is_resumed || s->report.phase > PT_SEND_COMPARE)
		return unexpected(s, m);
	s->moves++;
	return pt_held_take(&s->held, &m->held, &s->error);
}

/* take_offer: OFFER comes once, as the first message after HELLO. */
static int take_offer(struct pt_sender *s, const struct pt_message *m)
{
	if (s->report.phase != PT_SEND_SETUP || s->setup != PT_SETUP_OFFER)
		return unexpected(s, m);
	s->setup = PT_SETUP_OFFERED;
	s->offer = m->offer;
	return 0;
}

static int take_opened(struct pt_sender *s, const struct pt_message *m)
{
	if (s->report.phase != PT_SEND_SETUP || s->setup != PT_SETUP_OPEN)
		return unexpected(s, m);
	s->setup = PT_SETUP_OPENED;
	s->report.session_id = m->opened.session_id;
	s->report.is_resumed = m->opened.resumes;
	s->rate_max = m->opened.rate;
	s->report.bytes_per_s = pt_sender_rate(s, s->report.bytes_per_s);
	return 0;
}

/* take_committed: the answer to COMMIT or ASK names our transfer. */
static int take_committed(struct pt_sender *s, const struct pt_message *m)
{
	if (s->report.phase != PT_SEND_COMMIT ||
	    m->committed.transfer_id != s->report.transfer_id)
		return unexpected(s, m);
	s->is_committed = true;
	return 0;
}

/* inbox_of returns 1 and the lane's inbox.  0: no lane was started yet, so the
 * message is of none.  -EPROTO: there is no such lane. */
static int inbox_of(struct pt_sender *s, const struct pt_message *m, __u16 lane,
		    struct pt_inbox **in)
{
	if (lane >= s->lane_cnt)
		return s->lane_cnt ? unexpected(s, m) : 0;
	*in = pt_lane_inbox(s->lanes[lane]);
	return 1;
}

static int take_ack(struct pt_sender *s, const struct pt_message *m)
{
	const struct pt_msg_ack *ack = &m->ack;
	struct pt_inbox *in = NULL;
	int ret = inbox_of(s, m, ack->lane, &in);

	if (ret <= 0 || !pt_inbox_ack(in, ack))
		return ret < 0 ? ret : 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: "
			    "reports more missing frames of lane %u than are "
			    "in flight (is it pagetrim?)", ack->lane);
}

static int take_refused(struct pt_sender *s, const struct pt_message *m)
{
	__u16 lane = m->refused.lane;
	struct pt_inbox *in = NULL;
	int ret = inbox_of(s, m, lane, &in);

	if (ret <= 0 || !pt_inbox_refused(in, &m->refused))
		return ret < 0 ? ret : 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: refuses "
			    "more pages of lane %u than are in flight (is it "
			    "pagetrim?)", lane);
}

/* take_path takes a message about a lane's path. */
static int take_path(struct pt_sender *s, const struct pt_message *m, __u16 lane)
{
	struct pt_inbox *in = NULL;
	int ret = inbox_of(s, m, lane, &in);

	if (ret <= 0)
		return ret;
	if (m->type == PT_MSG_PROBE_SEEN)
		pt_inbox_probe(in, &m->probe_seen);
	else if (m->type == PT_MSG_LANE_READY)
		pt_inbox_ready(in, m->lane_ready.window);
	else
		pt_inbox_reprobe(in);
	return 0;
}

int pt_sender_take(struct pt_sender *s, const struct pt_message *m)
{
	struct pt_message answer;

	switch (m->type) {
	case PT_MSG_OFFER:
		return take_offer(s, m);
	case PT_MSG_OPENED:
		return take_opened(s, m);
	case PT_MSG_ACK:
		return take_ack(s, m);
	case PT_MSG_REFUSED:
		return take_refused(s, m);
	case PT_MSG_PROBE_SEEN:
		return take_path(s, m, m->probe_seen.lane);
	case PT_MSG_LANE_READY:
		return take_path(s, m, m->lane_ready.lane);
	case PT_MSG_REPROBE:
		return take_path(s, m, m->reprobe.lane);
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
	case PT_MSG_STATE:
		return pt_sender_live_take(s, &m->state);
	case PT_MSG_PAGES_LACKING:
		return pt_sender_postcopy_lacking(s, &m->pages_lacking);
	case PT_MSG_PAGES_WANTED:
	case PT_MSG_PAGES_READY:
	case PT_MSG_HANDED_OVER:
		return pt_sender_postcopy_take(s, m);
	case PT_MSG_LEDGER:
		return take_ledger(s, m);
	case PT_MSG_VERIFIED:
		return take_verified(s);
	case PT_MSG_MISMATCH:
		return take_mismatch(s, &m->mismatch);
	case PT_MSG_COMMITTED:
		return take_committed(s, m);
	case PT_MSG_ABORT:
		return take_abort(s, &m->abort);
	default:
		return unexpected(s, m);
	}
}
