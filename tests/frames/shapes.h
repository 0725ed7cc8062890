/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shapes: the good frames that the tests' rows start from. */
#ifndef FRAMES_SHAPES_H
#define FRAMES_SHAPES_H

#include "frame.h"

#define SHAPE_CNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* Adjacent records: two pieces of a page, a run right behind a page, a page
 * right behind the run. */
static const struct shape_record shape_mixed_records[] = {
	{ PT_RECORD_BLOCKS, 0, 63, 0x1000, 0x8000000000000001 },
	{ PT_RECORD_BLOCKS, 3, 10, 0x1001, 0x0000000000000428 },
	{ PT_RECORD_BLOCKS, 11, 63, 0x1001, 0x0000000000000800 },
	{ PT_RECORD_ZEROES, 0, 63, 0x1002, 5 },
	{ PT_RECORD_BLOCKS, 0, 63, 0x1007, 0 },
};

/* shape_one_record: rows that need other records overwrite this one. */
static const struct shape_record shape_one_record[] = {
	{ PT_RECORD_BLOCKS, 5, 9, 0x12345678aa, 0x220 },	/* bits 5, 9 */
};

static const struct shape_record shape_run_record[] = {
	{ PT_RECORD_ZEROES, 0, 63, 0x1000, 1 },
};

static const struct shape_record shape_copy_record[] = {
	{ PT_RECORD_COPY, 0, 63, 0x1000, 0x2000 },
};

static const struct shape_record shape_bad_pages_record[] = {
	{ PT_RECORD_UNREADABLE, 0, 63, 0x1000, 5 },
};
static const struct shape_record shape_bad_among_records[] = {
	{ PT_RECORD_ZEROES, 0, 63, 0x1000, 1 },
	{ PT_RECORD_UNREADABLE, 0, 63, 0x1001, 2 },
	{ PT_RECORD_BLOCKS, 0, 63, 0x1003, 0 },
};

/* As many records as fit, plus one. */
#define EMPTY(gfn)	{ PT_RECORD_BLOCKS, 0, 63, gfn, 0 }
#define EMPTY4(gfn)	EMPTY(gfn), EMPTY((gfn) + 1), EMPTY((gfn) + 2),	\
			EMPTY((gfn) + 3)
#define EMPTY16(gfn)	EMPTY4(gfn), EMPTY4((gfn) + 4), EMPTY4((gfn) + 8), \
			EMPTY4((gfn) + 12)
static const struct shape_record shape_full_records[] = {
	EMPTY16(0), EMPTY16(16), EMPTY16(32), EMPTY16(48), EMPTY16(64),
	EMPTY16(80),
};
static const struct shape_record shape_overfull_records[] = {
	EMPTY16(0), EMPTY16(16), EMPTY16(32), EMPTY16(48), EMPTY16(64),
	EMPTY16(80), EMPTY(96),
};

/* Pieces with an empty mask, so that only their range is judged. */
static const struct shape_record shape_pieces_records[] = {
	{ PT_RECORD_BLOCKS, 5, 9, 0x2000000100, 0 },
	{ PT_RECORD_BLOCKS, 10, 20, 0x2000000100, 0 },
};
static const struct shape_record shape_run_page_records[] = {
	{ PT_RECORD_ZEROES, 0, 63, 0x1000, 5 },
	{ PT_RECORD_BLOCKS, 0, 0, 0x1005, 0 },
};
static const struct shape_record shape_page_run_records[] = {
	{ PT_RECORD_BLOCKS, 0, 63, 0x1000, 0 },
	{ PT_RECORD_ZEROES, 0, 63, 0x1001, 2 },
};

/* A copy between a page and a run, both of one page. */
static const struct shape_record shape_copies_records[] = {
	{ PT_RECORD_BLOCKS, 0, 63, 0x1000, 0 },
	{ PT_RECORD_COPY, 0, 63, 0x1001, 0x1000 },
	{ PT_RECORD_COPY, 0, 63, 0x1002, 0xffffffffff },
	{ PT_RECORD_ZEROES, 0, 63, 0x1003, 1 },
};

/* Deltas: alone, beside others, behind a run. */
static const struct shape_record shape_delta_record[] = {
	{ PT_RECORD_DELTA, 0x12, 0x34, 0x1000, 0x21 },
};
static const struct shape_record shape_deltas_records[] = {
	{ PT_RECORD_BLOCKS, 0, 63, 0x1000, 2 },
	{ PT_RECORD_DELTA, 200, 1, 0x1001, 0x8000000000000001 },
	{ PT_RECORD_DELTA, 0, 0, 0x1002, 0 },
	{ PT_RECORD_COPY, 0, 63, 0x1003, 0x1000 },
};
static const struct shape_record shape_run_delta_records[] = {
	{ PT_RECORD_ZEROES, 0, 63, 0x1000, 5 },
	{ PT_RECORD_DELTA, 63, 0, 0x1005, 1 },
};

