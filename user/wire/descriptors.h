/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* descriptors: the cost of a frame in the receiver's ring, which both ends
 * compute alike. */
#ifndef WIRE_DESCRIPTORS_H
#define WIRE_DESCRIPTORS_H

#include <linux/types.h>

/* pt_desc_cnt returns the RX descriptors that a frame of frame_sz untagged
 * Ethernet bytes costs, with desc_sz bytes per descriptor. */
static inline __u32 pt_desc_cnt(__u32 frame_sz, __u32 desc_sz)
{
	return (frame_sz + desc_sz - 1) / desc_sz;
}

#endif
