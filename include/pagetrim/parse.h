/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* parse: judges the structure of a frame.  The XDP program and the agent
 * compile this one parser.  Pure; any thread.
 *
 *     pt_parse_packet   outer headers: where is it sent?
 *     pt_parse_header   lengths and frame header; not sealed: its contents, too
 *     pt_header_is_right  of a sealed frame: its keyed check
 *     pt_parse_records  page records
 *     pt_parse_frame    all but the keyed check, for who asks nothing between
 *
 * The contents of a sealed frame, records too, are encrypted.  Its reader opens
 * it, and judges them by pt_parse_contents and pt_parse_records.
 *
 * The rules in order.  The first rule that a frame breaks is its verdict.
 *
 *  passed       1. Ethernet; no VLAN tag or one, 0x8100; IPv4 or IPv6 inside.
 *               2. IPv4: version 4, header length 5, neither more-fragments
 *                  flag nor fragment offset, protocol UDP.  IPv6: version 6,
 *                  next header UDP, destination not ::ffff:0:0/96, which
 *                  never stands on a network.
 *               3. A whole UDP header; its port and the destination address
 *                  are a pt_endpoint that a session opened (the caller asks).
 *  truncated    4. UDP's length fits in IP's, and in the bytes that came.
 *               5. The UDP payload holds a frame header.
 *  bad_magic    6. magic.
 *  bad_version  7. version.
 *  bad_header   8. IP's length is UDP's: nothing stands behind the datagram.
 *                  Bytes behind IP's end are the link's, and ignored.
 *               9. kind known; session not 0; lane 0..63.  Flags: none, and
 *                  then key_epoch and header_mac are zero; or sealed.
 *  truncated   10. The UDP payload is not shorter than payload_sz says,
 *  bad_header  11. ... nor longer.
 *
 *              Contents: of a sealed frame once it was opened, else here.
 *
 *              12. Data: 1..96 records, generation not 0.  Probe: 0 and 0.
 *              13. Compression: none, and then compressed_sz is 0; or, of
 *                  data, 1 or 2, and compressed_sz is above 64 * (block_cnt -
 *                  1), at most 64 * block_cnt.
 *              14. data_off is 64 + 16 * record_cnt, plus 0..63.
 *              15. The payload is data_off + 64 * block_cnt.
 *                  Here the XDP program asks for the session, whether it
 *                  is sealed as the frame is (bad_header), the header's keyed
 *                  check (bad_mac), lane and queue.
 *  bad_record  16. In each record of a data frame, in order:
 *                  (truncated: not in the linear part of the frame)
 *                  BLOCKS: first <= last <= 63; mask within first..last.
 *                  ZEROES, UNREADABLE: first 0, last 63, 1 <= count <= 512, and not
 *                  past page 2^40 - 1.
 *                  COPY: first 0, last 63, the original is another page.
 *                  DELTA: any base, any mask.
 *                  Any other kind is refused.
 *                  It starts not before the end of the record before it.
 *              17. The masks of BLOCKS and DELTA have block_cnt bits, together;
 *                  in a sealed frame that many at most, in a compressed one
 *                  more.
 *
 * The program does not judge Ethernet addresses, VLAN number, IP checksum, UDP
 * source port and checksum, sequence number, pad, and the blocks.  The agent
 * verifies the checksum or tag, which covers all from the frame header on.
 */
#ifndef PAGETRIM_PARSE_H
#define PAGETRIM_PARSE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>

#include <pagetrim/maps.h>
#include <pagetrim/outer.h>
#include <pagetrim/siphash.h>
#include <pagetrim/verdict.h>
#include <pagetrim/wire.h>

/* pt_load reads a field of a packed header.  clang for BPF reads an unaligned
 * field byte by byte.  The CPUs with XDP read it at once; on a CPU that cannot,
 * the verifier refuses the program. */
#ifdef __bpf__
#define pt_load(field) (*(const __typeof__(field) *)(const void *)&(field))
#else
#define pt_load(field) (field)
#endif

/* pt_cursor: the unread rest of a frame's linear part, the bytes up to end. */
struct pt_cursor {
	const void *pos;	/* next unread byte */
	const void *end;	/* one past the last byte; never moves */
};

/* pt_packet: the contents of the outer headers. */
struct pt_packet {
	struct pt_endpoint dst;
	__u32	udp_off;	/* bytes before the UDP header, 34..58 */
	__u32	frame_sz;	/* Ethernet bytes, those past the linear part
				 * included */
	__u32	ip_end_off;	/* bytes before the datagram's end, by IP's
				 * length, and ... */
	__u32	udp_end_off;	/* ... by UDP's length */
};

