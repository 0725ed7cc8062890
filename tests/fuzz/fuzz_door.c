/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A VMM's message that is accepted names regions that a record has room for: within
 * the image, ascending, apart from each other.  Input: pages of the image (8 bits, as
 * a power of two of up to 2^40), then the text. */
#include <unistd.h>

#include <pagetrim/check.h>
#include "input.h"
#include "lazy/door.h"
#include "memory/layout.h"

#define RECORD_PAGES	(1u << 16)	/* of a record that is made */

static void check_regions(const struct pt_lazy_region *r, __u32 cnt, __u64 page_max)
{
	__u64 first = 0;

	pt_check(cnt && cnt <= PT_LAZY_REGIONS_MAX);
	for (__u32 i = 0; i < cnt; i++) {
		pt_check(r[i].first == first);
		pt_check(r[i].sz && r[i].sz % r[i].page_sz == 0);
		pt_check(r[i].addr % r[i].page_sz == 0);
		pt_check(r[i].page_sz >= PT_PAGE_SZ &&
			 r[i].page_sz <= PT_LAZY_PAGE_MAX);
		pt_check(r[i].addr + r[i].sz > r[i].addr);
		pt_check(!i || r[i - 1].addr + r[i - 1].sz <= r[i].addr);
		pt_check(r[i].off / PT_PAGE_SZ + r[i].sz / PT_PAGE_SZ <= page_max);
		first += r[i].sz / PT_PAGE_SZ;
	}
	pt_check(first <= page_max);
}

/* check_record: each page of the regions is found by its address and by its place in
 * the image, and the next server takes the record. */
static void check_record(const struct pt_lazy_region *regions, __u32 cnt, __u64 page_max)
{
	struct pt_lazy_record *r, *again;
	int fd = pt_lazy_record_make(&r, page_max, "id", NULL);
	__u64 page;

	pt_check(fd >= 0);
	pt_lazy_record_begin(r, regions, cnt);
	for (__u32 i = 0; i < cnt; i++) {
		const struct pt_lazy_region *own = &r->regions[i];
		__u64 last = own->sz / PT_PAGE_SZ - 1;

		pt_check(pt_lazy_region_at(r, own->addr) == own);
		pt_check(pt_lazy_region_at(r, own->addr + own->sz - 1) == own);
		pt_check(pt_lazy_region_of(r, own->first + last) == own);
		pt_check(pt_lazy_page_find(r, own->off / PT_PAGE_SZ + last, &page));
		pt_check(page == own->first + last);
	}
	pt_check(!pt_lazy_record_open(&again, fd, "id", NULL));
	pt_check(again->pending_cnt == r->page_cnt);
	pt_check(pt_lazy_remove(again, 0, ~0ULL) == r->page_cnt);
	pt_lazy_record_close(again);
	pt_lazy_record_close(r);
	close(fd);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];
	struct input in = { .at = data, .sz = sz };
	__u64 page_max = 1ULL << input_u8(&in) % 41;
	__u32 cnt;

	if (in.sz > PT_LAZY_MESSAGE_MAX ||
	    pt_lazy_message_parse((const char *)in.at, in.sz, regions, &cnt, NULL) ||
	    pt_lazy_regions_check(regions, cnt, page_max * PT_PAGE_SZ, NULL))
		return 0;
	check_regions(regions, cnt, page_max);
	if (page_max <= RECORD_PAGES)
		check_record(regions, cnt, page_max);
	return 0;
}
