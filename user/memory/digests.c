/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "memory/digests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pagetrim/check.h>

static __u64 pages_sz(const struct pt_digests *d)
{
	return d->region_cnt * PT_REGION_PAGES * sizeof(*d->pages);
}

int pt_digests_init(struct pt_digests *d, __u64 region_cnt)
{
	*d = (struct pt_digests){ .region_cnt = region_cnt };
	d->has_pages = calloc(region_cnt, sizeof(*d->has_pages));
	if (!d->has_pages)
		return -ENOMEM;
	d->pages = mmap(NULL, pages_sz(d), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->pages != MAP_FAILED)
		return 0;
	d->pages = NULL;
	pt_digests_free(d);
	return -ENOMEM;
}

void pt_digests_free(struct pt_digests *d)
{
	if (d->pages)
		munmap(d->pages, pages_sz(d));
	free(d->has_pages);
	*d = (struct pt_digests){ 0 };
}

__u64 pt_digests_sum(const struct pt_digests *d, __u64 region_idx)
{
	const __u64 *pages = pt_digests_region(d, region_idx);
	__u64 sum = 0;

	pt_check(region_idx < d->region_cnt);
	for (__u32 i = 0; pages && i < PT_REGION_PAGES; i++)
		sum += pages[i];
	return sum;
}

void pt_digests_clear(struct pt_digests *d, __u64 region_idx)
{
	pt_check(region_idx < d->region_cnt);
	if (d->has_pages[region_idx])
		memset(&d->pages[region_idx * PT_REGION_PAGES], 0,
		       PT_REGION_PAGES * sizeof(*d->pages));
}

void pt_digests_forget(struct pt_digests *d, __u64 page_idx, __u32 cnt)
{
	pt_check(page_idx / PT_REGION_PAGES < d->region_cnt);
	pt_check(page_idx % PT_REGION_PAGES + cnt <= PT_REGION_PAGES);
	if (d->has_pages[page_idx / PT_REGION_PAGES])
		memset(&d->pages[page_idx], 0, cnt * sizeof(*d->pages));
}

void pt_digests_copy(struct pt_digests *d, __u64 region_idx,
		     const __u64 *digests, __u32 cnt)
{
	pt_check(region_idx < d->region_cnt);
	pt_check(cnt <= PT_REGION_PAGES);
	for (__u32 i = 0; i < cnt; i++)
		pt_digests_set(d, region_idx * PT_REGION_PAGES + i,
			       digests[i]);
}
