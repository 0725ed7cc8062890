// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/unit.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <pagetrim/check.h>

/* ---- making ---- */

int pt_unit_maker_init(struct pt_unit_maker *m, enum pt_compression method,
		       int level)
{
	int code;

	*m = (struct pt_unit_maker){ .check = XXH3_createState() };
	if (!m->check)
		return -ENOMEM;
	if (method == PT_COMPRESSION_NONE) {
		m->raw = malloc(pt_ptrim_raw_sz(PT_PTRIM_UNIT_PAGES,
				PT_PTRIM_UNIT_PAGES * PT_PAGE_BLOCKS));
		return m->raw ? 0 : -ENOMEM;
	}
	code = pt_compressor_create(&m->compressor, method, level);
	if (!code)
		m->raw = pt_compressor_raw(m->compressor);
	return code;
}

void pt_unit_maker_free(struct pt_unit_maker *m)
{
	if (m->compressor)
		pt_compressor_destroy(m->compressor);
	else
		free(m->raw);
	XXH3_freeState(m->check);
	*m = (struct pt_unit_maker){ 0 };
}

void pt_unit_maker_add(struct pt_unit_maker *m, __u64 mask, const __u8 *page)
{
	pt_check(mask && m->page_cnt < PT_PTRIM_UNIT_PAGES);
	m->masks[m->page_cnt++] = mask;
	while (mask) {		/* run by run */
		__u32 first = __builtin_ctzll(mask);
		__u64 others = ~(mask >> first);
		__u32 cnt = others ? __builtin_ctzll(others) : PT_PAGE_BLOCKS;

		memcpy(m->raw + m->block_cnt * PT_BLOCK_SZ,
		       page + first * PT_BLOCK_SZ, cnt * PT_BLOCK_SZ);
		m->block_cnt += cnt;
		mask = first + cnt < 64 ? mask & ~0ULL << (first + cnt) : 0;
	}
}

/* expand writes the page of the mask, whose blocks begin at from. */
static void expand(__u64 mask, const __u8 *from, __u8 *page)
{
	for (__u32 b = 0; b < PT_PAGE_BLOCKS; b++) {
		if (mask >> b & 1) {
			memcpy(page + b * PT_BLOCK_SZ, from, PT_BLOCK_SZ);
			from += PT_BLOCK_SZ;
		} else {
			memset(page + b * PT_BLOCK_SZ, 0, PT_BLOCK_SZ);
		}
	}
}

void pt_unit_maker_page(const struct pt_unit_maker *m, __u32 slot, __u8 *page)
{
	const __u8 *from = m->raw;

	pt_check(slot < m->page_cnt);
	for (__u32 i = 0; i < slot; i++)
		from += __builtin_popcountll(m->masks[i]) * PT_BLOCK_SZ;
	expand(m->masks[slot], from, page);
}

const __u8 *pt_unit_maker_pack(struct pt_unit_maker *m, struct pt_ptrim_unit *u)
{
	__u32 raw_sz = pt_ptrim_raw_sz(m->page_cnt, m->block_cnt), sz = 0;
	__u8 *masks = m->raw + m->block_cnt * PT_BLOCK_SZ;
	const __u8 *stored;

	for (__u32 i = 0; i < m->page_cnt; i++) {
		__be64 mask = htobe64(m->masks[i]);

		memcpy(masks + i * sizeof(mask), &mask, sizeof(mask));
	}
	if (m->compressor)
		sz = pt_compressor_run(m->compressor, raw_sz, &stored);
	*u = (struct pt_ptrim_unit){
		.page_cnt = m->page_cnt,
		.block_cnt = htobe16(m->block_cnt),
	};
	m->page_cnt = m->block_cnt = 0;
	if (!sz || sz >= raw_sz) {
		u->stored_sz = htobe32(raw_sz);
		return m->raw;
	}
	u->compression = pt_compressor_method(m->compressor);
	u->stored_sz = htobe32(sz);
	return stored;
}

void pt_unit_maker_seal(const struct pt_unit_maker *m, struct pt_ptrim_unit *u,
			const __u8 *stored, __u64 off)
{
	XXH3_64bits_reset_withSeed(m->check, off);
	XXH3_64bits_update(m->check, (__u8 *)u + sizeof(u->check),
			   sizeof(*u) - sizeof(u->check));
	XXH3_64bits_update(m->check, stored, be32toh(u->stored_sz));
	u->check = htobe64(XXH3_64bits_digest(m->check));
}

