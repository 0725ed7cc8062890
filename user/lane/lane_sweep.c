/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends each dirty page of a lane once. */
#include "lane/lane_internal.h"

#include <pagetrim/clock.h>

void pt_lane_show_dirty(struct pt_lane *l)
{
	__u64 cnt = l->dirty_cnt;

	atomic_store_explicit(&l->counts.dirty_pages,
			      cnt < ~0U ? cnt : ~0U, memory_order_relaxed);
}

/* choose_page chooses how page i of the batch goes, which had the digest was when it
 * was sent last; padding hides its content.  A zero page then comes from a page of our
 * own, since the source's may be a hole. */
static int choose_page(struct pt_lane *l, const struct pt_scan_batch *batch,
		       unsigned i, __u64 page_idx, __u64 was)
{
	static const __u8 zero_page[PT_PAGE_SZ];
	struct pt_staged *p = &l->cursor.page;

	*p = (struct pt_staged){
		.kind = PT_STAGED_DATA, .gfn = batch->gfn + i, .page_cnt = 1,
		.bytes = batch->pages + i * PT_PAGE_SZ,
	};
	if (batch->unreadable >> i & 1) {
		p->kind = PT_STAGED_UNREADABLE;
	} else if (l->cfg.job->pad) {
		p->mask = ~0ULL;
		p->bytes = batch->masks[i] ? p->bytes : zero_page;
	} else if (!batch->masks[i]) {
		p->kind = PT_STAGED_ZEROES;
	} else {
		p->mask = pt_trim_mask(l->cfg.job->trim, batch->masks[i]);
		if (l->fills)
			return 0;
		if (!l->deltas.set_cnt)
			return pt_lane_choose_data(l, batch, i, page_idx);
		pt_lane_choose_changed(l, batch, i, page_idx, was);
	}
	return 0;
}

/* learn passes a scan batch's result to the adaptive scan, and its counts to
 * readers. */
static void learn(struct pt_lane *l, const struct pt_scan_batch *batch)
{
	const struct pt_adaptive_counts *from = &l->adaptive.counts;
	struct pt_lane_counts *to = &l->counts;

	pt_adaptive_learn(&l->adaptive, pt_scan_batch_data(batch), batch->masks);
#define X(symbol, name, text) \
	atomic_store_explicit(&to->adaptive.symbol, from->symbol, \
			      memory_order_relaxed);
	PT_ADAPTIVE_COUNTS(X)
#undef X
}

/* at_wrap goes on with the first region behind the last one; false: the sweep has come
 * round to where it began. */
static bool at_wrap(const struct pt_lane *l, struct pt_cursor *c)
{
	if (c->region_idx >= pt_layout_region_cnt(l->cfg.job->layout) &&
	    !c->has_wrapped) {
		c->has_wrapped = true;
		c->region_idx = l->stripe;
	}
	return !c->has_wrapped || c->region_idx < c->start_region;
}

/* at_region looks for the next dirty region.  It reads the inbox at each, since pages
 * that are put off send no frame and wait for no credit; and more acknowledgements
 * allow more copies. */
static int at_region(struct pt_lane *l, struct pt_cursor *c)
{
	const struct pt_send_job *job = l->cfg.job;

	if (c->wanted_cnt)
		return pt_lane_wanted_region(l);
	for (; at_wrap(l, c); c->region_idx += l->stripe_cnt) {
		c->cnt = pt_dirty_take(job->dirty, c->region_idx, c->bits);
		if (!c->cnt)
			continue;
		l->dirty_cnt -= c->cnt;
		c->at = PT_CURSOR_VIEW;
		return pt_lane_take_mail(l);
	}
	c->at = PT_CURSOR_END;
	return 0;
}

/* region_end goes on behind the region. */
static void region_end(struct pt_lane *l, struct pt_cursor *c)
{
	c->region_idx += l->stripe_cnt;
	c->at = PT_CURSOR_REGION;
	pt_lane_show_dirty(l);
}

/* at_view views the region.  Frames have pages of several regions, so the staged frame
 * is sent before the view overwrites its pages.  A region that is a hole, and wanted
 * whole, goes as one run. */
static int at_view(struct pt_lane *l, struct pt_cursor *c)
{
	const struct pt_send_job *job = l->cfg.job;
	__u64 gfn;
	__u32 page_cnt = pt_layout_region(job->layout, c->region_idx, &gfn);
	int ret;

	if (!pt_view_keeps(&l->view, page_cnt)) {
		ret = pt_lane_flush(l);
		if (ret)
			return ret;
		pt_view_drop(&l->view);
	}
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_MAP);
	pt_lane_source_enter(l);
	ret = pt_source_view(job->source, &l->view, job->layout, c->region_idx,
			     &l->error_text);
	ret = pt_lane_source_left(l, ret);
	pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_MAP,
		       (__u64)l->view.page_cnt * PT_PAGE_SZ);
	c->at = PT_CURSOR_BATCH;
	if (ret || job->pad || c->cnt != l->view.page_cnt ||
	    !pt_view_is_hole_whole(&l->view))
		return ret;
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_BUILD);
	pt_digests_clear(job->digests, c->region_idx);
	c->page = (struct pt_staged){ .kind = PT_STAGED_ZEROES, .gfn = gfn,
				      .page_cnt = page_cnt };
	c->at = PT_CURSOR_HOLE;
	return 0;
}

