/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Pacing of a lane's frames by --max-bandwidth and by the path, and the ACKs'
 * arrivals for the congestion controller. */
#include "lane/lane_internal.h"

#include <pagetrim/clock.h>

#define NAP_NS	100000ULL	/* the shortest sleep for a limit */

void pt_lane_leave_end(struct pt_lane *l)
{
	if (l->leave_sz && l->cfg.job->regulator)
		pt_regulator_give_back(l->cfg.job->regulator, l->leave_sz);
	l->leave_sz = 0;
}

__u32 pt_lane_batch_sz(const struct pt_lane *l)
{
	__u64 sz = PT_BATCH_SZ, burst_sz;

	if (l->cfg.job->regulator) {
		burst_sz = pt_regulator_burst_sz(l->cfg.job->regulator);
		if (burst_sz && burst_sz < sz)
			sz = burst_sz;
	}
	return sz;
}

/* nap sends the staged frames first; a nap has a minimum length. */
static int nap(struct pt_lane *l, __u64 wait_ns)
{
	int ret;

	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
	ret = pt_lane_kick(l);
	return ret ? ret : pt_lane_take_mail(l, wait_ns < NAP_NS ? NAP_NS
								 : wait_ns);
}

/* wait_limit waits for --max-bandwidth, or until a pause ends.  In a pause a lost
 * tail is noticed, too, so that nothing is in flight for long. */
static int wait_limit(struct pt_lane *l, __u32 frame_sz)
{
	struct pt_pacer *pacer = l->cfg.job->pacer;
	__u64 wait_ns;
	int ret = 0;

	while (!ret && !l->reprobe &&
	       (pt_pacer_rate(pacer) || pt_pacer_is_paused(pacer)) &&
	       (wait_ns = pt_pacer_wait_ns(pacer, pt_clock_ns(), frame_sz))) {
		ret = nap(l, wait_ns);
		if (pt_pacer_is_paused(pacer))
			pt_chooser_break(&l->chooser);
		if (!ret && pt_pacer_is_paused(pacer) &&
		    l->synced_seq != pt_inflight_next_seq(l->inflight))
			ret = pt_lane_sync(l);
	}
	return ret;
}

/* wait_path waits for the path.  Other lanes' ACKs make room, too, so it does
 * not sleep for long; if none comes it sends SYNC, so that a lost tail is
 * noticed. */
static int wait_path(struct pt_lane *l, __u32 frame_sz)
{
	struct pt_regulator *r = l->cfg.job->regulator;
	__u64 now_ns = pt_clock_ns(), full_ns = 0, wait_ns;
	int ret = 0;

	pt_lane_leave_end(l);
	while (!ret && !l->reprobe &&
	       (wait_ns = pt_regulator_ask(r, now_ns, frame_sz,
					   &l->leave_sz))) {
		l->leave_sz = 0;
		pt_lane_count(&l->counts.path_waits, 1);
		if (wait_ns != PT_REGULATOR_FULL) {
			full_ns = 0;
		} else {
			wait_ns = PT_LANE_SYNC_NS;
			full_ns = full_ns ? full_ns : now_ns;
		}
		ret = nap(l, wait_ns);
		now_ns = pt_clock_ns();
		if (!ret && full_ns &&
		    now_ns - full_ns > pt_regulator_silence_ns(r) &&
		    l->synced_seq != pt_inflight_next_seq(l->inflight))
			ret = pt_lane_sync(l);
	}
	return ret;
}

int pt_lane_wait_pace(struct pt_lane *l, __u32 frame_sz)
{
	int ret = 0;

	if (l->cfg.job->pacer)
		ret = wait_limit(l, frame_sz);
	if (!ret && l->cfg.job->regulator && l->leave_sz < frame_sz)
		ret = wait_path(l, frame_sz);
	return ret;
}

void pt_lane_pace_spend(struct pt_lane *l, __u32 frame_sz)
{
	/* One reading of the clock for all frames of a kick. */
	if (!l->unkicked.frame_cnt)
		l->sent_ns = pt_clock_ns();
	l->sent_sz += frame_sz;
	if (l->cfg.job->regulator)
		l->leave_sz -= frame_sz;
}

void pt_lane_take_arrivals(struct pt_lane *l)
{
	const struct pt_mail *mail = &l->mail;
	__u64 open_sz = l->sent_sz - l->arrived_sz - l->lost_told_sz;
	struct pt_congestion_ack ack = {
		.now_ns = pt_clock_ns(),
		.arrived_sz = mail->arrived_sz - l->arrived_sz,
		.lost_sz = l->lost_sz - l->lost_told_sz,
		.lost_ns = l->lost_ns,
		.overtaken_ns = mail->arrived_ns - mail->top_ns,
	};

	if (mail->top > l->top) {
		ack.sent_ns = pt_inflight_sent_ns(l->inflight, mail->top - 1);
		ack.arrived_ns = mail->top_ns;
		l->top = mail->top;
	}
	if (ack.lost_sz > open_sz)
		ack.lost_sz = open_sz;
	if (ack.arrived_sz > open_sz - ack.lost_sz)
		ack.arrived_sz = open_sz - ack.lost_sz;
	l->arrived_sz += ack.arrived_sz;
	l->lost_told_sz += ack.lost_sz;
	pt_regulator_take(l->cfg.job->regulator, &ack);
}
