/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rows: frames with one fault each, and their verdict.  The BPF program, the
 * parser in user space and the reference reader judge the same rows.  All
 * frames are to an endpoint and a session that exist, lane 0 unless a row
 * differs. */
#ifndef FRAMES_ROWS_H
#define FRAMES_ROWS_H

#include <pagetrim/verdict.h>

#include "row_units.h"
#include "shapes.h"

/* row: sets a field, or changes more; then grows the frame (lengths of IP and
 * UDP fit) and adds a tail behind IP's end (they do not). */
struct row {
	const char *name;
	const struct shape *shape;
	enum pt_verdict want;
	enum part part;
	__u32	off, sz;		/* field in part; sz 0: none */
	__u64	value;
	void	(*change)(struct frame *f);
	int	grow_sz, tail_sz;	/* bytes at the end, may be negative */
};

static void row_double_tag(struct frame *f)
{
	frame_insert(f, 12, 4);
	frame_store(f->bytes + 12, 4, 0x81000047);
}

static void row_service_tag(struct frame *f)
{
	row_double_tag(f);
	frame_store(f->bytes + 12, 2, 0x88a8);
}

/* A router alert that has pagetrim's port where UDP would have it. */
static void row_ipv4_option(struct frame *f)
{
	frame_insert(f, f->udp_off, 4);
	frame_store(f->bytes + f->udp_off, 4, 0x94040000 | FRAME_PORT);
	f->udp_off += 4;
	FRAME_SET(f, PART_IP, struct pt_ipv4_hdr, version_ihl, 0x46);
	FRAME_SET(f, PART_UDP, struct pt_udp_hdr, sz, f->sz - f->udp_off);
}

/* An extension header that has pagetrim's port where UDP would have it: it is
 * an option of 4 bytes of the type 0x41. */
static void row_ipv6_extension(struct frame *f, __u8 kind)
{
	_Static_assert(FRAME_PORT == 0x4104, "reads as an option");
	frame_insert(f, f->udp_off, 8);
	frame_store(f->bytes + f->udp_off, 4,
		    PT_IPPROTO_UDP << 24 | FRAME_PORT);
	f->udp_off += 8;
	FRAME_SET(f, PART_IP, struct pt_ipv6_hdr, next_header, kind);
	FRAME_SET(f, PART_UDP, struct pt_udp_hdr, sz, f->sz - f->udp_off);
}

static void row_hop_by_hop(struct frame *f) { row_ipv6_extension(f, 0); }
static void row_routing(struct frame *f) { row_ipv6_extension(f, 43); }
static void row_ipv6_fragment(struct frame *f) { row_ipv6_extension(f, 44); }
static void row_destination(struct frame *f) { row_ipv6_extension(f, 60); }

/* An address that would equal the key of the IPv4 endpoint. */
static void row_mapped(struct frame *f)
{
	__u8 *dst = f->bytes + f->ip_off + offsetof(struct pt_ipv6_hdr, dst);

	memset(dst, 0, 10);
	memset(dst + 10, 0xff, 2);
	memcpy(dst + 12, frame_ipv4_dst, 4);
	FRAME_SET(f, PART_HDR, struct pt_frame_hdr, session_id, FRAME_SESSION);
}

static void row_set_mask(struct frame *f, __u64 mask)
{
	FRAME_SET(f, PART_RECORDS, struct pt_record, mask, mask);
}

static void row_run_of_5(struct frame *f) { row_set_mask(f, 5); }
static void row_run_of_all(struct frame *f) { row_set_mask(f, 1ULL << 40); }
static void row_copy_of_last(struct frame *f) { row_set_mask(f, PT_GFN_MAX); }

/* The second record becomes a copy into the first's page. */
static void row_copy_into_first(struct frame *f)
{
	frame_set(f, PART_RECORDS, PT_RECORD_SZ + 3, 5, 0x1000);
	frame_set(f, PART_RECORDS, PT_RECORD_SZ + 8, 8, 0x3000);
}

