/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends a lane's frames, and handles lost ones. */
#include "lane/lane_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "memory/guard.h"
#include "wire/descriptors.h"

#define DEVICE_NS	10000000ULL	/* for the device to take frames */

__u64 pt_lane_mark_dirty(struct pt_lane *l, __u64 gfn, __u64 page_cnt)
{
	const struct pt_layout *layout = l->cfg.job->layout;
	__u64 added = 0;
	__u64 page_idx;

	while (page_cnt) {
		__u64 run;

		pt_check(pt_layout_find(layout, gfn, &page_idx));
		run = PT_REGION_PAGES - page_idx % PT_REGION_PAGES;
		run = run < page_cnt ? run : page_cnt;
		if (run > pt_layout_run_cnt(layout, gfn))
			run = pt_layout_run_cnt(layout, gfn);
		added += pt_dirty_set(l->cfg.job->dirty, page_idx, run);
		pt_digests_forget(l->cfg.job->digests, page_idx, run);
		gfn += run;
		page_cnt -= run;
	}
	l->dirty_cnt += added;
	return added;
}

__u32 pt_lane_small_sz(const struct pt_lane *l)
{
	return pt_link_frame_sz_max(&l->cfg.link, PT_MTU_MIN);
}

int pt_lane_lost(struct pt_lane *l, const struct pt_seq_range *range)
{
	for (__u32 i = 0; i < range->cnt; i++) {
		const struct pt_extent *extents;
		__u32 extent_cnt, desc_cnt, sz;

		extents = pt_inflight_extents(l->inflight, range->first + i,
					      &extent_cnt, &desc_cnt);
		if (!extents)
			return pt_error_set(&l->error_text, PT_EXIT_PEER,
					    -EPROTO, "lane %u: the receiver "
					    "misses a frame that is not in "
					    "flight (is it pagetrim?)",
					    l->cfg.lane_idx);
		l->lost_desc += desc_cnt;
		sz = pt_inflight_lost(l->inflight, range->first + i);
		l->lost_sz += sz;
		l->lost_ns = pt_inflight_sent_ns(l->inflight,
						 range->first + i);
		if (sz > pt_lane_small_sz(l))
			l->large_lost++;
		for (__u32 e = 0; e < extent_cnt; e++)
			pt_lane_mark_dirty(l, extents[e].gfn,
					   extents[e].page_cnt);
	}
	pt_lane_count(&l->counts.frames_lost, range->cnt);
	return 0;
}

/* kick returns 1 if the device did not take all. */
static int kick(struct pt_lane *l)
{
	unsigned stage = pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_TX);
	int ret = pt_xsk_tx_kick(l->cfg.xsk);

	pt_stage_enter(l->cfg.clock, stage);
	l->unkicked = (struct pt_batch){ 0 };
	/* A device that is down loses frames, as a wire does. */
	if (ret == -ENETDOWN)
		return 0;
	if (ret < 0)
		pt_error_set(&l->error_text, PT_EXIT_HOST, ret, "TX queue %u: "
			     "%s%s", l->cfg.tx_queue, strerror(-ret),
			     ret == -ENXIO ? " (the device was removed, or "
			     "moved to another network namespace)" : "");
	return ret;
}

int pt_lane_kick(struct pt_lane *l)
{
	int ret = kick(l);

	return ret < 0 ? ret : 0;
}

int pt_lane_nudge(struct pt_lane *l, __u64 *timeout_ns)
{
	if (!pt_xsk_tx_waits(l->cfg.xsk))
		return 0;
	if (*timeout_ns > PT_XSK_STALE_NS)
		*timeout_ns = PT_XSK_STALE_NS;
	return pt_lane_kick(l);
}

int pt_lane_drain(struct pt_lane *l)
{
	int ret = kick(l);

	if (ret > 0 && pt_xsk_tx_is_taken(l->cfg.xsk, l->tx_mark))
		ret = 0;	/* the others are of other lanes */
	if (ret <= 0)
		return ret;
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
	return pt_lane_for_device(l, DEVICE_NS);
}

void pt_lane_submit(struct pt_lane *l, void *frame, __u32 sz)
{
	pt_xsk_tx_submit(l->cfg.xsk, frame, sz);
	l->tx_mark = pt_xsk_tx_mark(l->cfg.xsk);
}

/* forget drops the staged records: their pages are dirty again. */
static void forget(struct pt_lane *l)
{
	for (__u32 i = 0; i < l->builder.record_cnt; i++)
		pt_lane_mark_dirty(l, l->builder.records[i].gfn,
				   pt_record_page_cnt(&l->builder.records[i]));
	pt_builder_discard(&l->builder);
	pt_lane_copies_left(l);
}

void pt_lane_builder_reset(struct pt_lane *l)
{
	struct pt_builder_cfg cfg = {
		.l2l3l4_sz = pt_link_sz(&l->cfg.link),
		.frame_sz_max = l->frame_sz,
		.packed = l->frame_sz <= l->cfg.job->desc_sz &&
			  !l->cfg.job->pad,
		.pad = l->cfg.job->pad,
		.clock = l->cfg.clock,
		.compressor = pt_lane_compressor(l),
		.only_tries = l->chooser.observes,
	};

	pt_builder_init(&l->builder, &cfg);
}

