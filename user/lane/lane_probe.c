/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/lane_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "net/plpmtud.h"

#define COPIES		2		/* probes of one size, and */
#define COPIES_AGAIN	8		/* of the largest, if it was lost
					 * before, since a requested MTU has no
					 * alternative */
#define ROUND_NS	100000000ULL	/* wait for answers */
#define ROUNDS_MAX	24
#define SPACING_NS	20000ULL	/* one poll took closer probes at once */
#define PORTS_MAX	8		/* source ports tried: RSS hashes them */

struct round {
	__u32 sizes[PT_PLPMTUD_SIZES];
	__u32 cnt;
	__u64 probe_first;	/* of all rounds of the search: a late answer
				 * counts, too */
	bool is_complete;	/* the largest arrived, so the wait ends */
};

static int send_probe(struct pt_lane *l, __u32 frame_sz)
{
	struct pt_frame_id id = {
		.session_id = l->cfg.job->session_id,
		.seq = l->probe_next,
		.lane = l->cfg.lane_idx,
	};
	__u64 deadline = pt_clock_ns() + ROUND_NS;
	void *frame;

	while (!(frame = pt_xsk_tx_frame(l->cfg.xsk))) {
		pt_xsk_tx_wait(l->cfg.xsk, 10);
		if (pt_clock_ns() > deadline)
			return 0;	/* it counts as lost: the round goes
					 * on */
	}
	pt_probe_write(&l->cfg.link, &id, frame_sz, l->cfg.seal, frame);
	pt_xsk_tx_submit(l->cfg.xsk, frame, frame_sz);
	l->probe_next++;
	atomic_fetch_add_explicit(&l->counts.probes, 1, memory_order_relaxed);
	return 0;
}

/* take_pair: the spacing of two probes of one size at their arrival shows the
 * path's rate, and the first one shows its round trip. */
static void take_pair(struct pt_lane *l)
{
	for (__u32 i = 0; i < l->mail.probe_cnt; i++) {
		const struct pt_msg_probe_seen *seen = &l->mail.probes[i];

		if (seen->probe == l->pair.first && !l->pair.seen_ns) {
			l->pair.seen_ns = pt_clock_ns();
			l->pair.arrived_ns = seen->arrived_ns;
		} else if (seen->probe == l->pair.first + 1 &&
			   l->pair.seen_ns) {
			l->pair.took_ns = seen->arrived_ns -
					  l->pair.arrived_ns;
		}
	}
}

/* tell_pair: while the second one has not come, the spacing is at least the
 * time until now.  If none was reported, as on a path longer than a round's
 * wait, agreed_ns is known, the time of the agreement, which is no shorter than
 * the round trip. */
static void tell_pair(struct pt_lane *l, __u32 frame_sz, __u64 agreed_ns)
{
	struct pt_regulator *r = l->cfg.job->regulator;
	__u64 took_ns = l->pair.took_ns ? l->pair.took_ns
					: pt_clock_ns() - l->pair.seen_ns;

	if (!r)
		return;
	if (!l->pair.seen_ns)
		pt_regulator_probed(r, frame_sz, agreed_ns, 0);
	else
		pt_regulator_probed(r, frame_sz,
				    l->pair.seen_ns - l->pair.sent_ns,
				    took_ns < SPACING_NS ? 0 : frame_sz *
				    1000000000ULL / took_ns);
}

/* take_answers notes the probes of this lane that arrived. */
static void take_answers(struct pt_lane *l, struct pt_plpmtud *search,
			 struct round *round)
{
	take_pair(l);
	for (__u32 i = 0; i < l->mail.probe_cnt; i++) {
		const struct pt_msg_probe_seen *seen = &l->mail.probes[i];

		if (seen->probe < round->probe_first)
			continue;	/* of another path */
		pt_plpmtud_seen(search, seen->frame_sz);
		atomic_store(&l->counts.queue, seen->queue);
		if (seen->frame_sz >= round->sizes[0])
			round->is_complete = true;
	}
	l->mail.probe_cnt = 0;
}

static int run_round(struct pt_lane *l, struct pt_plpmtud *search,
		     struct round *round)
{
	__u64 deadline, now;
	int ret;

