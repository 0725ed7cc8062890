/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire: the data frame in network format.  docs/wire-format.md describes it;
 * BPF program, agents and tests all include this header.
 *
 *    Ethernet [VLAN] | IPv4 or IPv6 | UDP | frame header | records | pad | blocks
 *                                         ^ 64 bytes       n * 16    ^
 *                                         |                          |
 *                                         +-------- data_off --------+
 *
 * In a sealed frame all from the frame header's byte PT_HIDDEN_OFF on is
 * encrypted: the records, their number, and their generation, too.
 *
 * The UDP payload is exactly data_off + block_cnt * 64 bytes.  The pad, under
 * 64 bytes and zero, makes the first block start on a 64-byte boundary of the
 * untagged Ethernet frame, so that no block straddles an RX descriptor.
 *
 * Every field is big-endian.  The numbers here are the protocol: add, never
 * renumber.
 */
#ifndef PAGETRIM_WIRE_H
#define PAGETRIM_WIRE_H

#include <linux/types.h>	/* nothing else: BPF, agent and tests read this */

#ifdef __cplusplus
#define _Static_assert static_assert
#endif

#define PT_RECORD_SZ		16	/* bytes of a page record */
#define PT_BLOCK_SZ		64	/* bytes of a block */
#define PT_PAGE_SZ		4096	/* bytes of a page */
#define PT_REGION_SZ		(2u << 20)	/* bytes of a region */
#define PT_PAGE_BLOCKS		64	/* blocks of a page */
#define PT_REGION_PAGES		512	/* pages of a region */

#define PT_UDP_PORT		16644	/* default of control (TCP) and data */
#define PT_FRAME_MAGIC		0x5054524d	/* "PTRM" */
#define PT_WIRE_VERSION		3	/* of frames and control messages alike */
#define PT_FRAME_HDR_SZ		64
#define PT_AUTH_SZ		16
#define PT_HEADER_MAC_SZ	8
#define PT_HEADER_MACED_SZ	28	/* bytes that header_mac covers */
#define PT_HIDDEN_OFF		52	/* bytes of a sealed frame that are clear */
#define PT_RECORDS_MAX		96	/* records of one frame */
#define PT_FRAME_BLOCKS_MAX	(PT_RECORDS_MAX * PT_PAGE_BLOCKS)	/* that its
						 * records name */
#define PT_LANES_MAX		64	/* lanes of one session */
#define PT_HEADERS_MAX		1792	/* Ethernet to last record, bytes */
#define PT_GFN_BITS		40	/* 2^40 pages: 4 PiB of guest memory */
#define PT_GFN_MAX		((1ULL << PT_GFN_BITS) - 1)
#define PT_VERSION_LOW_MAX	((1u << 24) - 1)	/* of a page's version, what a
						 * copy says of its original */
#define PT_MTU_MIN		1280
#define PT_MTU_MAX		65535
#define PT_ZEROES_MAX		512	/* pages of one record of zeroes */
#define PT_REKEY_LOG2_MIN	16	/* data frames of a key, as a power of 2 */
#define PT_REKEY_LOG2_MAX	22
#define PT_SEALED_SEQ_MAX	((1ULL << 38) - 1)	/* of data frames */
#define PT_SEALED_PROBE_MAX	((1ULL << 32) - 1)	/* of probes */

/* pt_frame_kind: the purpose of a frame. */
enum pt_frame_kind {
	PT_FRAME_DATA	= 1,	/* 1..96 records and their blocks */
	PT_FRAME_PROBE	= 2,	/* no records; zero blocks make up its size */
};

/* Bits of pt_frame_hdr.flags; all others are zero. */
#define PT_FLAG_SEALED		0x01	/* contents are encrypted, auth is a tag */

/* pt_compression: the methods by which blocks are compressed. */
enum pt_compression {
	PT_COMPRESSION_NONE	= 0,
	PT_COMPRESSION_LZ4	= 1,	/* one LZ4 block */
	PT_COMPRESSION_ZSTD	= 2,	/* one zstd frame */
	PT_COMPRESSION_CNT
};

/* pt_frame_hdr: the frame's session, its position in its lane, its contents.
 * Contents are the fields from generation on; they are encrypted in a sealed
 * frame.  Packed, since it starts 42 bytes into an untagged IPv4 frame. */