/* ---- reading ---- */

__u32 pt_unit_sz(const __u8 *bytes, __u64 left)
{
	struct pt_ptrim_unit u;
	__u32 block_cnt;

	if (left < sizeof(u))
		return 0;
	memcpy(&u, bytes, sizeof(u));
	block_cnt = be16toh(u.block_cnt);
	if (!u.page_cnt || u.page_cnt > PT_PTRIM_UNIT_PAGES ||
	    block_cnt < u.page_cnt || block_cnt > u.page_cnt * PT_PAGE_BLOCKS ||
	    be32toh(u.stored_sz) > pt_ptrim_raw_sz(u.page_cnt, block_cnt) ||
	    be32toh(u.stored_sz) > left - sizeof(u))
		return 0;
	return sizeof(u) + be32toh(u.stored_sz);
}

bool pt_unit_is_good(const __u8 *bytes, __u32 sz, __u64 off)
{
	__be64 check;

	memcpy(&check, bytes, sizeof(check));
	return be64toh(check) == XXH3_64bits_withSeed(
		bytes + sizeof(check), sz - sizeof(check), off);
}

/* blocks_of returns the raw_sz bytes of the unit; NULL: it is damaged. */
static const __u8 *blocks_of(struct pt_decompressor *d,
			     const struct pt_ptrim_unit *u, const __u8 *stored,
			     __u32 raw_sz)
{
	__u32 sz = be32toh(u->stored_sz);

	if (u->compression == PT_COMPRESSION_NONE)
		return sz == raw_sz ? stored : NULL;
	return sz < raw_sz ? pt_decompressor_run(d, u->compression, stored, sz,
						 raw_sz) : NULL;
}

/* masks_read returns whether the masks name all blocks. */
static bool masks_read(struct pt_unit *unit, const __u8 *masks, __u32 block_cnt)
{
	__u32 first = 0;

	for (__u32 i = 0; i < unit->page_cnt; i++) {
		__be64 mask;

		memcpy(&mask, masks + i * sizeof(mask), sizeof(mask));
		unit->masks[i] = be64toh(mask);
		unit->first[i] = first;
		first += __builtin_popcountll(unit->masks[i]);
		if (!mask)
			return false;
	}
	return first == block_cnt;
}

bool pt_unit_read(struct pt_unit *unit, struct pt_decompressor *d,
		  const __u8 *bytes, __u64 left, __u64 off)
{
	struct pt_ptrim_unit u;
	__u32 block_cnt, raw_sz, sz = pt_unit_sz(bytes, left);
	const __u8 *raw;

	if (!sz)
		return false;
	memcpy(&u, bytes, sizeof(u));
	block_cnt = be16toh(u.block_cnt);
	/* A file may change meanwhile, so that its head is judged as it was
	 * copied. */
	if (!u.page_cnt || u.page_cnt > PT_PTRIM_UNIT_PAGES ||
	    block_cnt > u.page_cnt * PT_PAGE_BLOCKS ||
	    sz != sizeof(u) + be32toh(u.stored_sz) ||
	    !pt_unit_is_good(bytes, sz, off))
		return false;
	raw_sz = pt_ptrim_raw_sz(u.page_cnt, block_cnt);
	raw = blocks_of(d, &u, bytes + sizeof(u), raw_sz);
	unit->page_cnt = u.page_cnt;
	if (!raw || !masks_read(unit, raw + block_cnt * PT_BLOCK_SZ, block_cnt))
		return false;
	memcpy(unit->blocks, raw, block_cnt * PT_BLOCK_SZ);
	return true;
}

bool pt_unit_is_foreign(const __u8 *bytes, __u64 left, __u64 off,
			enum pt_compression *method)
{
	__u32 sz = pt_unit_sz(bytes, left);
	struct pt_ptrim_unit u;

	if (!sz || !pt_unit_is_good(bytes, sz, off))
		return false;
	memcpy(&u, bytes, sizeof(u));
	*method = u.compression;
	return u.compression < PT_COMPRESSION_CNT &&
	       !pt_compression_is_built(u.compression);
}

void pt_unit_page(const struct pt_unit *unit, __u32 slot, __u8 *page)
{
	pt_check(slot < unit->page_cnt);
	expand(unit->masks[slot], unit->blocks + unit->first[slot] * PT_BLOCK_SZ,
	       page);
}
