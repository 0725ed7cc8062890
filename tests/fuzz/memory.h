/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* memory: a small memory for frames, and a model of its content, written from
 * section 12 of docs/wire-format.md alone: without readers, runs, digests of
 * parts and files. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include "folder.h"

#include "../frames/frame.h"
#include "rebuild/rebuild.h"
#include "sink/image.h"
#include "trim/digest.h"

#define MEMORY_KEY	0x5eed5eed5eed5eedULL
#define MEMORY_PAGES	7

static const struct pt_segment memory_segments[] = {
	{ "low", 4, 3 * PT_PAGE_SZ },
	{ "mid", 7, 2 * PT_PAGE_SZ },
	{ "high", 100, 2 * PT_PAGE_SZ - 100 },
};
static const __u64 memory_gfns[MEMORY_PAGES] = { 4, 5, 6, 7, 8, 100, 101 };

static struct memory {
	struct pt_layout *layout;
	struct pt_sink *sink;
	struct pt_rebuild *rebuild;
	struct pt_sink_run run;
	struct pt_page_sum sum;
	struct pt_refusals refusals;
	struct pt_rebuild_counts counts;

	struct {
		__u32 generation;
		__u64 spoken_for;	/* blocks, in this generation, and
					 * ... */
		__u64 twice;		/* ... those more than once, when they
					 * were last */
		bool is_unreadable;	/* it has no content */
		__u8 bytes[PT_PAGE_SZ];
	} model[MEMORY_PAGES];
	struct pt_rebuild_counts want;
} memory;

static inline __u8 *memory_page(__u32 i)
{
	__u64 page_idx;

	pt_check(pt_layout_find(memory.layout, memory_gfns[i], &page_idx));
	return pt_image_page(memory.sink, page_idx);
}

/* memory_begin makes all zero, with nothing placed. */
static inline void memory_begin(void)
{
	if (!memory.sink) {
		folder_make("ram");
		pt_check(!pt_layout_create(&memory.layout, memory_segments, 3,
					   NULL));
		pt_check(!pt_image_create(&memory.sink, folder_file,
					 memory.layout, NULL));
	}
	for (__u32 i = 0; i < MEMORY_PAGES; i++)
		memset(memory_page(i), 0, PT_PAGE_SZ);
	memset(memory.model, 0, sizeof(memory.model));
	memset(&memory.sum, 0, sizeof(memory.sum));
	memset(&memory.counts, 0, sizeof(memory.counts));
	memset(&memory.want, 0, sizeof(memory.want));
	pt_check(!pt_rebuild_create(&memory.rebuild, memory.layout,
				    memory.sink, MEMORY_KEY));
}

static inline void memory_end(void)
{
	pt_rebuild_destroy(memory.rebuild);
	memory.rebuild = NULL;
}

/* memory_find returns the page's index, or -1. */
static inline int memory_find(__u64 gfn)
{
	for (int i = 0; i < MEMORY_PAGES; i++)
		if (memory_gfns[i] == gfn)
			return i;
	return -1;
}

static inline __u64 memory_page_cnt(const struct shape_record *r)
{
	return r->kind == PT_RECORD_ZEROES || r->kind == PT_RECORD_UNREADABLE
		       ? r->mask : 1;
}

/* memory_has: it has all pages that the records name. */
static inline bool memory_has(const struct shape *s)
{
	for (__u32 i = 0; i < s->record_cnt; i++) {
		const struct shape_record *r = &s->records[i];

		for (__u64 n = 0; n < memory_page_cnt(r); n++)
			if (memory_find(r->gfn + n) < 0)
				return false;
		if (r->kind == PT_RECORD_COPY &&
		    memory_find(pt_record_original(r->mask)) < 0)
			return false;
	}
	return true;
}

/* model_renew readies page i for a record of that generation, of blocks first
 * to last; false: the record is stale. */
static inline bool model_renew(int i, __u32 generation, __u8 first, __u8 last)
{
	const __u64 blocks = ~0ULL << first & ~0ULL >> (63 - last);

	if (generation < memory.model[i].generation)
		return false;
	if (generation > memory.model[i].generation)
		memory.model[i].spoken_for = 0;
	memory.model[i].generation = generation;
	memory.model[i].twice &= ~blocks;
	memory.model[i].twice |= memory.model[i].spoken_for & blocks;
	memory.model[i].spoken_for |= blocks;
	return true;
}

/* model_copy copies page o to page i; no block of page i's own generation
 * stays, and no byte comes from behind the end of memory. */
static inline void model_copy(int i, int o)
{
	memcpy(memory.model[i].bytes, memory.model[o].bytes, PT_PAGE_SZ);
	memory.model[i].twice = memory.model[o].twice;
	if (o == MEMORY_PAGES - 1)
		memset(memory.model[i].bytes + PT_PAGE_SZ - 100, 0, 100);
}

/* model_base: the delta's page is whole in the version that it names: the highest
 * below generation that has the low bits. */
