/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Opens files, memory and device, connects, opens the transfer, and starts
 * lanes. */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"
#include "net/address.h"
#include "session/compression.h"

#define CONNECT_MS	10000
#define LINK_NS		2000000000ULL	/* for the next hop's MAC address */

static int draw(void *to, size_t sz)
{
	return getrandom(to, sz, 0) == (ssize_t)sz ? 0 : -EIO;
}

/* may_copy: our side allows copies.  With pad sizes must not depend on content. */
static bool may_copy(const struct pt_sender_cfg *cfg)
{
	return cfg->copies != PT_SEND_COPIES_OFF && !cfg->pad;
}

/* may_delta: our side may write deltas: only a memory that changes has any. */
static bool may_delta(const struct pt_sender_cfg *cfg)
{
	return cfg->live && !cfg->pad &&
	       cfg->delta_cache_sz != PT_SEND_DELTA_OFF;
}

static int connect_begin(struct pt_sender *s)
{
	const struct pt_conn_cfg cfg = {
		.role = PT_ROLE_SENDER,
		.capabilities = PT_CAP_ARRIVALS | PT_CAP_WORKING |
				PT_CAP_LIVE | PT_CAP_LARGE | PT_CAP_RATE |
				PT_CAP_UNREADABLE |
				(may_copy(&s->cfg) ? PT_CAP_COPIES : 0) |
				(may_delta(&s->cfg) ? PT_CAP_DELTAS : 0) |
				(s->cfg.live && s->cfg.live->postcopy
				 ? PT_CAP_POSTCOPY : 0) |
				pt_compression_caps(),
		.tls = s->cfg.tls,
	};
	int timeout_ms = s->cfg.peer_timeout_ms < CONNECT_MS
		? s->cfg.peer_timeout_ms : CONNECT_MS;
	int ret = pt_connect_begin(&s->connect, s->cfg.to, &cfg, timeout_ms,
				   &s->error);

	return ret ? ret : pt_sender_watch(s, pt_connect_fd(s->connect));
}

int pt_sender_connect(struct pt_sender *s)
{
	int ret = s->connect ? 0 : connect_begin(s);

	if (!ret)
		ret = pt_connect_step(s->connect, &s->conn, &s->error);
	if (!ret)
		return 0;
	pt_connect_end(s->connect);
	s->connect = NULL;
	if (ret < 0)
		return ret;
	ret = pt_sender_watch(s, pt_conn_fd(s->conn));
	eventfd_write(s->wake_fd, 1);	/* messages may be buffered already */
	return ret ? ret : 1;
}

/* agree_on_copies uses copies, and deltas, if both ends have the capabilities in
 * HELLO. */
static int agree_on_copies(struct pt_sender *s)
{
	__u64 both = pt_conn_capabilities(s->conn);

	/* A copy's original, or a delta's base, must be placed, which only PT_CAP_ARRIVALS
	 * reports. */
	s->report.uses_copies = both & PT_CAP_COPIES && both & PT_CAP_ARRIVALS;
	s->report.uses_deltas = both & PT_CAP_DELTAS && both & PT_CAP_ARRIVALS;
	if (s->report.uses_copies || s->cfg.copies != PT_SEND_COPIES_ON)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT, "{copies} "
			    "on: %s takes no copies of pages ({copies} auto "
			    "does without)", pt_conn_peer_text(s->conn));
}

/* agree_on_method fails if one end lacks the method. */
static int agree_on_method(struct pt_sender *s, enum pt_compression method)
{
	const char *name = pt_compression_name(method);

	s->compressions = 1 << method;
	s->report.compression = name;
	if (!pt_compression_is_built(method))
		return pt_error_set(&s->error, PT_EXIT_HOST, -EOPNOTSUPP,
				    "{compress} %s: pagetrim here was built "
				    "without it ({compress} off does without)",
				    name);
	if (pt_compressions_of(pt_conn_capabilities(s->conn)) >> method & 1)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT,
			    "{compress} %s: %s does not take it ({compress} auto "
			    "does without)", name, pt_conn_peer_text(s->conn));
}

static int agree_on_compression(struct pt_sender *s)
{
	switch (s->cfg.compress) {
	case PT_SEND_COMPRESS_LZ4:
		return agree_on_method(s, PT_COMPRESSION_LZ4);
	case PT_SEND_COMPRESS_ZSTD:
		return agree_on_method(s, PT_COMPRESSION_ZSTD);
	case PT_SEND_COMPRESS_AUTO:
		if (s->cfg.pad)
			break;
		s->compressions = pt_compressions_of(
			pt_conn_capabilities(s->conn));
		s->report.compression = "auto";
		return 0;
	default:
		break;
	}
	s->report.compression = pt_compression_name(PT_COMPRESSION_NONE);
	return 0;
}

