/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Places pages that the source could not read: zero in the sink until it is told
 * which they are, and with a digest that no bytes have. */
#include "rebuild/rebuild_impl.h"

#include <errno.h>
#include <pagetrim/check.h>

#include "memory/page_ranges.h"

/* ranges_count: the page's bit was set, or cleared. */
static void ranges_count(struct pt_rebuild *r, __u64 page_idx, int set)
{
	int beside = (page_idx && bit_is_set(r->unreadable, page_idx - 1)) +
		     (page_idx + 1 < r->page_cnt &&
		      bit_is_set(r->unreadable, page_idx + 1));

	__atomic_fetch_add(&r->unreadable_ranges, set * (1 - beside),
			   __ATOMIC_RELAXED);
}

void pt_rebuild_unreadable_clear(struct pt_rebuild *r, __u64 page_idx)
{
	bit_clear(r->unreadable, page_idx);
	ranges_count(r, page_idx, -1);
}

/* ranges_check refuses early what the sink would refuse at the end.  Pages that come
 * out of order may make some ranges more for a while. */
static int ranges_check(const struct placing *p)
{
	if (__atomic_load_n(&p->rebuild->unreadable_ranges, __ATOMIC_RELAXED) <=
	    PT_PAGE_RANGES_MAX + PT_REGION_PAGES)
		return 0;
	return pt_error_set(p->err, PT_EXIT_FAILED, -E2BIG, "more than %u ranges of "
			    "pages that cannot be read", PT_PAGE_RANGES_MAX);
}

/* lose_page: 1: the page is unreadable now; 0: it is newer; -errno. */
static int lose_page(const struct placing *p, __u64 gfn)
{
	struct pt_rebuild *r = p->rebuild;
	__u64 page_idx;
	int ret;

	pt_check(pt_layout_find(r->layout, gfn, &page_idx));
	if (!pt_rebuild_page_renew(p, page_idx))
		return 0;
	if (p->sum->page_idx == page_idx)
		p->sum->next = 0;
	if (r->fills)
		ret = pt_sink_lose(r->sink, pt_layout_image_off(r->layout, page_idx),
				   PT_PAGE_SZ, p->err);
	else
		ret = pt_rebuild_pages_zero(p, page_idx,
					    pt_rebuild_page_forget(r, page_idx));
	if (ret)
		return ret;
	pt_rebuild_page_sum(r, page_idx, pt_digest_unreadable(gfn));
	bit_set(r->unreadable, page_idx);
	ranges_count(r, page_idx, 1);
	__atomic_store_n(&r->has_unreadable, true, __ATOMIC_RELAXED);
	return 1;
}

int pt_rebuild_unreadable(const struct placing *p,
			  const struct pt_record_host *record)
{
	int placed = 0;
	int ret = pt_sink_check_marks(p->rebuild->sink, p->err);

	for (__u64 i = 0; !ret && i < record->mask; i++) {
		int lost = lose_page(p, record->gfn + i);

		if (lost < 0)
			ret = lost;
		else
			placed |= lost;
	}
	if (!ret)
		ret = ranges_check(p);
	return ret ? ret : placed;
}

__u64 pt_rebuild_unreadable_next(const struct pt_rebuild *r, __u64 *page_idx)
{
	__u64 at = *page_idx, end;

	if (!__atomic_load_n(&r->has_unreadable, __ATOMIC_RELAXED))
		return 0;
	while (at < r->page_cnt && !bit_is_set(r->unreadable, at))
		at += at % 64 || r->unreadable[at / 64] ? 1 : 64;
	*page_idx = at;
	end = (at / PT_REGION_PAGES + 1) * PT_REGION_PAGES;
	end = end < r->page_cnt ? end : r->page_cnt;
	while (at < end && bit_is_set(r->unreadable, at))
		at++;
	return at - *page_idx;
}
