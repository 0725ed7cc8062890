// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include <pagetrim/check.h>

#include "wire/builder_impl.h"
#include "wire/checksum.h"

#define COPY_SHORT_SZ	(8 * PT_BLOCK_SZ)

void pt_builder_init(struct pt_builder *b, const struct pt_builder_cfg *cfg)
{
	__u32 tag = pt_builder_tag_sz(cfg);

	pt_check(cfg->l2l3l4_sz >= LINK_IPV4_SZ);
	pt_check(cfg->l2l3l4_sz <= LINK_IPV6_SZ + PT_VLAN_SZ);
	pt_check(tag == 0 || tag == PT_VLAN_SZ);
	pt_check(!cfg->packed || !cfg->pad);	/* sizes would reveal content */
	pt_check(cfg->frame_sz_max >= PT_ETH_SZ + tag + PT_MTU_MIN);
	pt_check(cfg->frame_sz_max <= PT_ETH_SZ + tag + PT_MTU_MAX);
	b->cfg = *cfg;
	for (int i = 0; i < PT_COMPRESSION_CNT; i++)
		b->ratio[i] = PT_PACK_ONE / 2;
	b->is_packed = false;
	pt_builder_use(b, cfg->compressor);
	pt_builder_discard(b);
}

void pt_builder_use(struct pt_builder *b, struct pt_compressor *c)
{
	pt_check(!c || !b->cfg.pad);
	pt_check(!b->is_packed);
	b->cfg.compressor = c;
	b->plain_cnt = 0;
}

/* room returns the count of blocks that fit beside one more record, by what frames
 * before came to if they are compressed; below 0 if the record does not fit. */
static int room(const struct pt_builder *b)
{
	int left = pt_builder_room_sz(b, b->record_cnt + 1);

	if (b->record_cnt >= PT_RECORDS_MAX || left < 0)
		return -1;
	if (b->cfg.compressor && !b->plain_cnt)
		left = left * (__s64)PT_PACK_ONE /
		       b->ratio[pt_compressor_method(b->cfg.compressor)];
	left /= PT_BLOCK_SZ;
	if (left > PT_FRAME_BLOCKS_MAX)
		left = PT_FRAME_BLOCKS_MAX;
	return left - (int)b->block_cnt;
}

/* Most pages have no holes. */
unsigned int pt_builder_nth_bit(__u64 mask, unsigned int n)
{
	unsigned int low = __builtin_ctzll(mask);
	__u64 gaps = ~(mask >> low);
	unsigned int at = 0;

	if (!gaps || n < (unsigned int)__builtin_ctzll(gaps))
		return low + n;
	for (unsigned int half = 32; half; half /= 2) {
		__u64 lower = mask >> at & ((1ULL << half) - 1);
		unsigned int cnt = __builtin_popcountll(lower);

		if (cnt <= n) {
			n -= cnt;
			at += half;
		}
	}
	return at;
}

unsigned int pt_builder_add_page(struct pt_builder *b, __u64 gfn,
				 unsigned int first, __u64 mask,
				 const void *page)
{
	unsigned int end = PT_PAGE_BLOCKS;
	unsigned int cnt;
	int fits = room(b);

	pt_check(first < PT_PAGE_BLOCKS);
	pt_check(gfn <= PT_GFN_MAX);
	if (fits < 0 || gfn * PT_PAGE_BLOCKS + first < b->next_pos)
		return first;

	mask &= ~0ULL << first;
	cnt = __builtin_popcountll(mask);
	if (cnt > (unsigned int)fits) {
		if (fits < PT_BUILDER_CUT_MIN)
			return first;
		cnt = fits;
		end = pt_builder_nth_bit(mask, cnt);
		mask &= ~(~0ULL << end);
	}

	b->records[b->record_cnt] = (struct pt_record_host){
		.kind = PT_RECORD_BLOCKS,
		.first = first,
		.last = end - 1,
		.gfn = gfn,
		.mask = mask,
	};
	b->pages[b->record_cnt++] = page;
	b->block_cnt += cnt;
	b->next_pos = gfn * PT_PAGE_BLOCKS + end;
	return end;
}

/* add_whole stages a record of page_cnt whole pages without blocks; false: no
 * room, or not in order. */
static bool add_whole(struct pt_builder *b, enum pt_record_kind kind, __u64 gfn,
		      __u64 mask, __u64 page_cnt)
{
	if (room(b) < 0 || gfn * PT_PAGE_BLOCKS < b->next_pos)
		return false;
	b->records[b->record_cnt++] = (struct pt_record_host){
		.kind = kind,
		.first = 0,
		.last = PT_PAGE_BLOCKS - 1,
		.gfn = gfn,
		.mask = mask,
	};
	b->next_pos = (gfn + page_cnt) * PT_PAGE_BLOCKS;
	return true;
}

