/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* random: good frames of random shape, and mutations that know the positions of
 * the fields.  The same seed makes the same frames on every machine. */
#ifndef FRAMES_RANDOM_H
#define FRAMES_RANDOM_H

#include "frame.h"

#define RANDOM_RECORDS_MAX	(PT_RECORDS_MAX + 2)

struct random {
	__u64	state;
};

/* random_next: splitmix64. */
static inline __u64 random_next(struct random *r)
{
	__u64 z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* random_below: 0..cnt - 1. */
static inline __u64 random_below(struct random *r, __u64 cnt)
{
	return random_next(r) % cnt;
}

static inline bool random_chance(struct random *r, __u32 one_in)
{
	return !random_below(r, one_in);
}

/* random_original returns any page but gfn, half the time a neighbour. */
static inline __u64 random_original(struct random *r, __u64 gfn)
{
	__u64 other = random_chance(r, 2) ? gfn ^ 1 : random_next(r);

	other &= PT_GFN_MAX;
	return other == gfn ? gfn ^ 1 : other;
}

/* random_record makes a sound record that starts at or after *pos, in blocks
 * from the start of memory, and moves *pos to its end. */
static inline struct shape_record random_record(struct random *r, __u64 *pos)
{
	struct shape_record rec = { .kind = PT_RECORD_BLOCKS };
	__u64 gfn;

	if (random_chance(r, 3))
		*pos += random_below(r, 1ULL << random_below(r, 34));
	gfn = *pos / PT_PAGE_BLOCKS;
	if (random_chance(r, 3)) {
		__u64 cnt = 1;

		rec.gfn = gfn + !!(*pos % PT_PAGE_BLOCKS);
		rec.last = 63;
		if (random_chance(r, 3)) {
			rec.kind = PT_RECORD_COPY;
			rec.mask = random_original(r, rec.gfn) |
				   random_next(r) << PT_GFN_BITS;
		} else {
			rec.kind = random_chance(r, 3) ? PT_RECORD_UNREADABLE
						       : PT_RECORD_ZEROES;
			rec.mask = cnt = 1 + random_below(r, 1ULL <<
							  random_below(r, 10));
		}
		*pos = (rec.gfn + cnt) * PT_PAGE_BLOCKS;
		return rec;
	}
	rec.gfn = gfn;
	if (*pos % PT_PAGE_BLOCKS == 0 && random_chance(r, 4)) {
		rec.kind = PT_RECORD_DELTA;
		rec.first = random_next(r);
		rec.last = random_next(r);
		rec.mask = random_chance(r, 2) ? 1ULL << random_below(r, 64) : 0;
		*pos += PT_PAGE_BLOCKS;
		return rec;
	}
	rec.first = *pos % PT_PAGE_BLOCKS;
	rec.last = random_chance(r, 2) ? 63 : rec.first +
		   random_below(r, PT_PAGE_BLOCKS - rec.first);
	for (int b = rec.first; b <= rec.last; b++)
		if (random_chance(r, 8))
			rec.mask |= 1ULL << b;
	*pos = gfn * PT_PAGE_BLOCKS + rec.last + 1;
	return rec;
}

/* random_frame makes a good frame. */
static inline void random_frame(struct random *r, struct frame *f)
{
	static struct shape_record records[RANDOM_RECORDS_MAX];
	struct shape s = {
		.kind = random_chance(r, 6) ? PT_FRAME_PROBE : PT_FRAME_DATA,
		.records = records,
		.pad_sz = random_below(r, 64),
		.vlan = random_chance(r, 3),
		.ipv6 = random_chance(r, 2),
	};
	const bool is_sealed = random_chance(r, 2);
	__u64 pos = random_chance(r, 4) ? (PT_GFN_MAX - 200) * PT_PAGE_BLOCKS :
					  random_below(r, 1ULL << 44);

	if (s.kind == PT_FRAME_PROBE) {
		s.probe_blocks = random_below(r, 40);
	} else {
		s.record_cnt = 1 + random_below(r, random_chance(r, 4) ?
						PT_RECORDS_MAX : 6);
		for (__u32 i = 0; i < s.record_cnt; i++)
			records[i] = random_record(r, &pos);
	}
	if (is_sealed) {
		s.ipv6 = false;
		s.flags = PT_FLAG_SEALED;
	}
	frame_build(f, &s);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, lane, random_below(r, 4));
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, seq, random_next(r));
	if (is_sealed)
		frame_set_mac(f);
}

