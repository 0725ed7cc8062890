/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "memory/page_ranges.h"

#include <errno.h>
#include <stdlib.h>

#define STEP	64	/* ranges for which room is made */

static int grow(struct pt_page_ranges *r)
{
	struct pt_page_range *all;

	if (r->cnt == PT_PAGE_RANGES_MAX)
		return -E2BIG;
	if (r->cnt % STEP)
		return 0;
	all = realloc(r->all, (r->cnt + STEP) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	r->all = all;
	return 0;
}

int pt_page_ranges_add(struct pt_page_ranges *r, __u64 first, __u64 cnt)
{
	struct pt_page_range *last = r->cnt ? &r->all[r->cnt - 1] : NULL;
	__u64 end = last ? last->first + last->cnt : 0;
	int ret;

	if (!cnt || first < end || cnt > ~0ULL - first)
		return -EINVAL;
	if (last && first == end) {
		last->cnt += cnt;
		r->page_cnt += cnt;
		return 0;
	}
	ret = grow(r);
	if (ret)
		return ret;
	r->all[r->cnt++] = (struct pt_page_range){ first, cnt };
	r->page_cnt += cnt;
	return 0;
}

void pt_page_ranges_free(struct pt_page_ranges *r)
{
	free(r->all);
	*r = (struct pt_page_ranges){ 0 };
}

bool pt_page_ranges_has(const struct pt_page_ranges *r, __u64 page)
{
	__u32 low = 0, high = r->cnt;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;

		if (page < r->all[mid].first)
			high = mid;
		else if (page - r->all[mid].first < r->all[mid].cnt)
			return true;
		else
			low = mid + 1;
	}
	return false;
}

void pt_page_names_add(struct pt_page_names *n, __u64 first, __u64 cnt)
{
	bool joins = n->range_cnt && n->end == first;

	n->page_cnt += cnt;
	n->end = first + cnt;
	if (!joins)
		n->range_cnt++;
	if (n->range_cnt > PT_PAGE_NAMES_MAX)
		return;
	if (joins)
		n->named[n->range_cnt - 1].cnt += cnt;
	else
		n->named[n->range_cnt - 1] = (struct pt_page_range){ first, cnt };
}
