// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "survey/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <pagetrim/clock.h>
#include "memory/guard.h"
#include "survey/dups.h"
#include "trim/scan.h"
#include "wire/builder.h"

#define FRAME_AROUND_SZ	24	/* preamble 8, FCS 4, gap 12 */
#define COPY_DESC_SZ	3840	/* bytes of a frame per descriptor in copy
				 * mode */

/* region: the result of one pass over a region's pages. */
struct region {
	__u64 masks[PT_REGION_PAGES];
	__u64 hashes[PT_REGION_PAGES];	/* of pages with data */
	bool is_copy[PT_REGION_PAGES];	/* goes as one */
};

struct walk {
	struct pt_survey *survey;
	struct pt_source *src;
	const struct pt_layout *layout;
	struct pt_view view;
	struct pt_dups *dups;
	struct pt_builder builders[PT_TRIM_CNT];
	struct pt_builder with_copies;
	struct pt_builder compressed[PT_COMPRESSION_CNT];
	struct pt_compressor *compressors[PT_COMPRESSION_CNT];	/* NULL: not
						 * measured */
	__u64 copies_packed;
	__u64 gfn;		/* of the region's first page */
	struct region region;
};

/* guarded calls fn, which reads pages: these may fault. */
static int guarded(struct walk *w, void (*fn)(struct walk *w),
		   struct pt_error *err)
{
	struct pt_guard guard;

	if (pt_guard_enter(&guard)) {
		int code = pt_source_fault(w->src, guard.addr, err);

		return code ? code : pt_error_set(err, PT_EXIT_FAILED, -EIO,
						  "memory fault while the "
						  "source was read");
	}
	fn(w);
	pt_guard_leave(&guard);
	return 0;
}

static const __u8 *page_at(const struct walk *w, __u32 i)
{
	return w->view.pages + (__u64)i * PT_PAGE_SZ;
}

static void scan(struct walk *w)
{
	const struct pt_view *v = &w->view;

	for (__u32 i = 0; i < v->page_cnt; i++) {
		const __u8 *page = page_at(w, i);
		__u64 mask = pt_view_is_hole(v, i) ? 0 : pt_scan(page);

		w->region.masks[i] = mask;
		if (mask)
			w->region.hashes[i] = XXH3_64bits(page, PT_PAGE_SZ);
	}
}

static int region_scan(struct walk *w, struct pt_error *err)
{
	struct pt_view *v = &w->view;
	int ret = 0;

	for (__u32 first = 0; !ret && first < v->page_cnt; first += 64)
		ret = pt_view_load(w->src, v, first, pt_view_word(v, first),
				   err);
	return ret ? ret : guarded(w, scan, err);
}

/* frame_count counts a frame of the staged pages.  After pack some may stay
 * staged. */
static void frame_count(struct pt_builder *b, struct pt_survey_cost *cost)
{
	__u64 began_ns;

	if (pt_builder_is_empty(b))
		return;
	if (b->cfg.compressor) {
		began_ns = pt_clock_ns();
		pt_builder_pack(b);
		cost->compress_ns += pt_clock_ns() - began_ns;
	}
	cost->wire_bytes += pt_builder_skip(b);
	cost->frames++;
}

/* frames_count counts the frames of all that is staged. */
static void frames_count(struct walk *w)
{
	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		while (w->compressors[m] &&
		       !pt_builder_is_empty(&w->compressed[m]))
			frame_count(&w->compressed[m],
				    &w->survey->compressed[m]);
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		frame_count(&w->builders[t], &w->survey->costs[t]);
	frame_count(&w->with_copies, &w->survey->with_copies);
}

static void zeroes_pack(struct pt_builder *b, struct pt_survey_cost *cost,
			__u64 gfn, __u32 page_cnt)
{
	while (!pt_builder_add_zeroes(b, gfn, page_cnt))
		frame_count(b, cost);
}

/* page_pack stages one page as a sender does.  Only those that compress read it,
 * since nothing is written. */
static void page_pack(struct pt_builder *b, struct pt_survey_cost *cost,
		      __u64 gfn, __u64 mask, const __u8 *page)
{
	unsigned int first = 0;

	if (!mask) {
		zeroes_pack(b, cost, gfn, 1);
		return;
	}
	while (first < PT_PAGE_BLOCKS) {
		first = pt_builder_add_page(b, gfn, first, mask, page);
		if (first < PT_PAGE_BLOCKS)
			frame_count(b, cost);
	}
}

/* copy_pack stages a page as a copy.  All copy records cost the same. */
static void copy_pack(struct pt_builder *b, struct pt_survey_cost *cost, __u64 gfn)
{
	while (!pt_builder_add_copy(b, gfn, gfn ^ 1, 1))
		frame_count(b, cost);
}