/* pt_frame: the frame header, in host order.  Its fields are in range if
 * pt_parse_header returned PT_VERDICT_STEERED; contents are 0 in a sealed frame
 * until pt_parse_contents. */
struct pt_frame {
	__u64	session_id;
	__u64	seq;
	__u16	key_epoch;
	__u16	payload_sz;	/* bytes from the frame header on */
	__u8	kind;		/* enum pt_frame_kind */
	__u8	flags;		/* PT_FLAG_* */
	__u8	lane;

	/* ---- contents ---- */
	__u8	record_cnt;
	__u8	compression;	/* enum pt_compression */
	__u32	generation;
	__u16	data_off;	/* bytes from the frame header to block 0 */
	__u16	block_cnt;
	__u16	compressed_sz;	/* compressed: bytes of its blocks in use */
};

/* pt_cursor_take steps over the next sz bytes and returns their start, or NULL,
 * with the cursor unmoved, if fewer are left.  sz is a compile-time constant:
 * the verifier follows a constant step without help. */
static __always_inline const void *pt_cursor_take(struct pt_cursor *c,
						  const __u32 sz)
{
	const __u8 *at = (const __u8 *)c->pos;

	if (at + sz > (const __u8 *)c->end)
		return NULL;
	c->pos = at + sz;
	return at;
}

/* PT_TAKE steps over a struct. */
#define PT_TAKE(c, type) \
	((const struct type *)pt_cursor_take(c, sizeof(struct type)))

/* pt_parse_ipv4 and _ipv6 read an IP header at p->udp_off, and advance that. */
static __always_inline bool pt_parse_ipv4(struct pt_cursor *c,
					  struct pt_packet *p)
{
	const struct pt_ipv4_hdr *ip = PT_TAKE(c, pt_ipv4_hdr);

	if (!ip || ip->version_ihl != PT_IPV4_PLAIN)
		return false;
	if (pt_load(ip->frag_off) & bpf_htons(PT_IPV4_FRAGMENT))
		return false;
	if (ip->protocol != PT_IPPROTO_UDP)
		return false;
	p->dst.addr[10] = 0xff;
	p->dst.addr[11] = 0xff;
	__builtin_memcpy(&p->dst.addr[12], ip->dst, 4);
	p->ip_end_off = p->udp_off + bpf_ntohs(pt_load(ip->total_sz));
	p->udp_off += sizeof(*ip);
	return true;
}

/* pt_is_mapped: the address represents IPv4 in a pt_endpoint. */
static __always_inline bool pt_is_mapped(const __u8 addr[16])
{
	for (int i = 0; i < 10; i++)
		if (addr[i])
			return false;
	return addr[10] == 0xff && addr[11] == 0xff;
}

static __always_inline bool pt_parse_ipv6(struct pt_cursor *c,
					  struct pt_packet *p)
{
	const struct pt_ipv6_hdr *ip = PT_TAKE(c, pt_ipv6_hdr);

	if (!ip || ip->version_class >> 4 != PT_IPV6_VERSION)
		return false;
	if (ip->next_header != PT_IPPROTO_UDP || pt_is_mapped(ip->dst))
		return false;
	__builtin_memcpy(p->dst.addr, ip->dst, sizeof(ip->dst));
	p->udp_off += sizeof(*ip);
	p->ip_end_off = p->udp_off + bpf_ntohs(pt_load(ip->payload_sz));
	return true;
}

/* pt_parse_packet reads the outer headers of a frame of frame_sz Ethernet bytes
 * at c.  False: not ours, whatever its port; else *p is filled and the cursor
 * is at the UDP payload. */
static __always_inline bool pt_parse_packet(struct pt_cursor *c, __u32 frame_sz,
					    struct pt_packet *p)
{
	const struct pt_eth_hdr *eth = PT_TAKE(c, pt_eth_hdr);
	const struct pt_vlan_tag *tag;
	const struct pt_udp_hdr *udp;
	__be16 type;

	if (!eth)
		return false;
	__builtin_memset(p, 0, sizeof(*p));
	p->frame_sz = frame_sz;
	p->udp_off = sizeof(*eth);
	type = pt_load(eth->type);
	if (type == bpf_htons(ETH_P_8021Q)) {
		tag = PT_TAKE(c, pt_vlan_tag);
		if (!tag)
			return false;
		p->udp_off += sizeof(*tag);
		type = pt_load(tag->type);
	}

	if (type == bpf_htons(ETH_P_IP)) {
		if (!pt_parse_ipv4(c, p))
			return false;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		if (!pt_parse_ipv6(c, p))
			return false;
	} else {
		return false;
	}

	udp = PT_TAKE(c, pt_udp_hdr);
	if (!udp)
		return false;
	p->dst.port = pt_load(udp->dst_port);
	p->udp_end_off = p->udp_off + bpf_ntohs(pt_load(udp->sz));
	return true;
}

