/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/sender_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>

void pt_sender_live_enter(struct pt_sender *s, enum pt_send_live_step step)
{
	s->live.step = step;
	s->report.live.step = step;
	if (s->cfg.live->entered)
		s->cfg.live->entered(step, s->cfg.live->arg);
}

/* is_told: the writer of the memory reports what it writes, and ends by itself;
 * its stream flows meanwhile. */
static bool is_told(const struct pt_sender *s)
{
	return s->cfg.live && s->cfg.live->guest.is_last;
}

/* work begins a job of the live thread. */
static void work(struct pt_sender *s, enum pt_send_live_step step,
		 enum pt_live_job job)
{
	pt_sender_live_enter(s, step);
	pt_live_do(s->live.thread, job, 0);
}

/* make_ranges: each segment is mapped as one range. */
static int make_ranges(struct pt_sender *s)
{
	const struct pt_send_live_cfg *cfg = s->cfg.live;
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_layout_segments(s->layout, &cnt);
	if (!cfg->addrs)
		return 0;
	s->live.ranges = calloc(cnt, sizeof(*s->live.ranges));
	if (!s->live.ranges)
		return pt_error_set(&s->error, PT_EXIT_HOST, -ENOMEM,
				    "no memory");
	for (__u32 i = 0; i < cnt; i++) {
		s->live.ranges[i].addr = cfg->addrs[i];
		s->live.ranges[i].sz = segs[i].sz;
		pt_layout_find(s->layout, segs[i].gfn,
			       &s->live.ranges[i].page_idx);
	}
	s->live.range_cnt = cnt;
	return 0;
}

int pt_sender_live_start(struct pt_sender *s)
{
	const struct pt_send_live_cfg *cfg = s->cfg.live;
	struct pt_live_cfg live = {
		.source = s->cfg.source,
		.layout = s->layout,
		.digests = &s->digests,
		.digest_key = s->digest_key,
		.wake_fd = s->wake_fd,
	};
	int ret;

	if (!cfg || pt_sender_is_rest(s))
		return 0;
	ret = make_ranges(s);
	if (ret)
		return ret;
	if (!is_told(s) && pt_hot_create(&s->live.hot,
					 pt_layout_region_cnt(s->layout)))
		return pt_error_set(&s->error, PT_EXIT_HOST, -ENOMEM,
				    "no memory");
	live.pid = cfg->addrs || pt_source_has_mappings(s->cfg.source)
		? cfg->pid : 0;
	live.ranges = s->live.ranges;
	live.range_cnt = s->live.range_cnt;
	live.tracker = cfg->tracker;
	live.guest = cfg->guest;
	ret = pt_live_start(&s->live.thread, &live, &s->error);
	if (!ret)
		work(s, PT_SEND_LIVE_ARM, PT_LIVE_ARM);
	return ret;
}

int pt_sender_live_is_armed(struct pt_sender *s)
{
	return s->live.thread ? pt_live_result(s->live.thread, &s->error) : 1;
}

/* mark_all makes the found pages dirty. */
static void mark_all(struct pt_sender *s, struct pt_dirty *found)
{
	__u64 region_cnt = pt_layout_region_cnt(s->layout);
	__u64 bits[PT_REGION_WORDS];

	for (__u64 r = 0; r < region_cnt; r++) {
		if (!pt_dirty_take(found, r, bits))
			continue;
		for (unsigned w = 0; w < PT_REGION_WORDS; w++)
			for (; bits[w]; bits[w] &= bits[w] - 1)
				pt_dirty_set(s->dirty, r * PT_REGION_PAGES +
					     w * 64 + __builtin_ctzll(bits[w]),
					     1);
	}
}

/* mark makes the found pages dirty, those last that are hot, and counts them in r.
 * The lanes are clean, so they do not use the dirty set. */
