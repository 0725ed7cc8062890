/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room image: memory at rest, in one file.
 *
 *   knows         the format .ptrim: writing, reading, checking, packing, unpacking
 *   may use       base trim wire memory source sink lane
 *   must not know connections, frames, how a transfer does its work
 */
/* format: the bytes of an image at rest, as docs/image-format.md defines them.
 *
 *     0         header
 *     512       segments, segment_cnt
 *     behind    regions, region_cnt, 2 MiB of memory each
 *     data_at   units, page tables of regions and files in any order, up to
 *               file_sz
 *
 * Every number is big-endian.  Every structure has a check of its own, XXH3-64,
 * whose seed is the structure's place: one that is moved is found, too.
 */
#ifndef IMAGE_FORMAT_H
#define IMAGE_FORMAT_H

#include <stddef.h>
#include <linux/types.h>

#include "memory/layout.h"

#define PT_PTRIM_MAGIC		0x5054494d	/* "PTIM" */
#define PT_PTRIM_VERSION	1
#define PT_PTRIM_UNIT_PAGES	16	/* the most that a unit holds */
#define PT_PTRIM_CHAIN_MAX	16	/* images of a chain, the first included */
#define PT_PTRIM_FILES_MAX	1024
#define PT_PTRIM_NAME_SZ	256	/* bytes of a name, with its NUL */
#define PT_PTRIM_ID_SZ		32	/* SHA-256 */
#define PT_PTRIM_UNREADABLE_CONTENT (~0ULL)	/* content digest of such a page */

struct pt_ptrim_header {
	__be32	magic;
	__be16	version;
	__be16	reserved0;		/* 0 */
	__be64	file_sz;		/* of the whole file */
	__be64	digest_key;		/* of the regions' digests */
	__be32	segment_cnt;
	__be32	file_cnt;
	__be64	region_cnt;
	__be64	files_at;		/* 0: no files */
	__be64	segments_check;		/* of all segments, seed 512 */
	__be64	files_check;		/* of all file entries, seed files_at */
	__u8	parent_id[PT_PTRIM_ID_SZ];	/* all 0: there is no parent */
	char	parent_name[PT_PTRIM_NAME_SZ];	/* beside this file */
	__u8	reserved1[120];		/* 0 */
	__u8	id[PT_PTRIM_ID_SZ];
	__be64	check;			/* of the header up to here, seed 0 */
} __attribute__((packed));

struct pt_ptrim_segment {
	char	name[PT_SEGMENT_NAME_SZ];
	__be64	gfn;
	__be64	sz;
} __attribute__((packed));

struct pt_ptrim_region {
	__be64	digest;		/* sum of its pages' digests */
	__be64	table;		/* where its page table is; or, if all its pages have
				 * one state, that */
	__be64	table_check;	/* of the page table, seed table; else 0 */
	__be64	check;		/* of these fields, seed: the region's number */
} __attribute__((packed));

/* The state of a page; the numbers are the file's.  A page of an unpacked image is
 * zero in the states absent, zero and unreadable. */
enum pt_ptrim_state {
	PT_PTRIM_ABSENT		= 0,	/* was never there: a hole */
	PT_PTRIM_ZERO		= 1,
	PT_PTRIM_UNREADABLE	= 2,	/* the source could not read it */
	PT_PTRIM_PARENT		= 3,	/* as in the parent */
	PT_PTRIM_DATA		= 4,	/* in a unit */
	PT_PTRIM_LOST		= 5,	/* never in a file: it is damaged */
};
#define PT_PTRIM_STATES 5		/* in a file */

/* A page table has one such entry for each page of the region. */
#define PT_PTRIM_STATE_SHIFT	60	/* bits 63..60: the state */
#define PT_PTRIM_SLOT_SHIFT	56	/* bits 59..56: the page's slot in the unit */
#define PT_PTRIM_AT_MASK	((1ULL << PT_PTRIM_SLOT_SHIFT) - 1)

/* A unit: behind this head stored_sz bytes, which become raw_sz bytes: the blocks of
 * its pages, page by page, and then the pages' masks, 8 bytes each. */
struct pt_ptrim_unit {
	__be64	check;		/* of all behind it, seed: where the unit is */
	__u8	page_cnt;	/* 1..16 */
	__u8	compression;	/* enum pt_compression */
	__be16	block_cnt;	/* page_cnt..64 page_cnt */
	__be32	stored_sz;
} __attribute__((packed));

struct pt_ptrim_file {
	char	name[PT_PTRIM_NAME_SZ];
	__be64	at;
	__be64	sz;
	__be64	check;			/* of its bytes, seed at */
} __attribute__((packed));

_Static_assert(sizeof(struct pt_ptrim_header) == 512, "the header");
_Static_assert(offsetof(struct pt_ptrim_header, parent_id) == 64, "its parent");
_Static_assert(offsetof(struct pt_ptrim_header, id) == 472, "its id");
_Static_assert(sizeof(struct pt_ptrim_segment) == 80, "a segment");
_Static_assert(sizeof(struct pt_ptrim_region) == 32, "a region");
_Static_assert(sizeof(struct pt_ptrim_unit) == 16, "a unit's head");
_Static_assert(sizeof(struct pt_ptrim_file) == 280, "a file's entry");

/* pt_ptrim_raw_sz: the bytes of a unit before it is compressed. */
static inline __u32 pt_ptrim_raw_sz(__u32 page_cnt, __u32 block_cnt)
{
	return page_cnt * sizeof(__be64) + block_cnt * PT_BLOCK_SZ;
}

/* pt_ptrim_regions_at: where the regions begin; pt_ptrim_data_at: the data. */
static inline __u64 pt_ptrim_regions_at(__u32 segment_cnt)
{
	return sizeof(struct pt_ptrim_header) +
	       (__u64)segment_cnt * sizeof(struct pt_ptrim_segment);
}

static inline __u64 pt_ptrim_data_at(__u32 segment_cnt, __u64 region_cnt)
{
	return pt_ptrim_regions_at(segment_cnt) +
	       region_cnt * sizeof(struct pt_ptrim_region);
}

#endif
