/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Ends phases, and begins the next ones. */
#include "send/sender_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>

#define DIGESTS_STEP	4		/* DIGESTS messages per step */
#define QUEUED_MAX	(256u << 10)	/* queued bytes; no DIGESTS above that */
#define FILES_LOG2	16		/* bytes of files per unit of progress */

__u64 pt_sender_enter(struct pt_sender *s, enum pt_send_phase phase)
{
	__u64 now_ns = pt_clock_ns();
	__u64 took_ns = now_ns - s->phase_ns;

	s->report.phase = phase;
	s->phase_ns = now_ns;
	pt_sender_expect(s);
	return took_ns;
}

void pt_sender_expect(struct pt_sender *s)
{
	pt_due_begin(&s->due, pt_due_limit_ns(s->cfg.peer_timeout_ms),
		     pt_clock_ns());
}

static __u16 lanes_ready(const struct pt_sender *s)
{
	__u16 cnt = 0;

	for (__u32 i = 0; i < s->lane_cnt; i++)
		cnt += pt_lane_state(s->lanes[i]) == PT_LANE_READY;
	return cnt;
}

/* check_mtu fails if the path does not pass the requested MTU.  If the path's
 * MTU shrinks later, the lanes adapt instead. */
static int check_mtu(struct pt_sender *s)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_READY)
			ret = pt_send_path_check_mtu(&s->path, s->cfg.mtu,
				atomic_load(&pt_lane_counts(
					s->lanes[i])->frame_sz),
				"path and receiver", &s->error);
	return ret;
}

/* probe waits until every lane has found a path, or failed to. */
static int probe(struct pt_sender *s)
{
	int ret;

	for (__u32 i = 0; i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_PROBING)
			return 0;
	if (!lanes_ready(s))
		return pt_lane_error(s->lanes[0], &s->error);
	ret = check_mtu(s);
	if (ret)
		return ret;
	pt_sender_enter(s, PT_SEND_COMPARE);
	eventfd_write(s->wake_fd, 1);	/* step at once again */
	if (s->report.is_resumed)
		return pt_held_start(&s->held, &s->error);
	/* Memory that its writer reports is sent only then, and a rest as far as it
	 * lacks. */
	if (!s->cfg.live || (!s->cfg.live->guest.is_last && !pt_sender_is_rest(s)))
		pt_held_skip(&s->held);
	return 0;
}

/* go divides the regions among the lanes that reach the receiver. */
static void go(struct pt_sender *s)
{
	__u16 reached = lanes_ready(s);
	__u16 stripe = 0;

	for (__u32 i = 0; i < s->lane_cnt; i++) {
		if (pt_lane_state(s->lanes[i]) != PT_LANE_READY)
			continue;
		s->stripe_lanes[stripe] = i;
		if (pt_sender_is_rest(s))
			pt_inbox_fill(pt_lane_inbox(s->lanes[i]));
		pt_inbox_go(pt_lane_inbox(s->lanes[i]), stripe++, reached);
	}
	s->stripe_cnt = reached;
	s->report.compare_ns = pt_sender_enter(s, PT_SEND_SEND);
	s->report.setup_ns = s->phase_ns - s->started_ns;
	pt_sender_live_go(s);
	if (pt_sender_is_rest(s))
		pt_sender_postcopy_go(s);
}

/* While frames are sent, the lanes check their own progress instead.  A
 * receiver that waits for its storage sends WORKING, and each WORKING is
 * progress.  In a pause nothing reaches the receiver that it could answer. */
int pt_sender_owed(struct pt_sender *s, const char *what)
{
	char own[PT_ERROR_OWN_SZ];

	pt_due_look(&s->due, pt_clock_ns(), !s->report.is_paused, s->moves +
		    (pt_send_files_sent_sz(s->files) >> FILES_LOG2));
	if (!pt_due_is_over(&s->due))
		return 0;
	return pt_error_set(&s->error, PT_EXIT_PEER, -ETIMEDOUT, "%s: answers, but "
			    "has not sent %s for %.1f s (the deadline is %u "
			    "times {peer-timeout}; its log may have the reason)",
			    pt_conn_peer_text(s->conn), pt_error_own(own, what),
			    s->due.still_ns / 1e9, PT_DUE_TIMEOUTS);
}

/* compare waits for the thread that compares, so that control answers the peer
 * meanwhile. */
static int compare(struct pt_sender *s)
{
	int ret = s->report.is_resumed ? pt_held_result(&s->held, &s->error)
				       : pt_sender_live_is_armed(s);

	s->report.held_page_cnt = s->held.page_cnt;
	s->report.held_block_bytes = s->held.block_bytes;
	if (ret < 0)
		return ret;
	if (!ret && s->report.is_resumed && pt_held_is_waiting(&s->held))
		return pt_sender_owed(s, "HELD");
	if (pt_sender_is_rest(s) && !s->postcopy.is_told)
		return pt_sender_owed(s, "PAGES_LACKING");
	s->moves++;	/* the receiver owes nothing now */
	if (!ret)
		return 0;
	pt_held_stop(&s->held);
	go(s);
	return 0;
}

static bool lanes_are_clean(struct pt_sender *s)
{
	for (__u32 i = 0; i < s->lane_cnt; i++) {
		enum pt_lane_state state = pt_lane_state(s->lanes[i]);

		if (state != PT_LANE_UNREACHED &&
		    (state != PT_LANE_CLEAN || s->round != atomic_load(
			&pt_lane_counts(s->lanes[i])->round_done)))
			return false;
	}
	return true;
}

