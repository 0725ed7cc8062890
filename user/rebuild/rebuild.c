/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rebuild/rebuild_impl.h"

#include <errno.h>

#include <pagetrim/check.h>
#include "memory/guard.h"

/* has_pages: the memory has cnt pages from gfn on. */
static bool has_pages(const struct pt_rebuild *r, __u64 gfn, __u64 cnt)
{
	while (cnt) {
		__u64 run = pt_layout_run_cnt(r->layout, gfn);

		if (!run)
			return false;
		run = run < cnt ? run : cnt;
		gfn += run;
		cnt -= run;
	}
	return true;
}

bool pt_rebuild_check(const struct pt_rebuild *r, struct pt_reader *frame)
{
	struct pt_record_host record;
	bool ok = true;

	while (ok && pt_reader_next(frame, &record))
		ok = has_pages(r, record.gfn, pt_record_page_cnt(&record)) &&
		     (record.kind != PT_RECORD_COPY ||
		      has_pages(r, pt_record_original(record.mask), 1));
	pt_reader_rewind(frame);
	return ok;
}

/* page_unsum takes a page's old content out of its region's digest; placed: its blocks
 * that are in this version. */
static void page_unsum(struct pt_rebuild *r, __u64 page_idx, __u64 placed)
{
	if (bit_is_set(r->summed, page_idx)) {
		region_of(r, page_idx)->digest -= r->contents[page_idx];
		bit_clear(r->summed, page_idx);
	}
	table_set(&r->contents[page_idx], placed);
}

void pt_rebuild_page_sum(struct pt_rebuild *r, __u64 page_idx, __u64 digest)
{
	page_unsum(r, page_idx, WHOLE);
	region_of(r, page_idx)->digest += digest;
	table_set(&r->contents[page_idx], digest);
	bit_set(r->summed, page_idx);
}

int pt_rebuild_pages_zero(const struct placing *p, __u64 page_idx, __u64 cnt)
{
	struct pt_rebuild *r = p->rebuild;
	int ret = cnt ? pt_sink_run_flush(p->run, p->err) : 0;

	return ret || !cnt ? ret
		: pt_sink_zero(r->sink, pt_layout_image_off(r->layout, page_idx),
			       cnt * PT_PAGE_SZ, p->err);
}

bool pt_rebuild_page_forget(struct pt_rebuild *r, __u64 page_idx)
{
	bool is_written = bit_is_set(r->written, page_idx);

	pt_rebuild_page_sum(r, page_idx, 0);
	if (is_written)
		bit_clear(r->written, page_idx);
	return is_written;
}

bool pt_rebuild_page_is_stale(const struct placing *p, __u64 page_idx)
{
	const struct pt_rebuild *r = p->rebuild;
	__u32 version = p->frame->id.generation;

	return version < r->versions[page_idx] ||
	       version < region_of(r, page_idx)->version;
}

int pt_rebuild_page_renew(const struct placing *p, __u64 page_idx)
{
	struct pt_rebuild *r = p->rebuild;
	__u32 version = p->frame->id.generation;

	if (pt_rebuild_page_is_stale(p, page_idx))
		return 0;
	if (version > r->versions[page_idx]) {
		page_unsum(r, page_idx, 0);
		table_set(&r->versions[page_idx], version);
	}
	if (bit_is_set(r->unreadable, page_idx))
		pt_rebuild_unreadable_clear(r, page_idx);
	region_of(r, page_idx)->has_pages = true;
	return 1;
}

/* run_length: how many bits of mask, from bit first on, are like that one. */
static unsigned run_length(__u64 mask, unsigned first)
{
	__u64 rest = mask >> first;
	__u64 other = rest & 1 ? ~rest : rest;

	return other ? (unsigned)__builtin_ctzll(other) : 64 - first;
}

/* sum_begin readies the lane's sum for a record of a page that may be placed.
 * True: it is the page's first, or goes on where the one before ended; else the
 * page is left to be summed as a whole. */
static bool sum_begin(const struct placing *p,
		      const struct pt_record_host *record, __u64 page_idx)
{
	struct pt_page_sum *sum = p->sum;
	struct pt_rebuild *r = p->rebuild;
	__u32 generation = p->frame->id.generation;
	bool is_same = sum->page_idx == page_idx &&
		       sum->generation == generation;

	/* Summed already, and here is more of it: the sender speaks of it
	 * twice, and is to hear of what is there in the end. */
	if (bit_is_set(r->summed, page_idx))
		page_unsum(r, page_idx, WHOLE);
	if (is_same && sum->next && sum->next == record->first)
		return true;
	if (!record->first && !r->contents[page_idx]) {
		sum->page_idx = page_idx;
		sum->generation = generation;
		pt_digest_start(&sum->stream, r->digest_key, record->gfn);
		return true;
	}
	if (is_same)
		sum->next = 0;
	return false;
}

