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
 *     init --> add_page, add_zeroes, add_copy, add_delta ... --> close --> ...
 *                                                            '-> discard
 *
 * With a compressor the blocks of a frame are compressed as one.  More are staged
 * then than fit plainly, by what frames before came to, and pack finds out how many
 * fit; the others stay staged for the next frame:
 *
 *     add_page, ... --> pack --> close --> add_page ... (is_empty: nothing is left)
 *
 * A page is cut only if at least PT_BUILDER_CUT_MIN of its data blocks, or all
 * of the rest, fit: each sliver costs a record and a pass.
 *
 * Ownership: the caller owns the builder, which allocates nothing.  Pages stay
 * readable from add_page to the close of their last block.  Threads: one builder,
 * one thread; no locks.
 */
#ifndef WIRE_BUILDER_H
#define WIRE_BUILDER_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/wire.h>

#include "base/stages.h"
#include "seal/seal.h"
#include "wire/compress.h"
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
	struct pt_compressor *compressor;	/* as by pt_builder_use */
	bool	only_tries;	/* compresses, and sends plain all the same */
};

/* pt_pack: the staged records and blocks that the next frame takes. */
struct pt_pack {
	__u32	record_cnt;
	__u32	block_cnt;
	__u32	cut_cnt;	/* blocks of the last record, until it is cut; 0: all
				 * of them */
	__u32	sz;		/* compressed bytes; 0: plain */
	const __u8 *data;	/* the compressor's */
};

/* pt_builder: callers only read the fields. */
struct pt_builder {
	struct pt_builder_cfg cfg;
	__u32	record_cnt;	/* staged: 0..PT_RECORDS_MAX, and one more between
				 * pack and close if a page is cut */
	__u32	block_cnt;	/* staged: data blocks of all of them */
	__u64	next_pos;	/* gfn * 64 + block: the lowest start of the
				 * next record */
	bool	is_packed;	/* pack is of the staged records */
	struct pt_pack pack;
	struct pt_pack tried;	/* with only_tries: the compressed pack that went
				 * plain; its sz 0: none */
	__u32	ratio[PT_COMPRESSION_CNT];	/* compressed bytes per raw one
				 * that are expected, in 1/PT_PACK_ONE */
	__u32	plain_cnt;	/* frames before the next attempt */
	struct pt_record_host records[PT_RECORDS_MAX + 1];	/* one may be cut */
	const __u8 *pages[PT_RECORDS_MAX + 1];	/* of BLOCKS and DELTA records */
};

#define PT_PACK_ONE	1024

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

/* pt_builder_use compresses the frames from now on by c, which stays the caller's;
 * NULL: not.  Not between pack and close, and not with pad. */
void pt_builder_use(struct pt_builder *b, struct pt_compressor *c);

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

/* pt_builder_add_unreadable stages pages that the source could not read, likewise. */
bool pt_builder_add_unreadable(struct pt_builder *b, __u64 gfn, __u64 page_cnt);

/* pt_builder_add_copy stages page gfn as a copy of another, original_gfn, as that
 * is in version: a receiver that holds any other refuses the record (section 12
 * of docs/wire-format.md).  False: nothing was staged, close and try again. */
bool pt_builder_add_copy(struct pt_builder *b, __u64 gfn, __u64 original_gfn,
			 __u32 version);

/* pt_builder_add_delta stages page gfn as its version base, of which the blocks in
 * mask, at most pt_builder_delta_max of them, changed to those of page: a receiver
 * that holds any other version refuses the record.  A delta is never cut.
 * False: nothing was staged, close and try again. */
bool pt_builder_add_delta(struct pt_builder *b, __u64 gfn, __u32 base,
			  __u64 mask, const void *page);

/* pt_builder_delta_max returns how many blocks fit into every empty frame. */
unsigned int pt_builder_delta_max(const struct pt_builder *b);

static inline bool pt_builder_is_empty(const struct pt_builder *b)
{
	return !b->record_cnt;
}

/* pt_builder_pack is called before close, and before frame_sz, if there is a
 * compressor: it reads the staged pages, compresses their blocks, and decides how
 * much of them the frame takes.  Blocks that do not become fewer go plain. */
void pt_builder_pack(struct pt_builder *b);

/* pt_builder_take returns what close would write now. */
struct pt_pack pt_builder_take(const struct pt_builder *b);

/* pt_builder_frame_sz returns the Ethernet bytes that close would write now;
 * never above frame_sz_max. */
__u32 pt_builder_frame_sz(const struct pt_builder *b);

/* pt_builder_close writes the staged records, at least one, as a frame, empties
 * the builder, but for what pack left for the next frame, and returns the frame's
 * Ethernet bytes.  The frame has room for frame_sz_max and is best aligned to 64
 * bytes; pt_link_sz(link) is the builder's l2l3l4_sz.  seal: the lane's; id->seq must be above all that it
 * sealed; NULL: the frame gets a checksum. */
__u32 pt_builder_close(struct pt_builder *b, const struct pt_link *link,
		       const struct pt_frame_id *id, struct pt_seal *seal,
		       void *frame);

/* pt_builder_load returns the blocks to place of what pt_builder_take returns. */
__u32 pt_builder_load(const struct pt_builder *b);

/* pt_builder_skip does as close, but writes nothing, and needs no pages unless pack
 * does: to count frames and bytes. */
__u32 pt_builder_skip(struct pt_builder *b);

/* pt_builder_discard drops all that is staged. */
void pt_builder_discard(struct pt_builder *b);

/* pt_probe_write writes a probe of exactly frame_sz Ethernet bytes, at least
 * pt_link_sz() + PT_FRAME_HDR_SZ.  seal: as above. */
void pt_probe_write(const struct pt_link *link, const struct pt_frame_id *id,
		    __u32 frame_sz, struct pt_seal *seal, void *frame);

#endif