struct random_field {
	enum part part;
	__u32	off, sz;
};

#define FIELD(p, type, field)						\
	{ p, offsetof(type, field), sizeof(((type *)0)->field) }

static const struct random_field random_fields[] = {
	FIELD(PART_ETH, struct pt_eth_hdr, type),
	{ PART_ETH, 16, 2 },	/* the tag's type */
	FIELD(PART_IP, struct pt_ipv4_hdr, version_ihl),
	FIELD(PART_IP, struct pt_ipv4_hdr, total_sz),
	FIELD(PART_IP, struct pt_ipv4_hdr, frag_off),
	FIELD(PART_IP, struct pt_ipv4_hdr, protocol),
	FIELD(PART_IP, struct pt_ipv6_hdr, payload_sz),
	FIELD(PART_IP, struct pt_ipv6_hdr, next_header),
	FIELD(PART_UDP, struct pt_udp_hdr, dst_port),
	FIELD(PART_UDP, struct pt_udp_hdr, sz),
	FIELD(PART_HDR, struct pt_frame_hdr, magic),
	FIELD(PART_HDR, struct pt_frame_hdr, version),
	FIELD(PART_HDR, struct pt_frame_hdr, kind),
	FIELD(PART_HDR, struct pt_frame_hdr, flags),
	FIELD(PART_HDR, struct pt_frame_hdr, session_id),
	FIELD(PART_HDR, struct pt_frame_hdr, generation),
	FIELD(PART_HDR, struct pt_frame_hdr, lane),
	FIELD(PART_HDR, struct pt_frame_hdr, key_epoch),
	FIELD(PART_HDR, struct pt_frame_hdr, payload_sz),
	FIELD(PART_HDR, struct pt_frame_hdr, record_cnt),
	FIELD(PART_HDR, struct pt_frame_hdr, compression),
	FIELD(PART_HDR, struct pt_frame_hdr, data_off),
	FIELD(PART_HDR, struct pt_frame_hdr, block_cnt),
	FIELD(PART_HDR, struct pt_frame_hdr, compressed_sz),
	FIELD(PART_HDR, struct pt_frame_hdr, header_mac),
	FIELD(PART_HDR, struct pt_frame_hdr, auth),
};

static const struct random_field random_record_fields[] = {
	FIELD(PART_RECORDS, struct pt_record, kind),
	FIELD(PART_RECORDS, struct pt_record, first),
	FIELD(PART_RECORDS, struct pt_record, last),
	FIELD(PART_RECORDS, struct pt_record, gfn_hi),
	FIELD(PART_RECORDS, struct pt_record, gfn_lo),
	FIELD(PART_RECORDS, struct pt_record, mask),
};

#define RANDOM_CNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* random_value returns a value for a field that held was. */
static inline __u64 random_value(struct random *r, __u64 was)
{
	switch (random_below(r, 10)) {
	case 0:	return 0;
	case 1:	return ~0ULL;
	case 2:	return was + 1;
	case 3:	return was - 1;
	case 4:	return was + 64;
	case 5:	return was - 64;
	case 6:	return was ^ 1ULL << random_below(r, 64);
	case 7:	return was << 1;
	case 8:	return random_below(r, 128);
	default: return random_next(r);
	}
}

static inline void random_change_field(struct random *r, struct frame *f,
				       const struct random_field *field,
				       __u32 skip_sz)
{
	__u8 *at = frame_part(f, field->part) + field->off + skip_sz;
	__u32 sz = field->sz > 8 ? 8 : field->sz;

	frame_store(at, sz, random_value(r, frame_load(at, sz)));
}