static int agree_on_live(struct pt_sender *s)
{
	if (!s->cfg.live || pt_conn_capabilities(s->conn) & PT_CAP_LIVE)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT, "%s: takes "
			    "no memory that changes (a newer pagetrim is needed "
			    "there)", pt_conn_peer_text(s->conn));
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

/* choose_cipher chooses one if the connection is sealed, as frames are then,
 * too. */
static int choose_cipher(struct pt_sender *s, const struct pt_msg_offer *offer)
{
	__u16 ours = s->cfg.ciphers ? s->cfg.ciphers : pt_ciphers_here();

	if (!s->cfg.tls)
		return 0;
	s->report.cipher = pt_cipher_choose(offer->ciphers & ours);
	if (s->report.cipher)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT, "%s: offers "
			    "none of our ciphers (see {cipher}, on both hosts)",
			    pt_conn_peer_text(s->conn));
}

static struct pt_send_path_cfg path_cfg(const struct pt_sender *s)
{
	return (struct pt_send_path_cfg){
		.src = pt_conn_local(s->conn),
		.dst = pt_conn_peer(s->conn),
		.offer = &s->offer,
		.mtu = s->cfg.mtu,
	};
}

/* take_offer begins to look up the path to the receiver. */
static int take_offer(struct pt_sender *s)
{
	const struct pt_send_path_cfg cfg = path_cfg(s);
	int ret = choose_cipher(s, &s->offer);

	if (!ret)
		ret = pt_send_path_begin(&s->path, &cfg, &s->error);
	if (!ret)
		ret = pt_sender_watch(s, pt_monitor_fd(s->path.monitor));
	s->setup = PT_SETUP_LINK;
	s->setup_ns = pt_clock_ns();
	eventfd_write(s->wake_fd, 1);
	return ret;
}

static void warn_of_copy_mode(const struct pt_sender *s)
{
	char text[sizeof(s->path.card.why.text) + 16];

	if (!s->path.card.why.text[0] || !s->cfg.warn)
		return;
	snprintf(text, sizeof(text), "copy mode: %s", s->path.card.why.text);
	s->cfg.warn(text, s->cfg.arg);
}

static int describe_guest(struct pt_sender *s)
{
	struct pt_message m = { .type = PT_MSG_GUEST };

	if (pt_sender_is_rest(s)) {
		m.type = PT_MSG_REST;
		m.rest.guest_id = s->cfg.live->guest_id;
		return pt_conn_send(s->conn, &m, &s->error);
	}
	if (!s->cfg.live || s->cfg.live->kind != PT_LIVE_GUEST)
		return 0;
	m.guest.description = s->cfg.live->description;
	m.guest.description_sz = strlen(s->cfg.live->description);
	return pt_conn_send(s->conn, &m, &s->error);
}

/* wait_for_room returns 0 if ret says that the connection is full, and it has not been
 * full for too long. */
static int wait_for_room(const struct pt_sender *s, int ret)
{
	return ret == -ETIMEDOUT && pt_clock_ns() - s->setup_ns <
	       s->cfg.peer_timeout_ms * 1000000ULL ? 0 : ret;
}

/* send_segments sends as many SEGMENTs, and then LARGEs, as the connection takes
 * now. */
static int send_segments(struct pt_sender *s)
{
	const struct pt_segment *segs;
	__u32 cnt;
	int ret;

	segs = pt_layout_segments(s->layout, &cnt);
	for (; s->segment_next < cnt; s->segment_next++) {
		const struct pt_segment *seg = &segs[s->segment_next];
		struct pt_message m = {
			.type = PT_MSG_SEGMENT,
			.segment = { .gfn = seg->gfn, .sz = seg->sz },
		};

		strcpy(m.segment.name, seg->name);
		ret = pt_conn_send_batched(s->conn, &m, 0, -1, &s->error);
		if (ret)
			return wait_for_room(s, ret);
		s->setup_ns = pt_clock_ns();
	}
	ret = pt_sender_tell_large(s);
	if (ret)
		return wait_for_room(s, ret);
	s->setup = PT_SETUP_OPEN;
	pt_sender_expect(s);
	eventfd_write(s->wake_fd, 1);	/* a step writes the last ones */
	return describe_guest(s);
}