/* add_pages stages page_cnt pages of a kind that names no content, as part of the
 * last record where they follow it. */
static bool add_pages(struct pt_builder *b, enum pt_record_kind kind, __u64 gfn,
		      __u64 page_cnt)
{
	struct pt_record_host *run = &b->records[b->record_cnt];

	pt_check(gfn <= PT_GFN_MAX);
	pt_check(page_cnt >= 1 && page_cnt <= PT_ZEROES_MAX);
	pt_check(page_cnt <= PT_GFN_MAX + 1 - gfn);

	if (!b->record_cnt || run[-1].kind != kind ||
	    run[-1].gfn + run[-1].mask != gfn ||
	    run[-1].mask + page_cnt > PT_ZEROES_MAX)
		return add_whole(b, kind, gfn, page_cnt, page_cnt);
	run[-1].mask += page_cnt;
	b->next_pos = (gfn + page_cnt) * PT_PAGE_BLOCKS;
	return true;
}

bool pt_builder_add_zeroes(struct pt_builder *b, __u64 gfn, __u64 page_cnt)
{
	return add_pages(b, PT_RECORD_ZEROES, gfn, page_cnt);
}

bool pt_builder_add_unreadable(struct pt_builder *b, __u64 gfn, __u64 page_cnt)
{
	return add_pages(b, PT_RECORD_UNREADABLE, gfn, page_cnt);
}

bool pt_builder_add_copy(struct pt_builder *b, __u64 gfn, __u64 original_gfn,
			 __u32 version)
{
	pt_check(gfn <= PT_GFN_MAX);
	pt_check(original_gfn <= PT_GFN_MAX);
	pt_check(original_gfn != gfn);
	return add_whole(b, PT_RECORD_COPY, gfn,
			 pt_record_copy_of(original_gfn, version), 1);
}

unsigned int pt_builder_delta_max(const struct pt_builder *b)
{
	return pt_builder_room_sz(b, 1) / PT_BLOCK_SZ;
}

bool pt_builder_add_delta(struct pt_builder *b, __u64 gfn, __u32 base,
			  __u64 mask, const void *page)
{
	unsigned int cnt = __builtin_popcountll(mask);

	pt_check(gfn <= PT_GFN_MAX);
	pt_check(cnt <= pt_builder_delta_max(b));
	if (room(b) < (int)cnt || gfn * PT_PAGE_BLOCKS < b->next_pos)
		return false;
	b->records[b->record_cnt] = (struct pt_record_host){
		.kind = PT_RECORD_DELTA,
		.first = base >> 8,
		.last = base,
		.gfn = gfn,
		.mask = mask,
	};
	b->pages[b->record_cnt++] = page;
	b->block_cnt += cnt;
	b->next_pos = (gfn + 1) * PT_PAGE_BLOCKS;
	return true;
}

struct pt_pack pt_builder_take(const struct pt_builder *b)
{
	return b->is_packed ? b->pack : (struct pt_pack){
		.record_cnt = b->record_cnt,
		.block_cnt = b->block_cnt,
	};
}

__u32 pt_builder_frame_sz(const struct pt_builder *b)
{
	const struct pt_pack take = pt_builder_take(b);
	__u32 at = pt_builder_data_pos(&b->cfg, take.record_cnt);

	if (take.sz)
		return at + ROUND_UP(take.sz, PT_BLOCK_SZ);
	return at + (b->cfg.pad ?
		     ROUND_DOWN(b->cfg.frame_sz_max - at, PT_BLOCK_SZ) :
		     take.block_cnt * PT_BLOCK_SZ);
}

__u32 pt_builder_load(const struct pt_builder *b)
{
	const struct pt_pack take = pt_builder_take(b);
	__u32 load = 0;

	for (__u32 i = 0; i < take.record_cnt; i++)
		load += pt_record_load(&b->records[i]);
	return load;
}

void pt_builder_discard(struct pt_builder *b)
{
	b->record_cnt = 0;
	b->block_cnt = 0;
	b->next_pos = 0;
	b->is_packed = false;
}

/* advance drops what a frame took; the rest is staged for the next. */
static void advance(struct pt_builder *b, const struct pt_pack *took)
{
	b->record_cnt -= took->record_cnt;
	b->block_cnt -= took->block_cnt;
	b->is_packed = false;
	if (!b->record_cnt) {
		b->next_pos = 0;
		return;
	}
	memmove(b->records, b->records + took->record_cnt,
		b->record_cnt * sizeof(b->records[0]));
	memmove(b->pages, b->pages + took->record_cnt,
		b->record_cnt * sizeof(b->pages[0]));
}

