/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The queue's thread: processing of a frame. */
#include "rxq/rx_queue_impl.h"

#include <string.h>

#include <pagetrim/clock.h>
#include "rxq/credit.h"
#include "rxq/placer.h"
#include "wire/descriptors.h"

static struct pt_intake *find_session(struct pt_rx_queue *q, __u64 session_id)
{
	for (__u32 i = 0; i < q->session_cnt; i++)
		if (q->sessions[i]->session_id == session_id)
			return q->sessions[i];
	return NULL;
}

static struct pt_rx_lane *find_lane(struct pt_rx_queue *q, __u64 session_id,
				    __u16 lane_idx)
{
	struct pt_rx_lane *l = q->last;

	if (l && l->lane_idx == lane_idx && l->intake->session_id == session_id)
		return l;
	for (__u32 i = 0; i < q->lane_cnt; i++) {
		l = q->lanes[i];
		if (l->lane_idx == lane_idx &&
		    l->intake->session_id == session_id)
			return q->last = l;
	}
	return NULL;
}

/* is_authentic: the frame is unchanged since its session's sender wrote it.  It
 * decrypts a sealed frame. */
static bool is_authentic(struct pt_reader *r, const struct pt_intake *intake,
			 struct pt_seal *seal)
{
	if (r->is_sealed != intake->is_sealed)
		return false;
	return r->is_sealed ? pt_reader_unseal(r, seal) : pt_reader_auth_ok(r);
}

/* is_authentic_probe: the same, and the probe is new as far as that is known,
 * since answers to a flood of old probes would delay ACKs. */
static bool is_authentic_probe(struct pt_rx_queue *q, struct pt_intake *intake,
			       struct pt_rx_lane *lane)
{
	bool ok;

	pthread_mutex_lock(&intake->probe_lock);
	ok = is_authentic(&q->reader, intake, lane->probe_seal) &&
	     q->reader.is_sound &&
	     (!intake->is_sealed ||
	      pt_rx_lane_probe_is_new(lane, q->reader.id.seq));
	pthread_mutex_unlock(&intake->probe_lock);
	return ok;
}

static void take_probe(struct pt_rx_queue *q)
{
	const struct pt_frame_id *id = &q->reader.id;
	struct pt_intake *intake = find_session(q, id->session_id);
	struct pt_rx_lane *lane;
	struct pt_message m = {
		.type = PT_MSG_PROBE_SEEN,
		.probe_seen = {
			.lane = id->lane,
			.probe = id->seq,
			.frame_sz = q->reader.sent_sz,
			.queue = q->cfg.queue,
			.arrived_ns = pt_clock_ns(),
		},
	};

	if (!intake || id->lane >= intake->lane_cnt)
		return;
	lane = &intake->lanes[id->lane];
	atomic_fetch_add_explicit(&lane->probes, 1, memory_order_relaxed);
	if (!is_authentic_probe(q, intake, lane))
		return;
	/* A full output queue drops the answer; the sender then probes
	 * again. */
	pt_conn_send(intake->conn, &m, NULL);
}

/* count_stray counts a frame of a lane that has left this queue, and is under
 * another queue's lock. */
static void count_stray(struct pt_rx_queue *q)
{
	struct pt_intake *intake = find_session(q, q->reader.id.session_id);

	if (intake)	/* else the frame is of a session that has just ended */
		atomic_fetch_add_explicit(&intake->strays, 1,
					  memory_order_relaxed);
}

void pt_rx_hand_over(struct pt_rx_queue *q)
{
	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_PLACE);
	for (__u32 i = 0; i < q->taking_cnt; i++) {
		struct pt_rx_lane *l = q->taking[i];

		pt_seqmap_advance(&l->seqs);
		pt_placer_push(l->placer, l->seqs.decided);
	}
	q->taking_cnt = 0;
}

/* begin_batch notes that the lane's placer is used in this batch. */
static void begin_batch(struct pt_rx_queue *q, struct pt_rx_lane *l)
{
	__u32 i = 0;

	while (i < q->taking_cnt && q->taking[i] != l)
		i++;
	q->taking[i] = l;
	if (i == q->taking_cnt)
		q->taking_cnt++;
}

/* place passes a frame to the lane's placer.  If the placer keeps it, its
 * chunks are no longer ours. */
