/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Handles the messages that open a session: OFFER, OPEN, SEGMENT, OPENED. */
#include "receive/rx_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "receive/quota.h"
#include "receive/rx_fill.h"
#include "receive/rx_guest.h"
#include "receive/rx_intake.h"
#include "receive/rx_large.h"
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
	return pt_conn_send(s->conn, &m, &s->report.error);
}

/* name_path makes the path: the image, with serve NAME in the folder; or a
 * guest's name at this host. */
static int name_path(struct pt_rx_session *s, const struct pt_peer *peer,
		     struct pt_error *err)
{
	struct pt_receive_report *r = &s->report;
	const char *fault;
	int sz;

	if (s->request.open.name[0])
		strcpy(r->name, s->request.open.name);
	else
		snprintf(r->name, sizeof(r->name), "transfer-%016llx",
			 (unsigned long long)s->request.open.transfer_id);
	if (s->cfg->guest) {
		sz = snprintf(r->path, sizeof(r->path), "%s",
			      s->cfg->guest->name);
	} else if (s->cfg->sink) {
		sz = snprintf(r->path, sizeof(r->path), "%s", r->name);
	} else if (!s->cfg->serve) {
		sz = snprintf(r->path, sizeof(r->path), "%s", s->cfg->path);
	} else {
		fault = pt_name_image_fault(r->name);
		if (fault)
			return pt_error_set(err, PT_EXIT_PEER, -EINVAL,
					    "'%s': not a name for an image: %s "
					    "(send {name})", r->name, fault);
		sz = snprintf(r->path, sizeof(r->path), "%s/%s",
			      peer ? peer->folder : s->cfg->path, r->name);
	}
	return sz < (int)sizeof(r->path) ? 0
		: pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG,
			       "%s: path too long", s->cfg->path);
}

/* judge finds the sender among cfg's peers, and checks that it may do what it asks
 * for; *peer NULL: anyone may do anything. */
static int judge(struct pt_rx_session *s, const struct pt_peer **peer,
		 struct pt_error *err)
{
	const char *identity = s->report.identity;

	*peer = NULL;
	if (!s->cfg->peers)
		return 0;
	*peer = pt_peers_find(s->cfg->peers, identity);
	if (!*peer)
		return pt_error_set(err, PT_EXIT_PEER, -EACCES, "identity '%s' "
				    "may not send to this receiver (it has no "
				    "section in the file of receive {peers})",
				    identity);
	if ((*peer)->bytes_per_s &&
	    !(pt_conn_capabilities(s->conn) & PT_CAP_RATE))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTONOSUPPORT,
				    "identity '%s' has a limit of bandwidth, which "
				    "this sender does not know (use a newer "
				    "pagetrim)", identity);
	s->rate.bytes_per_s = s->report.bytes_per_s = (*peer)->bytes_per_s;
	s->report.quota_sz = (*peer)->quota_sz;
	pt_admission_share(s->share.admitted, (*peer)->identities[0],
			   (*peer)->quota_sz);
	return 0;
}

/* check_name: the sender may use the name. */
static int check_name(const struct pt_rx_session *s, const struct pt_peer *peer,
		      struct pt_error *err)
{
	if (!peer || pt_peer_may_name(peer, s->report.name))
		return 0;
	return pt_error_set(err, PT_EXIT_PEER, -EACCES, "'%s': identity '%s' may "
			    "not use this name (send {name}, receive {peers})",
			    s->report.name, s->report.identity);
}

/* check_cipher checks that frames are sealed if and only if the connection is,
 * by an offered cipher. */
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

int pt_rx_open(struct pt_rx_session *s, const struct pt_msg_open *m,
	       struct pt_error *err)
{
	const struct pt_address *local = pt_conn_local(s->conn);
	const struct pt_peer *peer;
	int ret;

	s->request.wants_open = true;
	if (s->host->is_draining)
		return pt_error_set(err, PT_EXIT_PEER, -ESHUTDOWN, "takes no new "
				    "transfer: it ends once those that run have "
				    "ended (try again when it was started anew)");
	if (s->host->is_full)
		return pt_error_set(err, PT_EXIT_PEER, -EBUSY, "takes one "
				    "transfer, and has another already (receive "
				    "{serve} takes several)");
	/* Before it is open: the outcome of that id is the other's. */
	ret = pt_admission_check(&s->host->admission, m->transfer_id, err);
	if (ret)
		return ret;
	s->request.open = *m;
	s->request.is_open = true;
	s->host->is_full = !s->cfg->serve;
	pt_rx_session_open(s);
	s->report.transfer_id = m->transfer_id;
	s->report.result = -EINPROGRESS;
	s->files.left = m->file_cnt;
	/* At another address XDP would take frames that are not for this host. */
	if (memcmp(m->dst_addr, local->ip, sizeof(local->ip)))
		return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "%s: wants "
				    "frames sent to another address than the "
				    "one it is connected to (address "
				    "translation on the way?)",
				    s->report.peer);
	ret = pt_admission_enter(&s->host->admission, &s->share.admitted,
				 pt_conn_peer(s->conn),
				 pt_conn_peer_name(s->conn), m->transfer_id,
				 err);
	if (!ret)
		ret = judge(s, &peer, err);
	if (!ret)
		ret = check_cipher(s, m->cipher, err);
	if (!ret)
		ret = pt_rx_guest_check(s, err);
	if (!ret)
		ret = name_path(s, peer, err);
	if (!ret)
		ret = check_name(s, peer, err);
	if (!ret && m->file_cnt && s->cfg->sink)
		ret = pt_sink_check_files(s->cfg->sink, err);
	if (ret)
		return ret;
	s->memory.segments = calloc(m->segment_cnt, sizeof(*s->memory.segments));
	if (!s->memory.segments)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u segments",
				    m->segment_cnt);
	pt_rx_session_enter(s, PT_RX_OPENING);
	return 0;
}