struct pt_frame_hdr {
	__be32	magic;		/*  0 PT_FRAME_MAGIC */
	__u8	version;	/*  4 PT_WIRE_VERSION */
	__u8	kind;		/*  5 enum pt_frame_kind */
	__u8	flags;		/*  6 PT_FLAG_* */
	__u8	lane;		/*  7 0..PT_LANES_MAX - 1 */
	__be64	session_id;	/*  8 chosen at random by the receiver, not 0 */
	__be64	seq;		/* 16 sequence number; probes: probe number */
	__be16	key_epoch;	/* 24 key of a sealed frame; else 0 */
	__be16	payload_sz;	/* 26 bytes from the header's start to the end */
	__u8	header_mac[PT_HEADER_MAC_SZ];	/* 28 sealed: SipHash-2-4 of
						 * bytes 0..27, lowest byte
						 * first; else zero */
	__u8	auth[PT_AUTH_SZ]; /* 36 sealed: the AEAD's tag; else XXH3-128,
				   * canonical, seed 0, of the UDP payload with
				   * these 16 bytes zero */
	__be32	generation;	/* 52 of every page in the frame, from 1; probes: 0 */
	__u8	record_cnt;	/* 56 data: 1..96; probe: 0 */
	__u8	compression;	/* 57 enum pt_compression; the blocks that the
				 * records name are one unit; probe: 0 */
	__be16	data_off;	/* 58 bytes from the header's start to block 0 */
	__be16	block_cnt;	/* 60 blocks that follow, 0..1022; sealed: those
				 * that no record names included */
	__be16	compressed_sz;	/* 62 compressed: bytes of these that are used;
				 * else 0 */
} __attribute__((packed));

/* pt_record_kind: docs/wire-format.md reserves 6, which version 3 refuses. */
enum pt_record_kind {
	PT_RECORD_BLOCKS = 1,	/* blocks first..last of one page; mask: which
				 * of them follow as data, the others are zero */
	PT_RECORD_ZEROES = 2,	/* pages gfn .. gfn + mask - 1 are zero, 1 to
				 * PT_ZEROES_MAX of them; first is 0, last is
				 * 63 */
	PT_RECORD_DELTA = 3,	/* page gfn is as in the version whose low 16
				 * bits are first and last, but for the blocks
				 * in mask, which follow as data.  Only to a
				 * receiver with PT_CAP_DELTAS */
	PT_RECORD_COPY	= 4,	/* page gfn equals its original as that is in
				 * the version that mask names; first is 0,
				 * last is 63.  Only to a receiver with
				 * PT_CAP_COPIES */
	PT_RECORD_UNREADABLE = 5,	/* likewise as ZEROES, pages that the
				 * source could not read.  Only to a receiver
				 * with PT_CAP_UNREADABLE */
};

/* pt_record: the frame's statement about one page, a part of it, or a run of
 * pages.  A record covers the block positions [gfn * 64 + first, ...]; the
 * records of a frame ascend and cover no position twice. */
struct pt_record {
	__u8	kind;		/*  0 enum pt_record_kind */
	__u8	first;		/*  1 first block covered, 0..63; DELTA: bits
				 * 15..8 of the base version */
	__u8	last;		/*  2 last block covered, first..63; DELTA: bits
				 * 7..0 of it */
	__u8	gfn_hi;		/*  3 guest page number, bits 39..32 */
	__be32	gfn_lo;		/*  4 guest page number, bits 31..0 */
	__be64	mask;		/*  8 bit b is block b; ZEROES, UNREADABLE: page
				 * count;
				 * COPY: the original's guest page number, and
				 * above it the low 24 bits of its version */
} __attribute__((packed));

#define PT_OFFSET_IS(type, field, off) \
	_Static_assert(__builtin_offsetof(type, field) == (off), #field)
PT_OFFSET_IS(struct pt_frame_hdr, lane, 7);
PT_OFFSET_IS(struct pt_frame_hdr, session_id, 8);
PT_OFFSET_IS(struct pt_frame_hdr, seq, 16);
PT_OFFSET_IS(struct pt_frame_hdr, key_epoch, 24);
PT_OFFSET_IS(struct pt_frame_hdr, payload_sz, 26);
PT_OFFSET_IS(struct pt_frame_hdr, header_mac, PT_HEADER_MACED_SZ);
PT_OFFSET_IS(struct pt_frame_hdr, auth, 36);
PT_OFFSET_IS(struct pt_frame_hdr, generation, PT_HIDDEN_OFF);
PT_OFFSET_IS(struct pt_frame_hdr, record_cnt, 56);
PT_OFFSET_IS(struct pt_frame_hdr, compression, 57);
PT_OFFSET_IS(struct pt_frame_hdr, data_off, 58);
PT_OFFSET_IS(struct pt_frame_hdr, block_cnt, 60);
PT_OFFSET_IS(struct pt_frame_hdr, compressed_sz, 62);
PT_OFFSET_IS(struct pt_record, gfn_lo, 4);
PT_OFFSET_IS(struct pt_record, mask, 8);
_Static_assert(sizeof(struct pt_frame_hdr) == PT_FRAME_HDR_SZ, "frame header");
_Static_assert(sizeof(struct pt_record) == PT_RECORD_SZ, "record");
_Static_assert(PT_BLOCK_SZ * PT_PAGE_BLOCKS == PT_PAGE_SZ, "page");
_Static_assert(PT_PAGE_SZ * PT_REGION_PAGES == PT_REGION_SZ, "region");
/* 18 Ethernet and VLAN, 40 IPv6, 8 UDP */
_Static_assert(18 + 40 + 8 + PT_FRAME_HDR_SZ + PT_RECORDS_MAX * PT_RECORD_SZ <=
	       PT_HEADERS_MAX, "records end within the first fragment");

#endif
