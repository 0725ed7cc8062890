// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/parse.h>

#include "wire/reader.h"
#include "wire/checksum.h"

#define AUTH_OFF	offsetof(struct pt_frame_hdr, auth)

/* untagged_sz returns the bytes of a packet without its VLAN tag. */
static __u32 untagged_sz(const struct pt_packet *p)
{
	__u32 ip_sz = p->udp_off - sizeof(struct pt_eth_hdr);
	bool is_tagged = ip_sz != sizeof(struct pt_ipv4_hdr) &&
			 ip_sz != sizeof(struct pt_ipv6_hdr);

	return p->udp_end_off - (is_tagged ? sizeof(struct pt_vlan_tag) : 0);
}

/* take_payload clips the spans to the UDP payload. */
static void take_payload(struct pt_reader *r, const struct pt_span *spans,
			 __u32 off, __u32 payload_sz)
{
	__u32 left = payload_sz;
	__u32 i = 0;

	while (left) {
		__u32 sz = spans[i].sz - off;

		r->spans[i].base = spans[i].base + off;
		r->spans[i].sz = sz < left ? sz : left;
		left -= r->spans[i++].sz;
		off = 0;
	}
	r->span_cnt = i;
}

/* take_contents takes over what the parser found. */
static void take_contents(struct pt_reader *r, const struct pt_frame *frame)
{
	r->id.generation = frame->generation;
	r->record_cnt = frame->record_cnt;
	r->block_cnt = frame->block_cnt;
	r->data_off = frame->data_off;
	r->compression = frame->compression;
	r->compressed_sz = frame->compressed_sz;
	r->is_compressed = frame->compression;
	r->is_sound = true;
	pt_reader_rewind(r);
}

enum pt_verdict pt_reader_open(struct pt_reader *r,
			       const struct pt_span *spans,
			       unsigned int span_cnt)
{
	enum pt_verdict verdict;
	struct pt_packet packet;
	struct pt_frame frame;

	pt_check(span_cnt >= 1 && span_cnt <= PT_SPANS_MAX);
	r->frame_sz = 0;
	for (unsigned int i = 0; i < span_cnt; i++)
		r->frame_sz += spans[i].sz;

	verdict = pt_parse_frame(spans->base, spans->sz, r->frame_sz, &packet,
				 &frame);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;

	r->id = (struct pt_frame_id){
		.session_id = frame.session_id,
		.seq = frame.seq,
		.lane = frame.lane,
		.key_epoch = frame.key_epoch,
	};
	r->dst = packet.dst;
	r->sent_sz = untagged_sz(&packet);
	r->payload_sz = frame.payload_sz;
	r->kind = frame.kind;
	r->is_sealed = frame.flags & PT_FLAG_SEALED;
	take_payload(r, spans, packet.udp_off + sizeof(struct pt_udp_hdr),
		     frame.payload_sz);
	if (r->is_sealed)
		r->is_sound = false;
	else
		take_contents(r, &frame);
	return PT_VERDICT_STEERED;
}

/* The field counts as zero, and is zeroed in place, since the hash is fastest
 * over contiguous bytes. */
bool pt_reader_auth_ok(struct pt_reader *r)
{
	struct pt_frame_hdr *hdr = (void *)r->spans->base;
	__u8 said[PT_AUTH_SZ], want[PT_AUTH_SZ];

	if (r->is_sealed)
		return false;
	memcpy(said, hdr->auth, sizeof(said));
	memset(hdr->auth, 0, sizeof(hdr->auth));
	pt_checksum(r->spans, r->span_cnt, want);
	memcpy(hdr->auth, said, sizeof(said));
	return !memcmp(want, said, sizeof(want));
}

/* judge_contents judges what was decrypted, as the parser does where it is in
 * clear, and takes it over if it is sound. */
static void judge_contents(struct pt_reader *r)
{
	const struct pt_frame_hdr *hdr = r->spans->base;
	struct pt_cursor c = { hdr + 1, r->spans->base + r->spans->sz };
	struct pt_frame frame = {
		.kind = r->kind,
		.flags = PT_FLAG_SEALED,
		.payload_sz = r->payload_sz,
	};

	if (pt_parse_contents(hdr, &frame) == PT_VERDICT_STEERED &&
	    pt_parse_records(&c, &frame) == PT_VERDICT_STEERED)
		take_contents(r, &frame);
}

void pt_reader_open_again(struct pt_reader *r, const struct pt_span *spans,
			  unsigned int span_cnt)
{
	pt_check(pt_reader_open(r, spans, span_cnt) == PT_VERDICT_STEERED);
	if (r->is_sealed)
		judge_contents(r);
	pt_check(r->is_sound);
}

bool pt_reader_unseal(struct pt_reader *r, struct pt_seal *seal)
{
	const struct pt_frame_hdr *hdr = r->spans->base;
	const struct pt_span clear = { hdr, AUTH_OFF };
	__u32 off = PT_HIDDEN_OFF;

	if (!r->is_sealed ||
	    r->id.key_epoch != pt_seal_key_epoch(seal, r->kind, r->id.seq))
		return false;
	if (!pt_unseal_start(seal, r->kind, r->id.seq, clear))
		return false;
	for (__u32 i = 0; i < r->span_cnt; i++, off = 0)
		pt_unseal_take(seal, (void *)r->spans[i].base + off,
			       r->spans[i].sz - off);
	if (!pt_unseal_finish(seal, hdr->auth))
		return false;
	judge_contents(r);
	return true;
}

