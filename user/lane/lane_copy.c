// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Chooses the pages of a lane that go as copies of others (dedup).
 *
 * Frames come in any order, and a copy takes its original's content at that
 * moment.  So only a page whose frames are all acknowledged and placed can be
 * an original: it is not sent again.  A page that is dirty again, since its
 * frame was lost or never sent, has the digest 0 (pt_lane_mark_dirty) and is no
 * original until it was sent again.  Digests are only a hint: the bytes are
 * compared.  A source that may change has no copies, since its present bytes
 * need not be the sent ones.
 */
#include "lane/lane_internal.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/check.h>
#include "memory/guard.h"
#include "trim/digest.h"

int pt_lane_copies_open(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	int ret = 0;

	if (job->copies && !job->pad && !pt_source_may_change(job->source))
		ret = pt_copies_init(&l->copies,
				     pt_layout_page_cnt(job->layout),
				     l->stripe_cnt);
	return ret ? pt_error_set(&l->error_text, PT_EXIT_HOST, ret,
				  "lane %u: no memory to look for copies of "
				  "pages ({copies} off does without)",
				  l->cfg.lane_idx) : 0;
}

/* Two rounds, each with many cache misses in flight at a time, since no entry
 * of such a large table is in the cache. */
void pt_lane_copies_ahead(const struct pt_lane *l,
			  const struct pt_scan_batch *batch)
{
	__u64 data = l->copies.slots ? pt_scan_batch_data(batch) : 0;
	struct pt_original original;

	for (__u64 bits = data; bits; bits &= bits - 1)
		__builtin_prefetch(pt_copies_slot(&l->copies,
				batch->contents[__builtin_ctzll(bits)]), 1);
	for (__u64 bits = data; bits; bits &= bits - 1)
		if (pt_copies_find(&l->copies,
				   batch->contents[__builtin_ctzll(bits)],
				   &original))
			pt_digests_prefetch(l->cfg.job->digests,
					    original.page_idx);
}

/* find: by the digest last sent, *original, another page, has this page's
 * content. */
static bool find(const struct pt_lane *l, __u64 page_idx, __u64 content,
		 struct pt_original *original, __u64 *gfn)
{
	__u64 digest;

	if (!pt_copies_find(&l->copies, content, original) ||
	    original->page_idx == page_idx)
		return false;
	*gfn = pt_layout_gfn(l->cfg.job->layout, original->page_idx);
	digest = pt_digest_at(content, *gfn);
	return digest && digest == pt_digests_get(l->cfg.job->digests,
						  original->page_idx);
}

static int compare(struct pt_lane *l, __u64 page_idx, const __u8 *page)
{
	const struct pt_send_job *job = l->cfg.job;
	__u8 buffer[PT_PAGE_SZ];
	const __u8 *other = pt_source_page(job->source, job->layout, page_idx,
					   buffer);
	struct pt_guard guard;
	int ret;

	if (!other)
		return 0;
	if (pt_guard_enter(&guard))
		return pt_source_faulted(job->source, guard.addr,
					 &l->error_text);
	ret = !memcmp(other, page, PT_PAGE_SZ);
	pt_guard_leave(&guard);
	return ret;
}

/* is_equal returns 1 if the source's page page_idx equals page; 0 if not, or if
 * it cannot be read. */
static int is_equal(struct pt_lane *l, __u64 page_idx, const __u8 *page)
{
	pt_lane_source_enter(l);
	return pt_lane_source_left(l, compare(l, page_idx, page));
}

/* The page ends in the next frame, or later, since frames of compressed blocks may
 * take fewer pages than are staged. */
void pt_lane_copies_noted(struct pt_lane *l, __u64 content, __u64 page_idx)
{
	pt_copies_note(&l->copies, content, page_idx,
		       pt_inflight_next_seq(l->inflight));
	pt_check(l->noted_cnt < PT_RECORDS_MAX);	/* each has a record */
	l->noted[l->noted_cnt++] = (struct pt_noted){
		.content = content, .page_idx = page_idx,
	};
}

/* is_staged: a part of the page is.  Staged pages ascend, and the first may be
 * the rest of a page. */
