/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reader: parses a received frame, of which nothing is trusted.
 *
 *     open --> auth_ok or unseal --> next --> blocks ... --> next --> ...
 *                                '-> decompress, if is_compressed, --> next ...
 *
 * The contents of a sealed frame are known once it is unsealed, and are to be
 * used if is_sound says so.  A frame is in 1..PT_SPANS_MAX pieces (RX
 * descriptors), cut anywhere, except that the first one has all headers and
 * records.
 *
 * Ownership: the caller owns the reader, which allocates nothing and points
 * into the spans' bytes.  They must stay unchanged while the reader is used,
 * and be writable: a sealed frame is decrypted in place, and the checksum field
 * of another is zeroed while the checksum is computed.  Threads: one reader,
 * one thread; no locks.
 */
#ifndef WIRE_READER_H
#define WIRE_READER_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/maps.h>
#include <pagetrim/span.h>
#include <pagetrim/verdict.h>
#include <pagetrim/wire.h>

#include "seal/seal.h"
#include "wire/builder.h"	/* struct pt_frame_id */
#include "wire/compress.h"
#include "wire/record.h"

/* pt_reader: callers may read the fields above the lines, once open returned
 * PT_VERDICT_STEERED; the contents, if is_sound. */
struct pt_reader {
	struct pt_frame_id id;
	struct pt_endpoint dst;	/* destination of the frame */
	__u32	frame_sz;	/* Ethernet bytes, of all spans */
	__u32	sent_sz;	/* bytes up to the datagram's end, without a
				 * VLAN tag: the path may add or remove a tag,
				 * and bytes behind the end */
	__u32	payload_sz;	/* UDP's, which checksum or tag covers */
	__u8	kind;		/* enum pt_frame_kind */
	bool	is_sealed;	/* use unseal, not auth_ok */
	bool	is_sound;	/* contents can be used; sealed: since unseal */

	/* ---- contents, and id.generation ---- */
	bool	is_compressed;	/* blocks need decompress */
	__u8	compression;	/* enum pt_compression */
	__u8	record_cnt;
	__u16	block_cnt;

	/* ---- private ---- */
	__u16	compressed_sz;
	struct pt_span spans[PT_SPANS_MAX];	/* clipped to the UDP payload;
						 * the first starts with it */
	__u32	span_cnt;
	__u32	data_off;	/* bytes from the payload's start to block 0 */
	__u32	record_idx;	/* next record */
	__u32	blocks_left;	/* of the current record, not yet handed out */
	__u32	span_idx;	/* start of the next block: span ... */
	__u32	span_off;	/* ... and byte in it, 0..sz */
	__u8	bounce[PT_BLOCK_SZ] __attribute__((aligned(PT_BLOCK_SZ)));
};

/* pt_reader_open judges headers and records as the XDP program does, except for
 * session and queue, which it does not know.  Returns the verdict;
 * PT_VERDICT_PASSED: not a frame of ours.  Spans: 1 to PT_SPANS_MAX, of any
 * size and content. */
enum pt_verdict pt_reader_open(struct pt_reader *r,
			       const struct pt_span *spans,
			       unsigned int span_cnt);

/* pt_reader_open_again opens a frame once more that was found sound in these very
 * bytes: a sealed one is decrypted now. */
void pt_reader_open_again(struct pt_reader *r, const struct pt_span *spans,
			  unsigned int span_cnt);

/* pt_reader_auth_ok returns whether the checksum is right: only then are
 * records and blocks those that the sender wrote.  It reads every byte of the
 * frame.  False for a sealed frame. */
bool pt_reader_auth_ok(struct pt_reader *r);

/* pt_reader_unseal decrypts the contents in place, once per frame, and returns
 * whether the tag is right: only then are they and the header those that the
 * sender sealed.  It then judges them; is_sound says how.  False also for a frame
 * that is not sealed, or whose key seal no longer has. */
bool pt_reader_unseal(struct pt_reader *r, struct pt_seal *seal);

/* pt_reader_decompress decompresses the blocks of a frame whose checksum or tag is
 * right; they stay valid until d is used again, and the frame's own bytes are not
 * needed any more.  False: they are not what the header says, and the reader is of no
 * use. */
bool pt_reader_decompress(struct pt_reader *r, struct pt_decompressor *d);

/* pt_reader_next moves to the next record, and skips the rest of the current
 * one's blocks.  False: that was the last. */
bool pt_reader_next(struct pt_reader *r, struct pt_record_host *out);

/* pt_reader_blocks hands out the current record's next blocks, in the order of
 * its mask's bits: a pointer to *got adjacent blocks, of any alignment, 1 <=
 * *got <= want; NULL and 0 if want is 0 or the record has no more.  The bytes
 * are valid until the next call: a block that lies in two spans is gathered in
 * the reader. */
const void *pt_reader_blocks(struct pt_reader *r, unsigned int want,
			     unsigned int *got);

/* pt_reader_load returns the blocks to place of all records, and rewinds. */
__u32 pt_reader_load(struct pt_reader *r);

/* pt_reader_rewind goes back to before the first record. */
void pt_reader_rewind(struct pt_reader *r);

#endif
