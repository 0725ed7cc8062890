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

/* nap sends the submitted frames first; a nap has a minimum length. */
static int nap(struct pt_lane *l, __u64 wait_ns)
{
	int ret;

	l->closing.has_napped = true;
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
	ret = pt_lane_kick(l);
	return ret ? ret : pt_lane_for_mail(l, wait_ns < NAP_NS ? NAP_NS : wait_ns);
}

/* sync_once sends SYNC, unless the last one had the same number. */
static int sync_once(struct pt_lane *l)
{
	return l->synced_seq == pt_inflight_next_seq(l->inflight)
		? 0 : pt_lane_sync(l);
}

/* The lane also waits until a pause ends.  In a pause a lost tail is noticed, too, so
 * that nothing is in flight for long. */
int pt_lane_wait_limit(struct pt_lane *l)
{
	struct pt_pacer *pacer = l->cfg.job->pacer;
	struct pt_closing *c = &l->closing;
	__u64 wait_ns;
	int ret = 0;

	if (c->has_napped && pt_pacer_is_paused(pacer)) {
		pt_chooser_break(&l->chooser);
		ret = sync_once(l);
	}
	c->has_napped = false;
	if (ret)
		return ret;
	if (pacer && !l->reprobe &&
	    (pt_pacer_rate(pacer) || pt_pacer_is_paused(pacer))) {
		wait_ns = pt_pacer_wait_ns(pacer, pt_clock_ns(), c->frame_sz);
		if (wait_ns)
			return nap(l, wait_ns);
	}
	c->at = PT_CLOSING_BUFFER;
	if (l->cfg.job->regulator && l->leave_sz < c->frame_sz) {
		pt_lane_leave_end(l);
		c->full_ns = 0;
		c->at = PT_CLOSING_PATH;
	}
	return 0;
}

/* Other lanes' ACKs make room on the path, too, so the lane does not sleep for long;
 * if none comes it sends SYNC, so that a lost tail is noticed. */
int pt_lane_wait_path(struct pt_lane *l)
{
	struct pt_regulator *r = l->cfg.job->regulator;
	struct pt_closing *c = &l->closing;
	__u64 now_ns = pt_clock_ns(), wait_ns = 0;
	int ret = 0;

	if (c->has_napped && c->full_ns &&
	    now_ns - c->full_ns > pt_regulator_silence_ns(r))
		ret = sync_once(l);
	c->has_napped = false;
	if (!ret && !l->reprobe)
		wait_ns = pt_regulator_ask(r, now_ns, c->frame_sz, &l->leave_sz);
	if (ret || !wait_ns) {
		c->at = PT_CLOSING_BUFFER;
		return ret;
	}
	l->leave_sz = 0;
	pt_lane_count(&l->counts.path_waits, 1);
	if (wait_ns != PT_REGULATOR_FULL) {
		c->full_ns = 0;
	} else {
		wait_ns = PT_LANE_SYNC_NS;
		c->full_ns = c->full_ns ? c->full_ns : now_ns;
	}
	return nap(l, wait_ns);
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
