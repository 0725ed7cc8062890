/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/recheck.h"

#include <errno.h>

#include "transfer/page_word.h"

#define STEP_REGIONS	32	/* that are read */
#define STEP_HOLES	8192	/* that need not be */

void pt_recheck_init(struct pt_recheck *r)
{
	r->region_next = 0;
	pt_view_init(&r->view);
}

void pt_recheck_free(struct pt_recheck *r)
{
	pt_view_free(&r->view);
}

static int compare_word(struct pt_recheck *r, __u32 first,
			struct pt_error *err)
{
	__u64 page_idx = r->region_next * PT_REGION_PAGES + first;
	struct pt_page_word w = pt_page_word_of(&r->view, r->layout,
						r->region_next, first);
	int ret = pt_page_word_scan(&w, r->source, r->digest_key, err);

	if (ret)
		return ret;
	r->read_sz += pt_page_word_sz(&w);
	for (unsigned i = 0; i < 64 && w.wanted >> i & 1; i++)
		if (w.digests[i] != pt_digests_get(r->digests, page_idx + i))
			return pt_error_set(err, PT_EXIT_MISMATCH, -ESTALE,
					    "page %llu changed after it was "
					    "sent; nothing was committed (pause "
					    "who writes it, then send again)",
					    (unsigned long long)(w.gfn + i));
	return 0;
}

/* compare_region: 1: it is a hole, and was; 0: it was read; -errno. */
static int compare_region(struct pt_recheck *r, struct pt_error *err)
{
	int ret = pt_source_view(r->source, &r->view, r->layout,
				 r->region_next, err);

	if (!ret && pt_view_is_hole_whole(&r->view) &&
	    !pt_digests_region(r->digests, r->region_next))
		return 1;
	for (__u32 first = 0; !ret && first < r->view.page_cnt; first += 64)
		ret = compare_word(r, first, err);
	return ret;
}

int pt_recheck_step(struct pt_recheck *r, struct pt_error *err)
{
	__u64 region_cnt = pt_layout_region_cnt(r->layout);
	unsigned compared = 0;

	for (unsigned i = 0; i < STEP_HOLES && compared < STEP_REGIONS; i++) {
		int ret;

		if (r->region_next == region_cnt)
			return 1;
		ret = compare_region(r, err);
		if (ret < 0)
			return ret;
		compared += !ret;
		r->region_next++;
	}
	return 0;
}
