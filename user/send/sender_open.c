/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How a sender begins: files, memory and device are opened, the receiver is found
 * and told of the transfer, lanes are started. */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"

#define CONNECT_MS	10000
#define REPLY_MS	100

static int draw(void *to, size_t sz)
{
	return getrandom(to, sz, 0) == (ssize_t)sz ? 0 : -EIO;
}

/* next: 1 and a message, 0 none for a while. */
static int next(struct pt_sender *s, struct pt_message *m)
{
	int ret = pt_sender_stopped(s);

	if (ret)
		return ret;
	ret = pt_conn_recv_wait(s->conn, m, REPLY_MS, s->stop_fd, s->err);
	if (ret == -ECANCELED)
		return pt_sender_stopped(s);
	return ret == -ETIMEDOUT ? 0 : ret;
}

int pt_sender_reply(struct pt_sender *s, enum pt_message_type type,
		    struct pt_message *m)
{
	int ret;

	pt_due_begin(&s->due, pt_due_limit_ns(s->cfg->peer_timeout_ms),
		     pt_clock_ns());
	for (;;) {
		ret = next(s, m);
		if (ret > 0 && m->type == type)
			return 0;
		if (ret > 0)
			ret = pt_sender_take(s, m);
		if (!ret)
			ret = pt_sender_watch_peer(s);
		if (!ret)
			ret = pt_sender_owed(s, pt_message_name(type));
		if (ret)
			return ret;
	}
}

/* may_copy: as far as it is for our side to say.  Records stand in clear, and a copy
 * tells who sees it that two pages have one content. */
static bool may_copy(const struct pt_send_cfg *cfg)
{
	if (cfg->copies == PT_SEND_COPIES_AUTO)
		return !cfg->tls && !cfg->pad;
	return cfg->copies == PT_SEND_COPIES_ON;
}

int pt_sender_connect(struct pt_sender *s)
{
	const struct pt_conn_cfg cfg = {
		.role = PT_ROLE_SENDER,
		.capabilities = PT_CAP_ARRIVALS | PT_CAP_WORKING |
				(may_copy(s->cfg) ? PT_CAP_COPIES : 0),
		.tls = s->cfg->tls,
	};
	int timeout_ms = s->cfg->peer_timeout_ms < CONNECT_MS
		? s->cfg->peer_timeout_ms : CONNECT_MS;

	return pt_conn_connect(&s->conn, s->cfg->to, &cfg, timeout_ms,
			       s->stop_fd, s->err);
}

/* agree_on_copies: what both ends said in HELLO is for the lanes. */
static int agree_on_copies(struct pt_sender *s)
{
	__u64 both = pt_conn_capabilities(s->conn);

	s->report->uses_copies = both & PT_CAP_COPIES;
	if (s->report->uses_copies || s->cfg->copies != PT_SEND_COPIES_ON)
		return 0;
	return pt_error_set(s->err, PT_EXIT_PEER, -EPROTONOSUPPORT, "{copies} "
			    "on: %s takes no copies of pages ({copies} auto "
			    "does without)", pt_conn_peer_text(s->conn));
}

static int prepare_memory(struct pt_sender *s)
{
	struct pt_send_report *report = s->report;
	const struct pt_segment *segs;
	__u32 cnt;
	int ret;

	segs = pt_source_segments(s->cfg->source, &cnt);
	ret = pt_layout_create(&s->layout, segs, cnt, s->err);
	if (ret)
		return ret;
	for (__u32 i = 0; i < cnt; i++) {
		report->memory_sz += segs[i].sz;
		report->page_cnt += pt_segment_page_cnt(&segs[i]);
	}
	report->pages_left = report->page_cnt;
	ret = pt_dirty_create(&s->dirty, pt_layout_region_cnt(s->layout));
	if (!ret)
		ret = pt_digests_init(&s->digests,
				      pt_layout_region_cnt(s->layout));
	if (ret)
		return pt_error_set(s->err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for the dirty set and digests "
				    "of %llu pages",
				    (unsigned long long)report->page_cnt);
	return 0;
}

/* choose_cipher: frames are sealed if the connection is. */
static int choose_cipher(struct pt_sender *s, const struct pt_msg_offer *offer)
{
	__u16 ours = s->cfg->ciphers ? s->cfg->ciphers : pt_ciphers_here();

	if (!s->cfg->tls)
		return 0;
	s->report->cipher = pt_cipher_choose(offer->ciphers & ours);
	if (s->report->cipher)
		return 0;
	return pt_error_set(s->err, PT_EXIT_PEER, -EPROTONOSUPPORT, "%s: takes "
			    "none of our ciphers (see {cipher}, on both hosts)",
			    pt_conn_peer_text(s->conn));
}