/* pt_header_is_right: the sender of a sealed frame's header has the session's
 * key. */
static __always_inline bool pt_header_is_right(const struct pt_frame_hdr *h,
					       const __u64 key[2])
{
	return pt_siphash(key, h, PT_HEADER_MACED_SZ) ==
	       pt_siphash_load(h->header_mac);
}

/* pt_header_is_sound judges the fields that are always clear, except for the
 * size of the payload. */
static __always_inline bool pt_header_is_sound(const struct pt_frame_hdr *h,
					       const struct pt_frame *f)
{
	if (f->kind != PT_FRAME_DATA && f->kind != PT_FRAME_PROBE)
		return false;
	if (!f->session_id || f->lane >= PT_LANES_MAX)
		return false;
	if (f->flags == PT_FLAG_SEALED)
		return true;
	return !f->flags && !f->key_epoch && !pt_siphash_load(h->header_mac);
}

/* pt_compression_is_sound judges what says how the blocks are compressed. */
static __always_inline bool pt_compression_is_sound(const struct pt_frame *f)
{
	if (!f->compression)
		return !f->compressed_sz;
	if (f->kind != PT_FRAME_DATA || f->compression >= PT_COMPRESSION_CNT)
		return false;
	return f->compressed_sz <= f->block_cnt * PT_BLOCK_SZ &&
	       f->compressed_sz + PT_BLOCK_SZ > f->block_cnt * PT_BLOCK_SZ &&
	       f->compressed_sz;
}

/* pt_counts_are_sound: a data frame has records, of a generation. */
static __always_inline bool pt_counts_are_sound(const struct pt_frame *f)
{
	if (f->kind == PT_FRAME_PROBE)
		return !f->record_cnt && !f->generation;
	return f->record_cnt && f->record_cnt <= PT_RECORDS_MAX &&
	       f->generation;
}

/* pt_parse_contents reads and judges the rest of a header, which was never
 * sealed, or was opened. */
static __always_inline enum pt_verdict
pt_parse_contents(const struct pt_frame_hdr *h, struct pt_frame *f)
{
	__u32 records_end;

	f->generation = bpf_ntohl(pt_load(h->generation));
	f->record_cnt = h->record_cnt;
	f->compression = h->compression;
	f->data_off = bpf_ntohs(pt_load(h->data_off));
	f->block_cnt = bpf_ntohs(pt_load(h->block_cnt));
	f->compressed_sz = bpf_ntohs(pt_load(h->compressed_sz));

	if (!pt_counts_are_sound(f) || !pt_compression_is_sound(f))
		return PT_VERDICT_BAD_HEADER;
	records_end = PT_FRAME_HDR_SZ + f->record_cnt * PT_RECORD_SZ;
	if (f->data_off < records_end ||
	    f->data_off >= records_end + PT_BLOCK_SZ)
		return PT_VERDICT_BAD_HEADER;
	return f->payload_sz == f->data_off + f->block_cnt * PT_BLOCK_SZ ?
		       PT_VERDICT_STEERED : PT_VERDICT_BAD_HEADER;
}

/* pt_parse_header judges lengths and frame header of a packet that is ours.  c:
 * as pt_parse_packet left it; it is behind the header afterwards if the verdict
 * is PT_VERDICT_STEERED. */
static __always_inline enum pt_verdict
pt_parse_header(struct pt_cursor *c, const struct pt_packet *p,
		struct pt_frame *f)
{
	const struct pt_frame_hdr *h;
	const __u32 payload_off = p->udp_off + sizeof(struct pt_udp_hdr);
	__u32 end_off;

	if (p->udp_end_off > p->ip_end_off || p->udp_end_off > p->frame_sz)
		return PT_VERDICT_TRUNCATED;
	if (p->udp_end_off < payload_off + sizeof(*h))
		return PT_VERDICT_TRUNCATED;
	h = PT_TAKE(c, pt_frame_hdr);
	if (!h)
		return PT_VERDICT_TRUNCATED;

	if (pt_load(h->magic) != bpf_htonl(PT_FRAME_MAGIC))
		return PT_VERDICT_BAD_MAGIC;
	if (h->version != PT_WIRE_VERSION)
		return PT_VERDICT_BAD_VERSION;
	if (p->udp_end_off != p->ip_end_off)
		return PT_VERDICT_BAD_HEADER;

