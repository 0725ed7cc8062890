/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* attack_kinds: variants of heard frames that a hostile host on the same
 * network can send, and the verdict that each must get.  Pure: bytes in, bytes
 * out.
 *
 * Frames keep the Ethernet and IP addresses of the sender that they were heard
 * from.  Threads: none.
 */
#ifndef ATTACK_KINDS_H
#define ATTACK_KINDS_H

#include <endian.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/parse.h>

#include "../frames/random.h"
#include "wire/checksum.h"

#define HEARD_SZ_MAX	(18 + 65535)

/* X(SYMBOL, name, verdict of XDP if the session is sealed, if it is not, what
 * the agent counts a steered one as).  An astray one is a replay that hashes to
 * another queue, if there is one: wrong_queue then.  A forgery that an unsealed
 * session could not tell from its own frames is not among them. */
#define ATTACK_KINDS(X)							\
	X(GARBAGE, garbage, BAD_MAGIC, BAD_MAGIC, none)			\
	X(SHORT, short, TRUNCATED, TRUNCATED, none)			\
	X(CUT, cut, TRUNCATED, TRUNCATED, none)				\
	X(VERSION, version, BAD_VERSION, BAD_VERSION, none)		\
	X(HEADER, header, BAD_HEADER, BAD_HEADER, none)			\
	X(TRAILING, trailing, BAD_HEADER, BAD_HEADER, none)		\
	X(SEAL, seal, BAD_HEADER, BAD_HEADER, none)			\
	X(STRANGER, stranger, UNKNOWN_SESSION, UNKNOWN_SESSION, none)	\
	X(KIND, record_kind, STEERED, BAD_RECORD, refused_auth)		\
	X(MASK, record_mask, STEERED, BAD_RECORD, refused_auth)		\
	X(FORGED, forged, BAD_MAC, STEERED, refused_auth)		\
	X(RENUMBERED, renumbered, BAD_MAC, STEERED, refused_auth)	\
	X(GENERATION, generation, STEERED, STEERED, refused_auth)	\
	X(PAGE, page, STEERED, STEERED, refused_auth)			\
	X(BLOCK, block, STEERED, STEERED, refused_auth)			\
	X(NO_UNIT, no_unit, BAD_MAC, STEERED, refused_unit)		\
	X(BOMB, bomb, BAD_MAC, STEERED, refused_unit)			\
	X(REPLAY, replay, STEERED, STEERED, duplicate)			\
	X(ASTRAY, astray, STEERED, STEERED, duplicate)			\
	X(PROBE, probe, STEERED, STEERED, probes)			\
	X(ELSEWHERE, elsewhere, PASSED, PASSED, none)			\
	X(FRAGMENT, fragment, PASSED, PASSED, none)

enum attack_kind {
#define X(SYMBOL, ...) ATTACK_##SYMBOL,
	ATTACK_KINDS(X)
#undef X
	ATTACK_KIND_CNT
};

/* heard: a frame as it was on the network.  Nobody but its ends knows a sealed
 * one's records: its first counts as the last, and data is all behind it. */
struct heard {
	__u32 sz;
	__u32 udp_off, hdr_off, record_off, data_off;
	bool is_sealed;
	__u8 bytes[HEARD_SZ_MAX];
};

/* heard_from fills h from a frame to port (host order); returns its kind, or 0
 * if it is none of pagetrim's. */
static inline int heard_from(struct heard *h, const void *bytes, __u32 sz,
			     __u16 port)
{
	struct pt_packet p;
	struct pt_frame f;

	if (sz > sizeof(h->bytes) ||
	    pt_parse_frame(bytes, sz, sz, &p, &f) != PT_VERDICT_STEERED ||
	    be16toh(p.dst.port) != port)
		return 0;
	h->sz = sz;
	h->udp_off = p.udp_off;
	h->hdr_off = p.udp_off + sizeof(struct pt_udp_hdr);
	h->is_sealed = f.flags & PT_FLAG_SEALED;
	h->record_off = h->hdr_off + PT_FRAME_HDR_SZ;
	h->data_off = h->record_off + PT_RECORD_SZ;
	if (!h->is_sealed) {
		h->record_off += (f.record_cnt - 1) * PT_RECORD_SZ;
		h->data_off = h->hdr_off + f.data_off;
	}
	memcpy(h->bytes, bytes, sz);
	return f.kind;
}