/* has_credit: a frame of more pages than the whole window goes alone. */
static bool has_credit(const struct pt_lane *l)
{
	__u64 in_flight = l->sent_desc - l->lost_desc - l->freed_desc;
	__u32 needed = in_flight ? l->closing.credit : l->closing.desc_cnt;

	return in_flight + needed <= l->window &&
	       pt_inflight_has_room(l->inflight);
}

int pt_lane_sync(struct pt_lane *l)
{
	struct pt_message m = {
		.type = PT_MSG_SYNC,
		.sync = {
			.lane = l->cfg.lane_idx,
			.seq_end = pt_inflight_next_seq(l->inflight),
		},
	};
	int ret = pt_conn_send(l->cfg.job->conn, &m, &l->error_text);

	if (!ret)
		l->synced_seq = m.sync.seq_end;
	return ret == -ENOBUFS ? 0 : ret;
}

/* ask_credit goes on to LIMIT if the frame may go. */
static int ask_credit(struct pt_lane *l, struct pt_closing *c)
{
	int ret = pt_inbox_peek(l->inbox) ? pt_lane_take_mail(l) : 0;

	c->at = has_credit(l) && !l->reprobe ? PT_CLOSING_LIMIT : PT_CLOSING_DRAIN;
	return ret;
}

/* drain_for_credit: with no frame left in the device the receiver is the
 * bottleneck. */
static int drain_for_credit(struct pt_lane *l, struct pt_closing *c)
{
	int ret = pt_lane_drain(l);

	if (ret)
		return ret;
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
	if (!l->reprobe && pt_xsk_tx_is_idle(l->cfg.xsk))
		pt_adaptive_strain(&l->adaptive);
	c->at = PT_CLOSING_GRANT;
	return 0;
}

/* wait_grant waits until the frame may go.  Without news for a while it sends SYNC,
 * so that a lost tail is noticed. */
static int wait_grant(struct pt_lane *l, struct pt_closing *c)
{
	int ret = 0;

	if (c->has_napped && c->freed == l->freed_desc + l->lost_desc)
		ret = pt_lane_sync(l);
	c->has_napped = false;
	if (ret)
		return ret;
	if (l->reprobe || has_credit(l)) {
		c->at = PT_CLOSING_LIMIT;
		return 0;
	}
	/* A lane without credit makes no progress, as one without accepted
	 * frames. */
	if (!l->unaccepted_ns)
		l->unaccepted_ns = pt_clock_ns();
	pt_lane_count(&l->counts.credit_waits, 1);
	c->freed = l->freed_desc + l->lost_desc;
	c->has_napped = true;
	return pt_lane_for_mail(l, PT_LANE_SYNC_NS);
}

/* close_guarded copies the pages into the frame; the source may be cut short
 * meanwhile. */
static int close_guarded(struct pt_lane *l, const struct pt_frame_id *id,
			 void *frame)
{
	struct pt_guard guard;

	pt_lane_source_enter(l);
	if (pt_guard_enter(&guard))
		return pt_lane_source_left(l,
			pt_source_faulted(l->cfg.job->source, guard.addr,
					  &l->error_text));
	pt_builder_close(&l->builder, &l->cfg.link, id, l->cfg.seal, frame);
	pt_guard_leave(&guard);
	return pt_lane_source_left(l, 0);
}

/* pack_guarded reads and compresses the pages, and writes the ns that this took.
 * Without a compressor it only counts the blocks that fit, and writes nothing. */
static int pack_guarded(struct pt_lane *l, __u64 *took_ns)
{
	__u64 began_ns;
	struct pt_guard guard;

	if (!l->builder.cfg.compressor) {
		pt_builder_pack(&l->builder);
		return 0;
	}
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_COMPRESS);
	began_ns = pt_clock_ns();
	pt_lane_source_enter(l);
	if (pt_guard_enter(&guard))
		return pt_lane_source_left(l,
			pt_source_faulted(l->cfg.job->source, guard.addr,
					  &l->error_text));
	pt_builder_pack(&l->builder);
	pt_guard_leave(&guard);
	*took_ns = pt_clock_ns() - began_ns;
	return pt_lane_source_left(l, 0);
}

/* push notes what the staged frame takes, before close drops it. */
static __u64 push(struct pt_lane *l, const struct pt_pack *take, __u32 frame_sz,
		  __u32 credit)
{
	struct pt_extent extents[PT_RECORDS_MAX];
	const struct pt_builder *b = &l->builder;

	for (__u32 i = 0; i < take->record_cnt; i++)
		extents[i] = (struct pt_extent){
			.gfn = b->records[i].gfn,
			.page_cnt = pt_record_page_cnt(&b->records[i]),
		};
	l->sent_desc += credit;
	pt_lane_pace_spend(l, frame_sz);
	if (!l->unaccepted_ns)
		l->unaccepted_ns = l->sent_ns;
	return pt_inflight_push(l->inflight, frame_sz, credit, l->sent_ns,
				extents, take->record_cnt);
}

