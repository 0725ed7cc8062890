// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The pages of an image at rest. */
#include "image/ptrim_impl.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "memory/guard.h"
#include "image/unit.h"

#define SLOTS		32	/* units that a reader keeps; a power of 2 */

enum table_state {
	TABLE_UNKNOWN,		/* not yet looked at */
	TABLE_GOOD,
	TABLE_BAD,
};

struct pt_ptrim_reader {
	const struct pt_ptrim *image;
	struct pt_decompressor *decompressor;
	__u64 at[SLOTS];	/* where the units are; 0: none */
	struct pt_unit *units[SLOTS];	/* NULL: not used yet; but the first */
	struct pt_ptrim_reader *parent;		/* NULL: none */
	int failure;			/* see pt_ptrim_failure */
	enum pt_compression foreign;	/* the method that is not built */
};

/* ---- page tables ---- */

/* region_at returns the region's fields in the file; NULL: they are damaged. */
static const struct pt_ptrim_region *region_at(const struct pt_ptrim *p,
					       __u64 region_idx)
{
	const struct pt_ptrim_region *r = (const void *)(p->map +
		pt_ptrim_regions_at(be32toh(p->header.segment_cnt)));

	r += region_idx;
	return be64toh(r->check) == XXH3_64bits_withSeed(
		r, offsetof(typeof(*r), check), region_idx) ? r : NULL;
}

static bool table_is_good(const struct pt_ptrim *p, __u64 region_idx)
{
	__u32 page_cnt = pt_layout_region(p->layout, region_idx, NULL);
	const struct pt_ptrim_region *r = region_at(p, region_idx);
	__u64 at, sz = page_cnt * sizeof(__be64);

	if (!r)
		return false;
	at = be64toh(r->table);
	if (at < PT_PTRIM_DATA)		/* all pages are alike */
		return true;
	return pt_ptrim_has(p, at, sz) && be64toh(r->table_check) ==
	       XXH3_64bits_withSeed(p->map + at, sz, at);
}

/* table_of returns the region's fields once they and the table are known to be
 * good. */
static const struct pt_ptrim_region *table_of(const struct pt_ptrim *p,
					      __u64 region_idx)
{
	_Atomic __u8 *known = &p->tables[region_idx];
	__u8 state = atomic_load_explicit(known, memory_order_relaxed);

	if (state == TABLE_UNKNOWN) {
		state = table_is_good(p, region_idx) ? TABLE_GOOD : TABLE_BAD;
		atomic_store_explicit(known, state, memory_order_relaxed);
	}
	return state == TABLE_BAD ? NULL : region_at(p, region_idx);
}

static struct pt_ptrim_entry look(const struct pt_ptrim *p, __u64 page_idx)
{
	const struct pt_ptrim_region *r = table_of(p, page_idx / PT_REGION_PAGES);
	struct pt_ptrim_entry entry = { .state = PT_PTRIM_LOST };
	__u64 table, word;
	__be64 be;

	if (!r)
		return entry;
	table = be64toh(r->table);
	if (table < PT_PTRIM_DATA) {
		entry.state = table;
		return entry;
	}
	/* The file may change, so that no word of the table is trusted. */
	table += page_idx % PT_REGION_PAGES * sizeof(be);
	if (!pt_ptrim_has(p, table, sizeof(be)))
		return entry;
	memcpy(&be, p->map + table, sizeof(be));
	word = be64toh(be);
	if (word >> PT_PTRIM_STATE_SHIFT >= PT_PTRIM_STATES ||
	    (word >> PT_PTRIM_STATE_SHIFT != PT_PTRIM_DATA &&
	     word << (64 - PT_PTRIM_STATE_SHIFT)))
		return entry;
	entry.state = word >> PT_PTRIM_STATE_SHIFT;
	entry.slot = word >> PT_PTRIM_SLOT_SHIFT & (PT_PTRIM_UNIT_PAGES - 1);
	entry.at = word & PT_PTRIM_AT_MASK;
	return entry;
}

struct pt_ptrim_entry pt_ptrim_look(const struct pt_ptrim *p, __u64 page_idx)
{
	struct pt_ptrim_entry entry;
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		return (struct pt_ptrim_entry){ .state = PT_PTRIM_LOST };
	entry = look(p, page_idx);
	pt_guard_leave(&guard);
	return entry;
}

static enum pt_ptrim_state alike(const struct pt_ptrim *p, __u64 region_idx)
{
	const struct pt_ptrim_region *r = table_of(p, region_idx);
	__u64 table = r ? be64toh(r->table) : PT_PTRIM_STATES;

	return !r ? PT_PTRIM_LOST :
	       table < PT_PTRIM_DATA ? (enum pt_ptrim_state)table : PT_PTRIM_STATES;
}

enum pt_ptrim_state pt_ptrim_alike(const struct pt_ptrim *p, __u64 region_idx)
{
	enum pt_ptrim_state state;
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		return PT_PTRIM_LOST;
	state = alike(p, region_idx);
	pt_guard_leave(&guard);
	return state;
}