/* skip advances the position of the next block by sz bytes. */
static void skip(struct pt_reader *r, __u32 sz)
{
	r->span_off += sz;
	while (r->span_idx < r->span_cnt &&
	       r->span_off >= r->spans[r->span_idx].sz)
		r->span_off -= r->spans[r->span_idx++].sz;
}

void pt_reader_rewind(struct pt_reader *r)
{
	r->record_idx = 0;
	r->blocks_left = 0;
	r->span_idx = 0;
	r->span_off = 0;
	skip(r, r->data_off);
}

bool pt_reader_next(struct pt_reader *r, struct pt_record_host *out)
{
	const struct pt_frame_hdr *hdr = r->spans->base;
	const struct pt_record *records = (const void *)(hdr + 1);

	pt_check(r->is_sound);
	skip(r, r->blocks_left * PT_BLOCK_SZ);
	r->blocks_left = 0;
	if (r->record_idx == r->record_cnt)
		return false;
	pt_record_read(out, &records[r->record_idx++]);
	r->blocks_left = pt_record_block_cnt(out);
	return true;
}

__u32 pt_reader_load(struct pt_reader *r)
{
	struct pt_record_host record;
	__u32 load = 0;

	pt_reader_rewind(r);
	while (pt_reader_next(r, &record))
		load += pt_record_load(&record);
	pt_reader_rewind(r);
	return load;
}

/* raw_sz returns the bytes of the blocks that the records name. */
static __u32 raw_sz(struct pt_reader *r)
{
	struct pt_record_host record;
	__u32 cnt = 0;

	while (pt_reader_next(r, &record))
		cnt += pt_record_block_cnt(&record);
	pt_reader_rewind(r);
	return cnt * PT_BLOCK_SZ;
}

/* join returns the blocks' sz bytes in one piece, in `to` if they are in
 * several. */
static const __u8 *join(const struct pt_reader *r, __u32 sz, __u8 *to)
{
	const struct pt_span *s = &r->spans[r->span_idx];
	__u32 off = r->span_off, done = 0;

	if (s->sz - off >= sz)
		return (const __u8 *)s->base + off;
	for (; done < sz; s++, off = 0) {
		__u32 part = s->sz - off < sz - done ? s->sz - off : sz - done;

		memcpy(to + done, (const __u8 *)s->base + off, part);
		done += part;
	}
	return to;
}

static bool is_zero(const __u8 *bytes, __u32 sz)
{
	for (__u32 i = 0; i < sz; i++)
		if (bytes[i])
			return false;
	return true;
}

/* The records stay in the first span, and the decompressed blocks become the
 * second. */
bool pt_reader_decompress(struct pt_reader *r, struct pt_decompressor *d)
{
	__u32 sz = r->block_cnt * PT_BLOCK_SZ;
	const __u8 *data, *raw;
	__u32 raw_bytes;

	pt_check(r->is_sound && r->is_compressed);
	raw_bytes = raw_sz(r);		/* at least block_cnt, by the parser */
	data = join(r, sz, pt_decompressor_input(d));
	if (!is_zero(data + r->compressed_sz, sz - r->compressed_sz))
		return false;
	raw = pt_decompressor_run(d, r->compression, data, r->compressed_sz,
				  raw_bytes);
	if (!raw)
		return false;
	if (r->spans[0].sz > r->data_off)
		r->spans[0].sz = r->data_off;
	r->data_off = r->spans[0].sz;
	r->spans[1] = (struct pt_span){ raw, raw_bytes };
	r->span_cnt = 2;
	r->is_compressed = false;
	pt_reader_rewind(r);
	return true;
}

/* gather copies the next block, which lies in several spans, to the bounce
 * buffer. */
static const void *gather(struct pt_reader *r)
{
	__u32 done = 0;

	while (done < PT_BLOCK_SZ) {
		const struct pt_span *s = &r->spans[r->span_idx];
		__u32 sz = s->sz - r->span_off;

		if (sz > PT_BLOCK_SZ - done)
			sz = PT_BLOCK_SZ - done;
		memcpy(r->bounce + done, s->base + r->span_off, sz);
		done += sz;
		skip(r, sz);
	}
	r->blocks_left--;
	return r->bounce;
}

const void *pt_reader_blocks(struct pt_reader *r, unsigned int want,
			     unsigned int *got)
{
	const struct pt_span *s;
	const void *at;
	__u32 here;

	pt_check(r->is_sound && !r->is_compressed);
	*got = 0;
	if (want > r->blocks_left)
		want = r->blocks_left;
	if (!want)
		return NULL;

	/* Sound records have as many blocks as the payload, so there is a
	 * span. */
	s = &r->spans[r->span_idx];
	here = (s->sz - r->span_off) / PT_BLOCK_SZ;
	if (!here) {
		*got = 1;
		return gather(r);
	}
	*got = want < here ? want : here;
	at = s->base + r->span_off;
	r->blocks_left -= *got;
	skip(r, *got * PT_BLOCK_SZ);
	return at;
}
