// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <endian.h>
#include <pagetrim/wire.h>
#include <string.h>

#include "../net/wire_parts.h"

/* ---- frames that are judged ------------------------------------------ */

/* A data frame over IPv4, untagged: lane 3, seq 9. */
struct frame {
	__u8 eth[14];
	__u8 ip[20];
	__u8 udp[8];
	struct pt_frame_hdr h;
} __attribute__((packed));

static struct frame good_frame(void)
{
	struct frame f = { 0 };

	f.eth[12] = 0x08;
	f.ip[0] = 0x45;
	f.ip[9] = IPPROTO_UDP;
	f.udp[2] = PT_UDP_PORT >> 8;
	f.udp[3] = PT_UDP_PORT & 0xff;
	f.h.magic = htonl(PT_FRAME_MAGIC);
	f.h.kind = PT_FRAME_DATA;
	f.h.lane = 3;
	f.h.seq = htobe64(9);
	return f;
}

struct byte {
	const char *name;
	size_t at;
	__u8 with;
	enum wire_class want;
};

#define AT(field) offsetof(struct frame, field)
static struct byte byte_rows[] = {
	{ "a data frame", AT(h.kind), PT_FRAME_DATA, WIRE_DATA },
	{ "a probe", AT(h.kind), PT_FRAME_PROBE, WIRE_PROBE },
	{ "a kind of later", AT(h.kind), 3, WIRE_OTHER },
	{ "no lane 64", AT(h.lane), 64, WIRE_OTHER },
	{ "another version is data too", AT(h.version), 77, WIRE_DATA },
	{ "another magic", AT(h.magic), 0, WIRE_OTHER },
	{ "another port", AT(udp) + 3, 1, WIRE_OTHER },
	{ "TCP", AT(ip) + 9, IPPROTO_TCP, WIRE_OTHER },
	{ "IPv4 options", AT(ip), 0x46, WIRE_OTHER },
	{ "more fragments", AT(ip) + 6, 0x20, WIRE_OTHER },
	{ "a later fragment", AT(ip) + 7, 1, WIRE_OTHER },
	{ "do not fragment", AT(ip) + 6, 0x40, WIRE_DATA },
	{ "ARP", AT(eth) + 13, 0x06, WIRE_OTHER },
};

static void test_byte(void **state)
{
	const struct byte *row = *state;
	struct frame f = good_frame();
	struct wire_id id = { 0 };

	((__u8 *)&f)[row->at] = row->with;
	assert_int_equal(wire_classify(&f, sizeof(f), PT_UDP_PORT, &id),
			 row->want);
	if (row->want != WIRE_DATA)
		return;
	assert_int_equal(id.lane, 3);
	assert_int_equal(id.seq, 9);
}

static void test_cut_at_every_byte(void **state)
{
	struct frame f = good_frame();
	struct wire_id id;

	(void)state;
	for (size_t sz = 0; sz < sizeof(f); sz++)
		assert_int_equal(wire_classify(&f, sz, PT_UDP_PORT, &id),
				 WIRE_OTHER);
}

/* The same behind a VLAN tag, and over IPv6. */
static void test_tagged_and_ipv6(void **state)
{
	struct frame f = good_frame();
	__u8 tagged[sizeof(f) + 4], ipv6[sizeof(f) + 20] = { 0 };
	struct wire_id id = { 0 };

	(void)state;
	memcpy(tagged, &f, 12);
	memcpy(tagged + 12, "\x81\x00\x00\x05", 4);
	memcpy(tagged + 16, (__u8 *)&f + 12, sizeof(f) - 12);
	assert_int_equal(wire_classify(tagged, sizeof(tagged), PT_UDP_PORT,
				       &id), WIRE_DATA);
	assert_int_equal(id.seq, 9);

	memcpy(ipv6 + 12, "\x86\xdd\x60", 3);
	ipv6[14 + 6] = IPPROTO_UDP;
	memcpy(ipv6 + 54, f.udp, sizeof(f.udp) + sizeof(f.h));
	id.seq = 0;
	assert_int_equal(wire_classify(ipv6, sizeof(ipv6), PT_UDP_PORT, &id),
			 WIRE_DATA);
	assert_int_equal(id.seq, 9);
}

/* ---- parts of a frame ------------------------------------------------ */

/* Records end at 138 + 14, the pad at 42 + 128, one block behind it. */
#define FRAME_SZ	(42 + 128 + 64)

