/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/lane_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>

#define DOUBT_NS	200000000ULL	/* for control to read pending input */
#define IDLE_NS		100000000ULL	/* wait if there is nothing to do */

static void set_state(struct pt_lane *l, enum pt_lane_state state)
{
	if (atomic_exchange(&l->state, state) != (int)state)
		eventfd_write(l->cfg.job->wake_fd, 1);
}

/* set_clean: a round may have no pages of this lane, whose state is clean
 * already. */
static void set_clean(struct pt_lane *l)
{
	if (atomic_exchange(&l->counts.round_done, l->round) != l->round)
		eventfd_write(l->cfg.job->wake_fd, 1);
	set_state(l, PT_LANE_CLEAN);
}

/* watch_path: a path may start to drop large frames silently (a PMTU black
 * hole) while small ones still pass; then the lane searches the size again. */
static void watch_path(struct pt_lane *l, __u32 came_sz)
{
	if (came_sz > pt_lane_small_sz(l))
		l->large_lost = 0;
	if (l->large_lost < PT_LANE_LARGE_LOST)
		return;
	l->large_lost = 0;
	l->reprobe = true;
}

static int take_ack(struct pt_lane *l)
{
	const struct pt_mail *mail = &l->mail;
	__u64 placed_upto = l->cfg.job->arrivals ? mail->placed_upto
						 : mail->cum_ack;
	__u32 came_sz;
	int ret;

	for (__u32 i = 0; i < mail->missing_cnt; i++) {
		ret = pt_lane_lost(l, &mail->missing[i]);
		if (ret)
			return ret;
	}
	if (l->cfg.job->regulator)
		pt_lane_take_arrivals(l);
	came_sz = pt_inflight_came(l->inflight, mail->cum_ack);
	if (mail->freed_desc < l->freed_desc ||
	    mail->freed_desc + l->lost_desc > l->sent_desc ||
	    placed_upto < l->placed_upto || placed_upto > mail->cum_ack ||
	    pt_inflight_release(l->inflight, mail->cum_ack))
		return pt_error_set(&l->error_text, PT_EXIT_PEER, -EPROTO,
				    "lane %u: the receiver acknowledges what "
				    "was not sent (is it pagetrim?)",
				    l->cfg.lane_idx);
	/* With nothing in flight the sender is the bottleneck: a limit, or the
	 * source. */
	if (mail->freed_desc > l->freed_desc)
		l->unaccepted_ns = pt_inflight_is_empty(l->inflight)
			? 0 : pt_clock_ns();
	l->freed_desc = mail->freed_desc;
	l->window = mail->window;
	l->placed_upto = placed_upto;
	watch_path(l, came_sz);
	return 0;
}

/* is_stuck: no frame was accepted for the time limit, although the receiver
 * answers.  That also seems so to a process that was stopped, until control has
 * read the pending input, so it is checked twice. */
static bool is_stuck(struct pt_lane *l)
{
	__u64 limit_ns = l->cfg.job->progress_ns, now_ns = pt_clock_ns();
	__u64 since_ns = atomic_load(&l->cfg.job->waited_ns);

	if (since_ns < l->unaccepted_ns)
		since_ns = l->unaccepted_ns;
	if (!l->unaccepted_ns || now_ns - since_ns <= limit_ns ||
	    pt_conn_last_recv_ns(l->cfg.job->conn) <
		    l->unaccepted_ns + limit_ns / 2) {
		l->doubt_ns = 0;
		return false;
	}
	if (!l->doubt_ns)
		l->doubt_ns = now_ns;
	return now_ns - l->doubt_ns > DOUBT_NS;
}

/* watch_progress: the control channel may live while no frame arrives any more,
 * and with loss alone we would send forever.  If the peer is silent there, too,
 * control reports a better cause, and soon. */
static int watch_progress(struct pt_lane *l)
{
	__u64 limit_ns = l->cfg.job->progress_ns;

	if (!is_stuck(l))
		return 0;
	if (pt_inflight_is_empty(l->inflight) && !l->is_probing)
		return pt_error_set(&l->error_text, PT_EXIT_PEER, -ETIMEDOUT,
				    "lane %u: the receiver has let no frame go "
				    "for %llu s, though it answers (is it "
				    "stuck? its log tells)", l->cfg.lane_idx,
				    limit_ns / 1000000000ULL);
	return pt_error_set(&l->error_text, PT_EXIT_PEER, -ETIMEDOUT, "lane %u: "
			    "no frame was accepted for %llu s, though the "
			    "receiver answers (is the path cut for frames, was "
			    "its XDP program detached?)", l->cfg.lane_idx,
			    limit_ns / 1000000000ULL);
}

