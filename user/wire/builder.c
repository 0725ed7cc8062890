// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <endian.h>
#include <string.h>

#include <pagetrim/check.h>

#include "wire/builder.h"
#include "wire/checksum.h"

#define LINK_IPV4_SZ	(PT_ETH_SZ + PT_IPV4_SZ + PT_UDP_SZ)
#define LINK_IPV6_SZ	(PT_ETH_SZ + PT_IPV6_SZ + PT_UDP_SZ)

#define ROUND_UP(n, step)	(((n) + (step) - 1) / (step) * (step))

static __u32 tag_sz(const struct pt_builder_cfg *cfg)
{
	return (cfg->l2l3l4_sz - LINK_IPV4_SZ) % (PT_IPV6_SZ - PT_IPV4_SZ);
}

/* data_pos returns where in the frame block 0 stands: the next multiple of 64
 * after the records, not counting a VLAN tag, which hardware may strip. */
static __u32 data_pos(const struct pt_builder_cfg *cfg, __u32 record_cnt)
{
	__u32 tag = tag_sz(cfg);
	__u32 end = cfg->l2l3l4_sz - tag + PT_FRAME_HDR_SZ +
		    record_cnt * PT_RECORD_SZ;

	return tag + ROUND_UP(end, PT_BLOCK_SZ);
}

void pt_builder_init(struct pt_builder *b, const struct pt_builder_cfg *cfg)
{
	__u32 tag = tag_sz(cfg);

	pt_check(cfg->l2l3l4_sz >= LINK_IPV4_SZ);
	pt_check(cfg->l2l3l4_sz <= LINK_IPV6_SZ + PT_VLAN_SZ);
	pt_check(tag == 0 || tag == PT_VLAN_SZ);
	pt_check(cfg->frame_sz_max >= PT_ETH_SZ + tag + PT_MTU_MIN);
	pt_check(cfg->frame_sz_max <= PT_ETH_SZ + tag + PT_MTU_MAX);
	b->cfg = *cfg;
	b->record_cnt = 0;
	b->block_cnt = 0;
	b->next_pos = 0;
}

/* room returns how many blocks fit beside one more record; below 0 if not even
 * the record does. */
static int room(const struct pt_builder *b)
{
	int left = (int)b->cfg.frame_sz_max -
		   (int)data_pos(&b->cfg, b->record_cnt + 1) -
		   (int)(b->block_cnt * PT_BLOCK_SZ);

	if (b->record_cnt == PT_RECORDS_MAX || left < 0)
		return -1;
	return left / PT_BLOCK_SZ;
}