__u32 pt_builder_skip(struct pt_builder *b)
{
	const struct pt_pack take = pt_builder_take(b);
	__u32 frame_sz = pt_builder_frame_sz(b);

	advance(b, &take);
	return frame_sz;
}

/* copy_blocks copies sz bytes, whole blocks.  Short runs are copied here, since
 * the start of "rep movs" or of a call takes longer than the copy. */
static void copy_blocks(__u8 *to, const __u8 *from, __u32 sz)
{
	if (sz > COPY_SHORT_SZ) {
		memcpy(to, from, sz);
		return;
	}
	for (; sz; sz -= PT_BLOCK_SZ) {
		memcpy(to, from, PT_BLOCK_SZ);
		to += PT_BLOCK_SZ;
		from += PT_BLOCK_SZ;
	}
}

/* put writes sz bytes of the frame's data part, sealed or plain. */
static void put(struct pt_seal *seal, __u8 *to, const __u8 *from, __u32 sz)
{
	if (seal)
		pt_seal_put(seal, to, from, sz);
	else
		copy_blocks(to, from, sz);
}

/* run: blocks that are neighbours in memory, of one page or several, and so in the
 * frame: one call for all of them. */
struct run {
	const __u8 *from;
	__u32	sz;
};

/* put_run writes the run at `at`, and returns the following byte. */
static __u8 *put_run(struct pt_seal *seal, __u8 *at, struct run *run)
{
	if (run->sz)
		put(seal, at, run->from, run->sz);
	at += run->sz;
	run->sz = 0;
	return at;
}

/* put_blocks adds the blocks in mask to the run, and writes at `at` those that are
 * before a gap.  Returns the byte that follows what is written. */
static __u8 *put_blocks(struct pt_seal *seal, __u8 *at, struct run *run,
			const __u8 *page, __u64 mask)
{
	while (mask) {
		unsigned int first = __builtin_ctzll(mask);
		__u64 gaps = ~(mask >> first);
		unsigned int cnt = gaps ? __builtin_ctzll(gaps) :
					  PT_PAGE_BLOCKS;
		const __u8 *from = page + first * PT_BLOCK_SZ;

		if (!run->sz || run->from + run->sz != from) {
			at = put_run(seal, at, run);
			run->from = from;
		}
		run->sz += cnt * PT_BLOCK_SZ;
		if (first + cnt == PT_PAGE_BLOCKS)
			break;
		mask &= ~0ULL << (first + cnt);
	}
	return at;
}

/* put_filler writes sz zero bytes at `at`. */
static void put_filler(struct pt_seal *seal, __u8 *at, __u32 sz)
{
	static const __u8 zeroes[PT_PAGE_SZ];

	while (sz) {
		__u32 step = sz < sizeof(zeroes) ? sz : sizeof(zeroes);

		put(seal, at, zeroes, step);
		at += step;
		sz -= step;
	}
}

/* payload: the UDP payload of a frame that is being written. */
struct payload {
	__u8	*base;
	__u32	sz;
	__u32	data_off;	/* bytes before block 0 */
	__u8	compression;	/* enum pt_compression */
	__u16	compressed_sz;	/* bytes; 0: plain */
};

static void put_header(const struct payload *p, enum pt_frame_kind kind,
		       const struct pt_frame_id *id, __u32 record_cnt,
		       const struct pt_seal *seal)
{
	struct pt_frame_hdr hdr = {
		.magic = htobe32(PT_FRAME_MAGIC),
		.version = PT_WIRE_VERSION,
		.kind = kind,
		.flags = seal ? PT_FLAG_SEALED : 0,
		.session_id = htobe64(id->session_id),
		.seq = htobe64(id->seq),
		.generation = htobe32(id->generation),
		.lane = id->lane,
		.payload_sz = htobe16(p->sz),
		.record_cnt = record_cnt,
		.data_off = htobe16(p->data_off),
		.block_cnt = htobe16((p->sz - p->data_off) / PT_BLOCK_SZ),
		.compression = p->compression,
		.compressed_sz = htobe16(p->compressed_sz),
	};

	pt_check(id->session_id);
	pt_check(id->lane < PT_LANES_MAX);
	memcpy(p->base, &hdr, sizeof(hdr));
}

/* start_auth and finish_auth enclose the writing of the blocks.  Everything
 * before the blocks is written; in the header, key_epoch, header_mac and auth
 * are still zero.  Contents are encrypted where they stand. */
