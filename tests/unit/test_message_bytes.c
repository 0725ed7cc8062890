// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Messages byte for byte, and with one fault each. */
#include "messages_kit.h"

/* The bytes, as in the documents and other implementations. */
static const struct golden {
	const char *name;
	unsigned type;
	const char *hex;
} goldens[] = {
	{ "HELLO bytes", PT_MSG_HELLO,
	  "00000011" "0001" "0000" "50544354" "0001" "0003"
	  "00000000000000f0" "01" },
	{ "OFFER bytes", PT_MSG_OFFER,
	  "0000001a" "0002" "0000" "4104" "00002328" "00002336" "00000f00"
	  "000e" "00000003" "0000" "0001" "0007" },
	{ "SEGMENT bytes", PT_MSG_SEGMENT,
	  "00000015" "0004" "0000" "0000000000000200" "0000000000001001"
	  "0003" "72616d" },
	{ "FILE_DATA bytes", PT_MSG_FILE_DATA,
	  "00000007" "0006" "0000" "00000003" "610062" },
	{ "ACK bytes", PT_MSG_ACK,
	  "00000032" "000c" "0000" "0001" "0000000000000050"
	  "00000000000000f0" "00000800" "00000002"
	  "0000000000000004" "00000001" "0000000000000046" "00000005" },
	{ "VERIFY bytes", PT_MSG_VERIFY,
	  "00000014" "000f" "0000" "00000002" "0000000000000064"
	  "00000000000000c8" },
	{ "BYE bytes", PT_MSG_BYE, "00000000" "0019" "0000" },
};

