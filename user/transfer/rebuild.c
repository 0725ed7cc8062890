/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/rebuild.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pagetrim/check.h>
#include "memory/guard.h"
#include "trim/digest.h"
#include "trim/scan.h"

struct pt_rebuild {
	const struct pt_layout *layout;
	struct pt_sink *sink;
	__u64 digest_key;
	__u64 page_cnt;
	__u32 *generations;	/* by page_idx; 0: never spoken of */
	__u64 *written;		/* bit: blocks were placed in the page */
	__u64 *region_digests;
};

/* table maps zeroed memory that costs nothing until it is touched. */
static void *table(__u64 sz)
{
	void *at = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void table_free(void *at, __u64 sz)
{
	if (at)
		munmap(at, sz);
}

int pt_rebuild_create(struct pt_rebuild **out, const struct pt_layout *layout,
		      struct pt_sink *sink, __u64 digest_key)
{
	__u64 region_cnt = pt_layout_region_cnt(layout);
	struct pt_rebuild *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->layout = layout;
	r->sink = sink;
	r->digest_key = digest_key;
	r->page_cnt = pt_layout_page_cnt(layout);
	r->generations = table(r->page_cnt * sizeof(*r->generations));
	r->written = table(r->page_cnt / 8);
	r->region_digests = table(region_cnt * sizeof(*r->region_digests));
	if (!r->generations || !r->written || !r->region_digests) {
		pt_rebuild_destroy(r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}

void pt_rebuild_destroy(struct pt_rebuild *r)
{
	if (!r)
		return;
	table_free(r->region_digests, pt_layout_region_cnt(r->layout) *
				      sizeof(*r->region_digests));
	table_free(r->written, r->page_cnt / 8);
	table_free(r->generations, r->page_cnt * sizeof(*r->generations));
	free(r);
}

bool pt_rebuild_check(const struct pt_rebuild *r, struct pt_reader *frame)
{
	struct pt_record_host record;
	bool ok = true;

	while (ok && pt_reader_next(frame, &record)) {
		__u64 gfn = record.gfn;
		__u64 left = pt_record_page_cnt(&record);

		while (ok && left) {
			__u64 run = pt_layout_run_cnt(r->layout, gfn);

			ok = run > 0;
			run = run < left ? run : left;
			gfn += run;
			left -= run;
		}
	}
	pt_reader_rewind(frame);
	return ok;
}

static bool is_written(const struct pt_rebuild *r, __u64 page_idx)
{
	return r->written[page_idx / 64] >> (page_idx % 64) & 1;
}

/* page_renew readies a page for content of a generation: clears what an older
 * one left.  False: the content is stale. */
static bool page_renew(struct pt_rebuild *r, __u64 page_idx, __u64 gfn,
		       __u32 generation)
{
	__u8 *page;

	if (generation < r->generations[page_idx])
		return false;
	if (generation > r->generations[page_idx] && is_written(r, page_idx)) {
		page = pt_sink_page(r->sink, page_idx);
		r->region_digests[page_idx / PT_REGION_PAGES] -=
			pt_digest_page(r->digest_key, gfn, pt_scan(page), page);
		memset(page, 0, PT_PAGE_SZ);
		r->written[page_idx / 64] &= ~(1ULL << (page_idx % 64));
	}
	r->generations[page_idx] = generation;
	return true;
}

/* run_length: how many of the bits of mask from bit first on are ones. */
static unsigned run_length(__u64 mask, unsigned first)
{
	__u64 holes = ~(mask >> first);

	return holes ? (unsigned)__builtin_ctzll(holes) : 64 - first;
}

static void place_blocks(struct pt_rebuild *r, struct pt_reader *frame,
			 const struct pt_record_host *record, __u64 page_idx)
{
	__u8 *page = pt_sink_page(r->sink, page_idx);
	__u64 mask = record->mask;
	__u64 digest = 0;

	while (mask) {
		unsigned first = __builtin_ctzll(mask);
		unsigned cnt = run_length(mask, first);
		const void *blocks = pt_reader_blocks(frame, cnt, &cnt);

		memcpy(page + first * PT_BLOCK_SZ, blocks, cnt * PT_BLOCK_SZ);
		digest += pt_digest_blocks(r->digest_key, record->gfn, first,
					   cnt, blocks);
		mask &= ~((~0ULL >> (64 - cnt)) << first);
	}
	if (!record->mask)
		return;
	r->region_digests[page_idx / PT_REGION_PAGES] += digest;
	r->written[page_idx / 64] |= 1ULL << (page_idx % 64);
}

/* place_zeroes: the record is stale if all its pages are. */
static bool place_zeroes(struct pt_rebuild *r,
			 const struct pt_record_host *record, __u32 generation)
{
	__u64 gfn = record->gfn;
	__u64 left = record->mask;
	bool placed = false;
	__u64 page_idx;

	while (left) {
		__u64 run = pt_layout_run_cnt(r->layout, gfn);

		run = run < left ? run : left;
		pt_check(pt_layout_find(r->layout, gfn, &page_idx));
		for (__u64 i = 0; i < run; i++)
			placed |= page_renew(r, page_idx + i, gfn + i,
					     generation);
		gfn += run;
		left -= run;
	}
	return placed;
}

static void place_records(struct pt_rebuild *r, struct pt_reader *frame,
			  struct pt_rebuild_counts *counts)
{
	struct pt_record_host record;
	__u64 page_idx;

	while (pt_reader_next(frame, &record)) {
		bool placed;

		if (record.kind == PT_RECORD_ZEROES) {
			placed = place_zeroes(r, &record, frame->id.generation);
		} else {
			pt_check(pt_layout_find(r->layout, record.gfn,
						&page_idx));
			placed = page_renew(r, page_idx, record.gfn,
					    frame->id.generation);
			if (placed)
				place_blocks(r, frame, &record, page_idx);
		}
		counts->placed += placed;
		counts->stale += !placed;
		if (placed)
			counts->bytes += pt_record_block_cnt(&record) *
					 PT_BLOCK_SZ;
	}
}

int pt_rebuild_place(struct pt_rebuild *r, struct pt_reader *frame,
		     struct pt_rebuild_counts *counts, struct pt_error *err)
{
	struct pt_guard guard;
	int ret;

	if (pt_guard_enter(&guard)) {
		ret = pt_sink_fault(r->sink, guard.addr, err);
		return ret ? ret : pt_error_set(err, PT_EXIT_FAILED, -EIO,
						"memory fault while placing "
						"pages (see the kernel log)");
	}
	place_records(r, frame, counts);
	pt_guard_leave(&guard);
	return 0;
}

__u64 pt_rebuild_region_digest(const struct pt_rebuild *r, __u64 region_idx)
{
	return r->region_digests[region_idx];
}

__u32 pt_rebuild_page_digests(const struct pt_rebuild *r, __u64 region_idx,
			      __u64 digests[PT_REGION_PAGES])
{
	__u64 page_idx = region_idx * PT_REGION_PAGES;
	__u64 gfn;
	__u32 cnt = pt_layout_region(r->layout, region_idx, &gfn);

	for (__u32 i = 0; i < cnt; i++, page_idx++) {
		const __u8 *page = pt_sink_page(r->sink, page_idx);

		digests[i] = is_written(r, page_idx)
			? pt_digest_page(r->digest_key, gfn + i, pt_scan(page),
					 page)
			: 0;
	}
	return cnt;
}
