/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/lane_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>

#define COPIES		2		/* probes of one size, and */
#define COPIES_AGAIN	8		/* of the largest, if it was lost
					 * before, since a requested MTU has no
					 * alternative */
#define ROUND_NS	100000000ULL	/* wait for answers */
#define ROUNDS_MAX	24
#define SPACING_NS	20000ULL	/* one poll took closer probes at once */
#define PORTS_MAX	8		/* source ports tried: RSS hashes them */
#define DEVICE_NS	10000000ULL	/* for a buffer */
#define ASK_NS		1000000000ULL	/* for room in the connection, ... */
#define ASK_STEP_NS	10000000ULL	/* ... which is tried so often */

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
static void take_answers(struct pt_lane *l, struct pt_search *s)
{
	take_pair(l);
	for (__u32 i = 0; i < l->mail.probe_cnt; i++) {
		const struct pt_msg_probe_seen *seen = &l->mail.probes[i];

		if (seen->probe < s->probe_first)
			continue;	/* of another path */
		pt_plpmtud_seen(&s->mtu, seen->frame_sz);
		atomic_store(&l->counts.queue, seen->queue);
		if (seen->frame_sz >= s->sizes[0])
			s->is_complete = true;
	}
	l->mail.probe_cnt = 0;
}

/* next_port: another source port may hash to another queue. */
static void next_port(struct pt_lane *l)
{
	__u16 tried = (l->cfg.link.src_port - l->src_port) / PT_LANES_MAX;

	l->cfg.link.src_port = l->src_port +
			       (tried + 1) % PORTS_MAX * PT_LANES_MAX;
}

/* ---- a round ---- */

/* at_port begins the search with a source port. */
static int at_port(struct pt_lane *l, struct pt_search *s)
{
	if (s->port_cnt++)
		next_port(l);
	s->round_cnt = 0;
	s->probe_first = l->probe_next;
	pt_plpmtud_init(&s->mtu, pt_lane_small_sz(l), l->cfg.job->frame_sz_max);
	s->at = PT_SEARCH_ROUND;
	return 0;
}

static int not_reached(struct pt_lane *l)
{
	l->is_probing = false;
	return pt_error_set(&l->error_text, PT_EXIT_PEER, -EHOSTUNREACH,
			    "TX queue %u: no probe reached a queue of "
			    "the receiver (do frames pass that way? "
			    "does the receiver hold the queue that they "
			    "arrive on? start it with more {queues})",
			    l->cfg.tx_queue);
}

/* at_round begins a round, or ends those of the port. */
static int at_round(struct pt_lane *l, struct pt_search *s)
{
	s->size_cnt = s->round_cnt++ < ROUNDS_MAX
		? pt_plpmtud_next(&s->mtu, s->sizes) : 0;
	if (!s->size_cnt && s->mtu.seen_sz) {
		s->at = PT_SEARCH_ASK;
		s->asked_ns = pt_clock_ns();
		s->until_ns = s->asked_ns + ASK_NS;
		l->is_probing = false;
		return 0;
	}
	if (!s->size_cnt) {
		s->at = PT_SEARCH_PORT;
		return l->go || s->port_cnt < PORTS_MAX ? 0 : not_reached(l);
	}
	s->is_complete = false;
	s->sent_cnt = 0;
	s->probe_cnt = COPIES * s->size_cnt;
	if (s->mtu.lost_tries)
		s->probe_cnt += COPIES_AGAIN - COPIES;
	s->until_ns = 0;
	memset(&l->pair, 0, sizeof(l->pair));
	l->pair.first = s->size_cnt == 1 ? l->probe_next : ~0ULL - 1;
	l->pair.sent_ns = pt_clock_ns();
	s->at = PT_SEARCH_SEND;
	return 0;
}

/* size_of returns the size of probe i of the round: each size COPIES times, and the
 * largest again if it was lost before. */
static __u32 size_of(const struct pt_search *s, unsigned i)
{
	return i < COPIES * s->size_cnt ? s->sizes[i % s->size_cnt] : s->sizes[0];
}

static void send_probe(struct pt_lane *l, __u32 frame_sz, void *frame)
{
	struct pt_frame_id id = {
		.session_id = l->cfg.job->session_id,
		.seq = l->probe_next,
		.lane = l->cfg.lane_idx,
	};

	pt_probe_write(&l->cfg.link, &id, frame_sz, l->cfg.seal, frame);
	pt_lane_submit(l, frame, frame_sz);
	l->probe_next++;
	atomic_fetch_add_explicit(&l->counts.probes, 1, memory_order_relaxed);
}

/* at_send sends the round's probes.  One without a buffer counts as lost, and the
 * round goes on. */
static int at_send(struct pt_lane *l, struct pt_search *s)
{
	int ret;

	for (; s->sent_cnt < s->probe_cnt; s->sent_cnt++) {
		void *frame;
		__u64 now_ns;

		if (l->probe_next > l->cfg.probe_max)
			return pt_lane_spent(l, "probe", l->cfg.probe_max);
		frame = pt_xsk_tx_frame(l->cfg.xsk);
		now_ns = frame ? 0 : pt_clock_ns();
		if (!frame && !s->until_ns)
			s->until_ns = now_ns + ROUND_NS;
		if (!frame && now_ns <= s->until_ns)
			return pt_lane_for_buffer(l, DEVICE_NS);
		s->until_ns = 0;
		if (frame)
			send_probe(l, size_of(s, s->sent_cnt), frame);
	}
	ret = pt_lane_kick(l);
	s->at = PT_SEARCH_DEVICE;
	return ret ? ret : pt_lane_for_device(l, ROUND_NS);
}

