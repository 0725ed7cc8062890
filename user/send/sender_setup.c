/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How a sender begins: files, memory and device are opened; the receiver is found
 * and told of the transfer, lanes are started. */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"

#define CONNECT_MS	10000

static int draw(void *to, size_t sz)
{
	return getrandom(to, sz, 0) == (ssize_t)sz ? 0 : -EIO;
}

/* may_copy: as far as it is for our side to say.  Records stand in clear, and a copy
 * tells who sees it that two pages have one content. */
static bool may_copy(const struct pt_sender_cfg *cfg)
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
				(may_copy(&s->cfg) ? PT_CAP_COPIES : 0),
		.tls = s->cfg.tls,
	};
	int timeout_ms = s->cfg.peer_timeout_ms < CONNECT_MS
		? s->cfg.peer_timeout_ms : CONNECT_MS;

	return pt_conn_connect(&s->conn, s->cfg.to, &cfg, timeout_ms,
			       s->cancel_fd, &s->error);
}

/* agree_on_copies: what both ends said in HELLO is for the lanes. */
static int agree_on_copies(struct pt_sender *s)
{
	__u64 both = pt_conn_capabilities(s->conn);

	s->report.uses_copies = both & PT_CAP_COPIES;
	if (s->report.uses_copies || s->cfg.copies != PT_SEND_COPIES_ON)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT, "{copies} "
			    "on: %s takes no copies of pages ({copies} auto "
			    "does without)", pt_conn_peer_text(s->conn));
}

static int prepare_memory(struct pt_sender *s)
{
	struct pt_send_report *report = &s->report;
	const struct pt_segment *segs;
	__u32 cnt;
	int ret;

	segs = pt_source_segments(s->cfg.source, &cnt);
	ret = pt_layout_create(&s->layout, segs, cnt, &s->error);
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
		return pt_error_set(&s->error, PT_EXIT_HOST, -ENOMEM,
				    "no memory for the dirty set and digests "
				    "of %llu pages",
				    (unsigned long long)report->page_cnt);
	return 0;
}

/* choose_cipher: frames are sealed if the connection is. */
static int choose_cipher(struct pt_sender *s, const struct pt_msg_offer *offer)
{
	__u16 ours = s->cfg.ciphers ? s->cfg.ciphers : pt_ciphers_here();

	if (!s->cfg.tls)
		return 0;
	s->report.cipher = pt_cipher_choose(offer->ciphers & ours);
	if (s->report.cipher)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT, "%s: takes "
			    "none of our ciphers (see {cipher}, on both hosts)",
			    pt_conn_peer_text(s->conn));
}

/* open_path opens the way to who has made the offer. */
static int open_path(struct pt_sender *s)
{
	const struct pt_send_path_cfg cfg = {
		.src = pt_conn_local(s->conn),
		.dst = pt_conn_peer(s->conn),
		.offer = &s->offer,
		.mtu = s->cfg.mtu,
		.timeout_ms = 2000,
		.stop_fd = s->cancel_fd,
	};
	char text[sizeof(s->path.card.why.text) + 16];
	int ret = choose_cipher(s, &s->offer);

	if (!ret)
		ret = pt_send_path_open(&s->path, &cfg, &s->error);
	if (!ret)
		ret = pt_sender_watch(s, pt_monitor_fd(s->path.monitor));
	if (ret || !s->path.card.why.text[0] || !s->cfg.warn)
		return ret;
	snprintf(text, sizeof(text), "copy mode: %s", s->path.card.why.text);
	s->cfg.warn(text, s->cfg.arg);
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
					   s->cfg.peer_timeout_ms, s->cancel_fd,
					   &s->error);
	}
	return ret == -ECANCELED ? pt_sender_stopped(s) : ret;
}

