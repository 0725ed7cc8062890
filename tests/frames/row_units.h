/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* row_units: changes of a frame's blocks, for rows.h: one more or less, and
 * blocks that are said to be a compressed unit. */
#ifndef FRAMES_ROW_UNITS_H
#define FRAMES_ROW_UNITS_H

#include "frame.h"

/* row_add_blocks adds blocks that the records do not describe, or removes some;
 * all lengths are right. */
static void row_add_blocks(struct frame *f, int cnt)
{
	f->bytes[f->hdr_off + offsetof(struct pt_frame_hdr, block_cnt) + 1] +=
		cnt;
	f->sz += cnt * PT_BLOCK_SZ;
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, payload_sz,
		  f->sz - f->hdr_off);
	frame_fit_lengths(f);
}

/* row_7_bytes_less: a byte more than the pad has. */
static void row_7_bytes_less(struct frame *f)
{
	f->sz -= 7;
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, payload_sz,
		  f->sz - f->hdr_off);
	frame_fit_lengths(f);
}

static void row_one_block_more(struct frame *f) { row_add_blocks(f, 1); }
static void row_one_block_less(struct frame *f) { row_add_blocks(f, -1); }

/* row_unit says that the blocks are a unit of unused bytes less than they have;
 * a block less follows than the masks have bits. */
static void row_unit(struct frame *f, __u8 method, int unused)
{
	__u8 block_cnt;

	if (f->bytes[f->hdr_off + offsetof(struct pt_frame_hdr, kind)] ==
	    PT_FRAME_DATA)
		row_one_block_less(f);
	block_cnt = f->bytes[f->hdr_off +
			     offsetof(struct pt_frame_hdr, block_cnt) + 1];
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compression, method);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compressed_sz,
		  block_cnt * PT_BLOCK_SZ - unused);
}

static void row_lz4(struct frame *f) { row_unit(f, 1, 0); }
static void row_zstd(struct frame *f) { row_unit(f, 2, 7); }
static void row_third_method(struct frame *f) { row_unit(f, 3, 0); }
static void row_short_unit(struct frame *f) { row_unit(f, 1, 63); }
static void row_unused_block(struct frame *f) { row_unit(f, 1, 64); }
static void row_long_unit(struct frame *f) { row_unit(f, 1, -1); }

static void row_no_unit(struct frame *f)
{
	row_unit(f, 1, 0);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compressed_sz, 0);
}

static void row_no_block(struct frame *f)
{
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compression, 1);
}

static void row_lz4_as_many(struct frame *f)
{
	row_unit(f, 1, 0);
	row_one_block_more(f);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compressed_sz, 64 *
		  f->bytes[f->hdr_off +
			   offsetof(struct pt_frame_hdr, block_cnt) + 1]);
}

#endif
