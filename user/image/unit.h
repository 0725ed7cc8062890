/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* unit: up to 16 pages of an image at rest, compressed as one (docs/image-format.md,
 * section 6).
 *
 *     maker   add, add ... --> end: the bytes of the file
 *     unit    the bytes of the file --> read --> page
 *
 * Threads: one at a time for each.
 */
#ifndef IMAGE_UNIT_H
#define IMAGE_UNIT_H

#include <stdbool.h>

#include "image/format.h"
#include "wire/compress.h"

struct XXH3_state_s;

struct pt_unit_maker {
	struct pt_compressor *compressor;	/* NULL: none */
	__u8 *raw;			/* the unit's blocks, then its masks */
	__u64 masks[PT_PTRIM_UNIT_PAGES];
	__u32 page_cnt, block_cnt;	/* of the unit that is being filled */
	struct XXH3_state_s *check;
};

/* pt_unit_maker_init: level is for zstd.  -EOPNOTSUPP: not built; -ENOMEM.  Always
 * followed by free. */
int pt_unit_maker_init(struct pt_unit_maker *m, enum pt_compression method,
		       int level);
void pt_unit_maker_free(struct pt_unit_maker *m);

/* pt_unit_maker_add adds a page: mask, not 0, is the set of its blocks that are not
 * zero.  A unit takes PT_PTRIM_UNIT_PAGES. */
void pt_unit_maker_add(struct pt_unit_maker *m, __u64 mask, const __u8 *page);

/* pt_unit_maker_page writes the 4096 bytes of a page that was added. */
void pt_unit_maker_page(const struct pt_unit_maker *m, __u32 slot, __u8 *page);

/* pt_unit_maker_pack ends the unit: *u is its head, without the check, and the bytes
 * returned, which stay until the next add, follow it.  pt_unit_maker_seal sets the
 * check of a unit that begins at off of the file. */
const __u8 *pt_unit_maker_pack(struct pt_unit_maker *m, struct pt_ptrim_unit *u);
void pt_unit_maker_seal(const struct pt_unit_maker *m, struct pt_ptrim_unit *u,
			const __u8 *stored, __u64 off);

/* pt_unit: one that was checked and decompressed. */
struct pt_unit {
	__u32 page_cnt;
	__u64 masks[PT_PTRIM_UNIT_PAGES];
	__u16 first[PT_PTRIM_UNIT_PAGES];	/* of each page's blocks */
	__u8 blocks[PT_PTRIM_UNIT_PAGES * (PT_PAGE_SZ + sizeof(__be64))];
};

/* pt_unit_sz returns the bytes of the unit whose head begins at bytes; 0: none
 * begins there, of at most left bytes. */
__u32 pt_unit_sz(const __u8 *bytes, __u64 left);

/* pt_unit_is_good: it has the check of a unit at off of the file; sz as pt_unit_sz. */
bool pt_unit_is_good(const __u8 *bytes, __u32 sz, __u64 off);

/* pt_unit_read fills unit with the one at off of the file, whose bytes, of at most
 * left, begin at bytes; false: it is damaged. */
bool pt_unit_read(struct pt_unit *unit, struct pt_decompressor *d,
		  const __u8 *bytes, __u64 left, __u64 off);

/* pt_unit_is_foreign: a unit as pt_unit_read takes it, which is not damaged, but by a
 * method of compression that is not built. */
bool pt_unit_is_foreign(const __u8 *bytes, __u64 left, __u64 off,
			enum pt_compression *method);

/* pt_unit_page writes the 4096 bytes of the page; slot is below page_cnt. */
void pt_unit_page(const struct pt_unit *unit, __u32 slot, __u8 *page);

#endif