/* Twelve whole pages: many RX descriptors. */
#define WHOLE(gfn)	{ PT_RECORD_BLOCKS, 0, 63, gfn, ~0ULL }
static const struct shape_record shape_big_records[] = {
	WHOLE(0), WHOLE(1), WHOLE(2), WHOLE(3), WHOLE(4), WHOLE(5),
	WHOLE(6), WHOLE(7), WHOLE(8), WHOLE(9), WHOLE(10), WHOLE(11),
};

#define SHAPE_DATA(list)						\
	.kind = PT_FRAME_DATA, .records = (list),			\
	.record_cnt = SHAPE_CNT_OF(list)

static const struct shape shape_ipv4 = {
	SHAPE_DATA(shape_mixed_records), .pad_sz = 6,
};
static const struct shape shape_ipv6 = {
	SHAPE_DATA(shape_mixed_records), .pad_sz = 50, .ipv6 = true,
};
static const struct shape shape_ipv4_vlan = {
	SHAPE_DATA(shape_mixed_records), .pad_sz = 6, .vlan = true,
};
static const struct shape shape_ipv6_vlan = {
	SHAPE_DATA(shape_mixed_records), .pad_sz = 50, .vlan = true,
	.ipv6 = true,
};
static const struct shape shape_one = {
	SHAPE_DATA(shape_one_record), .pad_sz = 6,
};
static const struct shape shape_run = {
	SHAPE_DATA(shape_run_record), .pad_sz = 6,
};
static const struct shape shape_no_pad = {
	SHAPE_DATA(shape_one_record), .pad_sz = 0,
};
static const struct shape shape_most_pad = {
	SHAPE_DATA(shape_one_record), .pad_sz = 63,
};
static const struct shape shape_too_much_pad = {
	SHAPE_DATA(shape_one_record), .pad_sz = 64,
};
static const struct shape shape_full = { SHAPE_DATA(shape_full_records) };
static const struct shape shape_full_ipv6_vlan = {
	SHAPE_DATA(shape_full_records), .vlan = true, .ipv6 = true,
};
static const struct shape shape_overfull = {
	SHAPE_DATA(shape_overfull_records),
};
static const struct shape shape_no_record = { .kind = PT_FRAME_DATA };
static const struct shape shape_pieces = { SHAPE_DATA(shape_pieces_records) };
static const struct shape shape_run_page = {
	SHAPE_DATA(shape_run_page_records),
};
static const struct shape shape_page_run = {
	SHAPE_DATA(shape_page_run_records),
};
static const struct shape shape_copy = {
	SHAPE_DATA(shape_copy_record), .pad_sz = 6,
};
static const struct shape shape_bad_pages = {
	SHAPE_DATA(shape_bad_pages_record),
};
static const struct shape shape_bad_among = {
	SHAPE_DATA(shape_bad_among_records),
};
static const struct shape shape_copies = { SHAPE_DATA(shape_copies_records) };
static const struct shape shape_sealed_copies = {
	SHAPE_DATA(shape_copies_records), .flags = PT_FLAG_SEALED,
};
static const struct shape shape_delta = {
	SHAPE_DATA(shape_delta_record), .pad_sz = 6,
};
static const struct shape shape_deltas = { SHAPE_DATA(shape_deltas_records) };
static const struct shape shape_sealed_deltas = {
	SHAPE_DATA(shape_deltas_records), .flags = PT_FLAG_SEALED,
};
static const struct shape shape_run_delta = {
	SHAPE_DATA(shape_run_delta_records),
};
static const struct shape shape_big = {
	SHAPE_DATA(shape_big_records), .pad_sz = 22,
};
static const struct shape shape_probe = {
	.kind = PT_FRAME_PROBE, .pad_sz = 22, .probe_blocks = 20,
};
static const struct shape shape_sealed = {
	SHAPE_DATA(shape_mixed_records), .pad_sz = 6, .flags = PT_FLAG_SEALED,
};
static const struct shape shape_sealed_vlan = {
	SHAPE_DATA(shape_mixed_records), .pad_sz = 6, .vlan = true,
	.flags = PT_FLAG_SEALED,
};
static const struct shape shape_sealed_probe = {
	.kind = PT_FRAME_PROBE, .pad_sz = 22, .probe_blocks = 20,
	.flags = PT_FLAG_SEALED,
};
static const struct shape shape_big_probe = {
	.kind = PT_FRAME_PROBE, .pad_sz = 22, .probe_blocks = 1000,
};

#endif
