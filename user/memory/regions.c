/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "memory/regions.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const struct pt_region *r, const char *why,
		  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "region '%s', page "
			    "%llu, %llu bytes at %p: %s", r->name ? r->name : "",
			    (unsigned long long)r->gfn,
			    (unsigned long long)r->sz, r->addr, why);
}

static int check(const struct pt_region *r, struct pt_error *err)
{
	if (!r->addr || (uintptr_t)r->addr % PT_PAGE_SZ)
		return refuse(r, "its address is NULL or no multiple of "
			      "4096", err);
	if (!r->sz || r->sz % PT_PAGE_SZ)
		return refuse(r, "its size is no multiple of 4096 above 0",
			      err);
	if (r->gfn > PT_GFN_MAX || r->sz / PT_PAGE_SZ > PT_GFN_MAX + 1 - r->gfn)
		return refuse(r, "its page numbers are too high", err);
	if (r->sz - 1 > UINTPTR_MAX - (uintptr_t)r->addr)
		return refuse(r, "it ends behind the address space", err);
	return 0;
}

static int compare(__u64 a, __u64 b)
{
	return (a > b) - (a < b);
}

static int by_gfn(const void *a, const void *b)
{
	const struct pt_region *left = a, *right = b;

	return compare(left->gfn, right->gfn);
}

static int by_addr(const void *a, const void *b)
{
	const struct pt_region *left = a, *right = b;

	return compare((uintptr_t)left->addr, (uintptr_t)right->addr);
}

static int check_pages(const struct pt_region *sorted, __u32 cnt,
		       struct pt_error *err)
{
	for (__u32 i = 1; i < cnt; i++)
		if (sorted[i].gfn - sorted[i - 1].gfn <
		    sorted[i - 1].sz / PT_PAGE_SZ)
			return refuse(&sorted[i], "it overlaps another region "
				      "in page numbers", err);
	return 0;
}

static int check_addresses(const struct pt_region *sorted, __u32 cnt,
			   struct pt_error *err)
{
	for (__u32 i = 1; i < cnt; i++)
		if ((uintptr_t)sorted[i].addr - (uintptr_t)sorted[i - 1].addr <
		    sorted[i - 1].sz)
			return refuse(&sorted[i], "it overlaps another region "
				      "in memory", err);
	return 0;
}

int pt_regions_sort(struct pt_region **out, const struct pt_region *regions,
		    __u32 cnt, struct pt_error *err)
{
	struct pt_region *sorted;
	int ret = 0;

	if (!regions || !cnt || cnt > PT_SEGMENTS_MAX)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%u regions: "
				    "give 1..%u", cnt, PT_SEGMENTS_MAX);
	for (__u32 i = 0; !ret && i < cnt; i++)
		ret = check(&regions[i], err);
	if (ret)
		return ret;
	sorted = malloc(cnt * sizeof(*sorted));
	if (!sorted)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for "
				    "a table of %u regions", cnt);
	memcpy(sorted, regions, cnt * sizeof(*sorted));
	qsort(sorted, cnt, sizeof(*sorted), by_addr);
	ret = check_addresses(sorted, cnt, err);
	if (!ret) {
		qsort(sorted, cnt, sizeof(*sorted), by_gfn);
		ret = check_pages(sorted, cnt, err);
	}
	if (ret) {
		free(sorted);
		return ret;
	}
	*out = sorted;
	return 0;
}