/* page_pack_all packs the page in each way that does not compress. */
static void page_pack_all(struct walk *w, __u64 gfn, __u64 scanned,
			  bool is_copy)
{
	struct pt_survey *s = w->survey;

	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		page_pack(&w->builders[t], &s->costs[t], gfn,
			  pt_trim_mask(t, scanned), NULL);
	if (is_copy)
		copy_pack(&w->with_copies, &s->with_copies, gfn);
	else
		page_pack(&w->with_copies, &s->with_copies, gfn,
			  pt_trim_mask(PT_TRIM_BLOCKS, scanned), NULL);
	w->copies_packed += is_copy;
}

/* compress_by packs the region's pages by method m. */
static void compress_by(struct walk *w, int m)
{
	struct pt_survey_cost *cost = &w->survey->compressed[m];
	struct pt_builder *b = &w->compressed[m];

	if (pt_view_is_hole_whole(&w->view)) {
		zeroes_pack(b, cost, w->gfn, w->view.page_cnt);
		return;
	}
	for (__u32 i = 0; i < w->view.page_cnt; i++) {
		if (w->region.is_copy[i])
			copy_pack(b, cost, w->gfn + i);
		else
			page_pack(b, cost, w->gfn + i, w->region.masks[i],
				  page_at(w, i));
	}
}

/* compress packs the region's pages by each method. */
static void compress(struct walk *w)
{
	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		if (w->compressors[m])
			compress_by(w, m);
}

/* page_count returns the result of pt_dups_add. */
static int page_count(struct walk *w, struct pt_survey_region *r, __u32 page)
{
	__u64 mask = w->region.masks[page];
	struct pt_survey *s = w->survey;
	unsigned int head, tail, all;

	s->page_cnt++;
	r->page_cnt++;
	if (!mask) {
		s->zero_cnt++;
		r->zero_cnt++;
		s->hole_cnt += pt_view_is_hole(&w->view, page);
		return 0;
	}
	head = __builtin_ctzll(mask);
	tail = __builtin_clzll(mask);
	all = PT_PAGE_BLOCKS - __builtin_popcountll(mask);
	s->data_cnt++;
	s->head_cnt += head;
	s->tail_cnt += tail;
	s->interior_cnt += all - head - tail;
	r->trimmed_cnt += all;
	return pt_dups_add(w->dups, w->region.hashes[page]);
}

/* hole_take counts and packs a region without a page in it at once. */
static void hole_take(struct walk *w, struct pt_survey_region *r)
{
	__u32 page_cnt = w->view.page_cnt;
	struct pt_survey *s = w->survey;

	s->page_cnt += page_cnt;
	s->zero_cnt += page_cnt;
	s->hole_cnt += page_cnt;
	r->page_cnt += page_cnt;
	r->zero_cnt += page_cnt;
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		zeroes_pack(&w->builders[t], &s->costs[t], w->gfn, page_cnt);
	zeroes_pack(&w->with_copies, &s->with_copies, w->gfn, page_cnt);
}

static int region_take(struct walk *w, __u64 region_idx, struct pt_error *err)
{
	struct pt_survey_region *r = &w->survey->regions[region_idx];
	__u32 page_cnt;
	int code = 0, copy;

	/* A sender's frame must not hold pages that its next view
	 * overwrites. */
	page_cnt = pt_layout_region(w->layout, region_idx, &w->gfn);
	if (!pt_view_keeps(&w->view, page_cnt)) {
		code = guarded(w, frames_count, err);
		pt_view_drop(&w->view);
	}
	if (!code)
		code = pt_source_view(w->src, &w->view, w->layout, region_idx, err);
	if (!code && pt_view_is_hole_whole(&w->view)) {
		hole_take(w, r);
		return guarded(w, compress, err);
	}
	if (!code)
		code = region_scan(w, err);
	if (code)
		return code;
	for (__u32 i = 0; i < page_cnt; i++) {
		copy = page_count(w, r, i);
		if (copy < 0)
			return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
					    "no memory to count copies");
		/* A sender makes no copies of memory that changes. */
		w->region.is_copy[i] = copy && !pt_source_may_change(w->src);
		page_pack_all(w, w->gfn + i, w->region.masks[i], copy);
	}
	return guarded(w, compress, err);
}

static int compressors_create(struct walk *w, const struct pt_builder_cfg *cfg,
			      __u8 compressions)
{
	int ret = 0;

	for (int m = 1; !ret && m < PT_COMPRESSION_CNT; m++) {
		if (!(compressions >> m & 1))
			continue;
		ret = pt_compressor_create(&w->compressors[m], m,
					   PT_COMPRESS_LEVEL);
		if (ret)
			return ret;
		pt_builder_init(&w->compressed[m], cfg);
		pt_builder_use(&w->compressed[m], w->compressors[m]);
	}
	return 0;
}

