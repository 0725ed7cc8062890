/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* batch: the frames that a lane has submitted since it last kicked the device, which
 * sends none of them before.
 *
 * A kick is a system call, so a batch has many frames.  It is short in time, too,
 * since all of its frames count as sent at one time (struct pt_lane's sent_ns): where
 * compression takes long, the wait would look like a queue of the path.
 *
 * Pure.  Threads: one lane's.
 */
#ifndef LANE_BATCH_H
#define LANE_BATCH_H

#include <stdbool.h>
#include <linux/types.h>

#define PT_BATCH_FRAMES		64
#define PT_BATCH_SZ		(256u << 10)	/* bytes; a slow path takes less */
#define PT_BATCH_PACK_NS	200000ULL	/* of compression */

struct pt_batch {		/* zero: empty */
	__u32 frame_cnt;
	__u32 sz;		/* bytes */
	__u64 pack_ns;		/* that compressing them took */
};

static inline void pt_batch_add(struct pt_batch *b, __u32 frame_sz,
				__u64 pack_ns)
{
	b->frame_cnt++;
	b->sz += frame_sz;
	b->pack_ns += pack_ns;
}

/* pt_batch_is_full: the device is to be kicked now.  sz_max: bytes of one kick. */
static inline bool pt_batch_is_full(const struct pt_batch *b, __u32 sz_max)
{
	return b->frame_cnt >= PT_BATCH_FRAMES || b->sz >= sz_max ||
	       b->pack_ns >= PT_BATCH_PACK_NS;
}

#endif