/* nth_bit returns where the n-th set bit of mask, from 0, stands. */
static unsigned int nth_bit(__u64 mask, unsigned int n)
{
	unsigned int at = 0;

	for (unsigned int half = 32; half; half /= 2) {
		__u64 low = mask >> at & ((1ULL << half) - 1);
		unsigned int cnt = __builtin_popcountll(low);

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
		end = nth_bit(mask, cnt);
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

bool pt_builder_add_zeroes(struct pt_builder *b, __u64 gfn, __u64 page_cnt)
{
	struct pt_record_host *run = &b->records[b->record_cnt];

	pt_check(gfn <= PT_GFN_MAX);
	pt_check(page_cnt >= 1 && page_cnt <= PT_GFN_MAX + 1 - gfn);

	if (b->record_cnt && run[-1].kind == PT_RECORD_ZEROES &&
	    run[-1].gfn + run[-1].mask == gfn) {
		run[-1].mask += page_cnt;
	} else {
		if (room(b) < 0 || gfn * PT_PAGE_BLOCKS < b->next_pos)
			return false;
		*run = (struct pt_record_host){
			.kind = PT_RECORD_ZEROES,
			.first = 0,
			.last = PT_PAGE_BLOCKS - 1,
			.gfn = gfn,
			.mask = page_cnt,
		};
		b->record_cnt++;
	}
	b->next_pos = (gfn + page_cnt) * PT_PAGE_BLOCKS;
	return true;
}

__u32 pt_builder_frame_sz(const struct pt_builder *b)
{
	return data_pos(&b->cfg, b->record_cnt) + b->block_cnt * PT_BLOCK_SZ;
}

__u32 pt_builder_discard(struct pt_builder *b)
{
	__u32 frame_sz = pt_builder_frame_sz(b);

	b->record_cnt = 0;
	b->block_cnt = 0;
	b->next_pos = 0;
	return frame_sz;
}

/* put_blocks copies the blocks in mask to at, each run of neighbours at once,
 * and returns the byte behind them. */
static __u8 *put_blocks(__u8 *at, const __u8 *page, __u64 mask)
{
	while (mask) {
		unsigned int first = __builtin_ctzll(mask);
		__u64 gaps = ~(mask >> first);
		unsigned int cnt = gaps ? __builtin_ctzll(gaps) :
					  PT_PAGE_BLOCKS;

		memcpy(at, page + first * PT_BLOCK_SZ, cnt * PT_BLOCK_SZ);
		at += cnt * PT_BLOCK_SZ;
		if (first + cnt == PT_PAGE_BLOCKS)
			break;
		mask &= ~0ULL << (first + cnt);
	}
	return at;
}

static void put_header(void *at, enum pt_frame_kind kind,
		       const struct pt_frame_id *id, __u32 record_cnt,
		       __u32 data_off, __u32 block_cnt)
{
	struct pt_frame_hdr hdr = {
		.magic = htobe32(PT_FRAME_MAGIC),
		.version = PT_WIRE_VERSION,
		.kind = kind,
		.session_id = htobe64(id->session_id),
		.seq = htobe64(id->seq),
		.generation = htobe32(id->generation),
		.lane = htobe16(id->lane),
		.record_cnt = record_cnt,
		.data_off = htobe16(data_off),
		.block_cnt = htobe16(block_cnt),
	};

	pt_check(id->session_id);
	pt_check(id->lane < PT_LANES_MAX);
	pt_check(!id->key_epoch);
	memcpy(at, &hdr, sizeof(hdr));
}

/* seal writes the checksum of a payload whose auth field is still zero. */
static void seal(void *payload, __u32 payload_sz)
{
	struct pt_frame_hdr *hdr = payload;

	pt_checksum(&(struct pt_span){ payload, payload_sz }, 1, hdr->auth);
}

__u32 pt_builder_close(struct pt_builder *b, const struct pt_link *link,
		       const struct pt_frame_id *id, void *frame)
{
	__u32 payload_sz = pt_builder_frame_sz(b) - b->cfg.l2l3l4_sz;
	__u32 data_off = payload_sz - b->block_cnt * PT_BLOCK_SZ;
	__u8 *payload, *at;

	pt_check(b->record_cnt);
	pt_check(id->generation);
	pt_check(pt_link_sz(link) == b->cfg.l2l3l4_sz);

	payload = pt_link_write(link, frame, payload_sz);
	put_header(payload, PT_FRAME_DATA, id, b->record_cnt, data_off,
		   b->block_cnt);
	at = payload + PT_FRAME_HDR_SZ;
	for (__u32 i = 0; i < b->record_cnt; i++, at += PT_RECORD_SZ)
		pt_record_write((struct pt_record *)at, &b->records[i]);
	memset(at, 0, payload + data_off - at);
	at = payload + data_off;
	for (__u32 i = 0; i < b->record_cnt; i++)
		if (b->records[i].kind == PT_RECORD_BLOCKS)
			at = put_blocks(at, b->pages[i], b->records[i].mask);
	seal(payload, payload_sz);
	return pt_builder_discard(b);
}

void pt_probe_write(const struct pt_link *link, const struct pt_frame_id *id,
		    __u32 frame_sz, void *frame)
{
	__u32 payload_sz = frame_sz - pt_link_sz(link);
	__u32 block_cnt = (payload_sz - PT_FRAME_HDR_SZ) / PT_BLOCK_SZ;
	__u32 data_off = payload_sz - block_cnt * PT_BLOCK_SZ;
	__u8 *payload;

	pt_check(frame_sz >= pt_link_sz(link) + PT_FRAME_HDR_SZ);
	pt_check(!id->generation);

	payload = pt_link_write(link, frame, payload_sz);
	put_header(payload, PT_FRAME_PROBE, id, 0, data_off, block_cnt);
	memset(payload + PT_FRAME_HDR_SZ, 0, payload_sz - PT_FRAME_HDR_SZ);
	seal(payload, payload_sz);
}
