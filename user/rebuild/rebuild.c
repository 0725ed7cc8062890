/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rebuild/rebuild_impl.h"

#include <errno.h>

#include <pagetrim/check.h>
#include "memory/guard.h"

/* has_pages: cnt of them, gfn and those after it, lie in the memory. */
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
		      has_pages(r, record.mask, 1));
	pt_reader_rewind(frame);
	return ok;
}

/* placing: one frame on its way into the sink. */
struct placing {
	struct pt_rebuild *rebuild;
	struct pt_sink_run *run;
	struct pt_page_sum *sum;
	struct pt_reader *frame;
	struct pt_error *err;
};

/* page_unsum takes the page as it is out of its region's digest. */
static int page_unsum(const struct placing *p, __u64 page_idx, __u64 gfn)
{
	struct pt_rebuild *r = p->rebuild;
	__u8 buffer[PT_PAGE_SZ];
	const void *page;
	int ret;

	if (!bit_is_set(r->summed, page_idx))
		return 0;
	ret = pt_sink_run_flush(p->run, p->err);
	if (ret)
		return ret;
	page = pt_sink_see(r->sink, pt_layout_image_off(r->layout, page_idx),
			   buffer, p->err);
	if (!page)
		return -EIO;
	region_of(r, page_idx)->digest -= pt_digest_page(r->digest_key, gfn,
							 page);
	bit_clear(r->summed, page_idx);
	return 0;
}

/* page_forget takes what the page holds out of its digest.  The page is zero from
 * here on, or what comes replaces all of it: the caller sees to that. */
static int page_forget(const struct placing *p, __u64 page_idx, __u64 gfn)
{
	struct pt_rebuild *r = p->rebuild;
	int ret = page_unsum(p, page_idx, gfn);

	if (!ret)
		bit_clear(r->written, page_idx);
	return ret;
}

/* pages_zero makes cnt pages of a segment zero, after what is staged for them. */
static int pages_zero(const struct placing *p, __u64 page_idx, __u64 cnt)
{
	struct pt_rebuild *r = p->rebuild;
	int ret = cnt ? pt_sink_run_flush(p->run, p->err) : 0;

	return ret || !cnt ? ret
		: pt_sink_zero(r->sink, pt_layout_image_off(r->layout, page_idx),
			       cnt * PT_PAGE_SZ, p->err);
}

/* page_clear takes out of page and digest what an older generation left. */
static int page_clear(const struct placing *p, __u64 page_idx, __u64 gfn)
{
	struct pt_rebuild *r = p->rebuild;
	int ret = page_forget(p, page_idx, gfn);

	if (!ret)
		ret = pt_sink_run_flush(p->run, p->err);
	return ret ? ret
		: pt_sink_renew(r->sink, pt_layout_image_off(r->layout, page_idx),
				p->err);
}

/* page_renew begins the frame's generation of a page.  1: it may be placed, and
 * *is_old says whether the page may hold what an older one left; 0: it is
 * stale. */
