/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Compresses a frame's blocks, and finds out how many of them fit. */
#include <string.h>

#include <pagetrim/check.h>

#include "wire/builder_impl.h"

#define TRIES		4	/* of one frame */
#define LEARN_SHIFT	2	/* the last frame counts a quarter */
#define POOR_RATIO	(PT_PACK_ONE * 15 / 16)	/* not worth it: then */
#define POOR_SZ		(32u << 10)	/* bytes go plain before the next attempt: */
				/* on more the libraries fail fast */

/* gather copies the blocks that are named by mask, and returns the following
 * byte. */
static __u8 *gather_page(__u8 *to, const __u8 *page, __u64 mask)
{
	while (mask) {
		unsigned int first = __builtin_ctzll(mask);
		__u64 gaps = ~(mask >> first);
		unsigned int cnt = gaps ? __builtin_ctzll(gaps) :
					  PT_PAGE_BLOCKS;

		memcpy(to, page + first * PT_BLOCK_SZ, cnt * PT_BLOCK_SZ);
		to += cnt * PT_BLOCK_SZ;
		if (first + cnt == PT_PAGE_BLOCKS)
			break;
		mask &= ~0ULL << (first + cnt);
	}
	return to;
}

static void gather(const struct pt_builder *b)
{
	__u8 *at = pt_compressor_raw(b->cfg.compressor);

	for (__u32 i = 0; i < b->record_cnt; i++)
		if (pt_record_has_blocks(&b->records[i]))
			at = gather_page(at, b->pages[i], b->records[i].mask);
}

/* may_cut: record i may be cut for a frame that has left blocks for it. */
static bool may_cut(const struct pt_builder *b, __u32 i, __u32 left)
{
	return b->records[i].kind == PT_RECORD_BLOCKS &&
	       (!i || left >= PT_BUILDER_CUT_MIN);
}

/* split makes two records of the pack's last one, of which the frame takes some
 * blocks only.  It is done once, when the pack is final: there is room for one
 * more record than a frame may have. */
static void split(struct pt_builder *b)
{
	struct pt_pack *pack = &b->pack;
	__u32 i = pack->record_cnt - 1;
	struct pt_record_host *r = &b->records[i];
	unsigned int end = pt_builder_nth_bit(r->mask, pack->cut_cnt);
	__u32 behind = b->record_cnt - i;

	memmove(r + 1, r, behind * sizeof(*r));
	memmove(&b->pages[i + 1], &b->pages[i], behind * sizeof(b->pages[0]));
	b->record_cnt++;
	r[0].last = end - 1;
	r[0].mask &= ~(~0ULL << end);
	r[1].first = end;
	r[1].mask &= ~0ULL << end;
	pack->cut_cnt = 0;
}

/* cut makes the pack take at most block_cnt (> 0) blocks.  A page is cut by the
 * builder's rule, or if it is the first. */
static void cut(struct pt_builder *b, __u32 block_cnt)
{
	struct pt_pack *pack = &b->pack;
	__u32 left = block_cnt, i = 0;

	for (; i < b->record_cnt; i++) {
		__u32 cnt = pt_record_block_cnt(&b->records[i]);

		if (cnt > left)
			break;
		left -= cnt;
	}
	pack->cut_cnt = i < b->record_cnt && may_cut(b, i, left) ? left : 0;
	pack->record_cnt = i + (pack->cut_cnt > 0);
	pack->block_cnt = block_cnt - left + pack->cut_cnt;
}

static void learn(struct pt_builder *b, __u32 sz, __u32 raw_sz)
{
	__u32 ratio = (__u64)sz * PT_PACK_ONE / raw_sz;
	__u32 *mean = pt_builder_ratio(b);

	if (ratio > PT_PACK_ONE)
		ratio = PT_PACK_ONE;
	*mean += ((int)ratio - (int)*mean) / (1 << LEARN_SHIFT);
	if (*mean < PT_PACK_ONE / 64)
		*mean = PT_PACK_ONE / 64;
}

