/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>

#define QUEUED_MAX	(4u << 20)	/* bytes in the connection, before more is told */
#define WANTED_MAX	PT_INBOX_WANTED	/* pages of one PAGES_WANTED */

int pt_sender_postcopy_agree(struct pt_sender *s)
{
	if (!s->cfg.live || !(s->cfg.live->postcopy || pt_sender_is_rest(s)) ||
	    pt_conn_capabilities(s->conn) & PT_CAP_POSTCOPY)
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTONOSUPPORT, "{postcopy}: %s "
			    "does not answer the faults of a guest (start receive with "
			    "{serve-faults} there; it must be as new as this pagetrim)",
			    pt_conn_peer_text(s->conn));
}

bool pt_sender_postcopy_is_on(const struct pt_sender *s)
{
	return s->live.step >= PT_SEND_LIVE_LACK;
}

void pt_sender_postcopy_begin(struct pt_sender *s)
{
	s->region_told = 0;
	pt_sender_expect(s);
	pt_sender_live_enter(s, PT_SEND_LIVE_LACK);
	eventfd_write(s->wake_fd, 1);
}

/* ---- what the receiver lacks ---- */

/* next_lacking finds the next dirty pages from *page_idx on, which follow one another in
 * the guest's memory; 0: there are none. */
static __u32 next_lacking(struct pt_sender *s, __u64 *page_idx)
{
	__u64 end = pt_layout_region_cnt(s->layout) * PT_REGION_PAGES, at = *page_idx;
	__u32 cnt = 0;

	while (at < end && !pt_dirty_cnt(s->dirty, at / PT_REGION_PAGES))
		at = (at / PT_REGION_PAGES + 1) * PT_REGION_PAGES;
	while (at < end && !pt_dirty_has(s->dirty, at)) {
		at++;
		while (at < end && at % PT_REGION_PAGES == 0 &&
		       !pt_dirty_cnt(s->dirty, at / PT_REGION_PAGES))
			at += PT_REGION_PAGES;
	}
	*page_idx = at;
	while (at < end && pt_dirty_has(s->dirty, at) &&
	       (!cnt || at % PT_REGION_PAGES)) {
		pt_digests_set(&s->digests, at++, 0);
		cnt++;
	}
	return cnt;
}

/* tell_some sends one PAGES_LACKING; the one without pages is the last. */
static int tell_some(struct pt_sender *s)
{
	struct pt_send_postcopy *p = &s->postcopy;
	struct pt_seq_range ranges[PT_PAGES_MAX];
	struct pt_message m = {
		.type = PT_MSG_PAGES_LACKING,
		.pages_lacking = { .page = ranges },
	};
	__u32 cnt = 0, run;

	while (cnt < PT_PAGES_MAX && (run = next_lacking(s, &p->told_idx))) {
		ranges[cnt].first = pt_layout_gfn(s->layout, p->told_idx);
		ranges[cnt++].cnt = run;
		p->told_idx += run;
		s->report.live.lacking_pages += run;
	}
	m.pages_lacking.page_cnt = cnt;
	p->is_told = !cnt;
	s->moves++;
	return pt_conn_send(s->conn, &m, &s->error);
}

/* tell tells all that the receiver lacks, and then the digests of the rest. */
static int tell(struct pt_sender *s)
{
	int ret = 0;

	while (!ret && !s->postcopy.is_told && pt_conn_queued_sz(s->conn) < QUEUED_MAX)
		ret = tell_some(s);
	if (ret || !s->postcopy.is_told)
		return ret;
	if (s->region_told < pt_layout_region_cnt(s->layout))
		return pt_sender_say_digests(s);
	return s->postcopy.is_ready ? 1
		: pt_sender_owed(s, "PAGES_READY");
}

/* ---- the hand-over ---- */

/* go_on has the rest of the memory and the device state flow, side by side. */
static void go_on(struct pt_sender *s)
{
	for (__u32 i = 0; i < s->lane_cnt; i++)
		pt_inbox_fill(pt_lane_inbox(s->lanes[i]));
	pt_sender_live_round(s, PT_SEND_LIVE_EARLY);
	s->live.hand_over_ns = pt_clock_ns();
	pt_sender_expect(s);
	pt_live_do(s->live.thread, PT_LIVE_HAND_OVER, 0);
}

/* hand_over: QEMU has given the guest up.  From here on it may run there. */
static int hand_over(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_HAND_OVER,
		.hand_over = { .transfer_id = s->report.transfer_id,
			       .guest_id = s->cfg.live->guest_id },
	};
	int ret = pt_live_result(s->live.thread, &s->error);

	if (ret <= 0)
		return ret ? ret : pt_sender_owed(s, "all answers to the device state, "
						     "or not all of that was sent");
	pt_sender_live_unwatch(s);
	if (s->cfg.live->committing)
		s->cfg.live->committing(s->cfg.live->arg);
	ret = pt_conn_send(s->conn, &m, &s->error);
	s->is_commit_sent = !ret;
	pt_sender_live_enter(s, PT_SEND_LIVE_RUN);
	pt_sender_expect(s);
	return ret;
}

static void handed_over(struct pt_sender *s)
{
	s->report.live.is_handed = true;
	s->report.live.downtime_ns = s->postcopy.handed_ns - s->live.stopped_ns;
	pt_sender_live_enter(s, PT_SEND_LIVE_FILL);
	eventfd_write(s->wake_fd, 1);
}

