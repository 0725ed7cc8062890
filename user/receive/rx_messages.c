/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "receive/quota.h"
#include "receive/rx_fill.h"
#include "receive/rx_guest.h"
#include "receive/rx_intake.h"
#include "receive/rx_large.h"
#include "receive/rx_open.h"
#include "receive/rx_storage.h"

static int protocol_error(const struct pt_rx_session *s,
			  const struct pt_message *m, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: %s at the wrong "
			    "time (another version of pagetrim?)",
			    s->report.peer, pt_message_name(m->type));
}

static int take_file(struct pt_rx_session *s, const struct pt_msg_file *m,
		     struct pt_error *err)
{
	__u64 sz = pt_quota_file_sz(m->sz), max = s->cfg->files_sz_max;
	int ret;

	if (max && sz > max - s->files.claimed_sz)
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "file '%s': "
				    "with it the transfer's files exceed %llu "
				    "bytes (receive {max-files})", m->name,
				    (unsigned long long)max);
	ret = pt_admission_file(&s->host->admission, s->share.admitted, sz, m->name,
				err);
	if (ret)
		return ret;
	s->files.claimed_sz += sz;
	s->files.left--;
	s->files.bytes_left = m->sz;
	s->report.files_sz += m->sz;
	return pt_rx_storage_file(s, m, err);
}

static int take_file_data(struct pt_rx_session *s,
			  const struct pt_msg_file_data *m,
			  struct pt_error *err)
{
	s->files.bytes_left -= m->data_sz;
	return pt_rx_storage_file_data(s, m, err);
}

/* lane_set_is_due: a lane is new, or was asked to probe again. */
static bool lane_set_is_due(const struct pt_rx_lane *l)
{
	return l->is_asked || l->queue == PT_QUEUE_ANY;
}

static int take_lane_set(struct pt_rx_session *s,
			 const struct pt_msg_lane_set *m, struct pt_error *err)
{
	struct pt_message ready = {
		.type = PT_MSG_LANE_READY,
		.lane_ready = { .lane = m->lane },
	};
	bool was_due = m->lane < s->intake.lane_cnt &&
		       lane_set_is_due(&s->intake.lanes[m->lane]);
	int ret = m->lane < s->intake.lane_cnt
		? pt_rx_host_lane_set(s->host, &s->intake, m->lane, m->queue)
		: -ENOENT;

	if (ret)
		return pt_error_set(err, PT_EXIT_PEER, ret, ret == -ENOSPC ?
				    "%s: lane %u on queue %u: too many lanes "
				    "(start receive with more {queues})" :
				    "%s: lane %u on queue %u: no such lane or "
				    "queue", s->report.peer, m->lane, m->queue);
	s->watch.lanes_set += was_due;
	s->intake.lanes[m->lane].is_asked = false;
	s->intake.lanes[m->lane].looked_accepted = ~0ULL;
	ready.lane_ready.window = s->intake.lanes[m->lane].window;
	return pt_conn_send(s->conn, &ready, err);
}

/* take_digests has digests compared on arrival; all lanes have settled. */
static int take_digests(struct pt_rx_session *s, const struct pt_msg_digests *m,
			struct pt_error *err)
{
	__u64 region_cnt = pt_layout_region_cnt(s->memory.layout);

	if (s->fill.is_ready && !s->fill.is_handed)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: digests of a "
				    "guest that was not handed over",
				    s->report.peer);
	if (m->region_first != s->compare.region_told ||
	    m->digest_cnt > region_cnt - m->region_first)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: digests "
				    "of regions that are not next",
				    s->report.peer);
	s->compare.region_told += m->digest_cnt;
	s->watch.idles = false;		/* VERIFY is due */
	return pt_rx_storage_compare(s, m, err);
}