/* open_path takes the receiver's OFFER and opens the way to it. */
static int open_path(struct pt_sender *s)
{
	struct pt_send_path_cfg cfg = {
		.src = pt_conn_local(s->conn),
		.dst = pt_conn_peer(s->conn),
		.queue_cnt = s->cfg->queue_cnt,
		.mtu = s->cfg->mtu,
		.hugepages = s->cfg->hugepages,
		.timeout_ms = 2000,
		.stop_fd = s->stop_fd,
	};
	char text[sizeof(s->path.card.why.text) + 16];
	struct pt_message m;
	int ret = pt_sender_reply(s, PT_MSG_OFFER, &m);

	if (ret)
		return ret;
	cfg.offer = &m.offer;
	s->desc_sz = m.offer.desc_sz;
	ret = choose_cipher(s, &m.offer);
	if (ret)
		return ret;
	ret = pt_send_path_open(&s->path, &cfg, s->err);
	if (ret || !s->path.card.why.text[0] || !s->cfg->warn)
		return ret;
	snprintf(text, sizeof(text), "copy mode: %s", s->path.card.why.text);
	s->cfg->warn(text, s->cfg->progress_arg);
	return 0;
}

static int send_segments(struct pt_sender *s, const struct pt_segment *segs,
			 __u32 cnt)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < cnt; i++) {
		struct pt_message m = {
			.type = PT_MSG_SEGMENT,
			.segment = { .gfn = segs[i].gfn, .sz = segs[i].sz },
		};

		strcpy(m.segment.name, segs[i].name);
		ret = pt_conn_send_batched(s->conn, &m,
					   s->cfg->peer_timeout_ms, s->stop_fd,
					   s->err);
	}
	return ret == -ECANCELED ? pt_sender_stopped(s) : ret;
}

static int send_open(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_OPEN,
		.open = {
			.transfer_id = s->report->transfer_id,
			.digest_key = s->digest_key,
			.lane_cnt = s->path.queue_cnt,
			.trim = s->cfg->trim,
			.cipher = s->report->cipher,
			.rekey_log2 = s->cfg->rekey_log2,
			.resume = s->cfg->resume,
			.file_cnt = s->cfg->file_cnt,
		},
	};
	const struct pt_segment *segs;
	__u32 cnt;
	int ret;

	segs = pt_layout_segments(s->layout, &cnt);
	m.open.segment_cnt = cnt;
	memcpy(m.open.dst_addr, s->path.dst.ip, sizeof(m.open.dst_addr));
	strncpy(m.open.name, s->cfg->name ? s->cfg->name : "",
		sizeof(m.open.name) - 1);
	ret = pt_conn_send(s->conn, &m, s->err);
	if (!ret)
		ret = send_segments(s, segs, cnt);
	if (!ret)
		ret = pt_sender_reply(s, PT_MSG_OPENED, &m);
	if (ret)
		return ret;
	s->report->session_id = m.opened.session_id;
	s->report->is_resumed = m.opened.resumes;
	return m.opened.resumes && !s->cfg->resume
		? pt_error_set(s->err, PT_EXIT_PEER, -EPROTO, "receiver: "
			       "resumes, and was not asked to (another version "
			       "of pagetrim?)") : 0;
}

static int needs_less(struct pt_sender *s, enum pt_send_need need)
{
	return s->cfg->needs_less ?
	       s->cfg->needs_less(need, s->cfg->needs_less_arg, s->err) : 0;
}

static int start_files(struct pt_sender *s)
{
	const struct pt_send_files_cfg cfg = {
		.conn = s->conn,
		.pacer = &s->pacer,
		.wake_fd = s->wake_fd,
	};

	return pt_send_files_start(s->files, &cfg, s->err);
}

int pt_sender_set_up(struct pt_sender *s)
{
	const struct pt_card_cfg card = {
		.wish = s->cfg->zero_copy,
		.generic = s->cfg->generic,
		.sends = true,
		.stop_fd = s->stop_fd,
	};
	int ret = 0;

	if (draw(&s->report->transfer_id, sizeof(__u64)) ||
	    draw(&s->digest_key, sizeof(s->digest_key)))
		return pt_error_set(s->err, PT_EXIT_HOST, -EIO,
				    "no random numbers (getrandom)");
	s->report->transfer_id |= 1;	/* never 0 */
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->wake_fd < 0)
		return pt_error_set(s->err, PT_EXIT_HOST, -errno,
				    "eventfd: %m (raise ulimit -n)");
	ret = pt_send_path_init(&s->path, s->cfg->dev, s->cfg->mtu, s->err);
	if (!ret)
		ret = pt_rate_choose(&s->report->bytes_per_s,
				     s->cfg->bytes_per_s, &s->path.device,
				     s->err);
	if (!ret)
		ret = pt_send_files_open(&s->files, s->cfg->files,
					 s->cfg->file_cnt, s->err);
	s->report->files_sz = pt_send_files_total_sz(s->files);
	if (!ret)
		ret = prepare_memory(s);
	if (!ret)
		ret = pt_send_path_prepare(&s->path, &card, s->err);
	if (!ret)
		ret = needs_less(s, PT_SEND_NEEDS_SOCKETS);
	if (!ret && s->cfg->control)
		ret = pt_console_open(&s->console, s->cfg->control, s->err);
	if (!ret)
		ret = pt_sender_connect(s);
	if (!ret)
		ret = agree_on_copies(s);
	if (ret)
		return ret;
	pt_sender_enter(s, PT_SEND_SETUP);
	ret = open_path(s);
	if (!ret)
		ret = needs_less(s, PT_SEND_NEEDS_NOTHING);
	if (!ret)
		ret = send_open(s);
	if (ret)
		return ret;
	pt_sender_enter(s, PT_SEND_PROBE);
	ret = pt_sender_start_lanes(s);
	return ret ? ret : start_files(s);
}
