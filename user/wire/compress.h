/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* compress: the blocks of a frame, compressed as one (docs/wire-format.md,
 * section 7), by LZ4 and zstd.
 *
 * The input may be anything.  Its decompressed size is known before, and bytes
 * that are not of the one form that a sender writes are refused before a library
 * sees them.  Nothing is written behind the expected size.
 *
 * A library may be missing at build time: pt_compression_is_built.
 *
 * Memory: a compressor some 1.4 MiB at level 1 (zstd) or 0.8 MiB (LZ4), more at
 * higher levels (9.3 MiB of its own at zstd's 19); a decompressor 0.6 MiB.  All of it
 * is allocated by create, but for zstd's tables: these with the first unit, and at
 * times anew where units became far smaller.  Without memory for them a frame goes
 * plain.
 * Threads: one at a time for each.
 */
#ifndef WIRE_COMPRESS_H
#define WIRE_COMPRESS_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/wire.h>

#define PT_COMPRESS_RAW_MAX	(PT_FRAME_BLOCKS_MAX * PT_BLOCK_SZ)
#define PT_COMPRESS_LEVEL	1	/* of zstd, unless the user says another; */
#define PT_COMPRESS_LEVEL_MAX	19	/* LZ4 has none */

struct pt_compressor;
struct pt_decompressor;

/* pt_compression_is_built: this build has the method. */
bool pt_compression_is_built(enum pt_compression method);

/* pt_compression_name returns "none", "lz4", "zstd". */
const char *pt_compression_name(enum pt_compression method);

/* pt_compressor_create: level 1..PT_COMPRESS_LEVEL_MAX, for zstd.
 *   -EOPNOTSUPP  not built
 *   -ENOMEM */
int pt_compressor_create(struct pt_compressor **out, enum pt_compression method,
			 int level);
void pt_compressor_destroy(struct pt_compressor *c);	/* NULL: nothing */

enum pt_compression pt_compressor_method(const struct pt_compressor *c);

/* pt_compressor_raw returns the buffer of PT_COMPRESS_RAW_MAX bytes, aligned to
 * 64, into which the caller copies the blocks. */
__u8 *pt_compressor_raw(struct pt_compressor *c);

/* pt_compressor_run compresses the first raw_sz bytes, 1..PT_COMPRESS_RAW_MAX, of
 * that buffer, and returns the compressed size; 0: it is above
 * PT_COMPRESS_RAW_MAX, or the library failed.  *data, valid until the next call, is
 * followed by zero bytes up to a multiple of 64. */
__u32 pt_compressor_run(struct pt_compressor *c, __u32 raw_sz,
			const __u8 **data);

/* pt_decompressor_create: for all methods that are built.  -ENOMEM. */
int pt_decompressor_create(struct pt_decompressor **out);
void pt_decompressor_destroy(struct pt_decompressor *d);	/* NULL: nothing */

/* pt_decompressor_input returns a buffer of 64 KiB for data in pieces. */
__u8 *pt_decompressor_input(struct pt_decompressor *d);

/* pt_decompressor_run decompresses sz bytes of data, which must become exactly
 * raw_sz, 1..PT_COMPRESS_RAW_MAX, bytes; returns these, valid until the next
 * call, or NULL: the data are not of the method, of another size, or it is not
 * built. */
const __u8 *pt_decompressor_run(struct pt_decompressor *d,
				enum pt_compression method, const __u8 *data,
				__u32 sz, __u32 raw_sz);

#endif
