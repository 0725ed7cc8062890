/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Places records that refer to a content that is here: copies and deltas. */
#include "rebuild/rebuild_impl.h"

#include <string.h>

#include <pagetrim/check.h>

/* whole_version returns the version in which the page is whole; 0: in none, or it
 * was held before the session, or has no content, since it could not be read. */
static __u32 whole_version(const struct pt_rebuild *r, __u64 page_idx)
{
	__u32 version = table_get(&r->versions[page_idx]);
	__u32 at_least = table_get(&region_of(r, page_idx)->version);

	if (bit_is_set(r->unreadable, page_idx))
		return 0;
	if (at_least > version)		/* a zero run of the whole region */
		return at_least;
	return bit_is_set(r->summed, page_idx) ||
	       table_get(&r->contents[page_idx]) == WHOLE ? version : 0;
}

/* original_is: the page is whole in the version whose low bits are given. */
static bool original_is(const struct pt_rebuild *r, __u64 page_idx,
			__u32 version_low)
{
	__u32 version = whole_version(r, page_idx);

	return version && (version & PT_VERSION_LOW_MAX) == version_low;
}

/* stage_copy stages the original; never written, it is zero, and stays a hole. */
static int stage_copy(const struct placing *p, __u64 page_idx, __u64 gfn,
		      __u64 original_idx)
{
	struct pt_rebuild *r = p->rebuild;
	const void *page;
	int ret;

	if (!bit_is_set(r->written, original_idx))
		return pt_rebuild_pages_zero(p, page_idx,
			pt_rebuild_page_forget(r, page_idx));
	ret = pt_sink_run_copy(p->run, r->sink,
			       pt_layout_image_off(r->layout, page_idx),
			       pt_layout_image_off(r->layout, original_idx),
			       &page, p->err);
	if (ret)
		return ret;
	bit_set(r->written, page_idx);
	pt_rebuild_page_sum(r, page_idx, pt_digest_page(r->digest_key, gfn, page));
	return 0;
}

/* refuse notes that what a record names is not here: the page is as it was. */
static int refuse(const struct placing *p, __u64 gfn)
{
	struct pt_refusals *to = p->refusals;

	pt_check(to->cnt < PT_REFUSALS_MAX);
	to->pages[to->cnt++] = pt_record_copy_of(gfn, p->frame->id.generation);
	return PLACED_NOT;
}

int pt_rebuild_copy(const struct placing *p,
		    const struct pt_record_host *record)
{
	const struct pt_layout *layout = p->rebuild->layout;
	__u64 page_idx, original_idx;
	int ret;

	pt_check(pt_layout_find(layout, record->gfn, &page_idx));
	pt_check(pt_layout_find(layout, pt_record_original(record->mask),
				&original_idx));
	if (pt_rebuild_page_is_stale(p, page_idx))
		return 0;
	if (p->rebuild->fills ||
	    !original_is(p->rebuild, original_idx,
			 pt_record_version(record->mask)))
		return refuse(p, record->gfn);
	pt_rebuild_page_renew(p, page_idx);
	/* Pieces of this version, that no sender sends beside a copy. */
	if (p->sum->page_idx == page_idx)
		p->sum->next = 0;
	ret = stage_copy(p, page_idx, record->gfn, original_idx);
	return ret ? ret : 1;
}

/* patch puts the blocks that follow into the page. */
static void patch(const struct placing *p, __u64 mask, __u8 *page)
{
	unsigned int got;

	for (; mask; mask &= mask - 1)
		memcpy(page + __builtin_ctzll(mask) * PT_BLOCK_SZ,
		       pt_reader_blocks(p->frame, 1, &got), PT_BLOCK_SZ);
}

/* The whole page is staged, since a piece costs more than its bytes: a process's
 * memory is looked up for each.  A base whose digest is not the one that is held
 * was changed by others: it is staged as it is, which changes nothing. */
int pt_rebuild_delta(const struct placing *p,
		     const struct pt_record_host *record)
{
	struct pt_rebuild *r = p->rebuild;
	__u32 base = pt_record_base(record, p->frame->id.generation);
	__u64 page_idx;
	__u8 *page;
	int ret;

	pt_check(pt_layout_find(r->layout, record->gfn, &page_idx));
	if (pt_rebuild_page_is_stale(p, page_idx))
		return 0;
	if (r->fills || !base || whole_version(r, page_idx) != base)
		return refuse(p, record->gfn);
	ret = pt_sink_run_edit(p->run, r->sink,
			       pt_layout_image_off(r->layout, page_idx),
			       !bit_is_set(r->written, page_idx), &page, p->err);
	if (ret)
		return ret;
	if (bit_is_set(r->summed, page_idx) && r->contents[page_idx] !=
	    pt_digest_page(r->digest_key, record->gfn, page))
		return refuse(p, record->gfn);
	pt_rebuild_page_renew(p, page_idx);
	if (p->sum->page_idx == page_idx)
		p->sum->next = 0;
	bit_set(r->written, page_idx);
	patch(p, record->mask, page);
	pt_rebuild_page_sum(r, page_idx,
			    pt_digest_page(r->digest_key, record->gfn, page));
	return 1;
}
