// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "survey/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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
};

struct walk {
	struct pt_survey *survey;
	struct pt_source *src;
	const struct pt_layout *layout;
	struct pt_view view;
	struct pt_dups *dups;
	struct pt_builder builders[PT_TRIM_CNT];
	struct pt_builder with_copies;
	__u64 copies_packed;
	struct region region;
};

/* region_scan reads the region's pages once; only it may fault. */
static int region_scan(struct walk *w, struct pt_error *err)
{
	struct pt_view *v = &w->view;
	struct pt_guard guard;
	int ret = 0;

	for (__u32 first = 0; !ret && first < v->page_cnt; first += 64)
		ret = pt_view_load(w->src, v, first, pt_view_word(v, first),
				   err);
	if (ret)
		return ret;
	if (pt_guard_enter(&guard)) {
		int code = pt_source_fault(w->src, guard.addr, err);

		return code ? code : pt_error_set(err, PT_EXIT_FAILED, -EIO,
						  "memory fault while the "
						  "source was read");
	}
	for (__u32 i = 0; i < v->page_cnt; i++) {
		const __u8 *page = v->pages + (__u64)i * PT_PAGE_SZ;
		__u64 mask = pt_view_is_hole(v, i) ? 0 : pt_scan(page);

		w->region.masks[i] = mask;
		if (mask)
			w->region.hashes[i] = XXH3_64bits(page, PT_PAGE_SZ);
	}
	pt_guard_leave(&guard);
	return 0;
}

static void frame_count(struct pt_builder *b, struct pt_survey_cost *cost)
{
	if (pt_builder_is_empty(b))
		return;
	cost->wire_bytes += pt_builder_discard(b);
	cost->frames++;
}

static void frames_count(struct walk *w)
{
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		frame_count(&w->builders[t], &w->survey->costs[t]);
	frame_count(&w->with_copies, &w->survey->with_copies);
}

/* page_pack stages one page as a sender does.  The builders do not read it,
 * since nothing is written. */
static void page_pack(struct pt_builder *b, struct pt_survey_cost *cost,
		      __u64 gfn, __u64 mask)
{
	unsigned int first = 0;

	if (!mask) {
		while (!pt_builder_add_zeroes(b, gfn, 1))
			frame_count(b, cost);
		return;
	}
	while (first < PT_PAGE_BLOCKS) {
		first = pt_builder_add_page(b, gfn, first, mask, NULL);
		if (first < PT_PAGE_BLOCKS)
			frame_count(b, cost);
	}
}

/* page_pack_all packs the page in each way.  All copy records cost the same. */
static void page_pack_all(struct walk *w, __u64 gfn, __u64 scanned,
			  bool is_copy)
{
	struct pt_survey *s = w->survey;

	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		page_pack(&w->builders[t], &s->costs[t], gfn,
			  pt_trim_mask(t, scanned));
	if (!is_copy) {
		page_pack(&w->with_copies, &s->with_copies, gfn,
			  pt_trim_mask(PT_TRIM_BLOCKS, scanned));
		return;
	}
	while (!pt_builder_add_copy(&w->with_copies, gfn, gfn ^ 1, 1))
		frame_count(&w->with_copies, &s->with_copies);
	w->copies_packed++;
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

static int region_take(struct walk *w, __u64 region_idx, struct pt_error *err)
{
	struct pt_survey_region *r = &w->survey->regions[region_idx];
	__u32 page_cnt;
	__u64 gfn;
	int code, copy;

	/* A sender's frame must not hold pages that its next view
	 * overwrites. */
	page_cnt = pt_layout_region(w->layout, region_idx, &gfn);
	if (!pt_view_keeps(&w->view, page_cnt)) {
		frames_count(w);
		pt_view_drop(&w->view);
	}
	code = pt_source_view(w->src, &w->view, w->layout, region_idx, err);
	if (!code)
		code = region_scan(w, err);
	if (code)
		return code;
	for (__u32 i = 0; i < page_cnt; i++) {
		copy = page_count(w, r, i);
		if (copy < 0)
			return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
					    "no memory to count copies");
		page_pack_all(w, gfn + i, w->region.masks[i], copy);
	}
	return 0;
}

static int walk_init(struct walk *w, __u32 mtu, struct pt_error *err)
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
	if (!s->regions || pt_dups_create(&w->dups, PT_DUPS_SLOTS))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory to inspect %llu regions",
				    s->region_cnt);
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		pt_builder_init(&w->builders[t], &cfg);
	pt_builder_init(&w->with_copies, &cfg);
	return 0;
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

/* copies_tell takes the counts of dups.  With a sample, the savings of its
 * copies are scaled to all copies. */
static void copies_tell(struct walk *w)
{
	struct pt_survey *s = w->survey;

	s->copy_cnt = pt_dups_copies(w->dups);
	s->copy_sample = pt_dups_sample(w->dups);
	if (s->copy_sample > 1 && w->copies_packed)
		pt_survey_stretch(&s->with_copies, &s->costs[PT_TRIM_BLOCKS],
				  (double)s->copy_cnt / w->copies_packed);
}

int pt_survey_take(struct pt_survey *out, struct pt_source *src,
		   const struct pt_layout *l, __u32 mtu,
		   pt_survey_progress *progress, void *arg,
		   struct pt_error *err)
{
	struct walk w = { .survey = out, .src = src, .layout = l };
	const struct pt_segment *segs;
	__u32 seg_cnt;
	int code;

	pt_view_init(&w.view);
	code = walk_init(&w, mtu, err);
	for (__u64 r = 0; !code && r < out->region_cnt; r++) {
		code = region_take(&w, r, err);
		if (!code && progress)
			progress(arg, r + 1, out->region_cnt);
	}
	pt_view_free(&w.view);
	if (code) {
		pt_dups_destroy(w.dups);
		pt_survey_free(out);
		return code;
	}
	frames_count(&w);
	copies_tell(&w);
	pt_dups_destroy(w.dups);
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

	return bytes * 8 / (rate_mbit * 1e6);
}