/* count_dirty counts the lane's pages that control has marked to be sent. */
static void count_dirty(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	__u64 region_cnt = pt_layout_region_cnt(job->layout);

	l->dirty_cnt = 0;
	for (__u64 r = l->stripe; r < region_cnt; r += l->stripe_cnt)
		l->dirty_cnt += pt_dirty_cnt(job->dirty, r);
	pt_lane_show_dirty(l);
}

static int wait_for(struct pt_lane *l, enum pt_lane_wait wait, __u64 ns)
{
	l->wait = wait;
	l->wait_from_ns = pt_clock_ns();
	l->wait_until_ns = l->wait_from_ns + ns;
	return PT_LANE_WAITS;
}

int pt_lane_for_mail(struct pt_lane *l, __u64 ns)
{
	int ret = pt_lane_nudge(l, &ns);

	return ret ? ret : wait_for(l, PT_LANE_FOR_MAIL, ns);
}

int pt_lane_for_device(struct pt_lane *l, __u64 ns)
{
	return wait_for(l, PT_LANE_FOR_DEVICE, ns);
}

int pt_lane_for_buffer(struct pt_lane *l, __u64 ns)
{
	return wait_for(l, PT_LANE_FOR_BUFFER, ns);
}

int pt_lane_for_turn(struct pt_lane *l)
{
	int ret = l->unkicked.frame_cnt ? pt_lane_kick(l) : 0;

	l->turn.stage = pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
	return ret ? ret : wait_for(l, PT_LANE_FOR_TURN, 0);
}

int pt_lane_take_mail(struct pt_lane *l)
{
	struct pt_mail *mail = &l->mail;
	int ret;

	mail->missing_cnt = 0;
	mail->refused_cnt = 0;
	mail->wanted_cnt = 0;
	if (!pt_inbox_take(l->inbox, mail))
		return watch_progress(l);
	if (mail->stop)
		return -ECANCELED;
	if (mail->is_ready)
		l->window = mail->window;
	if (mail->has_link) {
		mail->link.src_port = l->cfg.link.src_port;
		l->cfg.link = mail->link;
	}
	if (mail->go) {
		l->go = true;
		l->stripe = mail->stripe;
		l->stripe_cnt = mail->stripe_cnt;
	}
	l->reprobe |= mail->reprobe;
	l->fills = mail->fills;
	if (mail->round != l->round) {
		l->round = mail->round;
		count_dirty(l);
	}
	ret = pt_lane_refused(l);
	pt_lane_wanted_take(l);
	if (!ret && mail->has_ack)
		ret = take_ack(l);
	if (ret)
		return ret;
	return watch_progress(l);
}

int pt_lane_spent(struct pt_lane *l, const char *what, __u64 max)
{
	return pt_error_set(&l->error_text, PT_EXIT_FAILED, -EOVERFLOW, "lane %u: "
			    "its %s numbers are used up, %llu was the last "
			    "(start again, with {resume})", l->cfg.lane_idx, what,
			    (unsigned long long)max);
}

/* set_limits: the defaults in place of zeroes. */
static void set_limits(struct pt_lane_cfg *cfg)
{
	if (!cfg->seq_max)
		cfg->seq_max = cfg->seal ? PT_SEALED_SEQ_MAX : PT_SEQ_MAX;
	if (!cfg->probe_max)
		cfg->probe_max = cfg->seal ? PT_SEALED_PROBE_MAX : PT_SEQ_MAX;
	if (!cfg->generation_max)
		cfg->generation_max = ~0U;
}

/* settle waits for acknowledgements if there is nothing to send. */
static int settle(struct pt_lane *l)
{
	int ret = 0;

	pt_chooser_break(&l->chooser);
	if (pt_lane_is_settled(l)) {
		pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_IDLE);
		set_clean(l);
		return pt_lane_for_mail(l, IDLE_NS);
	}
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
	if (l->synced_seq != pt_inflight_next_seq(l->inflight))
		ret = pt_lane_sync(l);
	return ret ? ret : pt_lane_for_mail(l, IDLE_NS);
}

/* wait_go waits until the lanes are divided. */
static int wait_go(struct pt_lane *l)
{
	int ret;

	if (!l->go)
		return pt_lane_for_mail(l, IDLE_NS);
	count_dirty(l);
	ret = pt_lane_copies_open(l);
	if (!ret)
		ret = pt_lane_deltas_open(l);
	l->phase = PT_PHASE_BETWEEN;
	return ret;
}

/* between sweeps: a lane with nothing to send needs no path; while the receiver
 * verifies, it would not even answer probes. */
static int between(struct pt_lane *l)
{
	if (!l->dirty_cnt)
		return settle(l);
	if (l->reprobe) {
		pt_lane_probe_begin(l);
		return 0;
	}
	set_state(l, PT_LANE_SENDING);
	l->phase = PT_PHASE_SWEEP;
	return pt_lane_sweep_begin(l);
}

