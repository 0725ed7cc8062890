/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "source/scan_batch.h"

#include <errno.h>

#include "memory/guard.h"
#include "trim/digest.h"
#include "trim/scan.h"

struct pt_scan_batch pt_scan_batch_of(struct pt_view *v,
				      const struct pt_layout *layout,
				      __u64 region_idx, __u32 first)
{
	return (struct pt_scan_batch){
		.view = v,
		.first = first,
		.pages = v->pages + (__u64)first * PT_PAGE_SZ,
		.gfn = pt_layout_gfn(layout,
				     region_idx * PT_REGION_PAGES + first),
		.wanted = pt_view_word(v, first),
		.holes = v->holes[first / 64],
	};
}

/* mask_of returns the blocks of page i that hold data, or all if it was not
 * searched. */
static __u64 mask_of(const struct pt_scan_batch *batch, unsigned i,
		     const __u8 *page)
{
	if ((batch->holes | batch->unreadable) >> i & 1)
		return 0;
	if (batch->search >> i & 1)
		return pt_scan(page);
	return pt_scan_any(page) ? ~0ULL : 0;
}

static __u64 content_of(const struct pt_scan_batch *batch, unsigned i,
			__u64 digest_key, const __u8 *page)
{
	if (batch->unreadable >> i & 1)
		return PT_CONTENT_UNREADABLE;
	return batch->masks[i] ? pt_digest_content(digest_key, page) : 0;
}

static void scan_pages(struct pt_scan_batch *batch, __u64 digest_key)
{
	batch->holes = batch->view->holes[batch->first / 64];
	batch->unreadable = batch->view->unreadable[batch->first / 64];
	for (__u64 bits = batch->wanted; bits; bits &= bits - 1) {
		unsigned i = __builtin_ctzll(bits);
		const __u8 *page = batch->pages + i * PT_PAGE_SZ;

		batch->masks[i] = mask_of(batch, i, page);
		batch->contents[i] = content_of(batch, i, digest_key, page);
		batch->digests[i] = pt_digest_at(batch->contents[i], batch->gfn + i);
	}
}

/* scan_guarded returns 1 if a page turned out to be unreadable: it is to be called
 * again, and reads that page no more. */
static int scan_guarded(struct pt_scan_batch *batch, struct pt_source *src,
			__u64 digest_key, struct pt_error *err)
{
	struct pt_guard guard;
	int ret;

	if (pt_guard_enter(&guard)) {
		ret = pt_source_lose(src, batch->view, guard.addr, err);
		return ret ? ret : 1;
	}
	scan_pages(batch, digest_key);
	pt_guard_leave(&guard);
	return 0;
}

int pt_scan_batch_read(struct pt_scan_batch *batch, struct pt_source *src,
		       __u64 digest_key, struct pt_error *err)
{
	int ret = pt_view_load(src, batch->view, batch->first, batch->wanted, err);

	if (ret)
		return ret;
	do
		ret = scan_guarded(batch, src, digest_key, err);
	while (ret > 0);
	return ret;
}

__u64 pt_scan_batch_page_digest(__u64 digest_key, __u64 gfn, const void *page)
{
	return pt_scan_any(page) ? pt_digest_page(digest_key, gfn, page) : 0;
}