bool pt_ptrim_digest(const struct pt_ptrim *p, __u64 region_idx, __u64 *digest)
{
	const struct pt_ptrim_region *r;
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		return false;
	r = region_at(p, region_idx);
	if (r)
		*digest = be64toh(r->digest);
	pt_guard_leave(&guard);
	return r;
}

/* ---- units ---- */

/* unit_load fills the slot with the unit at off. */
static bool unit_load(struct pt_ptrim_reader *r, __u32 slot, __u64 off)
{
	const struct pt_ptrim *p = r->image;

	r->at[slot] = 0;
	if (!pt_ptrim_has(p, off, 0))
		return false;
	if (!pt_unit_read(r->units[slot], r->decompressor, p->map + off,
			  p->map_sz - off, off)) {
		if (pt_unit_is_foreign(p->map + off, p->map_sz - off, off,
				       &r->foreign))
			r->failure = -EOPNOTSUPP;
		return false;
	}
	r->at[slot] = off;
	return true;
}

/* slot_of returns the slot of the unit at off.  Without memory for it, the first
 * takes its unit. */
static __u32 slot_of(struct pt_ptrim_reader *r, __u64 off)
{
	__u32 slot = off * 0x9e3779b97f4a7c15ULL >> 32 & (SLOTS - 1);

	if (!r->units[slot])
		r->units[slot] = malloc(sizeof(*r->units[slot]));
	return r->units[slot] ? slot : 0;
}

static enum pt_ptrim_state data_read(struct pt_ptrim_reader *r,
				     const struct pt_ptrim_entry *entry, void *page)
{
	__u32 slot = slot_of(r, entry->at);

	/* An empty slot has at 0, where no unit is. */
	if ((!entry->at || r->at[slot] != entry->at) &&
	    !unit_load(r, slot, entry->at))
		return PT_PTRIM_LOST;
	if (entry->slot >= r->units[slot]->page_cnt)
		return PT_PTRIM_LOST;
	pt_unit_page(r->units[slot], entry->slot, page);
	return PT_PTRIM_DATA;
}

/* ---- reading ---- */

static enum pt_ptrim_state parent_read(struct pt_ptrim_reader *r, __u64 page_idx,
				       void *page)
{
	__u64 idx;

	if (!r->parent || !pt_layout_find(r->parent->image->layout,
					  pt_layout_gfn(r->image->layout, page_idx),
					  &idx))
		return PT_PTRIM_LOST;
	return pt_ptrim_read(r->parent, idx, page);
}

/* faulted: a mapping raises SIGBUS where the file was cut short, which damages it, or
 * cannot be read. */
static enum pt_ptrim_state faulted(struct pt_ptrim_reader *r)
{
	struct stat st;

	if (!fstat(r->image->fd, &st) && (__u64)st.st_size >= r->image->map_sz)
		r->failure = -EIO;
	return PT_PTRIM_LOST;
}

enum pt_ptrim_state pt_ptrim_read(struct pt_ptrim_reader *r, __u64 page_idx,
				  void *page)
{
	struct pt_ptrim_entry entry;
	enum pt_ptrim_state state;
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		return faulted(r);
	entry = look(r->image, page_idx);
	state = entry.state;
	if (state == PT_PTRIM_DATA)
		state = data_read(r, &entry, page);
	pt_guard_leave(&guard);
	return state == PT_PTRIM_PARENT ? parent_read(r, page_idx, page) : state;
}

int pt_ptrim_failure(const struct pt_ptrim_reader *r, struct pt_error *err)
{
	while (r && !r->failure)
		r = r->parent;
	if (!r)
		return 0;
	if (r->failure == -EOPNOTSUPP)
		return pt_error_set(err, PT_EXIT_HOST, r->failure, "%s: its pages are "
				    "compressed by %s, and this build does not "
				    "decompress them (use one with that library)",
				    r->image->path, pt_compression_name(r->foreign));
	return pt_error_set(err, PT_EXIT_HOST, r->failure, "%s: cannot be read: %s "
			    "(see the kernel's log)", r->image->path,
			    strerror(-r->failure));
}

int pt_ptrim_reader_create(struct pt_ptrim_reader **out, const struct pt_ptrim *p)
{
	struct pt_ptrim_reader *r = calloc(1, sizeof(*r));
	int code = r ? 0 : -ENOMEM;

	if (!code) {
		r->image = p;
		r->units[0] = malloc(sizeof(*r->units[0]));
		code = r->units[0] ? pt_decompressor_create(&r->decompressor)
				   : -ENOMEM;
	}
	if (!code && p->parent)
		code = pt_ptrim_reader_create(&r->parent, p->parent);
	if (code) {
		pt_ptrim_reader_destroy(r);
		return code;
	}
	*out = r;
	return 0;
}

void pt_ptrim_reader_destroy(struct pt_ptrim_reader *r)
{
	if (!r)
		return;
	pt_ptrim_reader_destroy(r->parent);
	pt_decompressor_destroy(r->decompressor);
	for (__u32 i = 0; i < SLOTS; i++)
		free(r->units[i]);
	free(r);
}
