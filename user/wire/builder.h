/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room wire: a frame as bytes.
 *
 *   knows         building, reading and checking frames, from Ethernet header to
 *                 checksum, on bytes in memory
 *   may use       base seal
 *   must not know sockets, sessions, the location of pages
 */
/* builder: makes frames out of pages.
 *
 * Staging only notes records and pointers to their pages.  Closing, when the
 * number of records determines the offset of the first block, copies each block
 * once, from the page to the frame; encryption is that copy.
 *
 *     init --> add_page, add_zeroes, add_copy ... --> close --> add_page ...
 *                                                 '-> discard
 *
 * A page is cut only if at least PT_BUILDER_CUT_MIN of its data blocks, or all
 * of the rest, fit: each sliver costs a record and a pass.
 *
 * Ownership: the caller owns the builder, which allocates nothing.  Pages stay
 * readable from add_page to close.  Threads: one builder, one thread; no locks.
 */
#ifndef WIRE_BUILDER_H
#define WIRE_BUILDER_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/wire.h>

#include "base/stages.h"
#include "seal/seal.h"
#include "wire/link.h"
#include "wire/record.h"

#define PT_BUILDER_CUT_MIN	8	/* the least data blocks of a piece */

struct pt_builder_cfg {
	__u32	l2l3l4_sz;	/* bytes before the frame header:
				 * pt_link_sz() */
	__u32	frame_sz_max;	/* Ethernet bytes without FCS; IP and above:
				 * PT_MTU_MIN..PT_MTU_MAX */
	bool	packed;		/* blocks follow the records directly, aligned
				 * or not, so that one more may fit: for frames
				 * that fit into one receive descriptor, where
				 * none can straddle; never with pad */
	bool	pad;		/* fill every frame up, so that its size reveals
				 * nothing; for sealed frames only */
	struct pt_stage_clock *clock;	/* in BUILD when a frame is closed; NULL:
					 * not profiled */
};

/* pt_builder: callers only read the fields. */
struct pt_builder {
	struct pt_builder_cfg cfg;
	__u32	record_cnt;	/* staged: 0..PT_RECORDS_MAX */
	__u32	block_cnt;	/* staged: data blocks of all of them */
	__u64	next_pos;	/* gfn * 64 + block: the lowest start of the
				 * next record */
	struct pt_record_host records[PT_RECORDS_MAX];
	const __u8 *pages[PT_RECORDS_MAX];	/* of BLOCKS records */
};

/* pt_frame_id: the fields of the frame header that the caller decides. */
struct pt_frame_id {
	__u64	session_id;	/* not 0 */
	__u64	seq;		/* probes: probe number */
	__u32	generation;	/* of every page in it, >= 1; probes: 0 */
	__u16	lane;		/* 0..PT_LANES_MAX - 1 */
	__u16	key_epoch;	/* of a received frame; the builder fills in its
				 * own */
};

void pt_builder_init(struct pt_builder *b, const struct pt_builder_cfg *cfg);

/* pt_builder_add_page stages the blocks first..63 of page gfn; those in mask
 * (bits below first do not matter) follow as data, the others are zero.
 * Returns the first block not staged:
 *   64      the page is done
 *   above   it was cut: close, then go on from there
 *   first   nothing was staged: close and try again
 * Positions ascend within a frame: blocks below the last staged record are not
 * staged, either.  An empty builder always stages something. */
unsigned int pt_builder_add_page(struct pt_builder *b, __u64 gfn,
				 unsigned int first, __u64 mask,
				 const void *page);

/* pt_builder_add_zeroes stages page_cnt (1..PT_ZEROES_MAX) zero pages from gfn
 * on; they join a run that ends where they start, if it stays within
 * PT_ZEROES_MAX.  False: nothing was staged, close and
 * try again. */
bool pt_builder_add_zeroes(struct pt_builder *b, __u64 gfn, __u64 page_cnt);

/* pt_builder_add_copy stages page gfn as a copy of another, original_gfn, as that
 * is in version: a receiver that holds any other refuses the record (section 12
 * of docs/wire-format.md).  False: nothing was staged, close and try again. */
bool pt_builder_add_copy(struct pt_builder *b, __u64 gfn, __u64 original_gfn,
			 __u32 version);

static inline bool pt_builder_is_empty(const struct pt_builder *b)
{
	return !b->record_cnt;
}

/* pt_builder_frame_sz returns the Ethernet bytes that close would write now;
 * never above frame_sz_max. */
__u32 pt_builder_frame_sz(const struct pt_builder *b);

/* pt_builder_close writes the staged records, at least one, as a frame, empties
 * the builder and returns the frame's Ethernet bytes.  The frame has room for
 * frame_sz_max and is best aligned to 64 bytes; pt_link_sz(link) is the
 * builder's l2l3l4_sz.  seal: the lane's; id->seq must be above all that it
 * sealed; NULL: the frame gets a checksum. */
__u32 pt_builder_close(struct pt_builder *b, const struct pt_link *link,
		       const struct pt_frame_id *id, struct pt_seal *seal,
		       void *frame);

/* pt_builder_discard does as close, but writes nothing and needs no pages: to
 * count frames and bytes. */
__u32 pt_builder_discard(struct pt_builder *b);

/* pt_probe_write writes a probe of exactly frame_sz Ethernet bytes, at least
 * pt_link_sz() + PT_FRAME_HDR_SZ.  seal: as above. */
void pt_probe_write(const struct pt_link *link, const struct pt_frame_id *id,
		    __u32 frame_sz, struct pt_seal *seal, void *frame);

#endif