void pt_sender_postcopy_go(struct pt_sender *s)
{
	s->postcopy.is_handed = s->report.live.is_handed = true;
	s->postcopy.handed_ns = pt_clock_ns();
	pt_sender_live_enter(s, PT_SEND_LIVE_FILL);
}

int pt_sender_postcopy_advance(struct pt_sender *s, bool is_clean)
{
	int ret;

	switch (s->live.step) {
	case PT_SEND_LIVE_LACK:
		ret = tell(s);
		if (ret > 0)
			go_on(s);
		return ret < 0 ? ret : 0;
	case PT_SEND_LIVE_EARLY:
		return hand_over(s);
	case PT_SEND_LIVE_RUN:
		if (!s->postcopy.is_handed)
			return pt_sender_owed(s, "HANDED_OVER");
		handed_over(s);
		return 0;
	default:
		if (is_clean)
			s->region_told = 0;
		return is_clean;
	}
}

/* ---- messages ---- */

static int unexpected(struct pt_sender *s, const struct pt_message *m)
{
	return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: %s at the "
			    "wrong time (another version of pagetrim?)",
			    pt_message_name(m->type));
}

/* want has the lane of a page send it first. */
static void want(struct pt_sender *s, __u64 gfn)
{
	__u64 page_idx;
	__u16 stripe;

	if (!s->stripe_cnt || !pt_layout_find(s->layout, gfn, &page_idx))
		return;		/* it is asked for again */
	s->report.live.wanted_pages++;
	stripe = page_idx / PT_REGION_PAGES % s->stripe_cnt;
	pt_inbox_want(pt_lane_inbox(s->lanes[s->stripe_lanes[stripe]]), page_idx);
}

static void take_wanted(struct pt_sender *s, const struct pt_msg_pages_wanted *m)
{
	__u32 left = WANTED_MAX;

	for (__u32 i = 0; i < m->page_cnt; i++)
		for (__u32 n = 0; n < m->page[i].cnt && left; n++, left--)
			want(s, m->page[i].first + n);
}

int pt_sender_postcopy_take(struct pt_sender *s, const struct pt_message *m)
{
	enum pt_send_live_step step = s->live.step;

	if (m->type == PT_MSG_PAGES_READY && step == PT_SEND_LIVE_LACK &&
	    s->region_told == pt_layout_region_cnt(s->layout)) {
		s->postcopy.is_ready = true;
	} else if (m->type == PT_MSG_HANDED_OVER && step == PT_SEND_LIVE_RUN &&
		   m->handed_over.transfer_id == s->report.transfer_id) {
		s->postcopy.is_handed = true;
		s->postcopy.handed_ns = pt_clock_ns();
	} else if (m->type == PT_MSG_PAGES_WANTED &&
		   (step > PT_SEND_LIVE_LACK || pt_sender_is_rest(s))) {
		take_wanted(s, &m->pages_wanted);
	} else {
		return unexpected(s, m);
	}
	return 0;
}

/* lack makes pages of one segment dirty. */
static void lack(struct pt_sender *s, __u64 gfn, __u64 cnt)
{
	__u64 page_idx;

	pt_layout_find(s->layout, gfn, &page_idx);
	s->report.live.lacking_pages += cnt;
	while (cnt) {
		__u64 run = PT_REGION_PAGES - page_idx % PT_REGION_PAGES;

		run = run < cnt ? run : cnt;
		pt_dirty_set(s->dirty, page_idx, run);
		page_idx += run;
		cnt -= run;
	}
}

int pt_sender_postcopy_lacking(struct pt_sender *s,
			       const struct pt_msg_pages_lacking *m)
{
	if (!pt_sender_is_rest(s) || s->postcopy.is_told ||
	    s->report.phase > PT_SEND_COMPARE || s->setup < PT_SETUP_OPENED)
		return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: "
				    "PAGES_LACKING at the wrong time (another version "
				    "of pagetrim?)");
	for (__u32 i = 0; i < m->page_cnt; i++) {
		if (m->page[i].cnt > pt_layout_run_cnt(s->layout, m->page[i].first))
			return pt_error_set(&s->error, PT_EXIT_PEER, -EPROTO, "receiver: "
					    "PAGES_LACKING of pages that are not there "
					    "(another version of pagetrim?)");
		lack(s, m->page[i].first, m->page[i].cnt);
	}
	s->postcopy.is_told = !m->page_cnt;
	s->moves++;
	return 0;
}

int pt_sender_postcopy_explain(struct pt_sender *s, int ret)
{
	struct pt_error why = s->error;
	bool is_refused = s->is_aborted && why.exit != PT_EXIT_UNKNOWN;

	if (!ret || !(pt_sender_is_rest(s) ? s->setup >= PT_SETUP_OPENED
		      : s->is_commit_sent && pt_sender_postcopy_is_on(s)))
		return ret;
	if (s->postcopy.is_handed && why.exit == PT_EXIT_MISMATCH)
		return pt_error_set(&s->error, why.exit, ret, "%.250s (the guest runs at "
				    "the receiver, with that in its memory; if receive says "
				    "that pages have not come, give the same commands at "
				    "both ends again)", why.text);
	if (s->postcopy.is_handed || pt_sender_is_rest(s))
		return pt_error_set(&s->error, why.exit, ret, "%.250s (the guest runs at "
				    "the receiver and waits for pages that only the "
				    "QEMU here has: do not end it, and give the same "
				    "commands at both ends again)", why.text);
	if (is_refused)
		return ret;
	return pt_error_set(&s->error, PT_EXIT_UNKNOWN, ret, "outcome unknown: %.250s "
			    "(%s)", why.text, pt_sender_look(s));
}