static int send_open(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_OPEN,
		.open = {
			.transfer_id = s->report.transfer_id,
			.digest_key = s->digest_key,
			.lane_cnt = s->path.lane_cnt,
			.trim = pt_sender_trim(s),
			.cipher = s->report.cipher,
			.rekey_log2 = s->cfg.rekey_log2,
			.resume = s->cfg.resume,
			.file_cnt = s->cfg.file_cnt + s->cfg.part_cnt,
			.live = s->cfg.live ? s->cfg.live->kind : PT_LIVE_NONE,
		},
	};
	int ret;

	pt_layout_segments(s->layout, &m.open.segment_cnt);
	memcpy(m.open.dst_addr, s->path.dst.ip, sizeof(m.open.dst_addr));
	strncpy(m.open.name, s->cfg.name ? s->cfg.name : "",
		sizeof(m.open.name) - 1);
	ret = pt_conn_send(s->conn, &m, &s->error);
	s->setup = PT_SETUP_SEGMENTS;
	s->setup_ns = pt_clock_ns();
	return ret ? ret : send_segments(s);
}

/* find looks up our end of the path; then it sends OPEN. */
static int find(struct pt_sender *s)
{
	const struct pt_send_path_cfg cfg = path_cfg(s);
	int ret = pt_send_path_find(&s->path, &s->error);

	if (ret == -EAGAIN && pt_clock_ns() - s->setup_ns < LINK_NS)
		return 0;
	if (!ret)
		ret = pt_send_path_bind(&s->path, &cfg, &s->error);
	if (ret)
		return ret;
	warn_of_copy_mode(s);
	return send_open(s);
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
	char host[PT_ADDRESS_HOST_SZ];
	int ret = pt_address_host(host, s->cfg.to, &s->error);

	if (ret)
		return ret;
	if (s->cfg.live && (s->cfg.resume || s->cfg.file_cnt))
		return pt_error_set(&s->error, PT_EXIT_USAGE, -EINVAL, "memory "
				    "that changes is sent without files, and "
				    "from its beginning");
	if (draw(&s->report.transfer_id, sizeof(__u64)) ||
	    draw(&s->digest_key, sizeof(s->digest_key)))
		return pt_error_set(&s->error, PT_EXIT_HOST, -EIO,
				    "no random numbers (getrandom)");
	s->report.transfer_id |= 1;	/* never 0 */
	if (s->cfg.live) {	/* they may be changed from now on */
		s->live.limits = s->cfg.live->converge;
		pt_converge_fill(&s->live.limits);
		s->report.live.downtime_limit_ns = s->live.limits.downtime_ns;
	}
	ret = pt_send_path_init(&s->path, s->cfg.dev, s->cfg.mtu, &s->error);
	if (!ret)
		ret = pt_rate_choose(&s->report.bytes_per_s,
				     s->cfg.bytes_per_s, &s->path.device,
				     &s->error);
	if (!ret)
		ret = pt_send_files_open(&s->files, s->cfg.files,
					 s->cfg.file_cnt, s->cfg.parts,
					 s->cfg.part_cnt, &s->error);
	s->report.files_sz = pt_send_files_total_sz(s->files);
	if (!ret)
		ret = prepare_memory(s);
	if (!ret)
		ret = pt_sender_find_large(s);
	return ret ? ret : pt_send_path_prepare(&s->path, &card,
						s->cfg.queue_cnt,
						s->cfg.lane_cnt,
						s->cfg.hugepages, &s->error);
}

/* The carrier comes first, since no peer answers without it. */
int pt_sender_greet(struct pt_sender *s)
{
	int ret = s->connect ? 0 : pt_card_wait_attached(&s->path.card,
							 &s->error);

	if (!ret)
		ret = pt_sender_connect(s);
	if (ret <= 0)
		return ret;
	ret = agree_on_copies(s);
	if (!ret)
		ret = agree_on_compression(s);
	if (!ret)
		ret = agree_on_live(s);
	if (!ret)
		ret = pt_sender_postcopy_agree(s);
	if (!ret)
		pt_sender_enter(s, PT_SEND_SETUP);
	return ret;
}

static int begin(struct pt_sender *s)
{
	int ret;

	if (s->report.is_resumed && !s->cfg.resume)
		return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO,
				    "receiver: resumes without a request for it "
				    "(another version of pagetrim?)");
	pt_sender_enter(s, PT_SEND_PROBE);
	ret = pt_sender_live_start(s);
	if (!ret)
		ret = pt_sender_start_lanes(s);
	return ret ? ret : start_files(s);
}

int pt_sender_set_up(struct pt_sender *s)
{
	switch (s->setup) {
	case PT_SETUP_OFFER:
		return pt_sender_owed(s, "OFFER");
	case PT_SETUP_OFFERED:
		return take_offer(s);
	case PT_SETUP_LINK:
		return find(s);
	case PT_SETUP_SEGMENTS:
		return send_segments(s);
	case PT_SETUP_OPEN:
		return pt_sender_owed(s, "OPENED");
	case PT_SETUP_OPENED:
		return begin(s);
	}
	return 0;
}