static void place(struct pt_rx_queue *q, struct pt_rx_lane *l,
		  struct pt_rx_frame *frame, __u32 credit_desc)
{
	__u64 placed_sz = atomic_load_explicit(&l->placed.bytes,
					       memory_order_relaxed);

	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_PLACE);
	begin_batch(q, l);
	if (pt_placer_take(l->placer, &q->depot, frame, &q->reader,
			   credit_desc))
		frame->span_cnt = 0;
	else
		pt_stage_bytes(q->cfg.clock, PT_RECEIVE_STAGE_PLACE,
			       atomic_load_explicit(&l->placed.bytes,
				       memory_order_relaxed) - placed_sz);
}

/* has_share: a lane that waits for storage may also hold these chunks.  A lane
 * with a stretched window may have more in flight than its share of chunks. */
static bool has_share(const struct pt_rx_queue *q, const struct pt_rx_lane *l,
		      __u32 chunk_cnt)
{
	__u32 held_cnt;

	if (!l->intake->places_apart)
		return true;	/* it holds no chunks */
	held_cnt = pt_placer_held_cnt(l->placer);
	if (l->stretch.is_used && held_cnt + chunk_cnt > l->share)
		return false;
	return pt_credit_may_hold(q->cfg.ring_cnt, q->depot.chunk_cnt,
				  held_cnt, chunk_cnt);
}

/* is_placeable: the contents are sound, and all that the records name is in the
 * memory. */
static bool is_placeable(const struct pt_intake *intake, struct pt_reader *r)
{
	if (!r->is_sound)
		return false;
	return !memcmp(&r->dst, &intake->endpoint, sizeof(r->dst)) &&
	       pt_rebuild_check(intake->rebuild, r);
}

/* is_untaken: a frame of that number would be placed. */
static bool is_untaken(struct pt_rx_lane *l, __u64 seq)
{
	enum pt_seq what = pt_seqmap_look(&l->seqs, seq);

	return what == PT_SEQ_NEW || what == PT_SEQ_LATE;
}

/* has_unit: the frame would not be placed, or its blocks are there, or can be
 * decompressed. */
static bool has_unit(struct pt_rx_queue *q, struct pt_rx_lane *l)
{
	if (!q->reader.is_compressed || !is_untaken(l, q->reader.id.seq))
		return true;
	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_PLACE);
	begin_batch(q, l);
	return pt_placer_judge(l->placer, &q->reader);
}

static void take_data(struct pt_rx_queue *q, struct pt_rx_frame *frame)
{
	struct pt_reader *r = &q->reader;
	struct pt_rx_lane *l = find_lane(q, r->id.session_id, r->id.lane);
	enum pt_seq seq;
	__u32 cost;

	if (!l) {
		count_stray(q);
		return;
	}
	l->received++;
	pt_stage_bytes(q->cfg.clock, PT_RECEIVE_STAGE_POLL, r->sent_sz);
	if (atomic_load_explicit(&l->intake->failed, memory_order_relaxed))
		return;
	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_OPEN);
	pt_stage_bytes(q->cfg.clock, PT_RECEIVE_STAGE_OPEN,
		       r->payload_sz);
	if (!is_authentic(r, l->intake, l->seal)) {
		l->refused_auth++;
		return;
	}
	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_CHECK);
	if (!is_placeable(l->intake, r)) {
		l->refused_record++;
		return;
	}
	if (atomic_load_explicit(&l->intake->is_closed, memory_order_acquire) ||
	    !has_share(q, l, frame->span_cnt)) {
		l->refused_window++;
		return;
	}
	if (!has_unit(q, l)) {
		l->refused_unit++;
		return;
	}
	l->wanted_ns = q->looked_ns;
	cost = pt_frame_cost(pt_desc_cnt(r->sent_sz, q->cfg.desc_sz),
			     pt_reader_load(r));
	seq = pt_rx_lane_take(l, r->id.seq, cost, q->round_ns);
	if (seq == PT_SEQ_DUPLICATE || seq == PT_SEQ_OUT)
		return;
	if (seq == PT_SEQ_NEW)
		pt_rx_lane_arrived(l, r->id.seq, r->sent_sz, q->looked_ns);
	l->records += r->record_cnt;
	place(q, l, frame, seq == PT_SEQ_NEW ? cost : 0);
}

void pt_rx_take_frame(struct pt_rx_queue *q, struct pt_rx_frame *frame)
{
	pt_stage_enter(q->cfg.clock, PT_RECEIVE_STAGE_CHECK);
	q->received++;
	q->nap_desc_cnt += frame->span_cnt;
	q->round_desc_cnt += frame->span_cnt;
	if (pt_reader_open(&q->reader, frame->spans, frame->span_cnt) !=
	    PT_VERDICT_STEERED)
		return;		/* the ledger will not balance: XDP steered it */
	if (q->reader.kind == PT_FRAME_PROBE)
		take_probe(q);
	else
		take_data(q, frame);
}