static int at_hole(struct pt_lane *l, struct pt_cursor *c)
{
	int ret = pt_lane_stage(l);

	if (!ret)
		region_end(l, c);
	return ret;
}

/* at_batch scans the next scan batch with a dirty page. */
static int at_batch(struct pt_lane *l, struct pt_cursor *c)
{
	const struct pt_send_job *job = l->cfg.job;
	struct pt_scan_batch *batch = &c->batch;
	unsigned i = 0;
	__u32 first;
	int ret;

	while (i < PT_REGION_WORDS && !c->bits[i])
		i++;
	if (i == PT_REGION_WORDS) {
		region_end(l, c);
		return 0;
	}
	first = i * 64;
	c->batch_idx = c->region_idx * PT_REGION_PAGES + first;
	c->left = c->bits[i];
	c->bits[i] = 0;
	batch->view = &l->view;
	batch->first = first;
	batch->pages = l->view.pages + (__u64)first * PT_PAGE_SZ;
	batch->gfn = pt_layout_gfn(job->layout, c->batch_idx);
	batch->wanted = c->left;
	batch->holes = l->view.holes[i];
	batch->unreadable = 0;
	batch->search = job->pad ? 0 : pt_adaptive_plan(&l->adaptive);
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_SCAN);
	pt_lane_source_enter(l);
	ret = pt_scan_batch_read(batch, job->source, job->digest_key,
				 &l->error_text);
	ret = pt_lane_source_left(l, ret);
	if (!ret)
		pt_lane_copies_ahead(l, batch);
	pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_SCAN, pt_scan_batch_sz(batch));
	if (!ret && !job->pad)
		learn(l, batch);
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_BUILD);
	c->at = PT_CURSOR_PAGE;
	return ret;
}

/* staged notes that page i of the batch was. */
static void staged(struct pt_lane *l, struct pt_cursor *c, unsigned i)
{
	if (c->page.is_original)
		pt_lane_copies_noted(l, c->batch.contents[i], c->batch_idx + i);
	if (l->deltas.set_cnt && c->page.mask)
		pt_lane_remember(l, &c->batch, i, c->batch_idx + i);
	c->left &= c->left - 1;
	c->at = PT_CURSOR_PAGE;
}

/* at_page sends the batch's pages. */
static int at_page(struct pt_lane *l, struct pt_cursor *c)
{
	struct pt_digests *digests = l->cfg.job->digests;
	int ret = 0;

	while (c->left && !ret && !pt_lane_wanted_interrupts(l)) {
		unsigned i = __builtin_ctzll(c->left);
		__u64 page_idx = c->batch_idx + i, was;

		if (c->at == PT_CURSOR_PAGE) {
			was = pt_digests_get(digests, page_idx);
			pt_digests_set(digests, page_idx, c->batch.digests[i]);
			ret = choose_page(l, &c->batch, i, page_idx, was);
			c->at = PT_CURSOR_BLOCK;
		}
		if (!ret)
			ret = pt_lane_stage(l);
		if (!ret)
			staged(l, c, i);
	}
	if (!ret && !c->left)
		c->at = PT_CURSOR_BATCH;
	return ret;
}

int pt_lane_sweep_begin(struct pt_lane *l)
{
	if (l->generation == l->cfg.generation_max)
		return pt_lane_spent(l, "generation", l->generation);
	pt_lane_deltas_settle(l);
	atomic_store(&l->counts.generation, ++l->generation);
	if (l->cfg.job->compress_auto)
		pt_chooser_set_rtt(&l->chooser, pt_conn_rtt_ns(l->cfg.job->conn));
	pt_view_forget(&l->view);	/* pages became dirty since the last */
	if (l->start_region < l->stripe)
		l->start_region = l->stripe;
	l->cursor.at = PT_CURSOR_REGION;
	l->cursor.region_idx = l->cursor.start_region = l->start_region;
	l->cursor.has_wrapped = false;
	pt_lane_wanted_begin(l);
	return 0;
}

/* is_late: the turn has lasted for long, and its batch is not full: most pages are
 * zero, or the source is slow. */
static bool is_late(const struct pt_lane *l, const struct pt_cursor *c)
{
	return (c->at == PT_CURSOR_REGION || c->at == PT_CURSOR_BATCH) &&
	       pt_clock_ns() >= l->turn.until_ns;
}

int pt_lane_sweep(struct pt_lane *l)
{
	struct pt_cursor *c = &l->cursor;
	int ret = 0;

	while (!ret) {
		if (pt_lane_wanted_interrupts(l))
			pt_lane_wanted_interrupt(l);
		if (is_late(l, c))
			return pt_lane_for_turn(l);
		switch (c->at) {
		case PT_CURSOR_REGION:
			ret = at_region(l, c);
			break;
		case PT_CURSOR_VIEW:
			ret = at_view(l, c);
			break;
		case PT_CURSOR_HOLE:
			ret = at_hole(l, c);
			break;
		case PT_CURSOR_BATCH:
			ret = at_batch(l, c);
			break;
		case PT_CURSOR_PAGE:
		case PT_CURSOR_BLOCK:
			ret = at_page(l, c);
			break;
		case PT_CURSOR_END:
			return pt_lane_flush(l);
		}
	}
	return ret;
}
