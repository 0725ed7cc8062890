/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* frame: builds frames for tests, from a shape, and breaks one part of them.
 * It does not use the sender's builder: a mistake there must not hide one in
 * the parser.  Checksums stay zero: only the structure counts. */
#ifndef FRAMES_FRAME_H
#define FRAMES_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/outer.h>
#include <pagetrim/wire.h>

#include "mac.h"

#define FRAME_SZ_MAX	(18 + 65535)
#define FRAME_SESSION	0x1122334455667788ULL	/* of frames over IPv4 */
#define FRAME_SESSION_IPV6 (FRAME_SESSION + 1)
#define FRAME_SESSION_SEALED (FRAME_SESSION + 2)	/* over IPv4 */
#define FRAME_PORT	PT_UDP_PORT

struct shape_record {
	__u8	kind, first, last;
	__u64	gfn, mask;
};

struct shape {
	const struct shape_record *records;
	__u32	record_cnt;
	__u32	pad_sz;		/* bytes between records and blocks, 0..63 */
	__u16	probe_blocks;	/* of a probe, which has no records */
	__u8	flags;		/* PT_FLAG_SEALED: of the sealed session; contents
				 * stay in clear, since no parser reads them */
	__u8	kind;
	bool	vlan;
	bool	ipv6;
};

/* frame: bytes, and where its parts start. */
struct frame {
	__u32	sz;
	__u32	ip_off, udp_off, hdr_off, data_off;
	bool	ipv6;
	__u8	bytes[FRAME_SZ_MAX + 256];
};

/* part: the base of an offset in a test's table. */
enum part { PART_ETH, PART_IP, PART_UDP, PART_HDR, PART_RECORDS };

static const __u8 frame_ipv4_dst[4] = { 10, 1, 2, 3 };
static const __u8 frame_ipv6_dst[16] = {
	0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x17
};

static const __u8 frame_header_key[16] = {
	0x5e, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xa1
};

static inline void frame_store(__u8 *at, __u32 sz, __u64 value)
{
	for (__u32 i = 0; i < sz; i++)
		at[i] = value >> 8 * (sz - 1 - i);
}

static inline __u64 frame_load(const __u8 *at, __u32 sz)
{
	__u64 value = 0;

	for (__u32 i = 0; i < sz; i++)
		value = value << 8 | at[i];
	return value;
}

static inline __u8 *frame_part(struct frame *f, enum part part)
{
	const __u32 offs[] = {
		[PART_ETH] = 0, [PART_IP] = f->ip_off, [PART_UDP] = f->udp_off,
		[PART_HDR] = f->hdr_off,
		[PART_RECORDS] = f->hdr_off + PT_FRAME_HDR_SZ,
	};

	return f->bytes + offs[part];
}

/* frame_set writes a big-endian field of sz bytes. */
static inline void frame_set(struct frame *f, enum part part, __u32 off,
			     __u32 sz, __u64 value)
{
	frame_store(frame_part(f, part) + off, sz, value);
}

#define FRAME_SET(f, part, type, field, value)				\
	frame_set(f, part, __builtin_offsetof(type, field),		\
		  sizeof(((type *)0)->field), value)

/* frame_fit_lengths makes the lengths of IP and UDP fit f->sz. */
static inline void frame_fit_lengths(struct frame *f)
{
	if (f->ipv6)
		FRAME_SET(f, PART_IP, struct pt_ipv6_hdr, payload_sz,
			  f->sz - f->udp_off);
	else
		FRAME_SET(f, PART_IP, struct pt_ipv4_hdr, total_sz,
			  f->sz - f->ip_off);
	FRAME_SET(f, PART_UDP, struct pt_udp_hdr, sz, f->sz - f->udp_off);
}