/* go_on returns 0 if there is more to do. */
static int go_on(struct pt_lane *l)
{
	int ret = pt_lane_probe(l);

	if (ret)
		return ret;
	switch (l->phase) {
	case PT_PHASE_START:
		set_state(l, PT_LANE_READY);
		l->phase = PT_PHASE_GO;
		return 0;
	case PT_PHASE_GO:
		return wait_go(l);
	case PT_PHASE_BETWEEN:
		return between(l);
	case PT_PHASE_SWEEP:
		ret = pt_lane_sweep(l);
		if (!ret)
			l->phase = PT_PHASE_BETWEEN;
	}
	return ret;
}

int pt_lane_step(struct pt_lane *l)
{
	enum pt_lane_wait wait = l->wait;
	__u64 now_ns = pt_clock_ns();
	int ret;

	if (wait == PT_LANE_FOR_TURN)
		pt_stage_enter(l->cfg.clock, l->turn.stage);
	else if (wait != PT_LANE_NO_WAIT)
		l->waited_ns += now_ns - l->wait_from_ns;
	l->turn.is_over = false;
	l->turn.until_ns = now_ns + PT_TURN_NS;
	l->wait = PT_LANE_NO_WAIT;
	ret = pt_lane_take_mail(l);
	while (!ret) {
		ret = go_on(l);
		if (ret == PT_LANE_WAITS && l->wait == PT_LANE_NO_WAIT)
			ret = 0;	/* a search was begun */
	}
	return ret;
}

void pt_lane_begin(struct pt_lane *l)
{
	pt_stage_start(l->cfg.clock, PT_SEND_STAGE_IDLE);
	pt_lane_probe_begin(l);
}

void pt_lane_end(struct pt_lane *l, int code)
{
	pt_lane_leave_end(l);
	pt_stage_stop(l->cfg.clock);
	pt_inbox_stop(l->inbox);	/* no messages are taken any more */
	l->error = code;
	if (code != -ECANCELED)
		set_state(l, code == -EHOSTUNREACH && !l->go
			     ? PT_LANE_UNREACHED : PT_LANE_FAILED);
	atomic_store(&l->has_ended, true);
	eventfd_write(l->cfg.job->wake_fd, 1);
}

static void lane_free(struct pt_lane *l)
{
	pt_view_free(&l->view);
	pt_copies_free(&l->copies);
	pt_deltas_free(&l->deltas);
	pt_lane_compress_close(l);
	pt_inflight_destroy(l->inflight);
	pt_inbox_destroy(l->inbox);
	free(l);
}

int pt_lane_start(struct pt_lane **out, const struct pt_lane_cfg *cfg,
		  struct pt_error *err)
{
	const struct pt_inflight_cfg ring = {
		.frame_cnt = PT_LANE_FRAMES,
		.extent_cnt = PT_LANE_EXTENTS,
	};
	struct pt_lane *l = calloc(1, sizeof(*l));
	int ret = -ENOMEM;

	if (!l)
		goto fail;
	l->cfg = *cfg;
	set_limits(&l->cfg);
	l->src_port = cfg->link.src_port;
	l->stripe_cnt = 1;
	pt_view_init(&l->view);
	pt_adaptive_init(&l->adaptive, cfg->job->trim, cfg->job->observe);
	ret = pt_inbox_create(&l->inbox);
	if (!ret)
		ret = pt_inflight_create(&l->inflight, &ring);
	if (!ret)
		ret = pt_lane_compress_open(l);
	if (!ret) {
		*out = l;
		pt_worker_add(cfg->worker, l);
		return 0;
	}
	lane_free(l);
fail:
	return pt_error_set(err, PT_EXIT_HOST, ret,
			    "lane %u: cannot start: %s",
			    cfg->lane_idx, strerror(-ret));
}

void pt_lane_stop(struct pt_lane *l)
{
	if (!l)
		return;
	pt_inbox_stop(l->inbox);
	pt_worker_await(l->cfg.worker, l);
	lane_free(l);
}

bool pt_lane_has_ended(const struct pt_lane *l)
{
	return atomic_load(&l->has_ended);
}

struct pt_inbox *pt_lane_inbox(struct pt_lane *l)
{
	return l->inbox;
}

enum pt_lane_state pt_lane_state(const struct pt_lane *l)
{
	return atomic_load(&l->state);
}

const struct pt_lane_counts *pt_lane_counts(const struct pt_lane *l)
{
	return &l->counts;
}

int pt_lane_error(const struct pt_lane *l, struct pt_error *err)
{
	*err = l->error_text;
	return l->error;
}