static bool is_staged(const struct pt_lane *l, __u64 page_idx)
{
	const struct pt_builder *b = &l->builder;

	return !pt_builder_is_empty(b) &&
	       pt_layout_gfn(l->cfg.job->layout, page_idx) >= b->records[0].gfn;
}

void pt_lane_copies_left(struct pt_lane *l)
{
	__u32 cnt = 0;

	for (__u32 i = 0; i < l->noted_cnt; i++) {
		const struct pt_noted noted = l->noted[i];

		if (!is_staged(l, noted.page_idx))
			continue;
		pt_copies_note_later(&l->copies, noted.content, noted.page_idx,
				     pt_inflight_next_seq(l->inflight));
		l->noted[cnt++] = noted;
	}
	l->noted_cnt = cnt;
}

/* as_data: the page goes as data; is_original: it is noted as one. */
static int as_data(struct pt_lane *l, __u64 page_idx, bool is_original)
{
	pt_copies_sent(&l->copies, page_idx, l->generation);
	l->cursor.page.is_original = is_original;
	return 0;
}

static int as_copy(struct pt_lane *l, __u64 page_idx, __u64 original_gfn,
		   __u64 original_idx)
{
	pt_copies_sent(&l->copies, page_idx, l->generation);
	l->cursor.page.kind = PT_STAGED_COPY;
	l->cursor.page.original_gfn = original_gfn;
	l->cursor.page.version = pt_copies_version(&l->copies, original_idx);
	return 0;
}

/* may_refuse: the receiver may refuse the page as a copy; is_newer: it was sent
 * again since that version. */
static bool may_refuse(const struct pt_lane *l, __u64 page_idx,
		       __u32 version_low, bool *is_newer)
{
	if (!l->copies.slots)
		return pt_lane_may_refuse(l, page_idx, version_low, is_newer);
	*is_newer = (pt_copies_version(&l->copies, page_idx) &
		     PT_VERSION_LOW_MAX) != version_low;
	return true;
}

/* refused: a page that was sent again since is under way already. */
static int refused(struct pt_lane *l, __u64 page)
{
	__u64 gfn = pt_record_original(page), page_idx;
	bool is_newer;

	if (!pt_layout_find(l->cfg.job->layout, gfn, &page_idx) ||
	    page_idx / PT_REGION_PAGES % l->stripe_cnt != l->stripe ||
	    !may_refuse(l, page_idx, pt_record_version(page), &is_newer))
		return pt_error_set(&l->error_text, PT_EXIT_PEER, -EPROTO,
				    "lane %u: the receiver refuses page %llu, "
				    "which was not sent as a copy (is it "
				    "pagetrim?)", l->cfg.lane_idx,
				    (unsigned long long)gfn);
	if (!is_newer)
		pt_lane_mark_dirty(l, gfn, 1);
	return 0;
}

int pt_lane_refused(struct pt_lane *l)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < l->mail.refused_cnt; i++)
		ret = refused(l, l->mail.refused[i]);
	return ret;
}

int pt_lane_choose_data(struct pt_lane *l, const struct pt_scan_batch *batch,
			unsigned i, __u64 page_idx)
{
	struct pt_original original;
	__u64 gfn;
	int ret;

	if (!l->copies.slots)
		return 0;
	if (!find(l, page_idx, batch->contents[i], &original, &gfn))
		return as_data(l, page_idx, true);
	if (pt_copies_is_settled(&original, l->placed_upto,
				 pt_inflight_next_seq(l->inflight))) {
		ret = is_equal(l, original.page_idx,
			       batch->pages + i * PT_PAGE_SZ);
		if (ret < 0)
			return ret;
		return ret ? as_copy(l, page_idx, gfn, original.page_idx)
			   : as_data(l, page_idx, true);
	}
	/* The first of equal pages stays noted: it is settled before others.  Memory
	 * that is not mapped would be read once more, all of its region. */
	if (l->generation > 1 || !l->view.is_stable)
		return as_data(l, page_idx, false);
	l->cursor.page.kind = PT_STAGED_NONE;
	pt_lane_mark_dirty(l, batch->gfn + i, 1);
	pt_adaptive_put_off(&l->adaptive, i, batch->masks[i]);
	pt_lane_count(&l->counts.put_off, 1);
	return 0;
}