static void mark(struct pt_sender *s, struct pt_round *r)
{
	struct pt_dirty *found = pt_live_found(s->live.thread);

	r->cooled_pages = 0;
	if (s->live.hot && !pt_live_report(s->live.thread)->is_exact)
		r->cooled_pages = pt_hot_sort(s->live.hot, found, s->dirty);
	else
		mark_all(s, found);
	r->hot_pages = pt_hot_cnt(s->live.hot);
	r->dirty_pages = r->hot_pages;
	for (__u64 i = 0; i < pt_layout_region_cnt(s->layout); i++)
		r->dirty_pages += pt_dirty_cnt(s->dirty, i);
}

void pt_sender_live_round(struct pt_sender *s, enum pt_send_live_step step)
{
	pt_sender_count(s);
	pt_round_clock_begin(&s->live.clock, pt_clock_ns());
	s->live.round_pages = s->report.pages_sent;
	s->live.round_zero_pages = s->report.zero_pages_sent;
	s->live.round_wire_bytes = s->report.wire_bytes;
	s->live.round_deltas = s->report.deltas;
	s->live.round_delta_saved = s->report.delta_saved;
	pt_sender_live_enter(s, step);
	s->round++;
	for (__u32 i = 0; i < s->lane_cnt; i++)
		pt_inbox_round(pt_lane_inbox(s->lanes[i]), s->round);
}

/* warn_of_misses warns once. */
static void warn_of_misses(struct pt_sender *s)
{
	__u32 misses = pt_live_report(s->live.thread)->misses;

	if (!(misses & PT_TRACK_MISSES_MAPPERS) || s->live.is_warned)
		return;
	s->live.is_warned = true;
	if (s->cfg.warn)
		s->cfg.warn("some processes cannot be looked at (hidepid, or "
			    "another pid namespace): if one of them writes the "
			    "memory, too, that is not noticed", s->cfg.arg);
}

void pt_sender_live_go(struct pt_sender *s)
{
	if (!s->live.thread)
		return;
	warn_of_misses(s);
	s->report.live.round.idx = 1;
	pt_round_clock_begin(&s->live.clock, pt_clock_ns());
	if (is_told(s))
		work(s, PT_SEND_LIVE_BEGIN, PT_LIVE_BEGIN);
	else
		pt_sender_live_enter(s, PT_SEND_LIVE_ROUND);
}

/* round_end fills the round, and begins the look for the pages of the next. */
static void round_end(struct pt_sender *s)
{
	struct pt_round *r = &s->report.live.round;

	pt_sender_count(s);
	pt_round_clock_end(&s->live.clock, r, s->live.delay_ns, pt_clock_ns());
	r->data_pages = s->report.pages_sent - s->live.round_pages;
	r->pages = r->data_pages + s->report.zero_pages_sent -
		   s->live.round_zero_pages;
	r->wire_bytes = s->report.wire_bytes - s->live.round_wire_bytes;
	r->delta_pages = s->report.deltas - s->live.round_deltas;
	r->delta_saved = s->report.delta_saved - s->live.round_delta_saved;
	pt_sender_live_enter(s, PT_SEND_LIVE_LOOK);
	pt_live_do(s->live.thread, PT_LIVE_LOOK, s->live.delay_ns);
}

static void tell_round(struct pt_sender *s)
{
	if (s->cfg.live->round)
		s->cfg.live->round(&s->report.live.round, s->cfg.live->arg);
}

/* go_on sends what was told, or ends with it. */
static void go_on(struct pt_sender *s)
{
	struct pt_round *r = &s->report.live.round;

	mark(s, r);
	if (r->took_ns)
		r->bytes_per_s = r->wire_bytes * 1e9 / r->took_ns;
	if (s->cfg.live->guest.is_last(s->cfg.live->guest.arg)) {
		work(s, PT_SEND_LIVE_STOP, PT_LIVE_STOP);
		return;
	}
	r->idx++;
	pt_sender_live_round(s, PT_SEND_LIVE_ROUND);
}