static inline void frame_write_outer(struct frame *f, const struct shape *s)
{
	const __u16 type = s->ipv6 ? ETH_P_IPV6 : ETH_P_IP;

	memset(f->bytes, 0x02, 12);
	if (s->vlan) {
		frame_store(f->bytes + 12, 2, ETH_P_8021Q);
		frame_store(f->bytes + 14, 2, 71);
	}
	f->ip_off = s->vlan ? 18 : 14;
	frame_store(f->bytes + f->ip_off - 2, 2, type);
	f->ipv6 = s->ipv6;
	if (s->ipv6) {
		f->udp_off = f->ip_off + sizeof(struct pt_ipv6_hdr);
		FRAME_SET(f, PART_IP, struct pt_ipv6_hdr, version_class, 0x60);
		FRAME_SET(f, PART_IP, struct pt_ipv6_hdr, next_header, 17);
		memcpy(f->bytes + f->udp_off - 16, frame_ipv6_dst, 16);
	} else {
		f->udp_off = f->ip_off + sizeof(struct pt_ipv4_hdr);
		FRAME_SET(f, PART_IP, struct pt_ipv4_hdr, version_ihl, 0x45);
		FRAME_SET(f, PART_IP, struct pt_ipv4_hdr, frag_off, 0x4000);
		FRAME_SET(f, PART_IP, struct pt_ipv4_hdr, protocol, 17);
		memcpy(f->bytes + f->udp_off - 4, frame_ipv4_dst, 4);
	}
	f->hdr_off = f->udp_off + sizeof(struct pt_udp_hdr);
	FRAME_SET(f, PART_UDP, struct pt_udp_hdr, src_port, 50000);
	FRAME_SET(f, PART_UDP, struct pt_udp_hdr, dst_port, FRAME_PORT);
}

/* frame_write_records returns the number of blocks of the records. */
static inline __u32 frame_write_records(struct frame *f, const struct shape *s)
{
	__u8 *at = frame_part(f, PART_RECORDS);
	__u32 block_cnt = 0;

	for (__u32 i = 0; i < s->record_cnt; i++, at += PT_RECORD_SZ) {
		const struct shape_record *r = &s->records[i];

		frame_store(at, 1, r->kind);
		frame_store(at + 1, 1, r->first);
		frame_store(at + 2, 1, r->last);
		frame_store(at + 3, 5, r->gfn);
		frame_store(at + 8, 8, r->mask);
		if (r->kind == PT_RECORD_BLOCKS || r->kind == PT_RECORD_DELTA)
			block_cnt += __builtin_popcountll(r->mask);
	}
	return block_cnt;
}

/* frame_insert inserts zeroes before the byte at off and adapts the lengths. */
static inline void frame_insert(struct frame *f, __u32 off, __u32 sz)
{
	pt_check(f->sz + sz <= sizeof(f->bytes));
	memmove(f->bytes + off + sz, f->bytes + off, f->sz - off);
	memset(f->bytes + off, 0, sz);
	f->sz += sz;
	f->ip_off += f->ip_off >= off ? sz : 0;
	f->udp_off += f->udp_off > off ? sz : 0;
	f->hdr_off += f->hdr_off >= off ? sz : 0;
	f->data_off += f->data_off >= off ? sz : 0;
	frame_fit_lengths(f);
}

static inline bool frame_is_sealed(const struct frame *f)
{
	return f->bytes[f->hdr_off + offsetof(struct pt_frame_hdr, flags)] &
	       PT_FLAG_SEALED;
}

static inline __u64 frame_mac(const struct frame *f)
{
	return mac_of(frame_header_key, f->bytes + f->hdr_off,
		      offsetof(struct pt_frame_hdr, header_mac));
}

/* frame_set_mac computes the keyed check of the header. */
static inline void frame_set_mac(struct frame *f)
{
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, header_mac,
		  __builtin_bswap64(frame_mac(f)));
}

static inline __u64 frame_session(const struct shape *s)
{
	if (s->flags & PT_FLAG_SEALED)
		return FRAME_SESSION_SEALED;
	return s->ipv6 ? FRAME_SESSION_IPV6 : FRAME_SESSION;
}

/* frame_build makes a frame of that shape, lane 0, with right lengths. */
static inline void frame_build(struct frame *f, const struct shape *s)
{
	const __u32 payload_off =
		PT_FRAME_HDR_SZ + s->record_cnt * PT_RECORD_SZ + s->pad_sz;
	__u32 block_cnt;

	memset(f->bytes, 0, payload_off + 128);
	frame_write_outer(f, s);
	block_cnt = frame_write_records(f, s) + s->probe_blocks;

	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, magic, PT_FRAME_MAGIC);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, version, PT_WIRE_VERSION);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, kind, s->kind);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, session_id,
		  frame_session(s));
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, flags, s->flags);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, seq, 7);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, generation,
		  s->kind == PT_FRAME_DATA);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, record_cnt, s->record_cnt);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, data_off, payload_off);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, block_cnt, block_cnt);
	f->data_off = f->hdr_off + payload_off;
	f->sz = f->data_off + block_cnt * PT_BLOCK_SZ;
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, payload_sz,
		  f->sz - f->hdr_off);
	pt_check(f->sz <= FRAME_SZ_MAX);
	memset(f->bytes + f->data_off, 0xd5, f->sz - f->data_off);
	frame_fit_lengths(f);
	if (s->flags & PT_FLAG_SEALED)
		frame_set_mac(f);
}

#endif
