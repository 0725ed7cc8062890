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

/* region: what is kept of one.  While nothing but zero runs of the whole region
 * was placed there, its pages have nothing of their own: a hole of a terabyte
 * costs 16 bytes for each 2 MiB. */
struct region {
	__u64 digest;
	__u32 generation;	/* of its pages, at least */
	bool has_pages;		/* tables by page_idx speak of it */
};

struct pt_rebuild {
	const struct pt_layout *layout;
	struct pt_sink *sink;
	__u64 digest_key;
	__u64 page_cnt;
	__u32 *generations;	/* by page_idx; 0: never spoken of */
	__u64 *written;		/* bit: blocks were placed in the page */
	struct region *regions;
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
	r->regions = table(region_cnt * sizeof(*r->regions));
	if (!r->generations || !r->written || !r->regions) {
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
	table_free(r->regions, pt_layout_region_cnt(r->layout) *
			       sizeof(*r->regions));
	table_free(r->written, r->page_cnt / 8);
	table_free(r->generations, r->page_cnt * sizeof(*r->generations));
	free(r);
}

int pt_rebuild_held(const struct pt_rebuild *r, __u64 region_idx, __u8 *pages,
		    struct pt_held_region *out, struct pt_error *err)
{
	__u64 page_idx = region_idx * PT_REGION_PAGES;
	__u64 gfn;
	__u32 cnt = pt_layout_region(r->layout, region_idx, &gfn);
	int ret = pt_sink_read(r->sink,
			       pt_layout_image_off(r->layout, page_idx), pages,
			       (__u64)cnt * PT_PAGE_SZ, err);