static int claim_memory(struct pt_rx_session *s, struct pt_error *err)
{
	__u64 sum = pt_quota_memory_sz(s->memory.segments, s->memory.segment_cnt);
	int ret = pt_admission_memory(&s->host->admission, s->share.admitted, sum,
				      err);

	if (!ret)
		ret = pt_rx_host_claim(s->host, sum, err);
	s->share.claimed_sz = ret ? 0 : sum;
	return ret;
}

/* tell_held starts the thread that reports the kept pages. */
static int tell_held(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_rx_held *h = &s->held;

	h->intake = &s->intake;
	h->conn = s->conn;
	h->layout = s->memory.layout;
	h->sink = s->storage.sink;
	h->rebuild = s->memory.rebuild;
	h->wake_fd = s->poll.wake_fd;
	return pt_rx_held_start(h, err);
}

/* lay_out: the last SEGMENT has come. */
static int lay_out(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = claim_memory(s, err);

	if (!ret)
		ret = pt_layout_create(&s->memory.layout, s->memory.segments,
				       s->memory.segment_cnt, err);
	return ret ? ret : pt_rx_large_init(s, err);
}

/* open_memory has the store open the sink; pt_rx_opened follows. */
static int open_memory(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = pt_rx_storage_open(s, err);

	s->storage.is_opening = !ret;
	return ret;
}

/* open_if_said: a guest's description may still follow. */
static int open_if_said(struct pt_rx_session *s, struct pt_error *err)
{
	return pt_rx_large_is_due(s) || s->request.open.live >= PT_LIVE_GUEST
		? 0 : open_memory(s, err);
}

int pt_rx_opened(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_message m = { .type = PT_MSG_OPENED };
	struct pt_receive_report *r = &s->report;
	int ret = pt_rx_intake_add(s, err);

	s->storage.is_opening = ret == -EAGAIN;
	if (!ret && s->request.open.live == PT_LIVE_REST)
		ret = pt_rx_fill_rest(s, err);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	for (__u32 i = 0; i < s->memory.segment_cnt; i++)
		r->memory_sz += s->memory.segments[i].sz;
	r->segment_cnt = s->memory.segment_cnt;
	r->lane_cnt = s->intake.lane_cnt;
	r->session_id = s->intake.session_id;
	m.opened.session_id = s->intake.session_id;
	m.opened.resumes = r->is_resumed;
	m.opened.rate = s->rate.bytes_per_s;
	pt_rx_session_enter(s, PT_RX_DATA);
	s->watch.idles = s->request.open.live;
	if (s->cfg->events.opened)
		s->cfg->events.opened(r, s->cfg->events.arg);
	ret = pt_conn_send(s->conn, &m, err);
	return ret || !r->is_resumed ? ret : tell_held(s, err);
}

int pt_rx_segment(struct pt_rx_session *s, const struct pt_msg_segment *m,
		  struct pt_error *err)
{
	struct pt_segment *seg = &s->memory.segments[s->memory.segment_cnt++];
	int ret;

	seg->gfn = m->gfn;
	seg->sz = m->sz;
	strcpy(seg->name, m->name);
	if (s->memory.segment_cnt < s->request.open.segment_cnt)
		return 0;
	ret = lay_out(s, err);
	return ret ? ret : open_if_said(s, err);
}

int pt_rx_large(struct pt_rx_session *s, const struct pt_msg_large *m,
		struct pt_error *err)
{
	int ret = pt_rx_large_take(s, m, err);

	return ret ? ret : open_if_said(s, err);
}

int pt_rx_guest(struct pt_rx_session *s, const struct pt_msg_guest *m,
		struct pt_error *err)
{
	int ret = pt_rx_guest_match(s, m, err);

	return ret ? ret : open_memory(s, err);
}

int pt_rx_rest(struct pt_rx_session *s, const struct pt_msg_rest *m,
	       struct pt_error *err)
{
	if (m->guest_id == s->cfg->guest->rest_of)
		return open_memory(s, err);
	return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "the guest that waits here did "
			    "not come from that QEMU (send the rest from the one that "
			    "it came from)");
}