static int page_renew(const struct placing *p, __u64 page_idx, bool *is_old)
{
	struct pt_rebuild *r = p->rebuild;
	struct region *region = region_of(r, page_idx);
	__u32 generation = p->frame->id.generation;

	if (generation < r->generations[page_idx] ||
	    generation < region->generation)
		return 0;
	*is_old = generation > r->generations[page_idx] &&
		  bit_is_set(r->written, page_idx);
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

/* sum_begin readies the lane's sum for a record of a page that may be placed.
 * 1: it is the page's first, or goes on where the one before ended; 0: neither,
 * and the page is left to be summed as a whole; -errno. */
static int sum_begin(const struct placing *p,
		     const struct pt_record_host *record, __u64 page_idx)
{
	struct pt_page_sum *sum = p->sum;
	struct pt_rebuild *r = p->rebuild;
	__u32 generation = p->frame->id.generation;
	bool is_same = sum->page_idx == page_idx &&
		       sum->generation == generation;

	if (is_same && sum->next && sum->next == record->first)
		return 1;
	if (!record->first && !bit_is_set(r->written, page_idx)) {
		sum->page_idx = page_idx;
		sum->generation = generation;
		pt_digest_start(&sum->stream, r->digest_key, record->gfn);
		return 1;
	}
	if (is_same)
		sum->next = 0;
	/* Summed already, and here is more of it: the sender speaks of it
	 * twice, and is to hear of what is there in the end. */
	return bit_is_set(r->summed, page_idx)
		? page_unsum(p, page_idx, record->gfn) : 0;
}

/* sum_end notes that the lane's sum has the blocks below end. */
static void sum_end(const struct placing *p, unsigned end)
{
	struct pt_rebuild *r = p->rebuild;
	__u64 page_idx = p->sum->page_idx;

	p->sum->next = end % PT_PAGE_BLOCKS;
	if (end < PT_PAGE_BLOCKS || !bit_is_set(r->written, page_idx))
		return;
	region_of(r, page_idx)->digest += pt_digest_end(&p->sum->stream);
	bit_set(r->summed, page_idx);
}

/* places: a record without data need not be placed, since its page was cleared: it is
 * zero already.  But a page that is taken whole waits for all its blocks. */
static bool places(const struct placing *p, const struct pt_record_host *record)
{
	return record->mask || pt_sink_wants_whole(p->rebuild->sink);
}

/* stage_run stages and sums the next blocks of a record, from at on, that are
 * all data or all zero: up to cnt, returns how many; -errno. */
static int stage_run(const struct placing *p,
		     const struct pt_record_host *record, __u64 off,
		     unsigned at, unsigned cnt, bool is_summing)
{
	const void *blocks = NULL;
	int ret;

	if (record->mask >> at & 1)
		blocks = pt_reader_blocks(p->frame, cnt, &cnt);
	if (is_summing)
		pt_digest_add(&p->sum->stream, blocks, cnt * PT_BLOCK_SZ);
	if (!places(p, record))
		return cnt;
	ret = pt_sink_run_add(p->run, p->rebuild->sink, off + at * PT_BLOCK_SZ,
			      blocks, cnt * PT_BLOCK_SZ, p->err);
	/* The reader's bounce holds one block at a time. */
	if (!ret && blocks == p->frame->bounce)
		ret = pt_sink_run_flush(p->run, p->err);
	return ret ? ret : (int)cnt;
}

/* place_blocks stages the record's whole range, the zero blocks between the
 * others too: they make the run one piece. */
static int place_blocks(const struct placing *p,
			const struct pt_record_host *record, __u64 page_idx)
{
	struct pt_rebuild *r = p->rebuild;
	__u64 off = pt_layout_image_off(r->layout, page_idx);
	int is_summing = sum_begin(p, record, page_idx);
	unsigned end = record->last + 1;

	if (is_summing < 0)
		return is_summing;
	if (places(p, record))
		bit_set(r->written, page_idx);
	for (unsigned at = record->first; at < end; ) {
		unsigned cnt = run_length(record->mask, at);
		int ret;

		cnt = cnt < end - at ? cnt : end - at;
		ret = stage_run(p, record, off, at, cnt, is_summing);
		if (ret < 0)
			return ret;
		at += ret;
	}
	if (is_summing)
		sum_end(p, end);
	return 0;
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
	__u64 old_cnt = 0;	/* the last pages: not zero yet */
	int placed = 0, ret;

	/* A record has no more pages than a region. */
	if (page_idx % PT_REGION_PAGES == 0 &&
	    cnt == pt_layout_region(layout, page_idx / PT_REGION_PAGES, NULL)) {
		ret = renew_region(p, page_idx);
		if (ret != -EAGAIN)
			return ret;
	}
	for (__u64 i = 0; i < cnt; i++) {
		bool is_old = false;

		placed |= page_renew(p, page_idx + i, &is_old);
		if (is_old) {
			ret = page_forget(p, page_idx + i, gfn + i);
			if (ret)
				return ret;
			old_cnt++;
			continue;
		}
		ret = pages_zero(p, page_idx + i - old_cnt, old_cnt);
		if (ret)
			return ret;
		old_cnt = 0;
	}
	ret = pages_zero(p, page_idx + cnt - old_cnt, old_cnt);
	return ret ? ret : placed;
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

/* is_whole: the record brings all of its page. */
static bool is_whole(const struct pt_record_host *record)
{
	return !record->first && record->last == PT_PAGE_BLOCKS - 1 &&
	       record->mask;
}

/* place_page: 1: placed; 0: stale; -errno. */
static int place_page(const struct placing *p,
		      const struct pt_record_host *record)
{
	bool is_old = false;
	__u64 page_idx;
	int ret = 0;

	pt_check(pt_layout_find(p->rebuild->layout, record->gfn, &page_idx));
	if (!page_renew(p, page_idx, &is_old))
		return 0;
	if (is_old)
		ret = is_whole(record)
			? page_forget(p, page_idx, record->gfn)
			: page_clear(p, page_idx, record->gfn);
	if (!ret)
		ret = place_blocks(p, record, page_idx);
	return ret ? ret : 1;
}

/* stage_copy stages the original for a page of which nothing is kept; the
 * original, never written, is zero, and then so is the page: is_old says whether it
 * must be made so. */
static int stage_copy(const struct placing *p, __u64 page_idx, __u64 gfn,
		      __u64 original_idx, bool is_old)
{
	struct pt_rebuild *r = p->rebuild;
	const void *page;
	int ret;

	if (!bit_is_set(r->written, original_idx))
		return pages_zero(p, page_idx, is_old);
	ret = pt_sink_run_copy(p->run, r->sink,
			       pt_layout_image_off(r->layout, page_idx),
			       pt_layout_image_off(r->layout, original_idx),
			       &page, p->err);
	if (ret)
		return ret;
	region_of(r, page_idx)->digest += pt_digest_page(r->digest_key, gfn,
							 page);
	bit_set(r->written, page_idx);
	bit_set(r->summed, page_idx);
	return 0;
}

/* place_copy: 1: placed; 0: stale; -errno. */
static int place_copy(const struct placing *p,
		      const struct pt_record_host *record)
{
	const struct pt_layout *layout = p->rebuild->layout;
	__u64 page_idx, original_idx;
	bool is_old = false;
	int ret = 0;

	pt_check(pt_layout_find(layout, record->gfn, &page_idx));
	pt_check(pt_layout_find(layout, record->mask, &original_idx));
	if (!page_renew(p, page_idx, &is_old))
		return 0;
	/* Pieces of this generation, that no sender sends beside a copy. */
	if (p->sum->page_idx == page_idx)
		p->sum->next = 0;
	is_old = bit_is_set(p->rebuild->written, page_idx);
	if (is_old)
		ret = page_forget(p, page_idx, record->gfn);
	if (!ret)
		ret = stage_copy(p, page_idx, record->gfn, original_idx,
				 is_old);
	return ret ? ret : 1;
}

/* place_record: 1: placed; 0: stale; -errno. */
static int place_record(const struct placing *p,
			const struct pt_record_host *record)
{
	switch (record->kind) {
	case PT_RECORD_ZEROES:
		return place_zeroes(p, record);
	case PT_RECORD_COPY:
		return place_copy(p, record);
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
		counts->placed += placed;
		counts->stale += !placed;
		if (placed)
			counts->bytes += pt_record_block_cnt(&record) *
					 PT_BLOCK_SZ;
	}
	return 0;
}

/* fault: the mapping failed.  What is staged is dropped: the run's next bytes
 * may be another memory's. */
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
		     struct pt_page_sum *sum, struct pt_reader *frame,
		     struct pt_rebuild_counts *counts, struct pt_error *err)
{
	const struct placing p = {
		.rebuild = r,
		.run = run,
		.sum = sum,
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
