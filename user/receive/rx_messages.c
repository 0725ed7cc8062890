/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "base/name.h"
#include "receive/quota.h"
#include "receive/rx_intake.h"
#include "receive/rx_storage.h"

int pt_rx_offer(struct pt_rx_session *s)
{
	const struct pt_rx_host *h = s->host;
	struct pt_message m = {
		.type = PT_MSG_OFFER,
		.offer = {
			.udp_port = pt_conn_local(s->conn)->port,
			.mtu = h->device.mtu < PT_MTU_MAX ? h->device.mtu
							  : PT_MTU_MAX,
			.frame_sz_max = h->frame_sz_max < PT_FRAME_SZ_MAX
				? h->frame_sz_max : PT_FRAME_SZ_MAX,
			.desc_sz = h->desc_sz,
			.ciphers = pt_conn_is_sealed(s->conn)
				? s->cfg->ciphers : 0,
			.queue_cnt = h->queue_cnt,
		},
	};

	for (__u32 i = 0; i < h->queue_cnt; i++)
		m.offer.queue[i] = pt_rx_queue_number(h->queues[i]);
	return pt_conn_send(s->conn, &m, s->err);
}

static int protocol_error(const struct pt_rx_session *s,
			  const struct pt_message *m, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: %s at the wrong "
			    "time (another version of pagetrim?)",
			    s->report.peer, pt_message_name(m->type));
}

/* name_path makes the image's path; with serve, NAME in the folder. */
static int name_path(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_receive_report *r = &s->report;
	const char *fault;
	int sz;

	if (s->open.name[0])
		strcpy(r->name, s->open.name);
	else
		snprintf(r->name, sizeof(r->name), "transfer-%016llx",
			 (unsigned long long)s->open.transfer_id);
	if (s->cfg->sink) {
		sz = snprintf(r->path, sizeof(r->path), "%s", r->name);
	} else if (!s->cfg->serve) {
		sz = snprintf(r->path, sizeof(r->path), "%s", s->cfg->path);
	} else {
		fault = pt_name_image_fault(r->name);
		if (fault)
			return pt_error_set(err, PT_EXIT_PEER, -EINVAL,
					    "'%s': not a name for an image: %s "
					    "(send {name})", r->name, fault);
		sz = snprintf(r->path, sizeof(r->path), "%s/%s", s->cfg->path,
			      r->name);
	}
	return sz < (int)sizeof(r->path) ? 0
		: pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG,
			       "%s: path too long", s->cfg->path);
}

/* check_cipher: frames are sealed if the connection is, with what we offered. */
static int check_cipher(struct pt_rx_session *s, __u8 cipher,
			struct pt_error *err)
{
	bool is_offered = pt_conn_is_sealed(s->conn)
		? cipher && s->cfg->ciphers & PT_CIPHER_BIT(cipher) : !cipher;

	s->report.cipher = cipher;
	return is_offered ? 0
		: pt_error_set(err, PT_EXIT_PEER, -EPROTONOSUPPORT, "%s: wants "
			       "cipher %u, which was not offered (another "
			       "version of pagetrim?)", s->report.peer, cipher);
}

static int take_open(struct pt_rx_session *s, const struct pt_msg_open *m,
		     struct pt_error *err)
{
	const struct pt_address *local = pt_conn_local(s->conn);
	int ret;

	if (s->host->is_full)
		return pt_error_set(err, PT_EXIT_PEER, -EBUSY, "busy with "
				    "another transfer ({serve} takes several)");
	s->open = *m;
	s->is_open = true;
	s->host->is_full = !s->cfg->serve;
	pt_rx_session_open(s);
	s->report.transfer_id = m->transfer_id;
	s->report.result = -EINPROGRESS;
	s->files_left = m->file_cnt;
	/* Another address would take frames that are not for this host. */
	if (memcmp(m->dst_addr, local->ip, sizeof(local->ip)))
		return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "%s: wants "
				    "frames sent to another address than the "
				    "one it is connected to (address "
				    "translation on the way?)",
				    s->report.peer);
	ret = pt_admission_enter(&s->host->admission, &s->admitted,
				 pt_conn_peer(s->conn),
				 pt_conn_peer_name(s->conn), err);
	if (!ret)
		ret = check_cipher(s, m->cipher, err);
	if (!ret)
		ret = name_path(s, err);
	if (!ret && m->file_cnt && s->cfg->sink)
		ret = pt_sink_check_files(s->cfg->sink, err);
	if (ret)
		return ret;
	s->segments = calloc(m->segment_cnt, sizeof(*s->segments));
	if (!s->segments)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u segments",
				    m->segment_cnt);
	pt_rx_session_enter(s, PT_RX_OPENING);
	return 0;
}