/* At most DIGESTS_STEP messages per step, and not faster than the receiver reads. */
int pt_sender_say_digests(struct pt_sender *s)
{
	__u64 region_cnt = pt_layout_region_cnt(s->layout);
	__u64 sums[PT_DIGESTS_MAX];
	int ret = 0;

	for (int i = 0; !ret && i < DIGESTS_STEP && s->region_told < region_cnt &&
	     pt_conn_queued_sz(s->conn) < QUEUED_MAX; i++) {
		__u64 left = region_cnt - s->region_told;
		struct pt_message m = {
			.type = PT_MSG_DIGESTS,
			.digests = {
				.region_first = s->region_told,
				.digest_cnt = left < PT_DIGESTS_MAX
					? left : PT_DIGESTS_MAX,
				.digest = sums,
			},
		};

		for (__u32 n = 0; n < m.digests.digest_cnt; n++)
			sums[n] = pt_digests_sum(&s->digests,
						 s->region_told++);
		s->moves++;
		ret = pt_conn_send(s->conn, &m, &s->error);
	}
	if (!ret && pt_conn_queued_sz(s->conn) < QUEUED_MAX)
		eventfd_write(s->wake_fd, 1);	/* step at once again */
	return ret;
}

/* start_recheck starts threads that read the source again, so that control
 * answers the peer meanwhile. */
static int start_recheck(struct pt_sender *s)
{
	const struct pt_recheck_cfg cfg = {
		.source = s->cfg.source,
		.layout = s->layout,
		.digests = &s->digests,
		.digest_key = s->digest_key,
		.wake_fd = s->wake_fd,
	};

	s->is_rechecked = !s->cfg.recheck;
	if (s->is_rechecked)
		return 0;
	pt_stage_enter(s->clock, PT_SEND_STAGE_RECHECK);
	return pt_recheck_start(&s->recheck, &cfg, &s->error);
}

static int watch_recheck(struct pt_sender *s)
{
	int ret;

	if (s->is_rechecked)
		return 0;
	ret = pt_recheck_result(s->recheck, &s->error);
	if (ret <= 0)
		return ret;
	s->is_rechecked = true;
	s->report.recheck_ns = pt_clock_ns() - s->phase_ns;
	pt_stage_bytes(s->clock, PT_SEND_STAGE_RECHECK,
		       pt_recheck_read_sz(s->recheck));
	pt_stage_enter(s->clock, PT_SEND_STAGE_IDLE);
	return 0;
}

static int verify(struct pt_sender *s)
{
	s->report.send_ns = pt_sender_enter(s, PT_SEND_VERIFY);
	s->live.verify_ns = s->phase_ns;
	eventfd_write(s->wake_fd, 1);
	return start_recheck(s);
}

/* ask_verify sends all digests, then VERIFY. */
static int ask_verify(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_VERIFY,
		.verify = { .sent_cnt = s->lane_cnt },
	};

	if (s->region_told < pt_layout_region_cnt(s->layout))
		return pt_sender_say_digests(s);
	for (__u32 i = 0; i < s->lane_cnt; i++)
		m.verify.sent[i] = atomic_load(
			&pt_lane_counts(s->lanes[i])->frames);
	s->is_asked = true;
	return pt_conn_send(s->conn, &m, &s->error);
}

static int commit(struct pt_sender *s)
{
	struct pt_message m = {
		.type = PT_MSG_COMMIT,
		.commit = { .transfer_id = s->report.transfer_id },
	};
	int ret;

	s->report.verify_ns = pt_sender_enter(s, PT_SEND_COMMIT);
	pt_sender_live_unwatch(s);
	if (s->cfg.live && s->cfg.live->committing && !s->is_commit_sent)
		s->cfg.live->committing(s->cfg.live->arg);
	ret = pt_conn_send(s->conn, &m, &s->error);
	/* Else its end was never written; HAND_OVER, which came before, was. */
	s->is_commit_sent = !ret || s->postcopy.is_handed;
	return ret;
}

/* watch_verify sends COMMIT when the receiver has verified its copy, and the
 * recheck has found no change of the source. */
static int watch_verify(struct pt_sender *s)
{
	int ret = watch_recheck(s);

	if (!ret && !s->is_asked)
		ret = ask_verify(s);
	if (ret)
		return ret;
	if (!s->is_verified)
		return pt_sender_owed(s, "VERIFIED");
	ret = s->is_rechecked ? pt_sender_live_hand_over(s) : 0;
	return ret > 0 ? commit(s) : ret;
}

/* await_files waits, after the memory, for the files. */
static int await_files(struct pt_sender *s, int is_done)
{
	return is_done ? verify(s)
		: pt_sender_owed(s, "WORKING, nor read more of the {with} "
				    "files");
}

int pt_sender_advance(struct pt_sender *s)
{
	int files = pt_send_files_result(s->files, &s->error);
	bool is_clean;
	int sent;

	if (files < 0)
		return files;
	for (__u32 i = 0; i < s->lane_cnt; i++)
		if (pt_lane_state(s->lanes[i]) == PT_LANE_FAILED)
			return pt_lane_error(s->lanes[i], &s->error);
	switch (s->report.phase) {
	case PT_SEND_SETUP:
		return pt_sender_set_up(s);
	case PT_SEND_PROBE:
		return probe(s);
	case PT_SEND_COMPARE:
		return compare(s);
	case PT_SEND_SEND:
		is_clean = lanes_are_clean(s);
		pt_send_files_alone(s->files, is_clean);
		sent = pt_sender_live_advance(s, is_clean);
		return sent > 0 ? await_files(s, files) : sent;
	case PT_SEND_VERIFY:
		return watch_verify(s);
	case PT_SEND_COMMIT:
		if (!s->is_committed)
			return pt_sender_owed(s, "COMMITTED");
		s->report.commit_ns = pt_sender_enter(s, PT_SEND_DONE);
		pt_sender_live_committed(s);
		return 0;
	default:
		return 0;
	}
}
