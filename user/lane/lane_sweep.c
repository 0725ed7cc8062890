/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends each dirty page of a lane once. */
#include "lane/lane_internal.h"

void pt_lane_show_dirty(struct pt_lane *l)
{
	__u64 cnt = l->dirty_cnt;

	atomic_store_explicit(&l->counts.dirty_pages,
			      cnt < ~0U ? cnt : ~0U, memory_order_relaxed);
}

/* send_page sends page i of the scan batch, which had the digest was when it was
 * sent last; padding hides its content.  A zero
 * page then comes from a page of our own, since the source's may be a hole. */
static int send_page(struct pt_lane *l, const struct pt_page_word *w,
		     unsigned i, __u64 page_idx, __u64 was)
{
	static const __u8 zero_page[PT_PAGE_SZ];

	if (w->unreadable >> i & 1)
		return pt_lane_add_unreadable(l, w->gfn + i);
	if (l->cfg.job->pad)
		return pt_lane_add_page(l, w->gfn + i, ~0ULL, w->masks[i]
					? w->pages + i * PT_PAGE_SZ
					: zero_page);
	if (!w->masks[i])
		return pt_lane_add_zeroes(l, w->gfn + i, 1);
	return l->deltas.set_cnt ? pt_lane_send_changed(l, w, i, page_idx, was)
				 : pt_lane_send_data(l, w, i, page_idx);
}

/* learn passes a scan batch's result to the adaptive scan, and its counts to
 * readers. */
static void learn(struct pt_lane *l, const struct pt_page_word *w)
{
	const struct pt_adaptive_counts *from = &l->governor.counts;
	struct pt_lane_counts *to = &l->counts;

	pt_adaptive_learn(&l->governor, pt_page_word_data(w), w->masks);
#define X(symbol, name, text) \
	atomic_store_explicit(&to->governor.symbol, from->symbol, \
			      memory_order_relaxed);
	PT_ADAPTIVE_COUNTS(X)
#undef X
}

static int send_word(struct pt_lane *l, __u64 page_idx, __u64 dirty)
{
	const struct pt_send_job *job = l->cfg.job;
	__u32 first = page_idx % PT_REGION_PAGES;
	struct pt_page_word w = {
		.view = &l->view,
		.first = first,
		.pages = l->view.pages + (__u64)first * PT_PAGE_SZ,
		.gfn = pt_layout_gfn(job->layout, page_idx),
		.wanted = dirty,
		.holes = l->view.holes[first / 64],
		.search = job->pad ? 0 : pt_adaptive_plan(&l->governor),
	};
	int ret;

	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_SCAN);
	pt_lane_source_enter(l);
	ret = pt_page_word_scan(&w, job->source, job->digest_key,
				&l->error_text);
	ret = pt_lane_source_left(l, ret);
	if (!ret)
		pt_lane_copies_ahead(l, &w);
	pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_SCAN,
		       pt_page_word_sz(&w));
	if (!ret && !job->pad)
		learn(l, &w);
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_BUILD);
	for (__u64 bits = dirty; !ret && bits; bits &= bits - 1) {
		unsigned i = __builtin_ctzll(bits);
		__u64 was = pt_digests_get(job->digests, page_idx + i);

		pt_digests_set(job->digests, page_idx + i, w.digests[i]);
		ret = send_page(l, &w, i, page_idx + i, was);
	}
	return ret;
}

/* send_hole sends a region that is a hole, and wanted whole, as one run. */
static int send_hole(struct pt_lane *l, __u64 region_idx)
{
	const struct pt_send_job *job = l->cfg.job;
	__u64 gfn;
	__u32 page_cnt = pt_layout_region(job->layout, region_idx, &gfn);

	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_BUILD);
	pt_digests_clear(job->digests, region_idx);
	return pt_lane_add_zeroes(l, gfn, page_cnt);
}

/* view_region views a region.  Frames have pages of several regions, so the
 * staged frame is sent before the view overwrites its pages. */
static int view_region(struct pt_lane *l, __u64 region_idx)
{
	const struct pt_send_job *job = l->cfg.job;
	__u32 page_cnt = pt_layout_region(job->layout, region_idx, NULL);
	int ret = 0;

	if (!pt_view_keeps(&l->view, page_cnt)) {
		ret = pt_lane_flush(l);
		pt_view_drop(&l->view);
	}
	if (ret)
		return ret;
	pt_stage_enter(l->cfg.clock, PT_SEND_STAGE_MAP);
	pt_lane_source_enter(l);
	ret = pt_source_view(job->source, &l->view, job->layout, region_idx,
			     &l->error_text);
	return pt_lane_source_left(l, ret);
}

/* send_region sends the region's cnt pages in bits. */
static int send_region(struct pt_lane *l, __u64 region_idx,
		       const __u64 bits[PT_REGION_WORDS], __u32 cnt)
{
	const struct pt_send_job *job = l->cfg.job;
	int ret = view_region(l, region_idx);

	pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_MAP,
		       (__u64)l->view.page_cnt * PT_PAGE_SZ);
	if (!ret && !job->pad && cnt == l->view.page_cnt &&
	    pt_view_is_hole_whole(&l->view))
		return send_hole(l, region_idx);
	for (unsigned i = 0; !ret && i < PT_REGION_WORDS; i++)
		if (bits[i])
			ret = send_word(l, region_idx * PT_REGION_PAGES +
					   i * 64, bits[i]);
	return ret;
}

/* sweep sends each dirty page once, in a generation of its own.  It reads the
 * inbox at each region, since pages that are put off send no frame and wait for
 * no credit; and more acknowledgements allow more copies. */
int pt_lane_sweep(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	__u64 region_cnt = pt_layout_region_cnt(job->layout);
	__u64 bits[PT_REGION_WORDS];
	int ret = 0;

	if (l->generation == l->cfg.generation_max)
		return pt_lane_spent(l, "generation", l->generation);
	pt_lane_deltas_settle(l);
	atomic_store(&l->counts.generation, ++l->generation);
	if (job->compress_auto)
		pt_chooser_set_rtt(&l->chooser, pt_conn_rtt_ns(job->conn));
	pt_view_forget(&l->view);	/* pages became dirty since the last */
	for (__u64 r = l->slot; !ret && r < region_cnt; r += l->slot_cnt) {
		__u32 cnt = pt_dirty_take(job->dirty, r, bits);

		if (!cnt)
			continue;
		l->dirty_cnt -= cnt;
		ret = pt_lane_take_mail(l, 0);
		if (!ret)
			ret = send_region(l, r, bits, cnt);
		pt_lane_show_dirty(l);
	}
	return ret ? ret : pt_lane_flush(l);
}