/* at_answers waits for them.  The wait starts when the device has taken all probes. */
static int at_answers(struct pt_lane *l, struct pt_search *s)
{
	__u64 now_ns = pt_clock_ns();

	if (s->at == PT_SEARCH_DEVICE)
		s->until_ns = now_ns + ROUND_NS;
	s->at = PT_SEARCH_ANSWERS;
	if (!s->is_complete && now_ns < s->until_ns)
		return pt_lane_for_mail(l, s->until_ns - now_ns);
	pt_plpmtud_close(&s->mtu, s->sizes, s->size_cnt);
	s->at = PT_SEARCH_ROUND;
	return 0;
}

/* ---- the result ---- */

/* at_ask sends the result to the receiver. */
static int at_ask(struct pt_lane *l, struct pt_search *s)
{
	struct pt_message m = {
		.type = PT_MSG_LANE_SET,
		.lane_set = {
			.lane = l->cfg.lane_idx,
			.queue = atomic_load(&l->counts.queue),
			.frame_sz = s->mtu.seen_sz,
		},
	};
	int ret;

	l->mail.is_ready = false;
	ret = pt_conn_send(l->cfg.job->conn, &m, &l->error_text);
	if (ret == -ENOBUFS && pt_clock_ns() < s->until_ns)
		return pt_lane_for_mail(l, ASK_STEP_NS);
	if (ret == -ENOBUFS)
		return pt_error_set(&l->error_text, PT_EXIT_PEER, -ETIMEDOUT,
				    "lane %u: the receiver has read nothing for "
				    "%llu ms", l->cfg.lane_idx, ASK_NS / 1000000);
	/* The answer may take as long as the control channel may be silent. */
	s->until_ns = s->asked_ns + l->cfg.job->progress_ns;
	s->at = PT_SEARCH_GRANT;
	return ret;
}

/* at_grant waits for the receiver's window. */
static int at_grant(struct pt_lane *l, struct pt_search *s)
{
	__u64 limit_ns = l->cfg.job->progress_ns, now_ns = pt_clock_ns();
	__u64 waited_ns = atomic_load(&l->cfg.job->waited_ns);

	if (!l->mail.is_ready) {
		if (s->until_ns < waited_ns + limit_ns)
			s->until_ns = waited_ns + limit_ns;
		if (now_ns < s->until_ns)
			return pt_lane_for_mail(l, s->until_ns - now_ns);
		return pt_error_set(&l->error_text, PT_EXIT_PEER, -ETIMEDOUT,
				    "lane %u: the receiver does not grant it "
				    "(see its log)", l->cfg.lane_idx);
	}
	l->mail.is_ready = false;
	l->frame_sz = s->mtu.seen_sz;
	tell_pair(l, l->frame_sz, now_ns - s->asked_ns);
	pt_lane_builder_reset(l);
	atomic_store(&l->counts.frame_sz, l->frame_sz);
	s->at = PT_SEARCH_NONE;
	pt_stage_enter(l->cfg.clock, s->stage);
	return 0;
}

/* ---- the whole ---- */

void pt_lane_probe_begin(struct pt_lane *l)
{
	l->search.stage = pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_PROBE);
	l->search.port_cnt = 0;
	l->search.at = PT_SEARCH_PORT;
	l->reprobe = false;
	pt_lane_leave_end(l);
	/* On a path that worked once, only time ends the search: see
	 * watch_progress. */
	if (l->go && !l->unaccepted_ns)
		l->unaccepted_ns = pt_clock_ns();
	l->is_probing = true;
}

static int advance(struct pt_lane *l, struct pt_search *s)
{
	switch (s->at) {
	case PT_SEARCH_NONE:
		return 0;
	case PT_SEARCH_PORT:
		return at_port(l, s);
	case PT_SEARCH_ROUND:
		return at_round(l, s);
	case PT_SEARCH_SEND:
		return at_send(l, s);
	case PT_SEARCH_DEVICE:
	case PT_SEARCH_ANSWERS:
		return at_answers(l, s);
	case PT_SEARCH_ASK:
		return at_ask(l, s);
	case PT_SEARCH_GRANT:
		return at_grant(l, s);
	}
	return 0;
}

int pt_lane_probe(struct pt_lane *l)
{
	struct pt_search *s = &l->search;
	int ret = 0;

	/* The mail of this step. */
	if (s->at >= PT_SEARCH_SEND && s->at < PT_SEARCH_ASK)
		take_answers(l, s);
	else if (s->at >= PT_SEARCH_ASK)
		take_pair(l);
	l->mail.probe_cnt = 0;
	while (!ret && s->at != PT_SEARCH_NONE)
		ret = advance(l, s);
	return ret;
}
