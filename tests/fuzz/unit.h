/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* unit: the blocks of a frame, compressed, for fuzzers: as a sender writes them,
 * with a byte changed, or any bytes. */
#ifndef FUZZ_UNIT_H
#define FUZZ_UNIT_H

#include "input.h"

#include "../frames/frame.h"
#include "wire/reader.h"

struct unit {
	enum pt_compression method;	/* NONE: the blocks are plain */
	__u32 sz;			/* bytes */
	__u32 raw_sz;			/* of the blocks */
	bool is_sound;			/* nothing was changed */
	__u8 raw[PT_COMPRESS_RAW_MAX];
};

/* unit_fill makes the frame's sz bytes of unit its data. */
static inline void unit_fill(struct unit *u, struct frame *f, const __u8 *data)
{
	__u32 block_cnt = (u->sz + PT_BLOCK_SZ - 1) / PT_BLOCK_SZ;
	__u8 *at = f->bytes + f->data_off;

	memset(at, 0, block_cnt * PT_BLOCK_SZ);
	memcpy(at, data, u->sz);
	f->sz = f->data_off + block_cnt * PT_BLOCK_SZ;
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, payload_sz,
		  f->sz - f->hdr_off);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, block_cnt, block_cnt);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compression, u->method);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, compressed_sz, u->sz);
	frame_fit_lengths(f);
}

/* unit_compress returns whether the frame's blocks became fewer. */
static inline bool unit_compress(struct unit *u, struct frame *f)
{
	static struct pt_compressor *compressors[PT_COMPRESSION_CNT];
	struct pt_compressor **c = &compressors[u->method];
	const __u8 *data;

	if (!*c)
		pt_check(!pt_compressor_create(c, u->method, 1));
	for (__u32 i = 0; i < u->raw_sz; i++)
		u->raw[i] = i / 3 % 80 + f->bytes[f->data_off];
	memcpy(pt_compressor_raw(*c), u->raw, u->raw_sz);
	u->sz = pt_compressor_run(*c, u->raw_sz, &data);
	if (!u->sz || u->sz + PT_BLOCK_SZ > u->raw_sz)
		return false;
	unit_fill(u, f, data);
	return true;
}

/* unit_make compresses the frame's blocks, as how says, by one of the methods or
 * not; else it takes the unit from in. */
static inline void unit_make(struct unit *u, struct frame *f, __u8 how,
			     struct input *in)
{
	__u8 bytes[4 * PT_BLOCK_SZ];
	__u8 at, by;

	u->method = how % 4 % PT_COMPRESSION_CNT;
	u->raw_sz = f->sz - f->data_off;
	if (!u->method || !u->raw_sz || !pt_compression_is_built(u->method)) {
		u->method = PT_COMPRESSION_NONE;
		return;
	}
	if (how & 4) {
		u->sz = 1 + input_u8(in) % sizeof(bytes);
		input_bytes(in, bytes, u->sz);
		u->is_sound = false;
		unit_fill(u, f, bytes);
		return;
	}
	if (!unit_compress(u, f)) {
		u->method = PT_COMPRESSION_NONE;
		return;
	}
	at = input_u8(in);
	by = how & 8 ? input_u8(in) : 0;
	u->is_sound = !by;
	f->bytes[f->data_off + at % u->sz] ^= by;
}

/* unit_read decompresses the unit twice: for the reader, and for a model, to which
 * it returns the blocks; NULL: there is no such unit, which both must find. */
static inline const __u8 *unit_read(const struct unit *u, const struct frame *f,
				    struct pt_reader *r)
{
	static struct pt_decompressor *reader, *model;
	const __u8 *blocks;

	if (!reader) {
		pt_check(!pt_decompressor_create(&reader));
		pt_check(!pt_decompressor_create(&model));
	}
	blocks = pt_decompressor_run(model, u->method, f->bytes + f->data_off,
				     u->sz, u->raw_sz);
	pt_check(pt_reader_decompress(r, reader) == !!blocks);
	pt_check(!u->is_sound || blocks);
	pt_check(!u->is_sound || !memcmp(blocks, u->raw, u->raw_sz));
	return blocks;
}

#endif
