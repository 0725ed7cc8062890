/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/quota.h"

__u64 pt_quota_memory_sz(const struct pt_segment *segs, __u32 cnt)
{
	__u64 page_cnt = 0, region_cnt = 0, pages_sz, tables_sz, free_sz;

	for (__u32 i = 0; i < cnt; i++) {
		__u64 pages = pt_segment_page_cnt(&segs[i]);

		/* The sum stays far below 2^64: a segment has at most 2^52
		 * pages, and there are at most 2^16 segments. */
		if (pages > PT_LAYOUT_PAGES_MAX)
			return ~0ULL;
		page_cnt += pages;
		region_cnt += (pages + PT_REGION_PAGES - 1) / PT_REGION_PAGES;
	}
	if (page_cnt > PT_LAYOUT_PAGES_MAX)
		return ~0ULL;
	pages_sz = page_cnt * PT_PAGE_SZ;
	tables_sz = region_cnt * PT_QUOTA_REGION_SZ +
		    (__u64)cnt * PT_QUOTA_SEGMENT_SZ;
	free_sz = pages_sz / PT_QUOTA_TABLES_SHARE + PT_QUOTA_TABLES_FREE;
	return pages_sz + (tables_sz > free_sz ? tables_sz - free_sz : 0);
}

__u64 pt_quota_file_sz(__u64 sz)
{
	if (sz > ~0ULL - 2 * PT_PAGE_SZ)
		return ~0ULL;
	return (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ + PT_PAGE_SZ;
}