	*f = (struct pt_frame){
		.session_id = bpf_be64_to_cpu(pt_load(h->session_id)),
		.seq = bpf_be64_to_cpu(pt_load(h->seq)),
		.key_epoch = bpf_ntohs(pt_load(h->key_epoch)),
		.payload_sz = bpf_ntohs(pt_load(h->payload_sz)),
		.kind = h->kind,
		.flags = h->flags,
		.lane = h->lane,
		.record_cnt = 0,	/* C++ wants all of them */
		.compression = 0,
		.generation = 0,
		.data_off = 0,
		.block_cnt = 0,
		.compressed_sz = 0,
	};
	if (!pt_header_is_sound(h, f))
		return PT_VERDICT_BAD_HEADER;

	end_off = payload_off + f->payload_sz;
	if (p->udp_end_off < end_off)
		return PT_VERDICT_TRUNCATED;
	if (p->udp_end_off > end_off)
		return PT_VERDICT_BAD_HEADER;
	if (f->flags)
		return PT_VERDICT_STEERED;	/* sealed: there is no more to see */
	return pt_parse_contents(h, f);
}

/* pt_record_is_sound judges one record.  If it is sound, *pos moves from the
 * end of the previous record to its own end, in blocks from the start of
 * memory, and *block_cnt grows by its blocks. */
static __always_inline bool pt_record_is_sound(const struct pt_record *r,
					       __u64 *pos, __u32 *block_cnt)
{
	const __u64 gfn_hi = r->gfn_hi;
	const __u64 gfn = gfn_hi << 32 | bpf_ntohl(pt_load(r->gfn_lo));
	const __u64 mask = bpf_be64_to_cpu(pt_load(r->mask));
	const bool is_delta = r->kind == PT_RECORD_DELTA;
	const __u32 first = is_delta ? 0 : r->first;
	const __u32 last = is_delta ? PT_PAGE_BLOCKS - 1 : r->last;
	__u64 range, end;

	if (first > last || last >= PT_PAGE_BLOCKS)
		return false;
	if (gfn * PT_PAGE_BLOCKS + first < *pos)
		return false;

	range = ~0ULL >> (PT_PAGE_BLOCKS - 1 - last) & ~0ULL << first;
	end = gfn * PT_PAGE_BLOCKS + last + 1;
	if (r->kind == PT_RECORD_BLOCKS || is_delta) {
		if (mask & ~range)
			return false;
		*block_cnt += __builtin_popcountll(mask);
	} else if (~range) {
		return false;	/* the others cover whole pages */
	} else if (r->kind == PT_RECORD_ZEROES ||
		   r->kind == PT_RECORD_UNREADABLE) {
		if (!mask || mask > PT_ZEROES_MAX ||
		    mask > PT_GFN_MAX + 1 - gfn)
			return false;
		end += (mask - 1) * PT_PAGE_BLOCKS;
	} else if (r->kind != PT_RECORD_COPY || (mask & PT_GFN_MAX) == gfn) {
		return false;
	}
	*pos = end;
	return true;
}

/* pt_block_cnt_is_sound: the records name so many blocks. */
static __always_inline bool pt_block_cnt_is_sound(const struct pt_frame *f,
						  __u32 block_cnt)
{
	if (f->compression)
		return block_cnt > f->block_cnt;
	if (f->flags & PT_FLAG_SEALED)
		return block_cnt <= f->block_cnt;
	return block_cnt == f->block_cnt;
}

/* pt_parse_records judges the records of a frame whose contents are sound; as
 * long as they are hidden there are none.  c: at the first record. */
static __always_inline enum pt_verdict
pt_parse_records(struct pt_cursor *c, const struct pt_frame *f)
{
	const struct pt_record *r;
	__u32 block_cnt = 0;
	__u64 pos = 0;

	if (f->kind == PT_FRAME_PROBE)
		return PT_VERDICT_STEERED;
	for (__u32 i = 0; i < PT_RECORDS_MAX && i < f->record_cnt; i++) {
		r = PT_TAKE(c, pt_record);
		if (!r)
			return PT_VERDICT_TRUNCATED;
		if (!pt_record_is_sound(r, &pos, &block_cnt))
			return PT_VERDICT_BAD_RECORD;
	}
	return pt_block_cnt_is_sound(f, block_cnt) ? PT_VERDICT_STEERED :
						     PT_VERDICT_BAD_RECORD;
}

/* pt_parse_frame judges a whole frame, assuming that its destination is an
 * endpoint.  Returns PT_VERDICT_STEERED with *p and *f filled, or the
 * verdict. */
static __always_inline enum pt_verdict
pt_parse_frame(const void *linear, __u32 linear_sz, __u32 frame_sz,
	       struct pt_packet *p, struct pt_frame *f)
{
	struct pt_cursor c = { linear, (const __u8 *)linear + linear_sz };
	enum pt_verdict verdict;

	if (!pt_parse_packet(&c, frame_sz, p))
		return PT_VERDICT_PASSED;
	verdict = pt_parse_header(&c, p, f);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	return pt_parse_records(&c, f);
}

#endif