static int claim_memory(struct pt_rx_session *s, struct pt_error *err)
{
	__u64 sum = pt_quota_memory_sz(s->segments, s->segment_cnt);
	int ret = pt_admission_memory(&s->host->admission, s->admitted, sum,
				      err);

	if (!ret)
		ret = pt_rx_host_claim(s->host, sum, err);
	s->claimed_sz = ret ? 0 : sum;
	return ret;
}

/* tell_held begins to say what the sink holds. */
static int tell_held(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_rx_held *h = &s->held;

	h->intake = &s->intake;
	h->conn = s->conn;
	h->layout = s->layout;
	h->sink = s->sink;
	h->rebuild = s->rebuild;
	h->wake_fd = s->wake_fd;
	return pt_rx_held_start(h, err);
}

/* open_memory: the sink is made in the store's thread; then comes opened. */
static int open_memory(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = claim_memory(s, err);

	if (!ret)
		ret = pt_layout_create(&s->layout, s->segments,
				       s->segment_cnt, err);
	if (!ret)
		ret = pt_rx_storage_open(s, err);
	s->is_opening = !ret;
	return ret;
}

int pt_rx_opened(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_message m = { .type = PT_MSG_OPENED };
	struct pt_receive_report *r = &s->report;
	int ret = pt_rx_intake_add(s, err);

	s->is_opening = ret == -EAGAIN;
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	for (__u32 i = 0; i < s->segment_cnt; i++)
		r->memory_sz += s->segments[i].sz;
	r->segment_cnt = s->segment_cnt;
	r->lane_cnt = s->intake.lane_cnt;
	r->session_id = s->intake.session_id;
	m.opened.session_id = s->intake.session_id;
	m.opened.resumes = r->is_resumed;
	pt_rx_session_enter(s, PT_RX_DATA);
	if (s->cfg->events.opened)
		s->cfg->events.opened(r, s->cfg->events.arg);
	ret = pt_conn_send(s->conn, &m, err);
	return ret || !r->is_resumed ? ret : tell_held(s, err);
}

static int take_segment(struct pt_rx_session *s, const struct pt_msg_segment *m,
			struct pt_error *err)
{
	struct pt_segment *seg = &s->segments[s->segment_cnt++];

	seg->gfn = m->gfn;
	seg->sz = m->sz;
	strcpy(seg->name, m->name);
	return s->segment_cnt < s->open.segment_cnt ? 0 : open_memory(s, err);
}

static int take_file(struct pt_rx_session *s, const struct pt_msg_file *m,
		     struct pt_error *err)
{
	__u64 sz = pt_quota_file_sz(m->sz), max = s->cfg->files_sz_max;
	int ret;

	if (max && sz > max - s->files_claimed_sz)
		return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "file '%s': "
				    "with it files along take more than %llu "
				    "bytes (receive {max-files})", m->name,
				    (unsigned long long)max);
	ret = pt_admission_file(&s->host->admission, s->admitted, sz, m->name,
				err);
	if (ret)
		return ret;
	s->files_claimed_sz += sz;
	s->files_left--;
	s->file_bytes_left = m->sz;
	s->report.files_sz += m->sz;
	return pt_rx_storage_file(s, m, err);
}

static int take_file_data(struct pt_rx_session *s,
			  const struct pt_msg_file_data *m,
			  struct pt_error *err)
{
	s->file_bytes_left -= m->data_sz;
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
		return pt_error_set(err, PT_EXIT_PEER, ret, "%s: lane %u on "
				    "queue %u: %s", s->report.peer, m->lane,
				    m->queue, ret == -ENOSPC ?
				    "too many lanes (start receive with more "
				    "{queues})" : "no such lane or queue");
	s->lanes_set += was_due;
	s->intake.lanes[m->lane].is_asked = false;
	s->intake.lanes[m->lane].looked_accepted = ~0ULL;
	ready.lane_ready.window = s->intake.lanes[m->lane].window;
	return pt_conn_send(s->conn, &ready, err);
}

/* take_digests has them compared as they come; all lanes have settled. */
static int take_digests(struct pt_rx_session *s, const struct pt_msg_digests *m,
			struct pt_error *err)
{
	__u64 region_cnt = pt_layout_region_cnt(s->layout);

	if (m->region_first != s->regions_told ||
	    m->digest_cnt > region_cnt - m->region_first)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: digests "
				    "of regions that are not next",
				    s->report.peer);
	s->regions_told += m->digest_cnt;
	return pt_rx_storage_compare(s, m, err);
}