/* decide chooses the step after a look. */
static int decide(struct pt_sender *s)
{
	const struct pt_live_report *found = pt_live_report(s->live.thread);
	const struct pt_stop_costs costs = {
		.look_ns = found->collect_ns + found->holes_ns,
		.suspects = found->suspect_cnt,
		.suspect_ns = found->compare_ns,
		.is_settled = found->is_settled,
		.left_ns = pt_sender_deadline_left_ns(s),
	};
	struct pt_round *r = &s->report.live.round;
	enum pt_converge_do next;

	r->look_ns = found->look_ns;
	mark(s, r);
	next = pt_converge_round(&s->live.converge, &s->live.limits, &costs, r);
	if (s->cfg.live->postcopy && r->idx >= s->cfg.live->postcopy_after)
		next = PT_CONVERGE_STOP;
	tell_round(s);
	if (next == PT_CONVERGE_FAIL)
		return pt_sender_fail_to_converge(s);
	s->live.throttle = r->throttle;
	if (next == PT_CONVERGE_STOP) {
		s->report.live.throttle = 0;
		work(s, PT_SEND_LIVE_BEGIN, PT_LIVE_BEGIN);
		return 0;
	}
	/* A round of none makes no progress. */
	if (next == PT_CONVERGE_AGAIN && r->hot_pages == r->dirty_pages)
		pt_hot_release(s->live.hot, s->dirty);
	s->live.delay_ns = next == PT_CONVERGE_PAUSE ? PT_PAUSE_NS : 0;
	r->idx++;
	pt_sender_live_round(s, PT_SEND_LIVE_ROUND);
	return pt_sender_live_throttle(s);
}

/* begun: the device state flows from now on. */
static int begun(struct pt_sender *s)
{
	int fd = pt_live_state_fd(s->live.thread);
	int ret = 0;

	if (fd >= 0)
		ret = pt_relay_open(&s->live.relay, fd, s->conn, &s->error);
	if (!ret && s->live.relay && is_told(s))
		pt_relay_any_length(s->live.relay);
	if (!ret && s->live.relay)
		ret = pt_sender_watch(s, pt_relay_fd(s->live.relay));
	if (!ret && is_told(s))
		work(s, PT_SEND_LIVE_LOOK, PT_LIVE_LOOK);
	else if (!ret)
		work(s, PT_SEND_LIVE_STOP, PT_LIVE_STOP);
	return ret;
}

/* stopped: the guest stands still, and the last pages are known. */
static void stopped(struct pt_sender *s)
{
	const struct pt_live_report *report = pt_live_report(s->live.thread);
	struct pt_round last = { 0 };

	s->live.last_ns = pt_clock_ns();
	s->live.stopped_ns = s->live.last_ns - report->recheck_ns;
	mark(s, &last);
	pt_hot_release(s->live.hot, s->dirty);
	s->report.live.last_pages = last.dirty_pages;
	if (s->cfg.live->postcopy) {
		pt_sender_postcopy_begin(s);
		return;
	}
	pt_sender_live_round(s, PT_SEND_LIVE_LAST);
}

bool pt_sender_live_is_stopping(const struct pt_sender *s)
{
	return s->live.step >= PT_SEND_LIVE_BEGIN;
}

/* hold: a pause keeps the result of a look, and no round follows. */
static bool hold(struct pt_sender *s)
{
	s->live.is_held = s->report.is_paused &&
			  s->live.step == PT_SEND_LIVE_LOOK;
	return s->live.is_held;
}

/* A look before the pause says little of a stop after it, so another follows; but
 * for memory that is told, a look means that all pages of the look before have
 * arrived, so the held one counts. */
void pt_sender_live_resume(struct pt_sender *s, __u64 took_ns)
{
	if (s->live.step == PT_SEND_LIVE_ROUND)
		pt_round_clock_pause(&s->live.clock, took_ns, pt_clock_ns());
	s->live.looks_again |= s->live.is_held && !is_told(s);
	s->live.is_held = false;	/* the next step takes it up */
}

static void look_again(struct pt_sender *s)
{
	s->live.looks_again = false;
	mark(s, &s->report.live.round);
	pt_round_clock_look_again(&s->live.clock, &s->report.live.round,
				  pt_clock_ns());
	work(s, PT_SEND_LIVE_LOOK, PT_LIVE_LOOK);
}