/* number_left: there is a number for the next frame. */
static int number_left(struct pt_lane *l)
{
	if (pt_inflight_next_seq(l->inflight) <= l->cfg.seq_max)
		return 0;
	return pt_lane_spent(l, "frame", l->cfg.seq_max);
}

static void count_frame(struct pt_lane *l, const struct pt_pack *take,
			__u32 frame_sz)
{
	struct pt_lane_counts *c = &l->counts;
	__u64 raw_sz = (__u64)take->block_cnt * PT_BLOCK_SZ;

	pt_lane_count(&c->frames, 1);
	pt_lane_count(&c->wire_bytes, frame_sz);
	pt_lane_count(&c->block_bytes, raw_sz);
	pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_BUILD, raw_sz);
	pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_TX, frame_sz);
	pt_lane_compress_count(l, take);
}

/* write_frame writes the packed frame, for which there is credit, and gives it to
 * the device. */
static int write_frame(struct pt_lane *l, struct pt_closing *c)
{
	struct pt_frame_id id = {
		.session_id = l->cfg.job->session_id,
		.generation = l->generation,
		.lane = l->cfg.lane_idx,
	};
	void *frame = pt_xsk_tx_frame(l->cfg.xsk);
	int ret;

	if (!frame) {
		pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_WAIT);
		ret = pt_lane_kick(l);
		return ret ? ret : pt_lane_for_buffer(l, DEVICE_NS);
	}
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_BUILD);
	id.seq = push(l, &c->take, c->frame_sz, c->credit);
	ret = close_guarded(l, &id, frame);
	if (ret) {
		pt_xsk_tx_give_back(l->cfg.xsk, frame);
		return ret;
	}
	pt_lane_copies_left(l);
	pt_lane_submit(l, frame, c->frame_sz);
	count_frame(l, &c->take, c->frame_sz);
	pt_batch_add(&l->unkicked, c->frame_sz, c->pack_ns);
	if (!pt_batch_is_full(&l->unkicked, pt_lane_batch_sz(l)))
		return 0;
	l->turn.is_over = true;
	return pt_lane_kick(l);
}

static int pack(struct pt_lane *l, struct pt_closing *c)
{
	int ret = number_left(l);

	*c = (struct pt_closing){ .at = PT_CLOSING_CREDIT };
	if (!ret && l->cfg.job->compressions)
		ret = pack_guarded(l, &c->pack_ns);
	c->take = pt_builder_take(&l->builder);
	c->frame_sz = pt_builder_frame_sz(&l->builder);
	c->desc_cnt = pt_desc_cnt(c->frame_sz, l->cfg.job->desc_sz);
	c->credit = pt_frame_cost(c->desc_cnt, pt_builder_load(&l->builder));
	return ret;
}

/* abandon: the path is to be searched anew, before anything else goes. */
static int abandon(struct pt_lane *l, struct pt_closing *c)
{
	forget(l);
	c->at = PT_CLOSING_PACK;
	pt_lane_probe_begin(l);
	l->wait = PT_LANE_NO_WAIT;
	return PT_LANE_WAITS;
}

static int advance(struct pt_lane *l, struct pt_closing *c)
{
	switch (c->at) {
	case PT_CLOSING_PACK:
		return pack(l, c);
	case PT_CLOSING_CREDIT:
		return ask_credit(l, c);
	case PT_CLOSING_DRAIN:
		return drain_for_credit(l, c);
	case PT_CLOSING_GRANT:
		return wait_grant(l, c);
	case PT_CLOSING_LIMIT:
		return pt_lane_wait_limit(l);
	case PT_CLOSING_PATH:
		return pt_lane_wait_path(l);
	case PT_CLOSING_BUFFER:
		return 0;
	}
	return 0;
}

int pt_lane_close_frame(struct pt_lane *l)
{
	struct pt_closing *c = &l->closing;
	int ret = 0;

	if (l->turn.is_over && c->at == PT_CLOSING_PACK)
		return pt_lane_for_turn(l);
	while (!ret && c->at != PT_CLOSING_BUFFER) {
		ret = advance(l, c);
		if (!ret && l->reprobe && c->at >= PT_CLOSING_LIMIT)
			return abandon(l, c);
	}
	if (!ret)
		ret = write_frame(l, c);
	if (ret)
		return ret;
	c->at = PT_CLOSING_PACK;
	if (l->cfg.job->compress_auto)
		pt_lane_compress_choose(l, &c->take, c->frame_sz, c->pack_ns);
	return 0;
}

int pt_lane_flush(struct pt_lane *l)
{
	int ret = 0;

	while (!ret && !pt_builder_is_empty(&l->builder))
		ret = pt_lane_close_frame(l);
	if (ret)
		return ret;
	pt_lane_leave_end(l);
	return pt_lane_drain(l);
}