int pt_rx_say_mismatch(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_message m = {
		.type = PT_MSG_MISMATCH,
		.mismatch = {
			.region = s->mismatch_region,
			.digest = s->differing,
			.digest_cnt = s->differing_cnt,
		},
	};
	__u64 gfn;

	pt_layout_region(s->layout, s->mismatch_region, &gfn);
	pt_conn_send(s->conn, &m, NULL);
	return pt_error_set(err, PT_EXIT_MISMATCH, -EIO, "%s: the 2 MiB from "
			    "page %llu on differ from the source",
			    s->report.path, (unsigned long long)gfn);
}

static int take_verify(struct pt_rx_session *s, const struct pt_msg_verify *m,
		       struct pt_error *err)
{
	if (s->files_left || s->file_bytes_left ||
	    !pt_rx_held_is_told(&s->held) ||
	    m->sent_cnt != s->intake.lane_cnt ||
	    s->regions_told != pt_layout_region_cnt(s->layout))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: VERIFY "
				    "before all files and digests were sent",
				    s->report.peer);
	s->report.held_page_cnt = atomic_load(&s->held.page_cnt);
	for (__u32 i = 0; i < m->sent_cnt; i++)
		s->report.sent += m->sent[i];
	s->freeze_ns = pt_clock_ns() +
		       pt_rx_host_stragglers_ns(s->host, &s->intake);
	pt_rx_session_enter(s, PT_RX_VERIFYING);
	return 0;
}

static void take_pong(struct pt_rx_session *s, const struct pt_msg_pong *m)
{
	__u64 grace_ns = 4 * (pt_clock_ns() - m->time_ns);

	if (grace_ns < PT_GRACE_MIN_NS)
		grace_ns = PT_GRACE_MIN_NS;
	if (grace_ns > PT_REORDER_MAX_NS)
		grace_ns = PT_REORDER_MAX_NS;
	atomic_store(&s->intake.grace_ns, grace_ns);
	atomic_store(&s->intake.rtt_ns, pt_conn_rtt_ns(s->conn));
}

/* take_working: before OPENED and after COMMIT a sender has nothing to work on. */
static void take_working(struct pt_rx_session *s, const struct pt_msg_working *m)
{
	if (s->state < PT_RX_DATA || s->state > PT_RX_VERIFIED)
		return;
	pt_due_works(&s->due);
	if (m->done_sz > s->worked_sz)
		s->worked_sz = m->done_sz;
}

static int take_abort(struct pt_rx_session *s, const struct pt_msg_abort *m,
		      struct pt_error *err)
{
	s->is_bye = true;	/* it knows, and needs no ABORT */
	return pt_error_set(err, pt_exit_of_peer(m->exit), -ECONNABORTED,
			    "sender: %s", m->text);
}

/* take_any: what may come at any time; -ENOMSG: m is none of these. */
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
		return s->files_left && !s->file_bytes_left
			? take_file(s, &m->file, err)
			: protocol_error(s, m, err);
	case PT_MSG_FILE_DATA:
		return m->file_data.data_sz <= s->file_bytes_left
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
	case PT_MSG_VERIFY:
		return take_verify(s, &m->verify, err);
	default:
		return protocol_error(s, m, err);
	}
}

/* take_bye: answered, and then the connection is finished, so that the sender reads
 * it. */
static int take_bye(struct pt_rx_session *s)
{
	struct pt_message bye = { .type = PT_MSG_BYE };

	s->is_bye = true;
	s->is_leaving = !pt_conn_send(s->conn, &bye, NULL);
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
		return take_open(s, &m->open, err);
	if (s->state == PT_RX_OFFERED && m->type == PT_MSG_ASK) {
		s->asked_id = m->ask.transfer_id;
		return 0;
	}
	if (s->state == PT_RX_OPENING && m->type == PT_MSG_SEGMENT &&
	    !s->is_opening)
		return take_segment(s, &m->segment, err);
	if (s->state == PT_RX_DATA)
		return take_data(s, m, err);
	if (s->state == PT_RX_VERIFIED && m->type == PT_MSG_COMMIT)
		return m->commit.transfer_id == s->open.transfer_id
			? pt_rx_session_commit(s, err)
			: protocol_error(s, m, err);
	if (s->state >= PT_RX_COMMITTING && m->type == PT_MSG_COMMIT)
		return 0;	/* again: COMMITTED is on its way */
	if (m->type == PT_MSG_BYE &&
	    (s->state == PT_RX_DONE || s->state == PT_RX_OFFERED))
		return take_bye(s);
	return protocol_error(s, m, err);
}