#define SET(p, type, field, to)						\
	.part = (p), .off = offsetof(type, field),			\
	.sz = sizeof(((type *)0)->field), .value = (to)
#define ETH(field, to)	SET(PART_ETH, struct pt_eth_hdr, field, to)
#define IPV4(field, to)	SET(PART_IP, struct pt_ipv4_hdr, field, to)
#define IPV6(field, to)	SET(PART_IP, struct pt_ipv6_hdr, field, to)
#define UDP(field, to)	SET(PART_UDP, struct pt_udp_hdr, field, to)
#define HDR(field, to)	SET(PART_HDR, struct pt_frame_hdr, field, to)
#define REC(i, field, to)						\
	.part = PART_RECORDS, .sz = sizeof(((struct pt_record *)0)->field), \
	.off = (i) * PT_RECORD_SZ + offsetof(struct pt_record, field),	\
	.value = (to)
#define BYTE(p, at, to)	.part = (p), .off = (at), .sz = 1, .value = (to)
#define GFN(i, to)	.part = PART_RECORDS, .sz = 5,			\
			.off = (i) * PT_RECORD_SZ + 3, .value = (to)

/* Bytes of the mixed frame, from UDP on: 6 blocks, 5 records, 6 of pad. */
#define MIXED_UDP_SZ	(8 + 64 + 5 * 16 + 6 + 6 * 64)

#define GOOD(text, of, ...)						\
	{ .name = text, .shape = &shape_##of,				\
	  .want = PT_VERDICT_STEERED, __VA_ARGS__ }
