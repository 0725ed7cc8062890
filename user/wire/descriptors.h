/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* descriptors: what a frame costs in the receiver's ring.  Both ends count alike. */
#ifndef WIRE_DESCRIPTORS_H
#define WIRE_DESCRIPTORS_H

#include <linux/types.h>

/* pt_desc_cnt returns the RX descriptors that a frame is charged for: of
 * frame_sz untagged Ethernet bytes, desc_sz bytes to a descriptor. */
static inline __u32 pt_desc_cnt(__u32 frame_sz, __u32 desc_sz)
{
	return (frame_sz + desc_sz - 1) / desc_sz;
}

#endif
