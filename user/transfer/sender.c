/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/sender_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "transfer/ping.h"
#include "transfer/rate.h"

#define CONNECT_MS	10000
#define PROGRESS_NS	250000000ULL

static int draw(void *to, size_t sz)
{
	return getrandom(to, sz, 0) == (ssize_t)sz ? 0 : -EIO;
}

/* reply waits for a message of a type during set-up, when nothing else but
 * PING and ABORT may come. */
static int reply(struct pt_sender *s, enum pt_message_type type,
		 struct pt_message *m)
{
	__u64 end_ns = pt_clock_ns() + s->cfg->peer_timeout_ms * 1000000ULL;
	__u64 now_ns;
	int ret;

	for (;;) {
		now_ns = pt_clock_ns();
		ret = now_ns >= end_ns ? -ETIMEDOUT :
		      pt_conn_recv_wait(s->conn, m,
					(end_ns - now_ns) / 1000000 + 1,
					s->stop_fd, s->err);
		if (ret == -ETIMEDOUT)
			return pt_error_set(s->err, PT_EXIT_PEER, ret,
					    "%s: no answer for %u ms (is the "
					    "receiver stuck?)",
					    pt_conn_peer_text(s->conn),
					    s->cfg->peer_timeout_ms);
		if (ret < 0)
			return ret;
		if (m->type == type)
			return 0;
		if (m->type == PT_MSG_WORKING)	/* its storage makes it wait */
			end_ns = pt_clock_ns() +
				 s->cfg->peer_timeout_ms * 1000000ULL;
		ret = pt_sender_take(s, m);
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

static int connect_peer(struct pt_sender *s)
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
	return pt_error_set(s->err, PT_EXIT_PEER, -EPROTONOSUPPORT, "--copies "
			    "on: %s takes no copies of pages (--copies auto "
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
			    "none of our ciphers (see --cipher, on both hosts)",
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
	};
	char text[sizeof(s->path.card.why.text) + 16];
	struct pt_message m;
	int ret = reply(s, PT_MSG_OFFER, &m);

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
	for (__u32 i = 0; !ret && i < cnt; i++) {
		m = (struct pt_message){
			.type = PT_MSG_SEGMENT,
			.segment = { .gfn = segs[i].gfn, .sz = segs[i].sz },
		};
		strcpy(m.segment.name, segs[i].name);
		ret = pt_conn_send_batched(s->conn, &m,
					   s->cfg->peer_timeout_ms, s->err);
	}
	if (!ret)
		ret = reply(s, PT_MSG_OPENED, &m);
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

static int set_up(struct pt_sender *s)
{
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
	if (!ret)
		ret = prepare_memory(s);
	if (!ret)
		ret = pt_send_path_prepare(&s->path, s->cfg->zero_copy,
					   s->cfg->generic, s->err);
	if (!ret)
		ret = needs_less(s, PT_SEND_NEEDS_SOCKETS);
	if (!ret && s->cfg->control)
		ret = pt_console_open(&s->console, s->cfg->control, s->err);
	if (!ret)
		ret = connect_peer(s);
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
	if (!ret)
		ret = pt_send_files(s->files, s->conn, s->cfg->peer_timeout_ms,
				    &s->report->files_sz, s->err);
	if (ret)
		return ret;
	pt_sender_enter(s, PT_SEND_PROBE);
	return pt_sender_start_lanes(s);
}

static void watch_peer(struct pt_sender *s, __u64 now_ns, int *ret)
{
	struct pt_message m = {
		.type = PT_MSG_PING,
		.ping = { .time_ns = now_ns },
	};
	__u64 heard_ns = pt_conn_last_recv_ns(s->conn);

	if (now_ns > heard_ns &&
	    now_ns - heard_ns > s->cfg->peer_timeout_ms * 1000000ULL)
		*ret = pt_error_set(s->err, PT_EXIT_PEER, -ETIMEDOUT,
				    "%s: silent for %u ms (--peer-timeout)",
				    pt_conn_peer_text(s->conn),
				    s->cfg->peer_timeout_ms);
	if (now_ns - s->pinged_ns < pt_ping_ns(s->cfg->peer_timeout_ms))
		return;
	s->pinged_ns = now_ns;
	pt_conn_send(s->conn, &m, NULL);
}

static int watch_path(struct pt_sender *s)
{
	int change = pt_monitor_read(s->path.monitor, s->err);
	int ret;

	if (change <= 0)
		return change;
	if (change & PT_CHANGE_GONE)
		return pt_error_set(s->err, PT_EXIT_HOST, -ENODEV,
				    "%s: was removed, or moved to another "
				    "network namespace (send again when it is "
				    "back)", s->cfg->dev);
	ret = pt_send_path_refresh(&s->path, change);
	if (s->path.trouble_code == -EXDEV && !s->is_warned && s->cfg->warn) {
		s->is_warned = true;
		s->cfg->warn(s->path.trouble.text, s->cfg->progress_arg);
	}
	for (__u32 i = 0; ret > 0 && i < s->lane_cnt; i++)
		pt_inbox_link(pt_lane_inbox(s->lanes[i]), &s->path.link);
	return 0;
}

/* advance: of a lane that failed since its device went away, the monitor knows
 * better why. */
static int advance(struct pt_sender *s)
{
	int ret = pt_sender_advance(s);
	int gone = ret ? watch_path(s) : 0;

	return gone < 0 ? gone : ret;
}

static int take_all(struct pt_sender *s)
{
	struct pt_message m;
	int ret;

	while ((ret = pt_conn_recv(s->conn, &m, s->err)) > 0) {
		ret = pt_sender_take(s, &m);
		if (ret)
			break;
	}
	return ret;
}

static int run(struct pt_sender *s)
{
	eventfd_t value;
	int ret = 0;

	while (!ret && s->report->phase != PT_SEND_DONE) {
		struct pollfd fds[] = {
			{ .fd = pt_conn_fd(s->conn), .events = POLLIN },
			{ .fd = s->wake_fd, .events = POLLIN },
			{ .fd = pt_monitor_fd(s->path.monitor),
			  .events = POLLIN },
			{ .fd = s->stop_fd, .events = POLLIN },
			{ .fd = pt_console_fd(s->console), .events = POLLIN },
		};
		__u64 now_ns;

		poll(fds, 5, 100);
		if (fds[3].revents)
			return pt_error_set(s->err, PT_EXIT_FAILED, -ECANCELED,
					    "interrupted; nothing was "
					    "committed");
		/* Acknowledgements are what wakes us most: no call for more. */
		if (fds[1].revents)
			eventfd_read(s->wake_fd, &value);
		pt_sender_answer(s);
		ret = take_all(s);
		if (!ret && fds[2].revents)
			ret = watch_path(s);
		if (!ret)
			ret = pt_send_path_judge(&s->path, s->err);
		if (!ret)
			ret = advance(s);
		now_ns = pt_clock_ns();
		if (!ret)
			watch_peer(s, now_ns, &ret);
		if (!ret)
			ret = pt_sender_watch_card(s, now_ns);
		if (s->cfg->progress && now_ns - s->shown_ns > PROGRESS_NS) {
			s->shown_ns = now_ns;
			pt_sender_count(s);
			s->cfg->progress(s->report, s->cfg->progress_arg);
		}
	}
	return ret;
}

/* ask_once asks on a new connection whether the transfer was committed. */
static int ask_once(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_ASK,
		.ask = { .transfer_id = s->report->transfer_id },
	};
	int ret;

	pt_conn_close(s->conn);
	s->conn = NULL;
	ret = connect_peer(s);
	if (!ret)
		ret = pt_conn_send(s->conn, &m, s->err);
	if (!ret)	/* it offers before it hears what we want */
		ret = reply(s, PT_MSG_OFFER, &m);
	return ret ? ret : reply(s, PT_MSG_COMMITTED, &m);
}

/* ask asks as long as the peer timeout lasts. */
static int ask(struct pt_sender *s)
{
	__u64 deadline = pt_clock_ns() + s->cfg->peer_timeout_ms * 1000000ULL;
	struct pt_error why;
	int ret;

	do {
		ret = ask_once(s);
		if (!ret)
			pt_sender_enter(s, PT_SEND_DONE);
		if (!ret || s->is_aborted)
			return ret;
		poll(NULL, 0, 200);
	} while (pt_clock_ns() < deadline);
	why = *s->err;
	return pt_error_set(s->err, PT_EXIT_UNKNOWN, ret, "outcome unknown: "
			    "lost the receiver during commit: %.300s (look "
			    "for the image at the receiver)", why.text);
}

/* part says goodbye, or why not. */
static void part(struct pt_sender *s, int ret)
{
	struct pt_message m = { .type = PT_MSG_BYE };

	if (!s->conn)
		return;
	if (ret && !s->is_aborted)
		pt_message_abort(&m, s->err->exit, s->err->text);
	pt_conn_send(s->conn, &m, NULL);
	pt_conn_finish(s->conn, 1000);
}

int pt_send(const struct pt_send_cfg *cfg, struct pt_send_report *report,
	    struct pt_error *err)
{
	struct pt_sender s = {
		.cfg = cfg,
		.report = report,
		.err = err,
		.wake_fd = -1,
		.stop_fd = cfg->stop_fd,
		.started_ns = pt_clock_ns(),
	};
	int ret;