#define BAD(text, of, verdict, ...)					\
	{ .name = text, .shape = &shape_##of,				\
	  .want = PT_VERDICT_##verdict, __VA_ARGS__ }

/* Outer headers: frames of pagetrim, and frames for the kernel. */
static const struct row rows_outer[] = {
	GOOD("IPv4", ipv4),
	GOOD("IPv6", ipv6),
	GOOD("IPv4, a tag", ipv4_vlan),
	GOOD("IPv6, a tag", ipv6_vlan),
	GOOD("12 pages in 49 KB", big),
	GOOD("probe", probe),
	GOOD("probe of 64 KB", big_probe),

	BAD("ARP", ipv4, PASSED, ETH(type, 0x0806)),
	BAD("802.3 length", ipv4, PASSED, ETH(type, 0x0200)),
	BAD("IPv6's type, IPv4 inside", ipv4, PASSED, ETH(type, 0x86dd)),
	BAD("IPv4's type, IPv6 inside", ipv6, PASSED, ETH(type, 0x0800)),
	BAD("service tag alone", ipv4_vlan, PASSED, ETH(type, 0x88a8)),
	BAD("two tags", ipv4_vlan, PASSED, .change = row_double_tag),
	BAD("two tags, IPv6", ipv6_vlan, PASSED, .change = row_double_tag),
	BAD("service tag and tag", ipv4_vlan, PASSED,
	    .change = row_service_tag),
	GOOD("any VLAN", ipv4_vlan, .part = PART_ETH, .off = 14, .sz = 2,
	     .value = 0xffff),
	BAD("tag, ARP inside", ipv4_vlan, PASSED, .part = PART_ETH, .off = 16,
	    .sz = 2, .value = 0x0806),

	BAD("IHL 0", ipv4, PASSED, IPV4(version_ihl, 0x40)),
	BAD("IHL 1", ipv4, PASSED, IPV4(version_ihl, 0x41)),
	BAD("IHL 2", ipv4, PASSED, IPV4(version_ihl, 0x42)),
	BAD("IHL 3", ipv4, PASSED, IPV4(version_ihl, 0x43)),
	BAD("IHL 4", ipv4, PASSED, IPV4(version_ihl, 0x44)),
	BAD("IHL 6", ipv4, PASSED, IPV4(version_ihl, 0x46)),
	BAD("IHL 15", ipv4, PASSED, IPV4(version_ihl, 0x4f)),
	BAD("IPv4 option", ipv4, PASSED, .change = row_ipv4_option),
	BAD("IP version 5 in IPv4", ipv4, PASSED, IPV4(version_ihl, 0x55)),
	BAD("first fragment", ipv4, PASSED, IPV4(frag_off, 0x2000)),
	BAD("second fragment", ipv4, PASSED, IPV4(frag_off, 0x2001)),
	BAD("last fragment", ipv4, PASSED, IPV4(frag_off, 0x0001)),
	BAD("fragment far behind", ipv4, PASSED, IPV4(frag_off, 0x1000)),
	GOOD("may be fragmented", ipv4, IPV4(frag_off, 0)),
	GOOD("reserved IPv4 flag", ipv4, IPV4(frag_off, 0x8000)),
	BAD("TCP", ipv4, PASSED, IPV4(protocol, 6)),
	BAD("UDP-Lite", ipv4, PASSED, IPV4(protocol, 136)),
	BAD("other IPv4 address", ipv4, PASSED, BYTE(PART_IP, 19, 4)),
	BAD("other IPv4 network", ipv4, PASSED, BYTE(PART_IP, 16, 11)),
	GOOD("any source", ipv4, IPV4(src, 0xffffffff)),
	GOOD("any TTL", ipv4, IPV4(ttl, 0)),

	BAD("IP version 7 in IPv6", ipv6, PASSED, IPV6(version_class, 0x70)),
	GOOD("traffic class", ipv6, IPV6(version_class, 0x6f)),
	BAD("TCP over IPv6", ipv6, PASSED, IPV6(next_header, 6)),
	BAD("hop by hop", ipv6, PASSED, .change = row_hop_by_hop),
	BAD("routing header", ipv6, PASSED, .change = row_routing),
	BAD("IPv6 fragment", ipv6, PASSED, .change = row_ipv6_fragment),
	BAD("destination options", ipv6, PASSED, .change = row_destination),
	BAD("other IPv6 network", ipv6, PASSED, BYTE(PART_IP, 24, 0xfc)),
	BAD("other IPv6 address", ipv6, PASSED, BYTE(PART_IP, 39, 0x16)),
	BAD("mapped IPv4 in IPv6", ipv6, PASSED, .change = row_mapped),

	BAD("port below", ipv4, PASSED, UDP(dst_port, FRAME_PORT - 1)),
	BAD("port above", ipv4, PASSED, UDP(dst_port, FRAME_PORT + 1)),
	GOOD("any source port", ipv4, UDP(src_port, 0)),
	GOOD("any UDP checksum", ipv4, UDP(check, 0xffff)),
};

/* Lengths. */
static const struct row rows_lengths[] = {
	BAD("IPv4 total length 0", ipv4, TRUNCATED, IPV4(total_sz, 0)),
	BAD("IPv4 header alone", ipv4, TRUNCATED, IPV4(total_sz, 20)),
	BAD("IPv4 a byte short", ipv4, TRUNCATED,
	    IPV4(total_sz, 20 + MIXED_UDP_SZ - 1)),
	BAD("IPv4 a byte long", ipv4, BAD_HEADER,
	    IPV4(total_sz, 20 + MIXED_UDP_SZ + 1)),
	BAD("IPv4 total length 65535", ipv4, BAD_HEADER,
	    IPV4(total_sz, 65535)),
	BAD("IPv6 jumbogram", ipv6, TRUNCATED, IPV6(payload_sz, 0)),
	BAD("IPv6 a byte short", ipv6, TRUNCATED,
	    IPV6(payload_sz, MIXED_UDP_SZ + 44 - 1)),
	BAD("IPv6 a byte long", ipv6, BAD_HEADER,
	    IPV6(payload_sz, MIXED_UDP_SZ + 44 + 1)),
	BAD("UDP length 0", ipv4, TRUNCATED, UDP(sz, 0)),
	BAD("UDP header alone", ipv4, TRUNCATED, UDP(sz, 8)),
	BAD("UDP a byte short of the header", ipv4, TRUNCATED,
	    UDP(sz, 8 + 63)),
	BAD("UDP to the header's end", ipv4, BAD_HEADER, UDP(sz, 8 + 64)),
	BAD("UDP a byte short", ipv4, BAD_HEADER, UDP(sz, MIXED_UDP_SZ - 1)),
	BAD("UDP a byte long", ipv4, TRUNCATED, UDP(sz, MIXED_UDP_SZ + 1)),
	BAD("UDP length 65535", ipv4, TRUNCATED, UDP(sz, 65535)),

	BAD("datagram a byte short", ipv4, TRUNCATED, .grow_sz = -1),
	BAD("datagram a byte long", ipv4, BAD_HEADER, .grow_sz = 1),
	BAD("datagram a block short", ipv4, TRUNCATED, .grow_sz = -64),
	BAD("datagram a block long", ipv4, BAD_HEADER, .grow_sz = 64),
	BAD("frame a byte short", ipv4, TRUNCATED, .tail_sz = -1),
	GOOD("frame with a tail", ipv4, .tail_sz = 1),
	GOOD("frame with a long tail", ipv6_vlan, .tail_sz = 64),
	BAD("big frame a byte short", big, TRUNCATED, .tail_sz = -1),
	GOOD("big frame with a tail", big, .tail_sz = 4),
	BAD("big datagram a byte short", big, TRUNCATED, .grow_sz = -1),
	BAD("big datagram a byte long", big, BAD_HEADER, .grow_sz = 1),
	BAD("payload a byte longer", ipv4, TRUNCATED,
	    HDR(payload_sz, MIXED_UDP_SZ - 8 + 1)),
	BAD("payload a byte shorter", ipv4, BAD_HEADER,
	    HDR(payload_sz, MIXED_UDP_SZ - 8 - 1)),
	BAD("payload 0", ipv4, BAD_HEADER, HDR(payload_sz, 0)),
	BAD("payload 65535", ipv4, TRUNCATED, HDR(payload_sz, 65535)),
	BAD("sealed, payload a byte longer", sealed, TRUNCATED,
	    HDR(payload_sz, MIXED_UDP_SZ - 8 + 1)),
	BAD("sealed, payload a byte shorter", sealed, BAD_HEADER,
	    HDR(payload_sz, MIXED_UDP_SZ - 8 - 1)),
	BAD("sealed, datagram a byte short", sealed, TRUNCATED, .grow_sz = -1),
	BAD("sealed, datagram a byte long", sealed, BAD_HEADER, .grow_sz = 1),
	BAD("block count one more", ipv4, BAD_HEADER, HDR(block_cnt, 7)),
	BAD("block count one less", ipv4, BAD_HEADER, HDR(block_cnt, 5)),
	BAD("block count 65535", ipv4, BAD_HEADER, HDR(block_cnt, 65535)),
	BAD("probe's block count one more", probe, BAD_HEADER,
	    HDR(block_cnt, 21)),
	BAD("probe's block count one less", probe, BAD_HEADER,
	    HDR(block_cnt, 19)),
};

/* Frame header. */
static const struct row rows_header[] = {
	BAD("magic, first byte", ipv4, BAD_MAGIC, BYTE(PART_HDR, 0, 0x51)),
	BAD("magic, second byte", ipv4, BAD_MAGIC, BYTE(PART_HDR, 1, 0x55)),
	BAD("magic, third byte", ipv4, BAD_MAGIC, BYTE(PART_HDR, 2, 0x53)),
	BAD("magic, last byte", ipv4, BAD_MAGIC, BYTE(PART_HDR, 3, 0x4c)),
	BAD("version 0", ipv4, BAD_VERSION, HDR(version, 0)),
	BAD("version 1", ipv4, BAD_VERSION, HDR(version, 1)),
	BAD("version 2", ipv4, BAD_VERSION, HDR(version, 2)),
	BAD("kind 0", ipv4, BAD_HEADER, HDR(kind, 0)),
	BAD("kind 3", ipv4, BAD_HEADER, HDR(kind, 3)),
	BAD("data called a probe", ipv4, BAD_HEADER, HDR(kind, 2)),
	BAD("probe called data", probe, BAD_HEADER, HDR(kind, 1)),
	GOOD("sealed", sealed),
	GOOD("sealed, a tag", sealed_vlan),
	GOOD("sealed probe", sealed_probe),
	GOOD("sealed, any blocks", sealed, .change = row_one_block_more),
	GOOD("sealed, any generation", sealed, HDR(generation, 0)),
	GOOD("sealed, any number of records", sealed, HDR(record_cnt, 255)),
	GOOD("sealed, any data_off", sealed, HDR(data_off, 0)),
	GOOD("sealed, any block count", sealed, HDR(block_cnt, 65535)),
	GOOD("sealed, any compression", sealed, HDR(compression, 255)),
	GOOD("sealed, any unit", sealed, HDR(compressed_sz, 1)),
	GOOD("sealed, any record", sealed, REC(0, kind, 0)),
	GOOD("sealed probe, any contents", sealed_probe, HDR(record_cnt, 1)),
	BAD("sealed, kind 0", sealed, BAD_HEADER, HDR(kind, 0)),
	BAD("sealed, kind 3", sealed, BAD_HEADER, HDR(kind, 3)),
	BAD("sealed, lane 64", sealed, BAD_HEADER, HDR(lane, 64)),
	BAD("sealed, session 0", sealed, BAD_HEADER, HDR(session_id, 0)),
	BAD("second flag", ipv4, BAD_HEADER, HDR(flags, 2)),
	BAD("third flag", ipv4, BAD_HEADER, HDR(flags, 4)),
	BAD("sealed, second flag", sealed, BAD_HEADER,
	    HDR(flags, PT_FLAG_SEALED | 2)),
	GOOD("compressed by LZ4", ipv4, .change = row_lz4),
	GOOD("compressed by zstd", ipv4, .change = row_zstd),
	GOOD("compressed, one byte of a block", ipv4, .change = row_short_unit),
	BAD("compressed, a block unused", ipv4, BAD_HEADER,
	    .change = row_unused_block),
	BAD("compressed, no byte", ipv4, BAD_HEADER, .change = row_no_unit),
	BAD("compressed, no block", run, BAD_HEADER, .change = row_no_block),
	BAD("compressed, behind its blocks", ipv4, BAD_HEADER,
	    .change = row_long_unit),
	BAD("compressed by the third method", ipv4, BAD_HEADER,
	    .change = row_third_method),
	BAD("compressed probe", probe, BAD_HEADER, .change = row_lz4),
	BAD("compressed, as many blocks as bits", ipv4, BAD_RECORD,
	    .change = row_lz4_as_many),
	BAD("highest flag", ipv4, BAD_HEADER, HDR(flags, 0x80)),
	BAD("sealed, highest flag", sealed, BAD_HEADER,
	    HDR(flags, PT_FLAG_SEALED | 0x80)),
	GOOD("sealed, any key epoch", sealed, HDR(key_epoch, 0xffff)),
	GOOD("sealed, highest seq", sealed, HDR(seq, ~0ULL)),
	BAD("session 0", ipv4, BAD_HEADER, HDR(session_id, 0)),
	GOOD("seq 0", ipv4, HDR(seq, 0)),
	GOOD("highest seq", ipv4, HDR(seq, ~0ULL)),
	BAD("generation 0", ipv4, BAD_HEADER, HDR(generation, 0)),
	GOOD("highest generation", ipv4, HDR(generation, 0xffffffff)),
	GOOD("highest bit of a generation", ipv4, HDR(generation, 1u << 31)),
	BAD("probe of a generation", probe, BAD_HEADER, HDR(generation, 1)),
	GOOD("highest lane", ipv4, HDR(lane, 63)),
	BAD("lane above the highest", ipv4, BAD_HEADER, HDR(lane, 64)),
	BAD("lane 255", ipv4, BAD_HEADER, HDR(lane, 255)),
	BAD("probe, lane above the highest", probe, BAD_HEADER, HDR(lane, 64)),
	BAD("key epoch", ipv4, BAD_HEADER, HDR(key_epoch, 1)),
	BAD("method without a unit", ipv4, BAD_HEADER, HDR(compression, 1)),
	BAD("unit without a method", ipv4, BAD_HEADER,
	    HDR(compressed_sz, 0x0100)),
	BAD("header MAC, first byte", ipv4, BAD_HEADER, BYTE(PART_HDR, 28, 1)),
	BAD("header MAC, last byte", ipv4, BAD_HEADER,
	    BYTE(PART_HDR, 35, 0x80)),
	GOOD("any auth, first byte", ipv4, BYTE(PART_HDR, 36, 0xff)),
	GOOD("any auth, last byte", ipv4, BYTE(PART_HDR, 51, 0xff)),

	BAD("no record", no_record, BAD_HEADER),
	GOOD("96 records", full),
	GOOD("96 records, IPv6, a tag", full_ipv6_vlan),
	BAD("97 records", overfull, BAD_HEADER),
	BAD("probe with a record", probe, BAD_HEADER, HDR(record_cnt, 1)),
	GOOD("no pad", no_pad),
	GOOD("63 bytes of pad", most_pad),
	BAD("64 bytes of pad", too_much_pad, BAD_HEADER),
	BAD("data within the records", one, BAD_HEADER,
	    HDR(data_off, 64 + 16 - 1), .change = row_7_bytes_less),
	GOOD("pad is not judged", ipv4, BYTE(PART_RECORDS, 5 * 16, 0xff)),
};

/* Records.  "one" is blocks 5 and 9 in 5..9 of a page, "run" one zero page,
 * "pieces" 5..9 and 10..20 of a page, all zero; "copies" page 0x1000, two
 * copies and a run, one behind the other. */
static const struct row rows_records[] = {
	BAD("record kind 0", one, BAD_RECORD, REC(0, kind, 0)),
	BAD("zeroes called a delta", run, BAD_RECORD, REC(0, kind, 3)),
	GOOD("zeroes called unreadable", run, REC(0, kind, 5)),
	BAD("record kind 6, no data", run, BAD_RECORD, REC(0, kind, 6)),
	BAD("record kind 255, no data", run, BAD_RECORD, REC(0, kind, 255)),
	BAD("blocks called zeroes", one, BAD_RECORD, REC(0, kind, 2)),
	BAD("blocks called a copy", one, BAD_RECORD, REC(0, kind, 4)),
	BAD("last record's kind", full, BAD_RECORD, REC(95, kind, 0)),
	GOOD("range wider below", one, REC(0, first, 0)),
	BAD("mask below the range", one, BAD_RECORD, REC(0, first, 6)),
	GOOD("range wider above", one, REC(0, last, 63)),
	BAD("mask above the range", one, BAD_RECORD, REC(0, last, 8)),
	BAD("bit below the range", one, BAD_RECORD, REC(0, mask, 0x210)),
	BAD("bit above the range", one, BAD_RECORD, REC(0, mask, 0x420)),
	BAD("lowest bit", one, BAD_RECORD, REC(0, mask, 0x201)),
	BAD("highest bit", one, BAD_RECORD, REC(0, mask, 1ULL << 63 | 0x20)),
	BAD("a bit less than blocks", one, BAD_RECORD, REC(0, mask, 0x200)),
	BAD("a bit more than blocks", one, BAD_RECORD, REC(0, mask, 0x260)),
	BAD("a block more than bits", one, BAD_RECORD,
	    .change = row_one_block_more),
	BAD("a block less than bits", one, BAD_RECORD,
	    .change = row_one_block_less),
	GOOD("range of one block", pieces, REC(0, first, 9)),
	BAD("range upside down", pieces, BAD_RECORD, REC(0, first, 10)),
	GOOD("range to the page's end", pieces, REC(1, last, 63)),
	BAD("range past the page's end", pieces, BAD_RECORD, REC(1, last, 64)),
	BAD("range to 255", pieces, BAD_RECORD, REC(1, last, 255)),
	GOOD("a gap between pieces", pieces, REC(1, first, 11)),
	BAD("pieces overlap", pieces, BAD_RECORD, REC(1, first, 9)),
	GOOD("pieces of two pages", pieces, GFN(1, 0x2000000101)),
	BAD("pages descend", pieces, BAD_RECORD, GFN(1, 0x20000000ff)),
	BAD("pages descend, high byte", pieces, BAD_RECORD,
	    REC(1, gfn_hi, 0x1f)),
	GOOD("first page", pieces, GFN(0, 0)),
	GOOD("last page", one, GFN(0, PT_GFN_MAX)),

	GOOD("longest run", run, REC(0, mask, 512)),
	BAD("run too long", run, BAD_RECORD, REC(0, mask, 513)),
	BAD("run of all memory", run, BAD_RECORD, GFN(0, 0),
	    .change = row_run_of_all),
	GOOD("run to the last page", run, GFN(0, PT_GFN_MAX - 4),
	     .change = row_run_of_5),
	BAD("run past the last page", run, BAD_RECORD, GFN(0, PT_GFN_MAX - 3),
	    .change = row_run_of_5),
	GOOD("run of the last page", run, GFN(0, PT_GFN_MAX)),
	BAD("run that wraps", run, BAD_RECORD, REC(0, mask, ~0ULL)),
	BAD("run of 0 pages", run, BAD_RECORD, REC(0, mask, 0)),
	BAD("run from block 1", run, BAD_RECORD, REC(0, first, 1)),
	BAD("run to block 62", run, BAD_RECORD, REC(0, last, 62)),
	BAD("run to block 64", run, BAD_RECORD, REC(0, last, 64)),
	GOOD("run, then a gap", run_page, REC(0, mask, 4)),
	GOOD("run up to a page", run_page, REC(0, mask, 5)),
	BAD("run over a page", run_page, BAD_RECORD, REC(0, mask, 6)),
	GOOD("page up to a run", page_run),
	BAD("page in a run", page_run, BAD_RECORD, GFN(1, 0x1000)),
	BAD("run, high byte first", run_page, BAD_RECORD, REC(0, gfn_hi, 1)),

	GOOD("copy", copy),
	GOOD("zeroes called a copy", run, REC(0, kind, 4)),
	BAD("copy called blocks", copy, BAD_RECORD, REC(0, kind, 1)),
	BAD("copy called zeroes", copy, BAD_RECORD, REC(0, kind, 2)),
	BAD("copy called a delta", copy, BAD_RECORD, REC(0, kind, 3)),
	GOOD("delta", delta),
	GOOD("delta of the least base", delta, REC(0, last, 0)),
	BAD("delta of a block more", delta, BAD_RECORD, REC(0, mask, 0x7)),
	GOOD("deltas beside others", deltas),
	GOOD("deltas, sealed", sealed_deltas),
	BAD("delta's page again", deltas, BAD_RECORD, REC(2, gfn_lo, 0x1001)),
	BAD("delta in a page", deltas, BAD_RECORD, REC(1, gfn_lo, 0x1000)),
	BAD("delta in a run", run_delta, BAD_RECORD, REC(1, gfn_lo, 0x1004)),
	BAD("copy called unreadable", copy, BAD_RECORD, REC(0, kind, 5)),
	BAD("copy of unknown kind", copy, BAD_RECORD, REC(0, kind, 6)),
	GOOD("unreadable", bad_pages),
	GOOD("most unreadable pages", bad_pages, REC(0, mask, 512)),
	BAD("too many unreadable pages", bad_pages, BAD_RECORD,
	    REC(0, mask, 513)),
	BAD("no unreadable page", bad_pages, BAD_RECORD, REC(0, mask, 0)),
	GOOD("unreadable, to the last page", bad_pages,
	     GFN(0, PT_GFN_MAX - 4)),
	BAD("unreadable, past the last page", bad_pages, BAD_RECORD,
	    GFN(0, PT_GFN_MAX - 3)),
	BAD("unreadable from block 1", bad_pages, BAD_RECORD,
	    REC(0, first, 1)),
	BAD("unreadable to block 62", bad_pages, BAD_RECORD, REC(0, last, 62)),
	BAD("unreadable with a block", bad_pages, BAD_RECORD,
	    .change = row_one_block_more),
	GOOD("unreadable beside others", bad_among),
	BAD("page among unreadable ones", bad_among, BAD_RECORD,
	    GFN(2, 0x1002)),
	BAD("unreadable over the run before", bad_among, BAD_RECORD,
	    GFN(1, 0x1000)),
	BAD("copy from block 1", copy, BAD_RECORD, REC(0, first, 1)),
	BAD("copy from block 63", copy, BAD_RECORD, REC(0, first, 63)),
	BAD("copy to block 0", copy, BAD_RECORD, REC(0, last, 0)),
	BAD("copy to block 62", copy, BAD_RECORD, REC(0, last, 62)),
	BAD("copy to block 64", copy, BAD_RECORD, REC(0, last, 64)),
	GOOD("copy of the first page", copy, REC(0, mask, 0)),
	GOOD("copy of the last page", copy, REC(0, mask, PT_GFN_MAX)),
	GOOD("copy of version 1 of the first page", copy,
	     REC(0, mask, PT_GFN_MAX + 1)),
	GOOD("copy of the last version of the last page", copy,
	     REC(0, mask, ~0ULL)),
	GOOD("copy of version 2^23", copy, REC(0, mask, 1ULL << 63 | 0x2000)),
	BAD("copy of itself in another version", copy, BAD_RECORD,
	    REC(0, mask, 1ULL << 63 | 0x1000)),
	BAD("copy of itself", copy, BAD_RECORD, REC(0, mask, 0x1000)),
	GOOD("copy of the page before", copy, REC(0, mask, 0xfff)),
	GOOD("copy of the page behind", copy, REC(0, mask, 0x1001)),
	GOOD("copy into the first page", copy, GFN(0, 0)),
	GOOD("copy into the last page", copy, GFN(0, PT_GFN_MAX)),
	BAD("last page, copy of itself", copy, BAD_RECORD,
	    GFN(0, PT_GFN_MAX), .change = row_copy_of_last),
	GOOD("copy of a page 2^32 away", copy, GFN(0, 0x100002000)),
	BAD("copy with a block", copy, BAD_RECORD,
	    .change = row_one_block_more),
	GOOD("copies that touch", copies),
	GOOD("copies that touch, sealed", sealed_copies),
	BAD("copy over the page before", copies, BAD_RECORD, GFN(1, 0x1000)),
	BAD("page over the copy behind", copies, BAD_RECORD, GFN(0, 0x1001)),
	BAD("copy over the piece before", copies, BAD_RECORD,
	    REC(0, last, 0), .change = row_copy_into_first),
	BAD("copy twice", copies, BAD_RECORD, GFN(2, 0x1001)),
	BAD("copies descend", copies, BAD_RECORD, GFN(2, 0xfff)),
	BAD("copies descend, high byte", copies, BAD_RECORD,
	    REC(1, gfn_hi, 1)),
	BAD("copy over the run behind", copies, BAD_RECORD, GFN(2, 0x1003)),
	BAD("run over the copy before", copies, BAD_RECORD, GFN(3, 0x1002)),
	BAD("last copy's original", copies, BAD_RECORD,
	    REC(2, mask, 0x1002)),
};

#define ROW_LISTS(X)							\
	X(rows_outer) X(rows_lengths) X(rows_header) X(rows_records)

/* row_build makes the row's frame. */
static inline void row_build(const struct row *row, struct frame *f)
{
	frame_build(f, row->shape);
	if (row->sz)
		frame_set(f, row->part, row->off, row->sz, row->value);
	if (row->change)
		row->change(f);
	if (row->shape->flags & PT_FLAG_SEALED)
		frame_set_mac(f);
	if (row->grow_sz) {
		f->sz += row->grow_sz;
		frame_fit_lengths(f);
	}
	f->sz += row->tail_sz;
}

#endif