/* found continues after a job of the live thread. */
static int found(struct pt_sender *s)
{
	int ret = pt_live_result(s->live.thread, &s->error);

	if (ret <= 0 || hold(s))
		return ret < 0 ? ret : 0;
	warn_of_misses(s);
	switch (s->live.step) {
	case PT_SEND_LIVE_LOOK:
		if (s->live.looks_again) {
			look_again(s);
			return 0;
		}
		if (!is_told(s))
			return decide(s);
		go_on(s);
		return 0;
	case PT_SEND_LIVE_BEGIN:
		return begun(s);
	case PT_SEND_LIVE_STOP:
		stopped(s);
		return 0;
	default:
		return 0;
	}
}

/* finish ends the last round: a process that goes on stands still no longer. */
static void finish(struct pt_sender *s)
{
	if (s->live.is_sent || !s->cfg.live->guest.sent)
		return;
	s->live.is_sent = true;
	pt_live_do(s->live.thread, PT_LIVE_SENT, 0);
}

int pt_sender_live_advance(struct pt_sender *s, bool is_clean)
{
	bool is_sent = s->live.step == PT_SEND_LIVE_ROUND ||
		       s->live.step == PT_SEND_LIVE_LAST;
	int ret;

	if (!s->live.thread)
		return is_clean;
	if (pt_sender_postcopy_is_on(s))
		return pt_sender_postcopy_advance(s, is_clean);
	ret = pt_sender_deadline_watch(s);
	if (!ret)
		ret = pt_sender_live_throttle(s);
	if (ret)
		return ret;
	if (!is_sent)
		return found(s);
	if (!is_clean)
		return 0;
	if (s->live.step == PT_SEND_LIVE_LAST) {
		finish(s);
		return 1;
	}
	ret = pt_live_result(s->live.thread, &s->error);	/* THROTTLE */
	if (ret <= 0)
		return ret;
	round_end(s);
	return 0;
}

int pt_sender_live_relay(struct pt_sender *s)
{
	const struct pt_live_guest *guest;
	struct pt_relay_counts counts;
	int ret;

	if (!s->live.relay || s->is_commit_sent)
		return 0;
	guest = &s->cfg.live->guest;
	/* Before the end of its stream, which the receiver would complain of. */
	ret = guest->failure ? guest->failure(guest->arg, &s->error) : 0;
	if (ret)
		return ret;
	ret = pt_relay_step(s->live.relay, &s->error);
	pt_relay_counts(s->live.relay, &counts);
	s->report.live.state_sz = counts.sent_sz;
	s->moves += counts.sent_sz + counts.written_sz != s->live.moved_sz;
	s->live.moved_sz = counts.sent_sz + counts.written_sz;
	return ret < 0 ? ret : 0;
}

void pt_sender_live_unwatch(const struct pt_sender *s)
{
	if (s->live.relay)
		pt_sender_unwatch(s, pt_relay_fd(s->live.relay));
}

int pt_sender_live_take(struct pt_sender *s, const struct pt_msg_state *m)
{
	if (s->is_commit_sent)
		return 0;	/* nobody reads the stream any more */
	if (s->live.relay)
		return pt_relay_take(s->live.relay, m, &s->error);
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: STATE "
			    "before the guest was stopped (another version of "
			    "pagetrim?)");
}

int pt_sender_live_hand_over(struct pt_sender *s)
{
	int ret;

	if (!s->live.thread || pt_sender_postcopy_is_on(s))
		return 1;
	if (s->live.step == PT_SEND_LIVE_LAST) {
		if (!pt_live_result(s->live.thread, &s->error))
			return 0;	/* SENT */
		s->live.hand_over_ns = pt_clock_ns();
		pt_sender_expect(s);
		work(s, PT_SEND_LIVE_HAND_OVER, PT_LIVE_HAND_OVER);
	}
	ret = pt_live_result(s->live.thread, &s->error);
	return ret ? ret : pt_sender_owed(s, "all answers to the device state, "
					     "or not all of that was sent");
}