static int walk_init(struct walk *w, __u32 mtu, __u8 compressions,
		     struct pt_error *err)
{
	const struct pt_link link = { .ipv6 = false };
	const __u32 frame_sz_max = pt_link_frame_sz_max(&link, mtu);
	const struct pt_builder_cfg cfg = {
		.l2l3l4_sz = pt_link_sz(&link),
		.frame_sz_max = frame_sz_max,
		.packed = frame_sz_max <= COPY_DESC_SZ,
	};
	struct pt_survey *s = w->survey;

	memset(s, 0, sizeof(*s));
	s->mtu = mtu;
	s->region_cnt = pt_layout_region_cnt(w->layout);
	s->regions = calloc(s->region_cnt, sizeof(s->regions[0]));
	if (!s->regions || pt_dups_create(&w->dups, PT_DUPS_SLOTS) ||
	    compressors_create(w, &cfg, compressions))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory to inspect %llu regions",
				    s->region_cnt);
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		pt_builder_init(&w->builders[t], &cfg);
	pt_builder_init(&w->with_copies, &cfg);
	return 0;
}

static void walk_free(struct walk *w)
{
	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		pt_compressor_destroy(w->compressors[m]);
	pt_view_free(&w->view);
	pt_dups_destroy(w->dups);
}

static __u64 stretch(__u64 with, __u64 all, double times)
{
	double saved = times * ((double)all - with);

	return saved < all ? all - saved : 0;
}

void pt_survey_stretch(struct pt_survey_cost *with,
		       const struct pt_survey_cost *all, double times)
{
	with->frames = stretch(with->frames, all->frames, times);
	with->wire_bytes = stretch(with->wire_bytes, all->wire_bytes, times);
}

struct pt_survey_cost pt_survey_all(const struct pt_survey_cost *with,
				    __u64 page_cnt, __u64 copy_cnt)
{
	double times = copy_cnt < page_cnt
		? (double)page_cnt / (page_cnt - copy_cnt) : 1;

	return (struct pt_survey_cost){
		.frames = with->frames * times,
		.wire_bytes = with->wire_bytes * times,
	};
}

/* copies_tell takes the counts of dups.  With a sample, the savings of its
 * copies are scaled to all copies. */
static void copies_tell(struct walk *w)
{
	struct pt_survey *s = w->survey;
	double times;

	s->copy_cnt = pt_dups_copies(w->dups);
	s->copy_sample = pt_dups_sample(w->dups);
	if (s->copy_sample <= 1 || !w->copies_packed)
		return;
	times = (double)s->copy_cnt / w->copies_packed;
	pt_survey_stretch(&s->with_copies, &s->costs[PT_TRIM_BLOCKS], times);
	for (int m = 0; m < PT_COMPRESSION_CNT; m++) {
		struct pt_survey_cost *with = &s->compressed[m];
		struct pt_survey_cost all = pt_survey_all(with, s->data_cnt,
							  w->copies_packed);

		if (!pt_source_may_change(w->src))
			pt_survey_stretch(with, &all, times);
	}
}

int pt_survey_take(struct pt_survey *out, struct pt_source *src,
		   const struct pt_layout *l, __u32 mtu, __u8 compressions,
		   pt_survey_progress *progress, void *arg,
		   struct pt_error *err)
{
	struct walk w = { .survey = out, .src = src, .layout = l };
	const struct pt_segment *segs;
	__u32 seg_cnt;
	int code;

	pt_view_init(&w.view);
	code = walk_init(&w, mtu, compressions, err);
	for (__u64 r = 0; !code && r < out->region_cnt; r++) {
		code = region_take(&w, r, err);
		if (!code && progress)
			progress(arg, r + 1, out->region_cnt);
	}
	if (!code)
		code = guarded(&w, frames_count, err);
	if (!code)
		copies_tell(&w);
	walk_free(&w);
	if (code) {
		pt_survey_free(out);
		return code;
	}
	segs = pt_layout_segments(l, &seg_cnt);
	for (__u32 i = 0; i < seg_cnt; i++)
		out->memory_sz += segs[i].sz;
	return 0;
}

void pt_survey_free(struct pt_survey *s)
{
	free(s->regions);
	s->regions = NULL;
}

double pt_survey_seconds(const struct pt_survey_cost *cost, __u64 rate_mbit)
{
	double bytes = (double)cost->wire_bytes +
		       (double)cost->frames * FRAME_AROUND_SZ;

	double wire = bytes * 8 / (rate_mbit * 1e6);
	double compress = cost->compress_ns / 1e9;

	return wire > compress ? wire : compress;
}
