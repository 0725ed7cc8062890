// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sends pages of a memory that changes as their changed blocks, where the receiver
 * holds the rest.
 *
 * The base must be what the receiver has placed, never a page in flight: all
 * frames of its generation are acknowledged and placed, and none of its own was
 * lost or refused, since the digest of such a page is forgotten
 * (pt_lane_mark_dirty).  The remembered bytes are those that were sent: such a
 * source is read into the view once, and mask, digest and frame are made of that.
 */
#include "lane/lane_internal.h"

#include <string.h>

int pt_lane_deltas_open(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	int ret = 0;

	if (!job->pad && pt_source_may_change(job->source))
		ret = pt_deltas_init(&l->deltas, job->delta_cache_sz /
						 l->stripe_cnt);
	atomic_store(&l->counts.delta_cache_sz, pt_deltas_sz(&l->deltas));
	return ret ? pt_error_set(&l->error_text, PT_EXIT_HOST, ret,
				  "lane %u: no memory to remember pages "
				  "(a smaller {delta-cache} takes less)",
				  l->cfg.lane_idx) : 0;
}

void pt_lane_deltas_settle(struct pt_lane *l)
{
	if (pt_lane_is_settled(l))
		l->settled_generation = l->generation;
}

/* is_base: the receiver holds the slot's bytes, in its version.  was: the digest of
 * the page as it was sent last; 0: not known to have come. */
static bool is_base(const struct pt_lane *l, const struct pt_delta_slot *slot,
		    __u64 was)
{
	return slot && was && slot->digest == was &&
	       slot->version <= l->settled_generation &&
	       l->generation - slot->version <= PT_DELTA_AGE_MAX;
}

/* pays: the delta saves at least a quarter of the blocks, and fits in a frame. */
static bool pays(const struct pt_lane *l, __u64 changed, __u64 whole)
{
	unsigned int cnt = __builtin_popcountll(changed);

	return cnt <= pt_builder_delta_max(&l->builder) &&
	       4 * cnt <= 3u * __builtin_popcountll(whole);
}

/* The bytes are remembered even if their frame was dropped meanwhile: then the
 * page's digest is forgotten. */
void pt_lane_remember(struct pt_lane *l, const struct pt_scan_batch *batch,
		      unsigned i, __u64 page_idx)
{
	struct pt_delta_slot *slot = pt_deltas_take(&l->deltas, page_idx,
						    l->round);

	if (!slot)
		return;
	slot->digest = batch->digests[i];
	slot->version = l->generation;
	slot->round = l->round;
	memcpy(pt_deltas_page(&l->deltas, slot), batch->pages + i * PT_PAGE_SZ,
	       PT_PAGE_SZ);
}

void pt_lane_choose_changed(struct pt_lane *l, const struct pt_scan_batch *batch,
			    unsigned i, __u64 page_idx, __u64 was)
{
	const __u8 *page = batch->pages + i * PT_PAGE_SZ;
	struct pt_delta_slot *slot = pt_deltas_find(&l->deltas, page_idx);
	struct pt_staged *p = &l->cursor.page;
	__u64 changed;

	if (!is_base(l, slot, was))
		return;
	changed = pt_deltas_diff(page, pt_deltas_page(&l->deltas, slot));
	if (!pays(l, changed, p->mask))
		return;
	p->kind = PT_STAGED_DELTA;
	p->version = slot->version;
	p->changed = changed;
}

bool pt_lane_may_refuse(const struct pt_lane *l, __u64 page_idx,
			__u32 version_low, bool *is_newer)
{
	const struct pt_delta_slot *slot;

	if (!l->deltas.set_cnt)
		return false;
	slot = pt_deltas_find(&l->deltas, page_idx);
	*is_newer = slot && (slot->version & PT_VERSION_LOW_MAX) != version_low;
	return true;
}