int pt_rx_say_mismatch(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_message m = {
		.type = PT_MSG_MISMATCH,
		.mismatch = {
			.region = s->compare.region,
			.digest = s->compare.differing,
			.digest_cnt = s->compare.differing_cnt,
		},
	};
	__u64 gfn;

	pt_layout_region(s->memory.layout, s->compare.region, &gfn);
	pt_conn_send(s->conn, &m, NULL);
	return pt_error_set(err, PT_EXIT_MISMATCH, -EIO, "%s: the 2 MiB from "
			    "page %llu on differ from the source",
			    s->report.path, (unsigned long long)gfn);
}

static int take_verify(struct pt_rx_session *s, const struct pt_msg_verify *m,
		       struct pt_error *err)
{
	if (s->files.left || s->files.bytes_left ||
	    (s->fill.is_told && !s->fill.is_handed) ||
	    !pt_rx_held_is_told(&s->held) ||
	    m->sent_cnt != s->intake.lane_cnt ||
	    s->compare.region_told != pt_layout_region_cnt(s->memory.layout))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: VERIFY "
				    "before all files and digests were sent",
				    s->report.peer);
	s->report.held_page_cnt = atomic_load(&s->held.page_cnt);
	for (__u32 i = 0; i < m->sent_cnt; i++)
		s->report.sent += m->sent[i];
	s->verify.freeze_ns = pt_clock_ns() +
		       pt_rx_host_stragglers_ns(s->host, &s->intake);
	pt_rx_session_enter(s, PT_RX_VERIFYING);
	return 0;
}

static void take_pong(struct pt_rx_session *s, const struct pt_msg_pong *m)
{
	__u64 reorder_min_ns = 4 * (pt_clock_ns() - m->time_ns);

	if (reorder_min_ns < PT_REORDER_MIN_NS)
		reorder_min_ns = PT_REORDER_MIN_NS;
	if (reorder_min_ns > PT_REORDER_MAX_NS)
		reorder_min_ns = PT_REORDER_MAX_NS;
	atomic_store(&s->intake.reorder_min_ns, reorder_min_ns);
	atomic_store(&s->intake.rtt_ns, pt_conn_rtt_ns(s->conn));
}

/* take_working: a sender has no work before OPENED and after COMMIT. */
static void take_working(struct pt_rx_session *s, const struct pt_msg_working *m)
{
	if (s->state < PT_RX_DATA || s->state > PT_RX_VERIFIED)
		return;
	pt_due_works(&s->watch.due);
	if (m->done_sz > s->watch.worked_sz)
		s->watch.worked_sz = m->done_sz;
}

static int take_abort(struct pt_rx_session *s, const struct pt_msg_abort *m,
		      struct pt_error *err)
{
	s->parting.is_bye = true;	/* the sender needs no ABORT in reply */
	return pt_error_set(err, pt_exit_of_peer(m->exit), -ECONNABORTED,
			    "sender: %s", m->text);
}

/* take_any takes messages that may come at any time; -ENOMSG: m is none of
 * these. */
static int take_any(struct pt_rx_session *s, const struct pt_message *m,
		    struct pt_error *err)
{
	struct pt_message pong = { .type = PT_MSG_PONG };

	switch (m->type) {
	case PT_MSG_PING:
		pong.pong.time_ns = m->ping.time_ns;
		pt_conn_send(s->conn, &pong, NULL);
		return 0;
	case PT_MSG_PONG:
		take_pong(s, &m->pong);
		return 0;
	case PT_MSG_WORKING:
		take_working(s, &m->working);
		return 0;
	case PT_MSG_ABORT:
		return take_abort(s, &m->abort, err);
	default:
		return -ENOMSG;
	}
}