static inline struct pt_frame_hdr *heard_hdr(struct heard *h)
{
	return (void *)(h->bytes + h->hdr_off);
}

static inline struct pt_record *heard_record(struct heard *h)
{
	return (void *)(h->bytes + h->record_off);
}

/* fit makes the frame end payload_sz bytes behind the UDP header, and adapts
 * the lengths of IP and UDP. */
static inline void fit(struct heard *h, __u32 payload_sz)
{
	struct pt_udp_hdr *udp = (void *)(h->bytes + h->udp_off);
	__u16 udp_sz = sizeof(*udp) + payload_sz;

	udp->sz = htobe16(udp_sz);
	if (h->bytes[12] == 0x08)
		frame_store((__u8 *)udp - 18, 2, 20 + udp_sz);
	else
		frame_store((__u8 *)udp - 36, 2, udp_sz);
	h->sz = h->hdr_off + payload_sz;
}

static inline void random_bytes(struct random *r, void *to, __u32 sz)
{
	for (__u32 i = 0; i < sz; i++)
		((__u8 *)to)[i] = random_next(r);
}

/* break_header breaks a field that XDP reads, which contents are only in a frame
 * that is not sealed. */
static inline void break_header(struct random *r, struct pt_frame_hdr *hdr)
{
	switch (random_below(r, hdr->flags & PT_FLAG_SEALED ? 4 : 6)) {
	case 0: hdr->kind = 3 + random_below(r, 250); break;
	case 1: hdr->lane = 64 + random_below(r, 190); break;
	case 2: hdr->session_id = 0; break;
	case 3:
		hdr->payload_sz = htobe16(be16toh(hdr->payload_sz) - 1 -
					  random_below(r, PT_FRAME_HDR_SZ));
		break;
	case 4: hdr->record_cnt = 97 + random_below(r, 150); break;
	case 5: hdr->compression = 1 + random_below(r, 255); break;
	}
}

/* empty_page makes a small frame that would empty a page. */
static inline void empty_page(struct random *r, struct heard *h)
{
	struct pt_frame_hdr *hdr = heard_hdr(h);
	const __u32 sz = PT_FRAME_HDR_SZ + PT_RECORD_SZ;

	hdr->payload_sz = htobe16(sz);
	hdr->generation = htobe32(random_below(r, 100) + 2);
	hdr->record_cnt = 1;
	hdr->compression = 0;
	hdr->data_off = htobe16(sz);
	hdr->block_cnt = 0;
	hdr->compressed_sz = 0;
	*(struct pt_record *)(hdr + 1) = (struct pt_record){
		.kind = PT_RECORD_ZEROES, .last = 63,
		.gfn_lo = htobe32(random_below(r, 64)), .mask = htobe64(1),
	};
	fit(h, sz);
}

/* switch_seal makes a sealed frame a sound unsealed one, or the reverse. */
static inline void switch_seal(struct random *r, struct heard *h)
{
	struct pt_frame_hdr *hdr = heard_hdr(h);

	hdr->flags ^= PT_FLAG_SEALED;
	if (hdr->flags) {
		random_bytes(r, hdr->header_mac, sizeof(hdr->header_mac));
		return;
	}
	empty_page(r, h);
	hdr->key_epoch = 0;
	memset(hdr->header_mac, 0, sizeof(hdr->header_mac));
	memset(hdr->auth, 0, sizeof(hdr->auth));
	pt_checksum(&(struct pt_span){ hdr, h->sz - h->hdr_off }, 1, hdr->auth);
}

/* forge makes a small frame with a stolen session number and lane. */
static inline void forge(struct random *r, struct heard *h)
{
	struct pt_frame_hdr *hdr = heard_hdr(h);

	hdr->seq = htobe64(be64toh(hdr->seq) + random_below(r, 5000));
	empty_page(r, h);
	if (h->is_sealed)
		random_bytes(r, hdr->header_mac, sizeof(hdr->header_mac));
	random_bytes(r, hdr->auth, sizeof(hdr->auth));
}

/* forge_unit makes a compressed frame of a number that is not sent yet, whose one
 * page is a unit of a random method and random bytes, or a bomb: bytes that become
 * more than a page. */