static inline __u32 random_record_cnt(const struct frame *f)
{
	return f->bytes[f->hdr_off + offsetof(struct pt_frame_hdr, record_cnt)];
}

/* random_move_record overwrites a record with another, or swaps the two. */
static inline void random_move_record(struct random *r, struct frame *f)
{
	__u8 *records = frame_part(f, PART_RECORDS);
	__u32 cnt = random_record_cnt(f);
	__u8 *a, *b, was[PT_RECORD_SZ];

	if (cnt < 2 || cnt > PT_RECORDS_MAX)
		return;
	a = records + random_below(r, cnt) * PT_RECORD_SZ;
	b = records + random_below(r, cnt) * PT_RECORD_SZ;
	if (a == b)
		return;
	memcpy(was, a, sizeof(was));
	memcpy(a, b, sizeof(was));
	if (random_chance(r, 2))
		memcpy(b, was, sizeof(was));
}

/* random_resize adds or removes bytes at the end, by a few, by whole blocks or
 * by many, and may adapt the lengths of IP and UDP. */
static inline void random_resize(struct random *r, struct frame *f)
{
	__u32 most = random_chance(r, 3) ? f->sz : 8;
	__u32 by = random_chance(r, 2) ? PT_BLOCK_SZ : random_below(r, most);

	if (random_chance(r, 2))
		f->sz += by < 200 ? by : 200;
	else if (f->sz >= by + ETH_HLEN)
		f->sz -= by;
	if (random_chance(r, 2) && f->sz > f->hdr_off)
		frame_fit_lengths(f);
}

/* random_insert inserts bytes between headers: a tag, an option. */
static inline void random_insert(struct random *r, struct frame *f)
{
	const __u32 sz = 4 << random_below(r, 2);

	if (f->sz < f->data_off || f->sz > FRAME_SZ_MAX - 64)
		return;
	if (random_chance(r, 2)) {
		frame_insert(f, 12, sz);
		frame_store(f->bytes + 12, 4, 0x81000001);
		frame_store(f->bytes + 8 + sz, 4, 0x81000002);
	} else {
		frame_insert(f, f->udp_off, sz);
		f->udp_off += sz;
		if (!f->ipv6)
			f->bytes[f->ip_off] += sz / 4;
	}
}

/* random_mutate breaks one part, most of the time. */
static inline void random_mutate(struct random *r, struct frame *f)
{
	const __u32 records = random_record_cnt(f);

	switch (random_below(r, 12)) {
	case 0:
		random_resize(r, f);
		break;
	case 1:
		random_insert(r, f);
		break;
	case 2:		/* a bit anywhere before the blocks */
		f->bytes[random_below(r, f->data_off)] ^=
			1 << random_below(r, 8);
		break;
	case 3:
		random_move_record(r, f);
		break;
	case 11:	/* by an owner of the key: the later checks apply */
		frame_set_mac(f);
		break;
	case 4: case 5: case 6: case 7:
		if (records && records <= PT_RECORDS_MAX) {
			random_change_field(r, f, &random_record_fields[
				random_below(r, RANDOM_CNT_OF(
					random_record_fields))],
				random_below(r, records) * PT_RECORD_SZ);
			break;
		}
		/* fall through */
	default:
		random_change_field(r, f, &random_fields[random_below(r,
				    RANDOM_CNT_OF(random_fields))], 0);
	}
}

/* random_corpus_frame returns frame number idx of the corpus of that seed.  One
 * in eight is good, the others have one to three mutations. */
static inline void random_corpus_frame(__u64 seed, __u64 idx, struct frame *f)
{
	struct random r = { seed ^ idx * 0xd1342543de82ef95ULL };
	__u32 cnt;

	random_frame(&r, f);
	cnt = random_chance(&r, 8) ? 0 : 1 + random_below(&r, 3);
	while (cnt--)
		random_mutate(&r, f);
}

#endif
