/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Places pages that the source could not read: zero in the sink until it is told
 * which they are, and with a digest that no bytes have. */
#include "rebuild/rebuild_impl.h"

#include <pagetrim/check.h>

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
	ret = pt_rebuild_pages_zero(p, page_idx,
				    pt_rebuild_page_forget(r, page_idx));
	if (ret)
		return ret;
	pt_rebuild_page_sum(r, page_idx, pt_digest_unreadable(gfn));
	bit_set(r->unreadable, page_idx);
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