/* room returns the bytes for the blocks of the pack's records. */
static __u32 room(const struct pt_builder *b)
{
	int sz = pt_builder_room_sz(b, b->pack.record_cnt);

	return sz > 0 ? ROUND_DOWN((__u32)sz, PT_BLOCK_SZ) : 0;
}

/* compress returns whether the pack's blocks fit, compressed, and are fewer. */
static bool compress(struct pt_builder *b)
{
	struct pt_pack *pack = &b->pack;
	__u32 raw_sz = pack->block_cnt * PT_BLOCK_SZ;

	pack->sz = pt_compressor_run(b->cfg.compressor, raw_sz, &pack->data);
	learn(b, pack->sz ? pack->sz : raw_sz, raw_sz);
	return pack->sz && pack->sz <= room(b) &&
	       ROUND_UP(pack->sz, PT_BLOCK_SZ) < raw_sz;
}

/* pack_plain takes what fits as it is. */
static void pack_plain(struct pt_builder *b)
{
	struct pt_pack *pack = &b->pack;

	*pack = (struct pt_pack){
		.record_cnt = b->record_cnt,
		.block_cnt = b->block_cnt,
	};
	if (pt_builder_room_sz(b, b->record_cnt) >=
	    (int)(b->block_cnt * PT_BLOCK_SZ))
		return;
	*pack = (struct pt_pack){ 0 };
	for (__u32 i = 0; i < b->record_cnt && !pack->cut_cnt; i++) {
		int left = pt_builder_room_sz(b, i + 1) / PT_BLOCK_SZ -
			   (int)pack->block_cnt;
		int cnt = pt_record_block_cnt(&b->records[i]);

		if (cnt > left) {
			if (left <= 0 || !may_cut(b, i, left))
				return;
			pack->cut_cnt = cnt = left;
		}
		pack->record_cnt++;
		pack->block_cnt += cnt;
	}
}

/* fewer returns how many blocks fit by the ratio of those that did not, in try i. A
 * small margin fills most frames at once; where the blocks that stay compress worse
 * than those that go, a plain frame would be the most expensive of all. */
static __u32 fewer(const struct pt_builder *b, int i)
{
	static const __u32 shares[TRIES] = { 63, 60, 48, 32 };	/* of 64 */

	return (__u64)b->pack.block_cnt * room(b) / b->pack.sz * shares[i] / 64;
}

/* pack_compressed: true: the pack's blocks are compressed, and fit. */
static bool pack_compressed(struct pt_builder *b)
{
	struct pt_pack *pack = &b->pack;

	gather(b);
	for (int i = 0; pack->block_cnt && i < TRIES; i++) {
		__u32 fits;

		if (compress(b))
			return true;
		if (!pack->sz || pack->sz <= room(b))
			return false;	/* it does not shrink */
		fits = fewer(b, i);
		if (!fits)
			return false;
		cut(b, fits);
	}
	return false;
}

void pt_builder_pack(struct pt_builder *b)
{
	bool is_tried = b->cfg.compressor && !b->plain_cnt && b->block_cnt;

	b->pack = (struct pt_pack){
		.record_cnt = b->record_cnt,
		.block_cnt = b->block_cnt,
	};
	b->is_packed = true;
	b->tried = (struct pt_pack){ 0 };
	if (!is_tried || !pack_compressed(b)) {
		pack_plain(b);
	} else if (b->cfg.only_tries) {
		b->tried = b->pack;
		pack_plain(b);
	}
	if (b->pack.cut_cnt)
		split(b);
	if (is_tried && *pt_builder_ratio(b) > POOR_RATIO)
		b->plain_cnt = POOR_SZ / b->cfg.frame_sz_max;
	else
		b->plain_cnt -= b->plain_cnt > 0;
}