static void test_golden(void **state)
{
	const struct golden *g = *state;
	const struct pt_message good = good_message(g->type);
	char hex[2 * 128 + 1] = "";
	unsigned sz = encode(&good);

	assert_true(sz <= 128);
	for (unsigned i = 0; i < sz; i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
	assert_string_equal(hex, g->hex);
}

/* Each row breaks one thing of a good message: n bytes at at of the payload
 * become value. */
static const struct row {
	const char *name;
	unsigned type, at, n;
	__u64 value;
	const char *field;	/* named by the error; NULL: it is accepted */
} rows[] = {
	{ "HELLO of another protocol", PT_MSG_HELLO, 0, 4, 0x50544355,
	  "magic" },
	{ "HELLO with version 0", PT_MSG_HELLO, 4, 2, 0, "version_min" },
	{ "HELLO with role 3", PT_MSG_HELLO, 16, 1, 3, "role" },
	{ "port 0", PT_MSG_OFFER, 0, 2, 0, "udp_port" },
	{ "mtu 1280", PT_MSG_OFFER, 2, 4, 1280, NULL },
	{ "mtu 1279", PT_MSG_OFFER, 2, 4, 1279, "mtu" },
	{ "mtu 65536", PT_MSG_OFFER, 2, 4, 65536, "mtu" },
	{ "queue 255", PT_MSG_OFFER, 20, 2, 255, NULL },
	{ "queue 256", PT_MSG_OFFER, 20, 2, 256, "queue: item 0" },
	{ "no queues", PT_MSG_OFFER, 16, 4, 0, "queue" },
	{ "queues cut", PT_MSG_OFFER, 16, 4, 4, "queue" },
	{ "lane_cnt 64", PT_MSG_OPEN, 32, 2, 64, NULL },
	{ "lane_cnt 65", PT_MSG_OPEN, 32, 2, 65, "lane_cnt" },
	{ "trim 3", PT_MSG_OPEN, 34, 1, 3, "trim" },
	{ "cipher 3", PT_MSG_OPEN, 35, 1, 3, NULL },
	{ "cipher 4", PT_MSG_OPEN, 35, 1, 4, "cipher" },
	{ "keys for 2^16 frames", PT_MSG_OPEN, 36, 1, 16, NULL },
	{ "keys for 2^15 frames", PT_MSG_OPEN, 36, 1, 15, "rekey_log2" },
	{ "keys for 2^23 frames", PT_MSG_OPEN, 36, 1, 23, "rekey_log2" },
	{ "resume 2", PT_MSG_OPEN, 37, 1, 2, "resume" },
	{ "no segments", PT_MSG_OPEN, 38, 4, 0, "segment_cnt" },
	{ "65537 segments", PT_MSG_OPEN, 38, 4, 65537, "segment_cnt" },
	{ "name with a newline", PT_MSG_OPEN, 48, 1, '\n', "name" },
	{ "name not UTF-8", PT_MSG_OPEN, 48, 1, 0xff, "name" },
	{ "gfn at 2^40 - 1", PT_MSG_SEGMENT, 0, 8, (1ULL << 40) - 1, NULL },
	{ "gfn at 2^40", PT_MSG_SEGMENT, 0, 8, 1ULL << 40, "gfn" },
	{ "empty segment", PT_MSG_SEGMENT, 8, 8, 0, "sz" },
	{ "NUL in a segment's name", PT_MSG_SEGMENT, 19, 1, 0, "name" },
	{ "session 0", PT_MSG_OPENED, 0, 8, 0, "session_id" },
	{ "resumes 2", PT_MSG_OPENED, 8, 1, 2, "resumes" },
	{ "lane 64", PT_MSG_ACK, 0, 2, 64, "lane" },
	{ "empty range", PT_MSG_ACK, 34, 4, 0, "missing: item 0" },
	{ "ranges that touch", PT_MSG_ACK, 34, 4, 66, NULL },
	{ "ranges that overlap", PT_MSG_ACK, 34, 4, 67, "missing: item 1" },
	{ "range up to the end", PT_MSG_ACK, 38, 8, (1ULL << 62) - 5, NULL },
	{ "range past the end", PT_MSG_ACK, 38, 8, (1ULL << 62) - 4,
	  "missing: item 1" },
	{ "range that wraps", PT_MSG_ACK, 38, 8, ~0ULL, "missing: item 1" },
	{ "1025 ranges", PT_MSG_ACK, 22, 4, 1025, "missing" },
	{ "ABORT that says done", PT_MSG_ABORT, 0, 2, 0, "exit" },
	{ "ABORT with exit 7", PT_MSG_ABORT, 0, 2, 7, "exit" },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	const struct pt_message good = good_message(row->type);
	unsigned sz = encode(&good);

	poke(PT_MESSAGE_HDR_SZ + row->at, row->n, row->value);
	if (row->field)
		refused(row->type, sz, row->field);
	else
		assert_int_equal(decode(row->type, sz), sz);
}

/* Fields that need a capability are on the wire with it alone, and 0 without; a
 * peer that sends them to one that did not agree, or leaves them out, is
 * refused. */
static void test_arrivals(void **state)
{
	const struct pt_message good = good_message(PT_MSG_ACK);
	unsigned sz, sz_with;

	(void)state;
	sz = encode(&good);
	memset(&out, 0xee, sizeof(out));
	assert_int_equal(decode(good.type, sz), sz);
	assert_int_equal(out.ack.window, good.ack.window);
	assert_int_equal(out.ack.placed_upto, 0);
	assert_int_equal(out.ack.arrived_sz, 0);
	assert_int_equal(out.ack.arrived_ns, 0);
	assert_int_equal(out.ack.top, 0);
	assert_int_equal(out.ack.top_ns, 0);
	caps = ~0ULL;
	refused(good.type, sz, NULL);
	sz_with = encode(&good);
	assert_int_equal(sz_with, sz + 5 * 8);
	assert_int_equal(decode(good.type, sz_with), sz_with);
	assert_int_equal(out.ack.placed_upto, good.ack.placed_upto);
	assert_int_equal(out.ack.top_ns, good.ack.top_ns);
	caps = ~PT_CAP_ARRIVALS;
	refused(good.type, sz_with, NULL);
	caps = 0;
}

int main(void)
{
	struct CMUnitTest tests[128];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			goldens[i].name, test_golden, NULL, NULL,
			(void *)&goldens[i] };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL, (void *)&rows[i] };
	tests[cnt++] = (struct CMUnitTest)cmocka_unit_test(test_arrivals);
	return _cmocka_run_group_tests("message bytes", tests, cnt, NULL, NULL);
}