static void parts_of_good(struct wire_parts *parts)
{
	struct frame f = good_frame();

	f.h.record_cnt = 2;
	f.h.data_off = htons(128);
	assert_true(wire_parts_find(&f, sizeof(f), FRAME_SZ, PT_UDP_PORT,
				    parts));
}

static void test_parts(void **state)
{
	static const __u32 want[] = { 0, 42, 78, 94, 106, 138, 170,
				      FRAME_SZ };
	static const __u32 sealed[] = { 0, 42, 78, 94, FRAME_SZ, FRAME_SZ,
					FRAME_SZ, FRAME_SZ };
	struct frame f = good_frame();
	struct wire_parts parts;

	(void)state;
	parts_of_good(&parts);
	assert_memory_equal(parts.off, want, sizeof(want));
	f.h.flags = PT_FLAG_SEALED;
	f.h.record_cnt = 255;		/* encrypted, in truth */
	assert_true(wire_parts_find(&f, sizeof(f), FRAME_SZ, PT_UDP_PORT,
				    &parts));
	assert_memory_equal(parts.off, sealed, sizeof(sealed));
	f.h.flags = 0;
	f.h.record_cnt = 5;		/* past data_off */
	f.h.data_off = htons(128);
	assert_false(wire_parts_find(&f, sizeof(f), FRAME_SZ, PT_UDP_PORT,
				     &parts));
	f.h.record_cnt = 2;		/* data_off past the end */
	assert_false(wire_parts_find(&f, sizeof(f), 169, PT_UDP_PORT, &parts));
	f.h.magic = 0;
	assert_false(wire_parts_find(&f, sizeof(f), FRAME_SZ, PT_UDP_PORT,
				     &parts));
}

/* Every bit of every wanted part is hit, no other, and every part alike. */
static void test_bits(void **state)
{
	struct wire_parts parts;
	unsigned hits[WIRE_PART_CNT] = { 0 };
	bool seen[FRAME_SZ * 8] = { 0 };
	enum wire_part part;
	__u32 bit;

	(void)state;
	parts_of_good(&parts);
	for (__u64 at = 0; at < 1ULL << 32; at += 65521) {
		assert_true(wire_parts_bit(&parts, WIRE_PARTS_ALL, at, &part,
					   &bit));
		assert_true(bit >= parts.off[part] * 8 &&
			    bit < parts.off[part + 1] * 8);
		seen[bit] = true;
		hits[part]++;
	}
	for (unsigned i = 0; i < FRAME_SZ * 8; i++)
		assert_true(seen[i]);
	for (unsigned i = 0; i < WIRE_PART_CNT; i++)
		assert_true(hits[i] > 65000 / 7 && hits[i] < 66500 / 7);
}

static void test_bits_of_a_part(void **state)
{
	struct wire_parts parts;
	enum wire_part part;
	__u32 bit;

	(void)state;
	parts_of_good(&parts);
	for (unsigned p = 0; p < WIRE_PART_CNT; p++) {
		assert_true(wire_parts_bit(&parts, 1u << p, 0, &part, &bit));
		assert_int_equal(bit, parts.off[p] * 8);
		assert_true(wire_parts_bit(&parts, 1u << p, ~0U, &part, &bit));
		assert_int_equal(bit, parts.off[p + 1] * 8 - 1);
		assert_int_equal(part, p);
	}
	parts.off[WIRE_PART_PAD] = parts.off[WIRE_PART_BLOCKS];
	assert_false(wire_parts_bit(&parts, 1u << WIRE_PART_PAD, 0, &part,
				    &bit));
}

static void test_cuts(void **state)
{
	(void)state;
	assert_int_equal(wire_cut_sz(9014, 0), 60);
	assert_int_equal(wire_cut_sz(9014, ~0U), 9013);
	assert_int_equal(wire_cut_sz(61, ~0U), 60);
}

#define CNT(rows)	(sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_tagged_and_ipv6),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_bits_of_a_part),
		cmocka_unit_test(test_cuts),
	};
	struct CMUnitTest tests[CNT(plain) + CNT(byte_rows)];
	size_t cnt = 0;

	for (size_t i = 0; i < CNT(plain); i++)
		tests[cnt++] = plain[i];
	for (size_t i = 0; i < CNT(byte_rows); i++)
		tests[cnt++] = (struct CMUnitTest){
			.name = byte_rows[i].name,
			.test_func = test_byte,
			.initial_state = &byte_rows[i],
		};
	return cmocka_run_group_tests_name("wire_parts", tests, NULL, NULL);
}