static int send_open(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_OPEN,
		.open = {
			.transfer_id = s->report.transfer_id,
			.digest_key = s->digest_key,
			.lane_cnt = s->path.queue_cnt,
			.trim = pt_sender_trim(s),
			.cipher = s->report.cipher,
			.rekey_log2 = s->cfg.rekey_log2,
			.resume = s->cfg.resume,
			.file_cnt = s->cfg.file_cnt,
		},
	};
	const struct pt_segment *segs;
	__u32 cnt;
	int ret;

	segs = pt_layout_segments(s->layout, &cnt);
	m.open.segment_cnt = cnt;
	memcpy(m.open.dst_addr, s->path.dst.ip, sizeof(m.open.dst_addr));
	strncpy(m.open.name, s->cfg.name ? s->cfg.name : "",
		sizeof(m.open.name) - 1);
	ret = pt_conn_send(s->conn, &m, &s->error);
	return ret ? ret : send_segments(s, segs, cnt);
}

static int start_files(struct pt_sender *s)
{
	const struct pt_send_files_cfg cfg = {
		.conn = s->conn,
		.pacer = &s->pacer,
		.wake_fd = s->wake_fd,
	};

	return pt_send_files_start(s->files, &cfg, &s->error);
}

int pt_sender_prepare(struct pt_sender *s)
{
	const struct pt_card_cfg card = {
		.wish = s->cfg.zero_copy,
		.generic = s->cfg.generic,
		.sends = true,
		.stop_fd = s->cancel_fd,
	};
	int ret = 0;

	if (draw(&s->report.transfer_id, sizeof(__u64)) ||
	    draw(&s->digest_key, sizeof(s->digest_key)))
		return pt_error_set(&s->error, PT_EXIT_HOST, -EIO,
				    "no random numbers (getrandom)");
	s->report.transfer_id |= 1;	/* never 0 */
	ret = pt_send_path_init(&s->path, s->cfg.dev, s->cfg.mtu, &s->error);
	if (!ret)
		ret = pt_rate_choose(&s->report.bytes_per_s,
				     s->cfg.bytes_per_s, &s->path.device,
				     &s->error);
	if (!ret)
		ret = pt_send_files_open(&s->files, s->cfg.files,
					 s->cfg.file_cnt, &s->error);
	s->report.files_sz = pt_send_files_total_sz(s->files);
	if (!ret)
		ret = prepare_memory(s);
	return ret ? ret : pt_send_path_prepare(&s->path, &card,
						s->cfg.queue_cnt,
						s->cfg.hugepages, &s->error);
}

/* pt_sender_greet: the carrier comes first, as without it nobody answers. */
int pt_sender_greet(struct pt_sender *s)
{
	int ret = pt_card_wait_attached(&s->path.card, &s->error);

	if (!ret)
		ret = pt_sender_connect(s);
	if (!ret)
		ret = agree_on_copies(s);
	if (!ret)
		ret = pt_sender_watch(s, pt_conn_fd(s->conn));
	if (ret)
		return ret;
	pt_sender_enter(s, PT_SEND_SETUP);
	eventfd_write(s->wake_fd, 1);	/* it may hold the OFFER already */
	return 0;
}

/* take_offer: open our side of it, and say what is to come. */
static int take_offer(struct pt_sender *s)
{
	int ret = open_path(s);

	if (!ret)
		ret = send_open(s);
	pt_sender_expect(s);
	return ret;
}

static int begin(struct pt_sender *s)
{
	int ret;

	if (s->report.is_resumed && !s->cfg.resume)
		return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO,
				    "receiver: resumes, and was not asked to "
				    "(another version of pagetrim?)");
	pt_sender_enter(s, PT_SEND_PROBE);
	ret = pt_sender_start_lanes(s);
	return ret ? ret : start_files(s);
}

int pt_sender_set_up(struct pt_sender *s)
{
	switch (s->setup) {
	case PT_SETUP_OFFER:
		return pt_sender_owed(s, "OFFER");
	case PT_SETUP_OFFERED:
		s->setup = PT_SETUP_OPEN;
		return take_offer(s);
	case PT_SETUP_OPEN:
		return pt_sender_owed(s, "OPENED");
	case PT_SETUP_OPENED:
		return begin(s);
	}
	return 0;
}