	memset(out, 0, sizeof(*out));
	for (__u32 i = 0; !ret && i < cnt; i++) {
		const __u8 *page = pages + (__u64)i * PT_PAGE_SZ;
		__u64 mask = pt_scan(page);

		if (!mask)
			continue;
		out->has_data[i / 64] |= 1ULL << (i % 64);
		out->digests[i] = pt_digest_page(r->digest_key, gfn + i, mask,
						 page);
	}
	return ret;
}

void pt_rebuild_adopt(struct pt_rebuild *r, __u64 region_idx,
		      const struct pt_held_region *held)
{
	__u64 *written = &r->written[region_idx * (PT_REGION_PAGES / 64)];

	for (__u32 i = 0; i < PT_REGION_PAGES / 64; i++)
		written[i] |= held->has_data[i];
	for (__u32 i = 0; i < PT_REGION_PAGES; i++)
		r->regions[region_idx].digest += held->digests[i];
	r->regions[region_idx].has_pages = true;
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

static struct region *region_of(const struct pt_rebuild *r, __u64 page_idx)
{
	return &r->regions[page_idx / PT_REGION_PAGES];
}

static bool is_written(const struct pt_rebuild *r, __u64 page_idx)
{
	return r->written[page_idx / 64] >> (page_idx % 64) & 1;
}

/* placing: one frame on its way into the sink. */
struct placing {
	struct pt_rebuild *rebuild;
	struct pt_sink_run *run;
	struct pt_reader *frame;
	struct pt_error *err;
};

/* page_clear takes out of page and digest what an older generation left. */
static int page_clear(const struct placing *p, __u64 page_idx, __u64 gfn)
{
	struct pt_rebuild *r = p->rebuild;
	__u8 *page = pt_sink_page(r->sink, page_idx);
	int ret = pt_sink_run_flush(p->run, p->err);

	if (ret)
		return ret;
	region_of(r, page_idx)->digest -=
		pt_digest_page(r->digest_key, gfn, pt_scan(page), page);
	memset(page, 0, PT_PAGE_SZ);
	r->written[page_idx / 64] &= ~(1ULL << (page_idx % 64));
	return 0;
}

/* page_renew readies a page for content of the frame's generation.  1: it may
 * be placed; 0: it is stale; -errno. */
static int page_renew(const struct placing *p, __u64 page_idx, __u64 gfn)
{
	struct pt_rebuild *r = p->rebuild;
	struct region *region = region_of(r, page_idx);
	__u32 generation = p->frame->id.generation;
	int ret;

	if (generation < r->generations[page_idx] ||
	    generation < region->generation)
		return 0;
	if (generation > r->generations[page_idx] && is_written(r, page_idx)) {
		ret = page_clear(p, page_idx, gfn);
		if (ret)
			return ret;
	}
	r->generations[page_idx] = generation;
	region->has_pages = true;
	return 1;
}

/* run_length: how many bits of mask, from bit first on, are like that one. */
static unsigned run_length(__u64 mask, unsigned first)
{
	__u64 rest = mask >> first;
	__u64 other = rest & 1 ? ~rest : rest;

	return other ? (unsigned)__builtin_ctzll(other) : 64 - first;
}

/* place_blocks stages the record's whole range, the zero blocks between the
 * others too: they make the run one piece. */
static int place_blocks(const struct placing *p,
			const struct pt_record_host *record, __u64 page_idx)
{
	struct pt_rebuild *r = p->rebuild;
	__u64 off = pt_layout_image_off(r->layout, page_idx);
	unsigned end = record->last + 1;
	__u64 digest = 0;
	int ret = 0;

	if (!record->mask)
		return 0;	/* the page was cleared: it is zero already */
	for (unsigned at = record->first, cnt; !ret && at < end; at += cnt) {
		const void *blocks = NULL;

		cnt = run_length(record->mask, at);
		cnt = cnt < end - at ? cnt : end - at;
		if (record->mask >> at & 1) {
			blocks = pt_reader_blocks(p->frame, cnt, &cnt);
			digest += pt_digest_blocks(r->digest_key, record->gfn,
						   at, cnt, blocks);
		}
		ret = pt_sink_run_add(p->run, r->sink, off + at * PT_BLOCK_SZ,
				      blocks, cnt * PT_BLOCK_SZ, p->err);
		/* The reader's bounce holds one block at a time. */
		if (!ret && blocks == p->frame->bounce)
			ret = pt_sink_run_flush(p->run, p->err);
	}
	region_of(r, page_idx)->digest += digest;
	r->written[page_idx / 64] |= 1ULL << (page_idx % 64);
	return ret;
}

/* renew_region readies a whole region for zeroes without a look at its pages.
 * 1, 0: as page_renew; -EAGAIN: they must be looked at, since they have content
 * or generations of their own. */
static int renew_region(const struct placing *p, __u64 page_idx)
{
	struct region *region = region_of(p->rebuild, page_idx);
	__u32 generation = p->frame->id.generation;

	if (region->has_pages)
		return -EAGAIN;
	if (generation < region->generation)
		return 0;
	region->generation = generation;
	return 1;
}

/* renew_run: 1: at least one of the cnt pages may be placed; 0: all are stale;
 * -errno.  They are of one segment. */
static int renew_run(const struct placing *p, __u64 page_idx, __u64 gfn,
		     __u64 cnt)
{
	const struct pt_layout *layout = p->rebuild->layout;
	int placed = 0, ret;

	/* A record has no more pages than a region. */
	if (page_idx % PT_REGION_PAGES == 0 &&
	    cnt == pt_layout_region(layout, page_idx / PT_REGION_PAGES, NULL)) {
		ret = renew_region(p, page_idx);
		if (ret != -EAGAIN)
			return ret;
	}
	for (__u64 i = 0; i < cnt; i++) {
		ret = page_renew(p, page_idx + i, gfn + i);
		if (ret < 0)
			return ret;
		placed |= ret;
	}
	return placed;
}

/* place_zeroes: 1: placed; 0: all its pages are stale; -errno. */
static int place_zeroes(const struct placing *p,
			const struct pt_record_host *record)
{
	const struct pt_layout *layout = p->rebuild->layout;
	__u64 gfn = record->gfn;
	__u64 left = record->mask;
	int placed = 0, ret;
	__u64 page_idx;

	while (left) {
		__u64 run = pt_layout_run_cnt(layout, gfn);

		run = run < left ? run : left;
		pt_check(pt_layout_find(layout, gfn, &page_idx));
		ret = renew_run(p, page_idx, gfn, run);
		if (ret < 0)
			return ret;
		placed |= ret;
		gfn += run;
		left -= run;
	}
	return placed;
}

/* place_page: 1: placed; 0: stale; -errno. */
static int place_page(const struct placing *p,
		      const struct pt_record_host *record)
{
	__u64 page_idx;
	int placed, ret;

	pt_check(pt_layout_find(p->rebuild->layout, record->gfn, &page_idx));
	placed = page_renew(p, page_idx, record->gfn);
	if (placed <= 0)
		return placed;
	ret = place_blocks(p, record, page_idx);
	return ret ? ret : placed;
}

static int place_records(const struct placing *p,
			 struct pt_rebuild_counts *counts)
{
	struct pt_record_host record;

	while (pt_reader_next(p->frame, &record)) {
		int placed = record.kind == PT_RECORD_ZEROES
			? place_zeroes(p, &record) : place_page(p, &record);

		if (placed < 0)
			return placed;
		counts->placed += placed;
		counts->stale += !placed;
		if (placed)
			counts->bytes += pt_record_block_cnt(&record) *
					 PT_BLOCK_SZ;
	}
	return 0;
}

/* fault: a write to the mapping failed.  What is staged is dropped: the run's
 * next bytes may be another memory's. */
static int fault(const struct pt_rebuild *r, struct pt_sink_run *run,
		 const struct pt_guard *guard, struct pt_error *err)
{
	int ret = pt_sink_fault(r->sink, guard->addr, err);

	run->sz = 0;
	run->piece_cnt = 0;
	return ret ? ret : pt_error_set(err, PT_EXIT_FAILED, -EIO,
					"memory fault while placing pages "
					"(see the kernel log)");
}

int pt_rebuild_place(struct pt_rebuild *r, struct pt_sink_run *run,
		     struct pt_reader *frame, struct pt_rebuild_counts *counts,
		     struct pt_error *err)
{
	const struct placing p = {
		.rebuild = r,
		.run = run,
		.frame = frame,
		.err = err,
	};
	struct pt_guard guard;
	int ret;

	if (pt_guard_enter(&guard))
		return fault(r, run, &guard, err);
	ret = place_records(&p, counts);
	pt_guard_leave(&guard);
	return ret;
}

int pt_rebuild_flush(struct pt_rebuild *r, struct pt_sink_run *run,
		     struct pt_error *err)
{
	struct pt_guard guard;
	int ret;

	if (!run->sz)
		return 0;
	if (pt_guard_enter(&guard))
		return fault(r, run, &guard, err);
	ret = pt_sink_run_flush(run, err);
	pt_guard_leave(&guard);
	return ret;
}

__u64 pt_rebuild_region_digest(const struct pt_rebuild *r, __u64 region_idx)
{
	return r->regions[region_idx].digest;
}

int pt_rebuild_page_digests(const struct pt_rebuild *r, __u64 region_idx,
			    __u64 digests[PT_REGION_PAGES], struct pt_error *err)
{
	struct pt_held_region held;
	__u8 *pages = malloc(PT_REGION_SZ);
	int ret = -ENOMEM;

	if (pages)
		ret = pt_rebuild_held(r, region_idx, pages, &held, err);
	else
		pt_error_set(err, PT_EXIT_HOST, ret, "no memory for a region");
	free(pages);
	if (ret)
		return ret;
	memcpy(digests, held.digests, sizeof(held.digests));
	return pt_layout_region(r->layout, region_idx, NULL);
}
