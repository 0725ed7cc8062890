/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* builder_impl: the internals that builder.c, which stages and writes, and
 * builder_pack.c, which compresses, share. */
#ifndef WIRE_BUILDER_IMPL_H
#define WIRE_BUILDER_IMPL_H

#include "wire/builder.h"

#define LINK_IPV4_SZ	(PT_ETH_SZ + PT_IPV4_SZ + PT_UDP_SZ)
#define LINK_IPV6_SZ	(PT_ETH_SZ + PT_IPV6_SZ + PT_UDP_SZ)

#define ROUND_DOWN(n, step)	((n) / (step) * (step))
#define ROUND_UP(n, step)	ROUND_DOWN((n) + (step) - 1, step)

static inline __u32 pt_builder_tag_sz(const struct pt_builder_cfg *cfg)
{
	return (cfg->l2l3l4_sz - LINK_IPV4_SZ) % (PT_IPV6_SZ - PT_IPV4_SZ);
}

/* pt_builder_data_pos returns the offset of block 0 in the frame: unless packed, the next
 * multiple of 64 after the records, not counting a VLAN tag, which hardware may
 * strip. */
static inline __u32 pt_builder_data_pos(const struct pt_builder_cfg *cfg, __u32 record_cnt)
{
	__u32 tag = pt_builder_tag_sz(cfg);
	__u32 end = cfg->l2l3l4_sz - tag + PT_FRAME_HDR_SZ +
		    record_cnt * PT_RECORD_SZ;

	return tag + (cfg->packed ? end : ROUND_UP(end, PT_BLOCK_SZ));
}

/* pt_builder_room_sz returns the bytes that are left for blocks behind so many
 * records; below 0 if the records do not fit. */
static inline int pt_builder_room_sz(const struct pt_builder *b,
				     __u32 record_cnt)
{
	return (int)b->cfg.frame_sz_max -
	       (int)pt_builder_data_pos(&b->cfg, record_cnt);
}

/* pt_builder_ratio returns where the ratio of the present method is. */
static inline __u32 *pt_builder_ratio(struct pt_builder *b)
{
	return &b->ratio[pt_compressor_method(b->cfg.compressor)];
}

/* pt_builder_nth_bit returns the index of the n-th set bit of mask, from 0, which
 * must exist. */
unsigned int pt_builder_nth_bit(__u64 mask, unsigned int n);

#endif