/* sum_end notes that the lane's sum has the blocks below end. */
static void sum_end(const struct placing *p, unsigned end)
{
	p->sum->next = end % PT_PAGE_BLOCKS;
	if (end == PT_PAGE_BLOCKS)
		pt_rebuild_page_sum(p->rebuild, p->sum->page_idx,
			 pt_digest_end(&p->sum->stream));
}

/* places: a record without data need not be placed where the page is zero already.
 * But a page that is taken whole waits for all its blocks. */
static bool places(const struct placing *p, const struct pt_record_host *record,
		   __u64 page_idx)
{
	const struct pt_rebuild *r = p->rebuild;

	return record->mask || bit_is_set(r->written, page_idx) ||
	       pt_sink_wants_whole(r->sink);
}

/* stage_run stages and sums the next blocks of a record, from at on, that are
 * all data or all zero: up to cnt; returns their count; -errno. */
static int stage_run(const struct placing *p,
		     const struct pt_record_host *record, __u64 off,
		     unsigned at, unsigned cnt, bool is_summing,
		     bool is_written)
{
	const void *blocks = NULL;
	int ret;

	if (record->mask >> at & 1)
		blocks = pt_reader_blocks(p->frame, cnt, &cnt);
	if (is_summing)
		pt_digest_add(&p->sum->stream, blocks, cnt * PT_BLOCK_SZ);
	if (!is_written)
		return cnt;	/* the page is zero already */
	ret = pt_sink_run_add(p->run, p->rebuild->sink, off + at * PT_BLOCK_SZ,
			      blocks, cnt * PT_BLOCK_SZ, p->err);
	/* The reader's bounce holds one block at a time. */
	if (!ret && blocks == p->frame->bounce)
		ret = pt_sink_run_flush(p->run, p->err);
	return ret ? ret : (int)cnt;
}

/* place_blocks stages the record's whole range, with the zero blocks in
 * between, which make the run one piece. */
static int place_blocks(const struct placing *p,
			const struct pt_record_host *record, __u64 page_idx)
{
	struct pt_rebuild *r = p->rebuild;
	__u64 off = pt_layout_image_off(r->layout, page_idx);
	bool is_summing = sum_begin(p, record, page_idx);
	bool is_written = places(p, record, page_idx);
	unsigned end = record->last + 1;

	if (is_written)
		bit_set(r->written, page_idx);
	/* First: the sink may complete the page below, see rebuild_fill.c. */
	table_set(&r->contents[page_idx], r->contents[page_idx] |
		  (~0ULL >> (PT_PAGE_BLOCKS - end) & ~0ULL << record->first));
	for (unsigned at = record->first; at < end; ) {
		unsigned cnt = run_length(record->mask, at);
		int ret;

		cnt = cnt < end - at ? cnt : end - at;
		ret = stage_run(p, record, off, at, cnt, is_summing,
				is_written);
		if (ret < 0)
			return ret;
		at += ret;
	}
	if (is_summing)
		sum_end(p, end);
	return r->contents[page_idx] == WHOLE && !bit_is_set(r->summed, page_idx)
		? pt_rebuild_sum_later(p, page_idx) : 0;
}

/* renew_region readies a whole region for zeroes without a look at its pages.
 * 1, 0: as page_renew; -EAGAIN: they must be looked at, since they have content
 * or versions of their own. */
static int renew_region(const struct placing *p, __u64 page_idx)
{
	struct region *region = region_of(p->rebuild, page_idx);
	__u32 version = p->frame->id.generation;

	if (region->has_pages)
		return -EAGAIN;
	if (version < region->version)
		return 0;
	table_set(&region->version, version);
	return 1;
}

/* zero_run: 1: at least one of the cnt pages was placed; 0: all are stale;
 * -errno.  They are of one segment. */