	pt_regulator_init(&s.regulator);
	if (cfg->profile)
		s.clock = &s.control_clock;
	pt_stage_start(s.clock, PT_SEND_STAGE_IDLE);
	memset(report, 0, sizeof(*report));
	report->observes = cfg->observe;
	pt_sender_enter(&s, PT_SEND_CONNECT);
	ret = set_up(&s);
	if (!ret)
		ret = run(&s);
	pt_send_path_explain(&s.path, ret, err);
	pt_sender_count(&s);
	pt_recheck_stop(s.recheck);
	pt_sender_stop_lanes(&s);
	if (ret && report->phase == PT_SEND_COMMIT && !s.is_aborted)
		ret = ask(&s);
	/* What the receiver does after the commit is its own time. */
	report->total_ns = pt_clock_ns() - s.started_ns;
	part(&s, ret);

	pt_console_close(s.console);
	pt_conn_close(s.conn);
	pt_send_path_close(&s.path);
	pt_send_files_close(s.files);
	pt_held_free(&s.held);
	pt_digests_free(&s.digests);
	pt_dirty_destroy(s.dirty);
	pt_layout_free(s.layout);
	pt_regulator_destroy(&s.regulator);
	if (s.wake_fd >= 0)
		close(s.wake_fd);
	return ret;
}

const char *pt_send_phase_name(enum pt_send_phase phase)
{
	static const char *const names[] = {
#define X(symbol, name) name,
		PT_SEND_PHASES(X)
#undef X
	};

	return names[phase];
}
