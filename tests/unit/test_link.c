// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <endian.h>
#include <pagetrim/parse.h>

/* The headers of a payload of 87 bytes, as constants.  The IPv4 header is one
 * whose checksum is published: 0xb861 for 192.168.0.1 -> 192.168.0.199, 115
 * bytes. */
static const struct row {
	const char *name;
	struct pt_link link;
	__u32 sz;
	__u8 want[66];
} rows[] = {
	{ "IPv4", {
		{ 2, 0, 0, 0, 0, 0xa }, { 2, 0, 0, 0, 0, 0xb }, 0, false,
		ADDR4(192, 168, 0, 1), ADDR4(192, 168, 0, 199), 0xc351, 16644,
	}, 42, {
		2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x08, 0x00,
		0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61,
		0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7,
		0xc3, 0x51, 0x41, 0x04, 0, 0x5f, 0, 0,
	} },
	{ "IPv4, VLAN 291", {
		{ 2, 0, 0, 0, 0, 0xa }, { 2, 0, 0, 0, 0, 0xb }, 0x123, false,
		ADDR4(192, 168, 0, 1), ADDR4(192, 168, 0, 199), 0xc351, 16644,
	}, 46, {
		2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x81, 0, 0x01, 0x23,
		0x08, 0x00,
		0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61,
		0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7,
		0xc3, 0x51, 0x41, 0x04, 0, 0x5f, 0, 0,
	} },
	{ "IPv6", {
		{ 2, 0, 0, 0, 0, 0xa }, { 2, 0, 0, 0, 0, 0xb }, 0, true,
		ADDR6(0xaa), ADDR6(0xbb), 0xc351, 16644,
	}, 62, {
		2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 0x5f, 0x11, 0x40,
		0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xaa,
		0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbb,
		0xc3, 0x51, 0x41, 0x04, 0, 0x5f, 0, 0,
	} },
	{ "IPv6, VLAN 4094", {
		{ 2, 0, 0, 0, 0, 0xa }, { 2, 0, 0, 0, 0, 0xb }, 4094, true,
		ADDR6(0xaa), ADDR6(0xbb), 0xc351, 16644,
	}, 66, {
		2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x81, 0, 0x0f, 0xfe,
		0x86, 0xdd,
		0x60, 0, 0, 0, 0, 0x5f, 0x11, 0x40,
		0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xaa,
		0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbb,
		0xc3, 0x51, 0x41, 0x04, 0, 0x5f, 0, 0,
	} },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	__u8 frame[80];

	memset(frame, 0xee, sizeof(frame));
	assert_int_equal(pt_link_sz(&row->link), row->sz);
	assert_ptr_equal(pt_link_write(&row->link, frame, 87),
			 frame + row->sz);
	assert_memory_equal(frame, row->want, row->sz);
	for (__u32 i = row->sz; i < sizeof(frame); i++)
		assert_int_equal(frame[i], 0xee);
}

/* The header's words and its checksum must add up to 0xffff, even in the few
 * that carry twice. */
static void test_ipv4_checksum(void **state)
{
	struct pt_link link = kit_links[0].link;
	__u64 random = 1;
	__u8 frame[42];

	(void)state;
	for (int i = 0; i < 500000; i++) {
		__u32 sum = 0;

		kit_fill(&link.src_addr[12], 4, &random);
		kit_fill(&link.dst_addr[12], 4, &random);
		pt_link_write(&link, frame, i % 1500);
		for (int at = 14; at < 34; at += 2)
			sum += frame[at] << 8 | frame[at + 1];
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		assert_int_equal(sum, 0xffff);
	}
}

static void test_parser_understands(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(kit_links); i++) {
		const struct pt_link *link = &kit_links[i].link;
		struct pt_packet p;
		__u8 frame[66];
		struct pt_cursor c = { frame, frame + sizeof(frame) };
		__u8 *payload = pt_link_write(link, frame, 1000);

		assert_int_equal(kit_links[i].sz, pt_link_sz(link));
		assert_true(pt_parse_packet(&c, kit_links[i].sz + 1000, &p));
		assert_ptr_equal(c.pos, payload);
		assert_memory_equal(p.dst.addr, link->dst_addr, 16);
		assert_int_equal(be16toh(p.dst.port), link->dst_port);
		assert_int_equal(p.udp_end_off, kit_links[i].sz + 1000);
		assert_int_equal(p.ip_end_off, p.udp_end_off);
	}
}

static void test_frame_sz_max(void **state)
{
	(void)state;
	assert_int_equal(pt_link_frame_sz_max(&kit_links[0].link, 1500), 1514);
	assert_int_equal(pt_link_frame_sz_max(&kit_links[1].link, 1500), 1518);
	assert_int_equal(pt_link_frame_sz_max(&kit_links[2].link, 1500), 1514);
	assert_int_equal(pt_link_frame_sz_max(&kit_links[3].link, 1500), 1518);
}

static void largest_ipv4(void)
{
	__u8 frame[66];

	pt_link_write(&kit_links[0].link, frame, 65535 - 28);
}

static void too_large_ipv4(void)
{
	__u8 frame[66];

	pt_link_write(&kit_links[0].link, frame, 65535 - 27);
}

static void largest_ipv6(void)
{
	__u8 frame[66];

	pt_link_write(&kit_links[2].link, frame, 65535 - 48);
}

static void too_large_ipv6(void)
{
	__u8 frame[66];

	pt_link_write(&kit_links[2].link, frame, 65535 - 47);
}

static void vlan_4095(void)
{
	struct pt_link link = kit_links[1].link;
	__u8 frame[66];

	link.vlan = 4095;
	pt_link_write(&link, frame, 0);
}

static void test_checks(void **state)
{
	(void)state;
	assert_false(kit_aborts(largest_ipv4));
	assert_true(kit_aborts(too_large_ipv4));
	assert_false(kit_aborts(largest_ipv6));
	assert_true(kit_aborts(too_large_ipv6));
	assert_true(kit_aborts(vlan_4095));
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(rows) + 4];
	size_t cnt = 0;

	for (; cnt < COUNT_OF(rows); cnt++)
		tests[cnt] = (struct CMUnitTest){
			.name = rows[cnt].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[cnt],
		};
	tests[cnt++] = (struct CMUnitTest)cmocka_unit_test(test_ipv4_checksum);
	tests[cnt++] =
		(struct CMUnitTest)cmocka_unit_test(test_parser_understands);
	tests[cnt++] = (struct CMUnitTest)cmocka_unit_test(test_frame_sz_max);
	tests[cnt++] = (struct CMUnitTest)cmocka_unit_test(test_checks);
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