	round->is_complete = false;
	memset(&l->pair, 0, sizeof(l->pair));
	l->pair.first = round->cnt == 1 ? l->probe_next : ~0ULL - 1;
	l->pair.sent_ns = pt_clock_ns();
	for (unsigned copy = 0; copy < COPIES; copy++)
		for (__u32 i = 0; i < round->cnt; i++)
			send_probe(l, round->sizes[i]);
	for (unsigned copy = COPIES; copy < COPIES_AGAIN; copy++)
		if (search->lost_tries)
			send_probe(l, round->sizes[0]);
	ret = pt_lane_kick(l);
	if (ret)
		return ret;
	/* The timeout starts when the device has taken all probes. */
	pt_xsk_tx_wait(l->cfg.xsk, ROUND_NS / 1000000);
	deadline = pt_clock_ns() + ROUND_NS;
	while (!round->is_complete && (now = pt_clock_ns()) < deadline) {
		ret = pt_lane_take_mail(l, deadline - now);
		if (ret)
			return ret;
		take_answers(l, search, round);
	}
	pt_plpmtud_close(search, round->sizes, round->cnt);
	return 0;
}

static int find_size(struct pt_lane *l, __u32 *frame_sz)
{
	__u32 min_sz = pt_lane_small_sz(l);
	struct pt_plpmtud search;
	struct round round = { .probe_first = l->probe_next };
	int ret;

	pt_plpmtud_init(&search, min_sz, l->cfg.job->frame_sz_max);
	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		round.cnt = pt_plpmtud_next(&search, round.sizes);
		if (!round.cnt)
			break;
		ret = run_round(l, &search, &round);
		if (ret)
			return ret;
	}
	*frame_sz = search.seen_sz;
	return 0;
}

/* agree sends the result to the receiver and waits for its window. */
static int agree(struct pt_lane *l, __u32 frame_sz)
{
	struct pt_message m = {
		.type = PT_MSG_LANE_SET,
		.lane_set = {
			.lane = l->cfg.lane_idx,
			.queue = atomic_load(&l->counts.queue),
			.frame_sz = frame_sz,
		},
	};
	/* The answer may take as long as the control channel may be silent. */
	__u64 limit_ns = l->cfg.job->progress_ns;
	__u64 asked_ns = pt_clock_ns(), deadline = asked_ns + limit_ns;
	__u64 now, waited_ns;
	int ret;

	l->mail.is_ready = false;
	ret = pt_conn_send_wait(l->cfg.job->conn, &m, 1000, &l->error_text);
	if (ret)
		return ret;
	while (!l->mail.is_ready) {
		now = pt_clock_ns();
		waited_ns = atomic_load(&l->cfg.job->waited_ns);
		if (deadline < waited_ns + limit_ns)
			deadline = waited_ns + limit_ns;
		if (now >= deadline)
			return pt_error_set(&l->error_text, PT_EXIT_PEER,
					    -ETIMEDOUT, "lane %u: the receiver "
					    "does not grant it (see its log)",
					    l->cfg.lane_idx);
		ret = pt_lane_take_mail(l, deadline - now);
		if (ret)
			return ret;
		take_pair(l);
		l->mail.probe_cnt = 0;
	}
	l->mail.is_ready = false;
	l->frame_sz = frame_sz;
	tell_pair(l, frame_sz, pt_clock_ns() - asked_ns);
	pt_lane_builder_reset(l);
	atomic_store(&l->counts.frame_sz, frame_sz);
	return 0;
}

/* next_port: another source port may hash to another queue. */
static void next_port(struct pt_lane *l)
{
	__u16 tried = (l->cfg.link.src_port - l->src_port) / PT_LANES_MAX;

	l->cfg.link.src_port = l->src_port +
			       (tried + 1) % PORTS_MAX * PT_LANES_MAX;
}

int pt_lane_probe(struct pt_lane *l)
{
	unsigned stage = pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_PROBE);
	__u32 frame_sz = 0;
	int ret;

	l->reprobe = false;
	pt_lane_leave_end(l);
	/* On a path that worked once, only time ends the search: see
	 * watch_progress. */
	if (l->go && !l->unaccepted_ns)
		l->unaccepted_ns = pt_clock_ns();
	l->is_probing = true;
	for (unsigned i = 0; !frame_sz && (l->go || i < PORTS_MAX); i++) {
		if (i)
			next_port(l);
		ret = find_size(l, &frame_sz);
		if (ret)
			return ret;
	}
	l->is_probing = false;
	if (!frame_sz)
		return pt_error_set(&l->error_text, PT_EXIT_PEER, -EHOSTUNREACH,
				    "TX queue %u: no probe reached a queue of "
				    "the receiver (do frames pass that way? "
				    "does the receiver hold the queue that they "
				    "arrive on? start it with more {queues})",
				    l->cfg.tx_queue);
	ret = agree(l, frame_sz);
	pt_stage_enter(l->cfg.clock, stage);
	return ret;
}
