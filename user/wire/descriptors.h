/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* descriptors: the cost of a frame in the receiver's ring, and in pages to place,
 * which both ends compute alike. */
#ifndef WIRE_DESCRIPTORS_H
#define WIRE_DESCRIPTORS_H

#include <linux/types.h>

#include <pagetrim/wire.h>

/* pt_desc_cnt returns the RX descriptors that a frame of frame_sz untagged
 * Ethernet bytes costs, with desc_sz bytes per descriptor. */
static inline __u32 pt_desc_cnt(__u32 frame_sz, __u32 desc_sz)
{
	return (frame_sz + desc_sz - 1) / desc_sz;
}

/* pt_frame_cost returns the credit that a frame takes: its descriptors, or the
 * whole pages to place if those are more, as in a compressed frame, or in one of
 * copies or deltas.  load: blocks to place, see pt_record_load. */
static inline __u32 pt_frame_cost(__u32 desc_cnt, __u32 load)
{
	__u32 page_cnt = load / PT_PAGE_BLOCKS;

	return page_cnt > desc_cnt ? page_cnt : desc_cnt;
}

#endif
