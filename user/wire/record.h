/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* record: a page record in host byte order, and its conversion to and from the
 * wire.  Pure functions: any thread.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include <endian.h>
#include <linux/types.h>
#include <stdbool.h>

#include <pagetrim/wire.h>

/* pt_record_host: struct pt_record of <pagetrim/wire.h>, with fields in host
 * byte order. */
struct pt_record_host {
	__u64	gfn;		/* guest page number, 0..PT_GFN_MAX */
	__u64	mask;		/* BLOCKS, DELTA: bit b is set if block b
				 * follows as data; ZEROES, UNREADABLE: pages,
				 * >= 1; COPY: see pt_record_copy_of */
	__u8	kind;		/* enum pt_record_kind */
	__u8	first;		/* first block covered, 0..63 */
	__u8	last;		/* last block covered, first..63; DELTA: both
				 * are of the base, see pt_record_base */
};

/* pt_record_copy_of returns the mask of a COPY of page original in that version;
 * or what REFUSED says of a page. */
static inline __u64 pt_record_copy_of(__u64 original, __u32 version)
{
	return original | (__u64)version << PT_GFN_BITS;
}

/* pt_record_original, pt_record_version: the two parts of a COPY's mask. */
static inline __u64 pt_record_original(__u64 mask)
{
	return mask & PT_GFN_MAX;
}

static inline __u32 pt_record_version(__u64 mask)
{
	return mask >> PT_GFN_BITS;
}

/* pt_record_has_blocks: the bits of mask are blocks that follow as data. */
static inline bool pt_record_has_blocks(const struct pt_record_host *r)
{
	return r->kind == PT_RECORD_BLOCKS || r->kind == PT_RECORD_DELTA;
}

/* pt_record_block_cnt returns how many blocks follow as the record's data. */
static inline unsigned int pt_record_block_cnt(const struct pt_record_host *r)
{
	return pt_record_has_blocks(r) ? __builtin_popcountll(r->mask) : 0;
}

/* pt_record_load returns the blocks that a receiver places for the record: its data,
 * or the whole page, if it refers to a content that is there.  Zeroes cost little. */
static inline unsigned int pt_record_load(const struct pt_record_host *r)
{
	bool refers = r->kind == PT_RECORD_COPY || r->kind == PT_RECORD_DELTA;

	return refers ? PT_PAGE_BLOCKS : pt_record_block_cnt(r);
}

/* PT_DELTA_AGE_MAX: the most generations that a DELTA is younger than its
 * base. */
#define PT_DELTA_AGE_MAX	0xffff

/* pt_record_base returns the base of a DELTA of that generation: the version at
 * most PT_DELTA_AGE_MAX below it that has these low bits; 0: there is none. */
static inline __u32 pt_record_base(const struct pt_record_host *r,
				   __u32 generation)
{
	__u32 low = r->first << 8 | r->last;
	__u32 age = (generation - low) & PT_DELTA_AGE_MAX;

	return age && age < generation ? generation - age : 0;
}

/* pt_record_page_cnt returns the count of pages that the record covers. */
static inline __u64 pt_record_page_cnt(const struct pt_record_host *r)
{
	return r->kind == PT_RECORD_ZEROES || r->kind == PT_RECORD_UNREADABLE
		       ? r->mask : 1;
}

/* pt_record_write writes the record at `to`, of any alignment. */
static inline void pt_record_write(struct pt_record *to,
				   const struct pt_record_host *from)
{
	to->kind = from->kind;
	to->first = from->first;
	to->last = from->last;
	to->gfn_hi = from->gfn >> 32;
	to->gfn_lo = htobe32((__u32)from->gfn);
	to->mask = htobe64(from->mask);
}

/* pt_record_read reads a record of any content from `from`. */
static inline void pt_record_read(struct pt_record_host *to,
				  const struct pt_record *from)
{
	to->gfn = (__u64)from->gfn_hi << 32 | be32toh(from->gfn_lo);
	to->mask = be64toh(from->mask);
	to->kind = from->kind;
	to->first = from->first;
	to->last = from->last;
}

#endif
