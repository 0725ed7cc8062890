/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Memory whose owner changes it while the rest of it still comes: nothing of it is read
 * any more, so each page is digested before it is placed. */
#include "rebuild/rebuild_impl.h"

#include <pagetrim/check.h>

int pt_rebuild_lack(struct pt_rebuild *r, __u64 page_idx, __u64 cnt,
		    struct pt_error *err)
{
	pt_check(page_idx + cnt <= r->page_cnt);
	for (__u64 i = page_idx; i < page_idx + cnt; i++) {
		if (bit_is_set(r->unreadable, i))
			pt_rebuild_unreadable_clear(r, i);
		pt_rebuild_page_sum(r, i, 0);
		bit_set(r->written, i);		/* a zero page is placed, too */
		region_of(r, i)->has_pages = true;
	}
	return pt_sink_lack(r->sink, pt_layout_image_off(r->layout, page_idx),
			    cnt * PT_PAGE_SZ, err);
}

int pt_rebuild_settle(struct pt_rebuild *r, __u64 region_idx, struct pt_error *err)
{
	__u64 first = region_idx * PT_REGION_PAGES, gfn;
	__u32 cnt = pt_layout_region(r->layout, region_idx, &gfn);
	__u8 page[PT_PAGE_SZ];

	for (__u32 i = 0; i < cnt && r->regions[region_idx].has_pages; i++) {
		int ret;

		if (!bit_is_set(r->written, first + i) ||
		    bit_is_set(r->summed, first + i))
			continue;
		ret = pt_sink_read(r->sink, pt_layout_image_off(r->layout, first + i),
				   page, sizeof(page), err);
		if (ret)
			return ret;
		pt_rebuild_page_sum(r, first + i,
				    pt_digest_page(r->digest_key, gfn + i, page));
	}
	return 0;
}

/* completed: a page whose pieces came out of order is whole only now. */
static void completed(void *arg, __u64 page, const void *bytes)
{
	struct pt_rebuild *r = arg;
	__u64 page_idx = pt_layout_page_at(r->layout, page * PT_PAGE_SZ);

	if (!bit_is_set(r->summed, page_idx) && r->contents[page_idx] == WHOLE)
		pt_rebuild_page_sum(r, page_idx,
				    pt_digest_page(r->digest_key,
						   pt_layout_gfn(r->layout, page_idx),
						   bytes));
}

int pt_rebuild_fill(struct pt_rebuild *r, struct pt_error *err)
{
	r->fills = true;
	return pt_sink_fill(r->sink, completed, r, err);
}