static void start_auth(const struct payload *p, enum pt_frame_kind kind,
		       __u64 seq, struct pt_seal *seal)
{
	struct pt_frame_hdr *hdr = (struct pt_frame_hdr *)p->base;
	const struct pt_span clear = {
		hdr, offsetof(struct pt_frame_hdr, auth)
	};

	if (!seal)
		return;
	hdr->key_epoch = htobe16(pt_seal_key_epoch(seal, kind, seq));
	pt_seal_header(seal, hdr);
	pt_seal_start(seal, kind, seq, clear);
	pt_seal_here(seal, p->base + PT_HIDDEN_OFF,
		     p->data_off - PT_HIDDEN_OFF);
}

static void finish_auth(const struct payload *p, struct pt_seal *seal)
{
	struct pt_frame_hdr *hdr = (struct pt_frame_hdr *)p->base;

	if (seal)
		pt_seal_finish(seal, hdr->auth);
	else
		pt_checksum(&(struct pt_span){ p->base, p->sz }, 1, hdr->auth);
}

static void put_records(const struct pt_builder *b, __u32 cnt,
			const struct payload *p)
{
	__u8 *at = p->base + PT_FRAME_HDR_SZ;

	for (__u32 i = 0; i < cnt; i++, at += PT_RECORD_SZ)
		pt_record_write((struct pt_record *)at, &b->records[i]);
	memset(at, 0, p->base + p->data_off - at);
}

/* put_data writes what the frame takes of the blocks. */
static void put_data(const struct pt_builder *b, const struct pt_pack *take,
		     struct pt_seal *seal, const struct payload *p)
{
	__u8 *at = p->base + p->data_off;
	struct run run = { 0 };

	if (take->sz) {
		put(seal, at, take->data, p->base + p->sz - at);
		return;
	}
	for (__u32 i = 0; i < take->record_cnt; i++)
		if (pt_record_has_blocks(&b->records[i]))
			at = put_blocks(seal, at, &run, b->pages[i],
					b->records[i].mask);
	at = put_run(seal, at, &run);
	put_filler(seal, at, p->base + p->sz - at);
}

__u32 pt_builder_close(struct pt_builder *b, const struct pt_link *link,
		       const struct pt_frame_id *id, struct pt_seal *seal,
		       void *frame)
{
	const struct pt_pack take = pt_builder_take(b);
	__u32 frame_sz = pt_builder_frame_sz(b);
	struct payload p = {
		.sz = frame_sz - b->cfg.l2l3l4_sz,
		.data_off = pt_builder_data_pos(&b->cfg, take.record_cnt) -
			    b->cfg.l2l3l4_sz,
		.compression = take.sz
			? pt_compressor_method(b->cfg.compressor)
			: PT_COMPRESSION_NONE,
		.compressed_sz = take.sz,
	};

	pt_check(take.record_cnt);
	pt_check(id->generation);
	pt_check(pt_link_sz(link) == b->cfg.l2l3l4_sz);
	pt_check(seal || !b->cfg.pad);

	p.base = pt_link_write(link, frame, p.sz);
	put_header(&p, PT_FRAME_DATA, id, take.record_cnt, seal);
	put_records(b, take.record_cnt, &p);
	if (seal)	/* then put encrypts the blocks */
		pt_stage_enter(b->cfg.clock, PT_SEND_STAGE_SEAL);
	start_auth(&p, PT_FRAME_DATA, id->seq, seal);
	put_data(b, &take, seal, &p);
	pt_stage_enter(b->cfg.clock, PT_SEND_STAGE_SEAL);
	finish_auth(&p, seal);
	pt_stage_enter(b->cfg.clock, PT_SEND_STAGE_BUILD);
	pt_stage_bytes(b->cfg.clock, PT_SEND_STAGE_SEAL, p.sz);
	advance(b, &take);
	return frame_sz;
}

void pt_probe_write(const struct pt_link *link, const struct pt_frame_id *id,
		    __u32 frame_sz, struct pt_seal *seal, void *frame)
{
	__u32 sz = frame_sz - pt_link_sz(link);
	struct payload p = {
		.sz = sz,
		.data_off = PT_FRAME_HDR_SZ +
			    (sz - PT_FRAME_HDR_SZ) % PT_BLOCK_SZ,
	};

	pt_check(frame_sz >= pt_link_sz(link) + PT_FRAME_HDR_SZ);
	pt_check(!id->generation);

	p.base = pt_link_write(link, frame, sz);
	put_header(&p, PT_FRAME_PROBE, id, 0, seal);
	memset(p.base + PT_FRAME_HDR_SZ, 0, p.data_off - PT_FRAME_HDR_SZ);
	start_auth(&p, PT_FRAME_PROBE, id->seq, seal);
	put_filler(seal, p.base + p.data_off, sz - p.data_off);
	finish_auth(&p, seal);
}
