/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Starts and stops a sender's lanes and their workers, makes their keys, and watches the
 * card. */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "channel/frame_keys.h"

#define WATCH_NS	1000000000ULL	/* between checks of the XDP program */

static int make_seals(struct pt_sender *s)
{
	const struct pt_frame_keys keys = {
		.conn = s->conn,
		.session_id = s->report.session_id,
		.cipher = s->report.cipher,
		.rekey_log2 = s->cfg.rekey_log2,
	};
	int ret = 0;

	if (!s->report.cipher)
		return 0;
	for (__u32 i = 0; !ret && i < s->path.lane_cnt; i++)
		ret = pt_frame_keys_seal(&s->seals[i], &keys, i, &s->error);
	return ret;
}

static int start_worker(struct pt_sender *s, __u32 queue_idx)
{
	const struct pt_worker_cfg cfg = {
		.xsk = s->path.xsks[queue_idx],
		.cpus = &s->cfg.cpus,
		.idx = queue_idx,
	};
	int ret = pt_worker_open(&s->workers[queue_idx], &cfg);

	if (ret)
		return pt_error_set(&s->error, PT_EXIT_HOST, ret, "TX queue %u: "
				    "cannot start its thread: %s (memory, "
				    "ulimit -u or pids.max)",
				    pt_lease_queue(s->path.leases[queue_idx]),
				    strerror(-ret));
	s->worker_cnt++;
	return 0;
}

/* start_lane: the lanes go round the queues. */
static int start_lane(struct pt_sender *s, __u32 i)
{
	__u32 queue_idx = i % s->path.queue_cnt;
	struct pt_lane_cfg cfg = {
		.job = &s->job,
		.worker = s->workers[queue_idx],
		.xsk = s->path.xsks[queue_idx],
		.lane_idx = i,
		.tx_queue = pt_lease_queue(s->path.leases[queue_idx]),
		.link = s->path.link,
		.seal = s->seals[i],
		.clock = s->cfg.profile ? &s->clocks[i] : NULL,
	};
	__u64 started_ns;
	int ret;

	cfg.link.src_port += i;
	started_ns = pt_clock_ns();
	ret = pt_lane_start(&s->lanes[i], &cfg, &s->error);
	if (ret)
		return ret;
	s->lane_cnt++;
	s->report.profile.time_ns -= started_ns;
	return 0;
}

int pt_sender_start_lanes(struct pt_sender *s)
{
	int ret = make_seals(s);

	pt_pacer_set(&s->pacer, s->report.bytes_per_s, pt_clock_ns());
	s->job = (struct pt_send_job){
		.source = s->cfg.source,
		.layout = s->layout,
		.dirty = s->dirty,
		.digests = &s->digests,
		.digest_key = s->digest_key,
		.trim = pt_sender_trim(s),
		.observe = s->cfg.observe,
		.pad = s->cfg.pad,
		.delta_cache_sz = !s->report.uses_deltas ? 0 :
				  s->cfg.delta_cache_sz
			? s->cfg.delta_cache_sz : PT_SEND_DELTA_CACHE_SZ,
		.copies = s->report.uses_copies,
		.unreadable = pt_conn_capabilities(s->conn) &
			      PT_CAP_UNREADABLE,
		.compressions = s->compressions,
		.compress_auto = s->cfg.compress == PT_SEND_COMPRESS_AUTO,
		.compress_level = s->cfg.compress_level
			? s->cfg.compress_level : PT_COMPRESS_LEVEL,
		.arrivals = pt_conn_capabilities(s->conn) & PT_CAP_ARRIVALS,
		.conn = s->conn,
		.session_id = s->report.session_id,
		.desc_sz = s->offer.desc_sz,
		.frame_sz_max = s->path.frame_sz_max,
		.progress_ns = s->cfg.peer_timeout_ms * 1000000ULL,
		.pacer = &s->pacer,
		.wake_fd = s->wake_fd,
	};
	if (s->job.arrivals)
		s->job.regulator = &s->regulator;
	pt_held_init(&s->held, &s->job);
	for (__u32 i = 0; !ret && i < s->path.queue_cnt; i++)
		ret = start_worker(s, i);
	for (__u32 i = 0; !ret && i < s->path.lane_cnt; i++)
		ret = start_lane(s, i);
	return ret;
}

/* take_profile requires that the lanes have ended. */
static void take_profile(struct pt_sender *s)
{
	struct pt_send_report *report = &s->report;
	__u64 now_ns = pt_clock_ns();

	report->has_profile = true;
	report->profile.thread_cnt = s->lane_cnt;
	for (__u32 i = 0; i < s->lane_cnt; i++) {
		report->profile.time_ns += now_ns;
		pt_stage_look(&s->clocks[i], report->profile.stages);
	}
	report->control.thread_cnt = 1;
	report->control.time_ns = now_ns - s->started_ns;
	pt_stage_look(&s->control_clock, report->control.stages);
}

void pt_sender_stop_lanes(struct pt_sender *s)
{
	for (__u32 i = 0; i < s->lane_cnt; i++)
		pt_inbox_stop(pt_lane_inbox(s->lanes[i]));
	for (__u32 i = 0; i < s->lane_cnt; i++)
		pt_lane_stop(s->lanes[i]);
	for (__u32 i = 0; i < s->worker_cnt; i++)
		pt_worker_close(s->workers[i]);
	if (s->cfg.profile)
		take_profile(s);
	s->lane_cnt = s->worker_cnt = 0;
	for (__u32 i = 0; i < PT_LANES_MAX; i++)
		pt_seal_destroy(s->seals[i]);
}

int pt_sender_watch_card(struct pt_sender *s, __u64 now_ns)
{
	if (now_ns - s->watched_ns < WATCH_NS)
		return 0;
	s->watched_ns = now_ns;
	if (pt_card_is_ready(&s->path.card))
		return 0;
	return pt_error_set(&s->error, PT_EXIT_HOST, -ENODEV, "%s: another process "
			    "detached the XDP program, which zero copy needs (find "
			    "that process, then send again, or use {zero-copy} "
			    "off)", s->cfg.dev);
}