static inline void forge_unit(struct random *r, struct heard *h, bool is_bomb)
{
	/* LZ4: a zero byte, repeated 19 + 53 * 255 times, and five more */
	static const __u8 bomb[PT_BLOCK_SZ] = {
		0x1f, 0, 1, 0, [4 ... 56] = 0xff, [58] = 0x50,
	};
	struct pt_frame_hdr *hdr = heard_hdr(h);
	const __u32 data_off = PT_FRAME_HDR_SZ + PT_RECORD_SZ;
	struct pt_span payload = { hdr, data_off + sizeof(bomb) };
	struct pt_record *record = (struct pt_record *)(hdr + 1);
	__u8 *unit = (__u8 *)hdr + data_off;

	empty_page(r, h);
	hdr->seq = htobe64(be64toh(hdr->seq) + 5000 + random_below(r, 5000));
	hdr->payload_sz = htobe16(payload.sz);
	hdr->block_cnt = htobe16(1);
	hdr->compression = is_bomb ? PT_COMPRESSION_LZ4
				   : 1 + random_below(r, 2);
	hdr->compressed_sz = htobe16(sizeof(bomb));
	record->kind = PT_RECORD_BLOCKS;
	record->mask = ~0ULL;
	fit(h, payload.sz);
	memcpy(unit, bomb, sizeof(bomb));
	if (!is_bomb)
		random_bytes(r, unit, sizeof(bomb));
	memset(hdr->auth, 0, sizeof(hdr->auth));
	if (h->is_sealed)
		random_bytes(r, hdr->header_mac, sizeof(hdr->header_mac));
	else
		pt_checksum(&payload, 1, hdr->auth);
}

/* attack_make turns h, which was heard, into a frame of that kind. */
static inline void attack_make(struct heard *h, enum attack_kind kind,
			       struct random *r)
{
	struct pt_frame_hdr *hdr = heard_hdr(h);
	struct pt_record *last = heard_record(h);
	struct pt_udp_hdr *udp = (void *)(h->bytes + h->udp_off);

	switch (kind) {
	case ATTACK_GARBAGE:
		fit(h, PT_FRAME_HDR_SZ + random_below(r, 900));
		random_bytes(r, hdr, h->sz - h->hdr_off);
		h->bytes[h->hdr_off] &= 0x0f;	/* never the magic's 'P' */
		break;
	case ATTACK_SHORT:
		fit(h, random_below(r, PT_FRAME_HDR_SZ));
		break;
	case ATTACK_CUT:
		h->sz -= 1 + random_below(r, h->sz - h->hdr_off);
		break;
	case ATTACK_VERSION:
		hdr->version = 4 + random_below(r, 250);
		break;
	case ATTACK_HEADER:
		break_header(r, hdr);
		break;
	case ATTACK_TRAILING:
		fit(h, h->sz - h->hdr_off);
		udp->sz = htobe16(be16toh(udp->sz) - 1);
		break;
	case ATTACK_SEAL:
		switch_seal(r, h);
		break;
	case ATTACK_STRANGER:
		hdr->session_id ^= htobe64(1 + random_below(r, 1 << 30));
		break;
	case ATTACK_KIND:
		last->kind ^= 8 << random_below(r, 5);
		break;
	case ATTACK_MASK:
		last->mask &= last->mask - 1;
		break;
	case ATTACK_FORGED:
		forge(r, h);
		break;
	case ATTACK_NO_UNIT:
	case ATTACK_BOMB:
		forge_unit(r, h, kind == ATTACK_BOMB);
		break;
	case ATTACK_RENUMBERED:
		hdr->seq = htobe64(be64toh(hdr->seq) + 1 +
				   random_below(r, 5000));
		break;
	case ATTACK_GENERATION:
		hdr->generation ^= htobe32(1u << 30);
		break;
	case ATTACK_PAGE:
		last->gfn_hi ^= 0x80;
		break;
	case ATTACK_BLOCK:
		h->bytes[h->data_off + random_below(r, h->sz - h->data_off)] ^=
			1 + random_below(r, 255);
		break;
	case ATTACK_ASTRAY:
		udp->src_port = htobe16(1024 + random_below(r, 60000));
		break;
	case ATTACK_ELSEWHERE:
		udp->dst_port ^= htobe16(1);
		break;
	case ATTACK_FRAGMENT:
		h->bytes[h->udp_off - 14] = 0x20;	/* IPv4: more follow */
		break;
	case ATTACK_REPLAY:
	case ATTACK_PROBE:
	case ATTACK_KIND_CNT:
		break;
	}
}

#endif
