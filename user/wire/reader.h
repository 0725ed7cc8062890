/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* reader: takes a received frame apart.  Nothing in it is trusted.
 *
 *     open --> auth_ok or unseal --> next --> blocks ... --> next --> ...
 *
 * A frame lies in 1..PT_SPANS_MAX pieces (RX descriptors) cut anywhere, but the
 * first holds all headers and records.
 *
 * Ownership: the reader is the caller's, allocates nothing, and points into the
 * spans' bytes, which stay as they are until the reader is done with, and can be
 * written to: a sealed frame is decrypted in place, and the checksum of another
 * stands for zeroes while it is computed.
 * Threads: one reader, one thread; no locks.
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
#include "wire/record.h"

/* pt_reader: the fields above the line are for reading, once open said
 * PT_VERDICT_STEERED. */
struct pt_reader {
	struct pt_frame_id id;
	struct pt_endpoint dst;	/* where the frame was sent */
	__u32	frame_sz;	/* Ethernet bytes, of all spans */
	__u32	sent_sz;	/* those up to the datagram's end, without a
				 * VLAN tag: one may be put on or taken off on
				 * the way, as may be bytes behind the end */
	__u16	block_cnt;
	__u8	kind;		/* enum pt_frame_kind */
	__u8	record_cnt;
	bool	is_sealed;	/* ask unseal, not auth_ok */

	/* ---- private ---- */
	struct pt_span spans[PT_SPANS_MAX];	/* clipped to the UDP payload;
						 * the first starts with it */
	__u32	span_cnt;
	__u32	data_off;	/* bytes from the payload's start to block 0 */
	__u32	record_idx;	/* next record */
	__u32	blocks_left;	/* of the current record, not handed out */
	__u32	span_idx;	/* where the next block starts: span ... */
	__u32	span_off;	/* ... and byte in it, 0..sz */
	__u8	bounce[PT_BLOCK_SZ] __attribute__((aligned(PT_BLOCK_SZ)));
};

/* pt_reader_payload_sz: UDP payload bytes: all that the checksum or the tag
 * speaks for. */
static inline __u32 pt_reader_payload_sz(const struct pt_reader *r)
{
	return r->data_off + (__u32)r->block_cnt * PT_BLOCK_SZ;
}

/* pt_reader_open judges headers and records as the XDP program does, but for
 * session and queue, which it does not know: PT_VERDICT_STEERED, or why not.
 * PT_VERDICT_PASSED: not a frame of ours in the first place.  Spans: 1 to
 * PT_SPANS_MAX; of any size and content. */
enum pt_verdict pt_reader_open(struct pt_reader *r,
			       const struct pt_span *spans,
			       unsigned int span_cnt);

/* pt_reader_auth_ok tells whether the checksum is right: only then are
 * records and blocks what the sender wrote.  Reads every byte of the frame.  Of
 * a sealed frame: false. */
bool pt_reader_auth_ok(struct pt_reader *r);

/* pt_reader_unseal decrypts the blocks in place, once a frame, and tells
 * whether the tag is right: only then are header, records and blocks what the
 * sender sealed, and nothing else of the frame may be used before.  False also
 * of a frame that is not sealed, or with a key that seal no longer has. */
bool pt_reader_unseal(struct pt_reader *r, struct pt_seal *seal);

/* pt_reader_next moves to the next record, past what is left of the current
 * one's blocks.  False: that was the last. */
bool pt_reader_next(struct pt_reader *r, struct pt_record_host *out);

/* pt_reader_blocks hands out the current record's next blocks, in the order of
 * its mask's bits: a pointer to *got of them, one after the other, any
 * alignment, 1 <= *got <= want; NULL and 0 when want is 0 or the record has no
 * more.  The bytes are valid until the next call: a block that lies in two
 * spans is gathered in the reader. */
const void *pt_reader_blocks(struct pt_reader *r, unsigned int want,
			     unsigned int *got);

/* pt_reader_rewind goes back to before the first record. */
void pt_reader_rewind(struct pt_reader *r);

#endif
