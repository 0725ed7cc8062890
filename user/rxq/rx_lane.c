/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/rx_lane.h"

#include <string.h>

#include "rxq/placer.h"

enum pt_seq pt_rx_lane_take(struct pt_rx_lane *l, __u64 seq, __u32 desc_cnt,
			    __u64 came_ns)
{
	enum pt_seq what = pt_seqmap_take(&l->seqs, seq);

	if (what == PT_SEQ_NEW || what == PT_SEQ_LATE)
		pt_reorder_came(&l->reorder, seq, came_ns);

	switch (what) {
	case PT_SEQ_NEW:
		l->freed_desc += desc_cnt;
		l->accepted++;
		break;
	case PT_SEQ_LATE:
		l->missing--;
		l->late++;
		l->accepted++;
		break;
	case PT_SEQ_DUPLICATE:
		l->duplicate++;
		break;
	case PT_SEQ_OUT:
		l->refused_window++;
		break;
	}
	return what;
}

void pt_rx_lane_sync(struct pt_rx_lane *l, __u64 seq_end, __u64 now_ns)
{
	pt_seqmap_raise(&l->seqs, seq_end);
	if (seq_end > l->seqs.top)	/* out of range: clipped */
		seq_end = l->seqs.top;
	pt_reorder_said(&l->reorder, seq_end, now_ns);
}

static void decide(struct pt_rx_lane *l, __u64 end)
{
	struct pt_seq_range *ranges = &l->missing_ranges[l->missing_range_cnt];
	__u32 cnt = pt_seqmap_decide(&l->seqs, end, ranges,
				     PT_MISSING_MAX - l->missing_range_cnt);

	for (__u32 i = 0; i < cnt; i++)
		l->missing += ranges[i].cnt;
	/* A gap that a mark cut in two is reported as one. */
	if (cnt && l->missing_range_cnt &&
	    ranges[-1].first + ranges[-1].cnt == ranges[0].first) {
		ranges[-1].cnt += ranges[0].cnt;
		memmove(&ranges[0], &ranges[1], (cnt - 1) * sizeof(*ranges));
		cnt--;
	}
	l->missing_range_cnt += cnt;
}

void pt_rx_lane_tick_at(struct pt_rx_lane *l, __u64 seen_ns, __u64 now_ns,
			__u64 reorder_min_ns)
{
	__u64 due;

	l->reorder.floor_ns = reorder_min_ns;
	pt_seqmap_advance(&l->seqs);
	due = pt_reorder_due(&l->reorder, seen_ns);
	if (due > l->due_end)
		l->due_end = due;
	if (l->due_end > l->seqs.decided)
		decide(l, l->due_end);
	pt_reorder_look(&l->reorder, l->seqs.decided, now_ns);
}

bool pt_rx_lane_probe_is_new(struct pt_rx_lane *l, __u64 probe)
{
	__u64 ahead = probe - l->probe_end, behind = l->probe_end - 1 - probe;

	if (probe >= l->probe_end) {
		l->probes_seen = ahead < 63 ? l->probes_seen << (ahead + 1) : 0;
		l->probes_seen |= 1;
		l->probe_end = probe + 1;
		return true;
	}
	if (behind >= 64 || l->probes_seen >> behind & 1)
		return false;
	l->probes_seen |= 1ULL << behind;
	return true;
}

/* One thread adds, so a sum needs no locked instruction. */
static void add(_Atomic __u64 *to, __u64 n)
{
	atomic_store_explicit(to, atomic_load_explicit(to,
			      memory_order_relaxed) + n, memory_order_relaxed);
}

void pt_rx_lane_placed(struct pt_rx_lane *l,
		       const struct pt_rebuild_counts *counts)
{
	add(&l->placed.placed, counts->placed);
	add(&l->placed.stale, counts->stale);
	add(&l->placed.refused, counts->refused);
	add(&l->placed.bytes, counts->bytes);
}

void pt_rx_lane_no_unit(struct pt_rx_lane *l, __u32 record_cnt)
{
	add(&l->placed.no_unit, 1);
	add(&l->placed.no_unit_records, record_cnt);
}

void pt_rx_lane_look(struct pt_rx_lane *l)
{
	__u64 placed_upto;

	if (!l->placer)
		return;
	l->is_waiting = !pt_placer_is_idle(l->placer);
	l->waiting_desc = pt_placer_waiting_desc(l->placer);
	placed_upto = pt_placer_placed_upto(l->placer);
	if (placed_upto > l->placed_upto)
		l->placed_upto = placed_upto;
}

/* free_desc returns the freed credit without that of waiting frames; no more
 * than before of a sender that is too fast. */
static __u64 free_desc(const struct pt_rx_lane *l)
{
	if (l->is_ahead)
		return l->told.freed_desc;
	return l->freed_desc - l->waiting_desc;
}

/* placed_upto never goes back: waiting frames were accepted after it was
 * reported. */
static __u64 placed_upto(const struct pt_rx_lane *l)
{
	return l->is_waiting ? l->placed_upto : l->seqs.decided;
}

bool pt_rx_lane_has_news(const struct pt_rx_lane *l)
{
	return l->missing_range_cnt || l->told.cum_ack != l->seqs.decided ||
	       l->told.freed_desc != free_desc(l) ||
	       l->told.placed_upto != placed_upto(l) ||
	       l->told.window != l->window;
}

bool pt_rx_lane_is_urgent(const struct pt_rx_lane *l)
{
	return l->missing_range_cnt ||
	       free_desc(l) - l->told.freed_desc >= l->window / 4;
}

void pt_rx_lane_ack(const struct pt_rx_lane *l, struct pt_message *m)
{
	m->type = PT_MSG_ACK;
	m->ack = (struct pt_msg_ack){
		.lane = l->lane_idx,
		.upto = l->seqs.decided,
		.freed_desc = free_desc(l),
		.window = l->window,
		.missing_cnt = l->missing_range_cnt,
		.missing = l->missing_ranges,
		.placed_upto = placed_upto(l),
		.arrived_sz = l->arrived_sz,
		.arrived_ns = l->arrived_ns,
		.top = l->top,
		.top_ns = l->top_ns,
	};
}

void pt_rx_lane_told(struct pt_rx_lane *l)
{
	l->told.cum_ack = l->seqs.decided;
	l->told.freed_desc = free_desc(l);
	l->told.window = l->window;
	l->told.placed_upto = l->placed_upto = placed_upto(l);
	atomic_store_explicit(&l->told_sz, l->arrived_sz, memory_order_relaxed);
	l->missing_range_cnt = 0;
}