static int zero_run(const struct placing *p, __u64 page_idx, __u64 cnt)
{
	const struct pt_layout *layout = p->rebuild->layout;
	__u64 old_cnt = 0;	/* the last pages, which are not zero yet */
	int placed = 0, ret;

	/* A record has no more pages than a region. */
	if (page_idx % PT_REGION_PAGES == 0 &&
	    cnt == pt_layout_region(layout, page_idx / PT_REGION_PAGES, NULL)) {
		ret = renew_region(p, page_idx);
		if (ret != -EAGAIN)
			return ret;
	}
	for (__u64 i = 0; i < cnt; i++) {
		int is_new = pt_rebuild_page_renew(p, page_idx + i);

		placed |= is_new;
		if (is_new && pt_rebuild_page_forget(p->rebuild, page_idx + i)) {
			old_cnt++;
			continue;
		}
		ret = pt_rebuild_pages_zero(p, page_idx + i - old_cnt, old_cnt);
		if (ret)
			return ret;
		old_cnt = 0;
	}
	ret = pt_rebuild_pages_zero(p, page_idx + cnt - old_cnt, old_cnt);
	return ret ? ret : placed;
}

/* place_zeroes returns 1 if placed, 0 if all its pages are stale, or -errno. */
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
		ret = zero_run(p, page_idx, run);
		if (ret < 0)
			return ret;
		placed |= ret;
		gfn += run;
		left -= run;
	}
	return placed;
}

/* drop_pieces drops those of older versions, so that no page is made of two. */
static int drop_pieces(const struct placing *p, __u64 page_idx)
{
	struct pt_rebuild *r = p->rebuild;
	int ret = pt_sink_run_flush(p->run, p->err);

	if (!ret)
		pt_sink_drop_pieces(r->sink, pt_layout_image_off(r->layout,
								 page_idx));
	return ret;
}

/* place_page returns 1 if placed, 0 if stale, or -errno. */
static int place_page(const struct placing *p,
		      const struct pt_record_host *record)
{
	__u64 page_idx;
	bool is_newer;
	int ret = 0;

	pt_check(pt_layout_find(p->rebuild->layout, record->gfn, &page_idx));
	is_newer = p->frame->id.generation > p->rebuild->versions[page_idx];
	if (!pt_rebuild_page_renew(p, page_idx))
		return 0;
	if (is_newer && pt_sink_wants_whole(p->rebuild->sink))
		ret = drop_pieces(p, page_idx);
	if (!ret)
		ret = place_blocks(p, record, page_idx);
	return ret ? ret : 1;
}

/* place_record: 1: placed; 0: stale; PLACED_NOT: refused; -errno. */
static int place_record(const struct placing *p,
			const struct pt_record_host *record)
{
	switch (record->kind) {
	case PT_RECORD_ZEROES:
		return place_zeroes(p, record);
	case PT_RECORD_COPY:
		return pt_rebuild_copy(p, record);
	case PT_RECORD_DELTA:
		return pt_rebuild_delta(p, record);
	case PT_RECORD_UNREADABLE:
		return pt_rebuild_unreadable(p, record);
	default:
		return place_page(p, record);
	}
}

static int place_records(const struct placing *p,
			 struct pt_rebuild_counts *counts)
{
	struct pt_record_host record;

	while (pt_reader_next(p->frame, &record)) {
		int placed = place_record(p, &record);

		if (placed < 0)
			return placed;
		counts->placed += placed == 1;
		counts->stale += !placed;
		counts->refused += placed == PLACED_NOT;
		if (placed == 1)
			counts->bytes += pt_record_block_cnt(&record) *
					 PT_BLOCK_SZ;
	}
	return 0;
}

/* fault: the mapping failed.  The staged bytes are dropped, since the run's
 * next bytes may belong to another memory. */
static int fault(const struct pt_rebuild *r, struct pt_sink_run *run,
		 const struct pt_guard *guard, struct pt_error *err)
{
	int ret = pt_sink_fault(r->sink, guard->addr, err);

	pt_sink_run_drop(run);
	return ret ? ret : pt_error_set(err, PT_EXIT_FAILED, -EIO,
					"memory fault while placing pages "
					"(see the kernel log)");
}

int pt_rebuild_place(struct pt_rebuild *r, struct pt_sink_run *run,
		     struct pt_page_sum *sum, struct pt_refusals *refusals,
		     struct pt_reader *frame, struct pt_rebuild_counts *counts,
		     struct pt_error *err)
{
	const struct placing p = {
		.rebuild = r,
		.run = run,
		.sum = sum,
		.refusals = refusals,
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
		     struct pt_page_sum *sum, struct pt_error *err)
{
	struct pt_guard guard;
	int ret;

	if (!run->sz && !sum->later_cnt)
		return 0;
	if (pt_guard_enter(&guard))
		return fault(r, run, &guard, err);
	ret = pt_rebuild_sum_whole(r, run, sum, err);
	pt_guard_leave(&guard);
	return ret;
}
