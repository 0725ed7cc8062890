// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which of a lane's pages go as copies of others.
 *
 * Frames come in any order, and a copy takes what its original holds at that
 * moment.  So an original is one whose frames are all acknowledged: what is
 * acknowledged is not sent again.  A page that is dirty again, its frame being
 * lost or never sent, has the digest 0 (pt_lane_mark_dirty) and is no original
 * until it was sent once more.  Digests only suggest: the bytes are compared.
 */
#include "transfer/lane_internal.h"

#include <errno.h>
#include <string.h>

#include "memory/guard.h"
#include "trim/digest.h"

int pt_lane_copies_open(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	int ret = 0;

	if (job->copies && !job->pad)
		ret = pt_copies_init(&l->copies,
				     pt_layout_page_cnt(job->layout),
				     l->slot_cnt);
	return ret ? pt_error_set(&l->error_text, PT_EXIT_HOST, ret,
				  "lane %u: no memory to look for copies of "
				  "pages (--copies off does without)",
				  l->cfg.lane_idx) : 0;
}

void pt_lane_copies_ahead(const struct pt_lane *l,
			  const struct pt_page_word *w)
{
	if (!l->copies.slots)
		return;
	for (__u64 bits = pt_page_word_data(w); bits; bits &= bits - 1)
		__builtin_prefetch(pt_copies_slot(&l->copies,
				w->contents[__builtin_ctzll(bits)]), 1);
}

/* may_equal: the digests say so, and of what was sent last. */
static bool may_equal(const struct pt_lane *l, __u64 content,
		      const struct pt_original *original, __u64 gfn)
{
	__u64 digest = pt_digest_at(content, gfn);

	return digest && digest == pt_digests_get(l->cfg.job->digests,
						  original->page_idx);
}

/* is_equal: 1: the source's page page_idx holds what page does; 0: not, or it
 * cannot be read. */
static int is_equal(struct pt_lane *l, __u64 page_idx, const __u8 *page)
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

int pt_lane_try_copy(struct pt_lane *l, __u64 page_idx, __u64 content,
		     const __u8 *page)
{
	const struct pt_layout *layout = l->cfg.job->layout;
	struct pt_original original;
	__u64 gfn, original_gfn;
	int ret;

	if (!pt_copies_find(&l->copies, content, &original) ||
	    original.page_idx == page_idx)
		return 0;
	gfn = pt_layout_gfn(layout, page_idx);
	original_gfn = pt_layout_gfn(layout, original.page_idx);
	if (!may_equal(l, content, &original, original_gfn))
		return 0;
	if (!pt_copies_is_settled(&original, pt_inflight_upto(l->inflight),
				  pt_inflight_next_seq(l->inflight))) {
		/* Later most are, but not for ever: nothing is put off twice. */
		if (l->generation > 1)
			return 0;
		pt_lane_mark_dirty(l, gfn, 1);
		pt_lane_count(&l->counts.put_off, 1);
		return 1;
	}
	ret = is_equal(l, original.page_idx, page);
	if (ret > 0 && !(ret = pt_lane_add_copy(l, gfn, original_gfn)))
		ret = 1;
	return ret;
}