static int take_data(struct pt_rx_session *s, const struct pt_message *m,
		     struct pt_error *err)
{
	switch (m->type) {
	case PT_MSG_FILE:
		return s->files.left && !s->files.bytes_left
			? take_file(s, &m->file, err)
			: protocol_error(s, m, err);
	case PT_MSG_FILE_DATA:
		return m->file_data.data_sz <= s->files.bytes_left
			? take_file_data(s, &m->file_data, err)
			: protocol_error(s, m, err);
	case PT_MSG_LANE_SET:
		return take_lane_set(s, &m->lane_set, err);
	case PT_MSG_SYNC:
		if (m->sync.lane >= s->intake.lane_cnt)
			return protocol_error(s, m, err);
		pt_rx_host_lane_sync(s->host, &s->intake, m->sync.lane,
				     m->sync.seq_end);
		return 0;
	case PT_MSG_DIGESTS:
		return take_digests(s, &m->digests, err);
	case PT_MSG_PAGES_LACKING:
		return pt_rx_fill_lacking(s, &m->pages_lacking, err);
	case PT_MSG_HAND_OVER:
		return pt_rx_fill_hand_over(s, &m->hand_over, err);
	case PT_MSG_VERIFY:
		return take_verify(s, &m->verify, err);
	default:
		return protocol_error(s, m, err);
	}
}

/* take_opening takes the messages between OPEN and OPENED. */
static int take_opening(struct pt_rx_session *s, const struct pt_message *m,
			struct pt_error *err)
{
	bool is_complete = s->memory.segment_cnt == s->request.open.segment_cnt;

	if (m->type == PT_MSG_SEGMENT && !is_complete)
		return pt_rx_segment(s, &m->segment, err);
	if (m->type == PT_MSG_LARGE && is_complete && pt_rx_large_is_due(s))
		return pt_rx_large(s, &m->large, err);
	if (m->type == PT_MSG_GUEST && is_complete && !s->storage.is_opening &&
	    !pt_rx_large_is_due(s) && s->request.open.live == PT_LIVE_GUEST)
		return pt_rx_guest(s, &m->guest, err);
	if (m->type == PT_MSG_REST && is_complete && !s->storage.is_opening &&
	    !pt_rx_large_is_due(s) && s->request.open.live == PT_LIVE_REST)
		return pt_rx_rest(s, &m->rest, err);
	return protocol_error(s, m, err);
}

/* take_bye answers; then the connection lingers, so that the sender reads the
 * answer. */
static int take_bye(struct pt_rx_session *s)
{
	struct pt_message bye = { .type = PT_MSG_BYE };

	s->parting.is_bye = true;
	s->parting.is_leaving = !pt_conn_send(s->conn, &bye, NULL);
	pt_rx_session_enter(s, PT_RX_ENDED);
	return 0;
}

int pt_rx_take(struct pt_rx_session *s, const struct pt_message *m,
	       struct pt_error *err)
{
	int ret = take_any(s, m, err);

	if (ret != -ENOMSG)
		return ret;
	if (s->state == PT_RX_OFFERED && m->type == PT_MSG_OPEN)
		return pt_rx_open(s, &m->open, err);
	if (s->state == PT_RX_OFFERED && m->type == PT_MSG_ASK) {
		s->request.asked_id = m->ask.transfer_id;
		return 0;
	}
	if (s->state == PT_RX_OPENING)
		return take_opening(s, m, err);
	if (m->type == PT_MSG_STATE && s->request.open.live == PT_LIVE_GUEST &&
	    s->state >= PT_RX_DATA && s->state < PT_RX_COMMITTING)
		return pt_rx_guest_state(s, &m->state, err);
	if (s->state == PT_RX_DATA)
		return take_data(s, m, err);
	if (s->state == PT_RX_VERIFIED && m->type == PT_MSG_COMMIT)
		return m->commit.transfer_id == s->request.open.transfer_id
			? pt_rx_session_commit(s, err)
			: protocol_error(s, m, err);
	if (s->state >= PT_RX_COMMITTING && m->type == PT_MSG_COMMIT)
		return 0;	/* repeated: COMMITTED is in the output queue */
	if (m->type == PT_MSG_BYE &&
	    (s->state == PT_RX_DONE || s->state == PT_RX_OFFERED))
		return take_bye(s);
	return protocol_error(s, m, err);
}