static inline bool model_base(const struct shape_record *r, __u32 generation)
{
	int i = memory_find(r->gfn);

	for (__u32 v = generation - 1; v; v--)
		if ((v & 0xffff) == (__u32)(r->first << 8 | r->last))
			return memory.model[i].generation == v &&
			       !memory.model[i].is_unreadable &&
			       !~memory.model[i].spoken_for;
	return false;
}

/* model_refuses: the record is a copy or delta, not stale, and its original or
 * base is incomplete in that version. */
static inline bool model_refuses(const struct shape_record *r, __u32 generation)
{
	int i = memory_find(r->gfn), o;

	if (generation < memory.model[i].generation)
		return false;
	if (r->kind == PT_RECORD_DELTA)
		return !model_base(r, generation);
	if (r->kind != PT_RECORD_COPY)
		return false;
	o = memory_find(pt_record_original(r->mask));
	return memory.model[o].generation != pt_record_version(r->mask) ||
	       memory.model[o].is_unreadable ||
	       ~memory.model[o].spoken_for;
}

/* model_record: blocks are those of its mask. */
static inline void model_record(const struct shape_record *r, __u32 generation,
				const __u8 *blocks)
{
	bool is_delta = r->kind == PT_RECORD_DELTA;
	bool placed = false;

	if (model_refuses(r, generation)) {
		memory.want.refused++;
		return;
	}
	for (__u64 n = 0; n < memory_page_cnt(r); n++) {
		int i = memory_find(r->gfn + n);
		__u64 twice = memory.model[i].twice;

		if (!model_renew(i, generation, is_delta ? 0 : r->first,
				 is_delta ? 63 : r->last))
			continue;
		placed = true;
		if (is_delta)
			memory.model[i].twice = twice & ~r->mask;
		if (r->kind == PT_RECORD_COPY)
			model_copy(i, memory_find(pt_record_original(r->mask)));
		memory.model[i].is_unreadable = r->kind == PT_RECORD_UNREADABLE;
		if (r->kind == PT_RECORD_ZEROES ||
		    r->kind == PT_RECORD_UNREADABLE)
			memset(memory.model[i].bytes, 0, PT_PAGE_SZ);
		if (r->kind != PT_RECORD_BLOCKS && !is_delta)
			continue;
		if (!is_delta)
			memset(memory.model[i].bytes + r->first * 64, 0,
			       (r->last + 1 - r->first) * 64);
		for (int bit = 0; bit < 64; bit++)
			if (r->mask >> bit & 1) {
				memcpy(memory.model[i].bytes + bit * 64, blocks,
				       PT_BLOCK_SZ);
				blocks += PT_BLOCK_SZ;
				memory.want.bytes += PT_BLOCK_SZ;
			}
	}
	memory.want.placed += placed;
	memory.want.stale += !placed;
}

static inline void model_frame(const struct shape *s, __u32 generation,
			       const __u8 *blocks)
{
	for (__u32 i = 0; i < s->record_cnt; i++) {
		const struct shape_record *r = &s->records[i];

		model_record(r, generation, blocks);
		if (r->kind == PT_RECORD_BLOCKS || r->kind == PT_RECORD_DELTA)
			blocks += __builtin_popcountll(r->mask) * PT_BLOCK_SZ;
	}
}

/* page_check compares sz bytes, except blocks that the sender sent twice in one
 * generation, which is forbidden: those may hold either content. */
static inline void page_check(__u32 i, __u32 sz)
{
	const __u8 *page = memory_page(i), *want = memory.model[i].bytes;

	for (__u32 b = 0, at = 0; at < sz; b++, at += PT_BLOCK_SZ)
		pt_check(memory.model[i].twice >> b & 1 ||
			 !memcmp(page + at, want + at, sz - at < PT_BLOCK_SZ
				 ? sz - at : PT_BLOCK_SZ));
}

/* memory_check compares the memory with the model to its last byte, and checks
 * that no byte behind it was written.  Each segment's one region has the digest
 * of its content, even if the sender sent a block twice in one generation; the
 * last segment's may differ, since there may have been bytes past the end of
 * memory. */
static inline void memory_check(void)
{
	__u64 digests[2] = { 0 }, digest;

	pt_check(!pt_rebuild_flush(memory.rebuild, &memory.run, &memory.sum,
				   NULL));
	for (__u32 i = 0; i < MEMORY_PAGES; i++) {
		page_check(i, i < MEMORY_PAGES - 1 ? PT_PAGE_SZ
						   : PT_PAGE_SZ - 100);
		if (i < 5)
			digests[i / 3] += memory.model[i].is_unreadable
				? pt_digest_unreadable(memory_gfns[i])
				: pt_digest_page(MEMORY_KEY, memory_gfns[i],
						 memory_page(i));
	}
	for (__u32 i = 0; i < 2; i++) {
		pt_check(!pt_rebuild_region_digest(memory.rebuild, i, &digest,
						   NULL));
		pt_check(digest == digests[i]);
	}
	pt_check(!memcmp(&memory.counts, &memory.want, sizeof(memory.want)));
}

#endif
