/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>

#include "control/fields.h"
#include "control/text.h"
#include "control_messages.h"

static __u8 bytes[PT_MESSAGE_SZ_MAX];
static struct pt_message_scratch scratch;
static struct pt_message out;
static struct pt_error err;

static unsigned encode(const struct pt_message *m)
{
	int sz = pt_message_encode(m, bytes, sizeof(bytes), &err);

	assert_true(sz >= PT_MESSAGE_HDR_SZ);
	return sz;
}

/* who: a role that may send the type. */
static enum pt_role who(unsigned type)
{
	return pt_message_who(type) & PT_FROM_SENDER ? PT_ROLE_SENDER :
						       PT_ROLE_RECEIVER;
}

/* decode: what decoding the sz bytes gives; what an error must name. */
static int decode(unsigned type, size_t sz)
{
	err.text[0] = '\0';
	return pt_message_decode(&out, &scratch, who(type), bytes, sz, &err);
}

static void refused(unsigned type, size_t sz, const char *field)
{
	assert_int_equal(decode(type, sz), -EPROTO);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	assert_non_null(strstr(err.text, pt_message_name(type)));
	if (field && !strstr(err.text, field))
		fail_msg("'%s' does not name %s", err.text, field);
}

static void set_payload_sz(unsigned sz)
{
	__be32 be = htobe32(sz);

	memcpy(bytes, &be, sizeof(be));
}

static void test_round_trip(void **state)
{
	static __u8 again[PT_MESSAGE_SZ_MAX];
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good);

	assert_int_equal(decode(good.type, sz), sz);
	assert_int_equal(out.type, good.type);
	assert_int_equal(pt_message_encode(&out, again, sizeof(again), NULL),
			 sz);
	assert_memory_equal(again, bytes, sz);
}

static void test_cut_at_every_byte(void **state)
{
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good);

	for (unsigned cut = 0; cut < sz; cut++)
		assert_int_equal(decode(good.type, cut), 0);
	for (unsigned cut = PT_MESSAGE_HDR_SZ; cut < sz; cut++) {
		set_payload_sz(cut - PT_MESSAGE_HDR_SZ);
		refused(good.type, cut, NULL);
	}
}

static void test_wrong_length(void **state)
{
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good), sz_min = 0;
	const struct pt_field *f;

	bytes[sz] = 0;
	set_payload_sz(sz + 1 - PT_MESSAGE_HDR_SZ);
	if (good.type == PT_MSG_HELLO)
		assert_int_equal(decode(good.type, sz + 1), sz + 1);
	else
		refused(good.type, sz + 1, NULL);
	/* Of what cannot be, the payload is not waited for. */
	set_payload_sz(~0u);
	refused(good.type, PT_MESSAGE_HDR_SZ, NULL);
	for (f = pt_message_fields(good.type); f->name; f++)
		sz_min += pt_field_sz(f, f->min);
	if (sz_min > 0) {
		set_payload_sz(sz_min - 1);
		refused(good.type, PT_MESSAGE_HDR_SZ, NULL);
	}
}

static void test_encode_room(void **state)
{
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good);

	memset(bytes, 0xee, sizeof(bytes));
	for (unsigned room = 0; room < sz; room++) {
		assert_int_equal(pt_message_encode(&good, bytes, room, NULL),
				 -ENOBUFS);
		assert_int_equal(bytes[room], 0xee);
	}
}

static void test_direction(void **state)
{
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good), roles = pt_message_who(good.type);

	for (enum pt_role role = PT_ROLE_SENDER; role <= PT_ROLE_RECEIVER;
	     role++)
		assert_int_equal(pt_message_decode(&out, &scratch, role, bytes,
						   sz, &err),
				 roles & role ? (int)sz : -EPROTO);
}

/* Writes value over the number of n bytes at at, or the count before items. */
static void poke(unsigned at, unsigned n, __u64 value)
{
	for (unsigned i = n; i--; value >>= 8)
		bytes[at + i] = value;
}

/* Each number and each count of the type: one below its minimum, one above
 * its maximum, the largest that its bytes hold. */
static void test_every_limit(void **state)
{
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good), at = PT_MESSAGE_HDR_SZ, n;
	const struct pt_field *f;
	__u64 cnt, max;

	for (f = pt_message_fields(good.type); f->name; f++) {
		n = pt_field_sz(f, 0);
		cnt = 0;
		for (unsigned i = 0; i < n && i < 8; i++)
			cnt = cnt << 8 | bytes[at + i];
		if (f->kind == KIND_addr || f->kind == KIND_ledger) {
			at += f->kind == KIND_addr ? 16 : n;
			continue;
		}
		max = ~0ULL >> (64 - 8 * n);
		if (f->min) {
			poke(at, n, f->min - 1);
			refused(good.type, sz, f->name);
		}
		if (f->max < max) {
			poke(at, n, f->max + 1);
			refused(good.type, sz, f->name);
			assert_non_null(strstr(err.text, "is outside"));
			poke(at, n, max);
			refused(good.type, sz, f->name);
		}
		poke(at, n, cnt);
		at += n;
		if (f->kind > KIND_u64)
			at += cnt * pt_field_item_sz(f->kind);
	}
	assert_int_equal(at, sz);
	assert_int_equal(decode(good.type, sz), sz);	/* all put back */
}

/* The bytes, as docs and other implementations know them. */
static const struct golden {
	const char *name;
	unsigned type;
	const char *hex;
} goldens[] = {
	{ "HELLO bytes", PT_MSG_HELLO,
	  "00000011" "0001" "0000" "50544354" "0001" "0002"
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

static void test_unknown_type(void **state)
{
	const unsigned types[] = { 0, 27, 0xffff };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		memset(bytes, 0, PT_MESSAGE_HDR_SZ);
		poke(4, 2, types[i]);
		assert_int_equal(decode(PT_MSG_BYE, 8), -EPROTO);
		assert_string_equal(pt_message_name(types[i]), "unknown");
	}
	memset(bytes, 0, PT_MESSAGE_HDR_SZ);
	poke(4, 2, PT_MSG_BYE);
	assert_int_equal(decode(PT_MSG_BYE, 8), 8);
	poke(6, 2, 1);
	assert_int_equal(decode(PT_MSG_BYE, 8), -EPROTO);
}

static void test_fullest(void **state)
{
	static __u64 digests[PT_DIGESTS_MAX];
	static __u8 data[PT_FILE_DATA_SZ_MAX];
	struct pt_message m = {
		.type = PT_MSG_DIGESTS,
		.digests = { 0, PT_DIGESTS_MAX, digests },
	};
	unsigned sz;

	(void)state;
	digests[PT_DIGESTS_MAX - 1] = 7;
	sz = encode(&m);
	assert_int_equal(decode(m.type, sz), sz);
	assert_int_equal(out.digests.digest_cnt, PT_DIGESTS_MAX);
	assert_int_equal(out.digests.digest[PT_DIGESTS_MAX - 1], 7);
	m.digests.digest_cnt++;
	assert_int_equal(pt_message_encode(&m, bytes, sizeof(bytes), &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "digest"));

	m = (struct pt_message){ .type = PT_MSG_FILE_DATA,
				 .file_data = { sizeof(data), data } };
	sz = encode(&m);
	assert_int_equal(decode(m.type, sz), sz);
	assert_ptr_equal(out.file_data.data, bytes + 12);	/* borrowed */
}

static void test_encode_refuses(void **state)
{
	struct pt_message m = good_message(PT_MSG_OPEN);

	(void)state;
	m.open.lane_cnt = 65;
	assert_int_equal(pt_message_encode(&m, bytes, sizeof(bytes), &err),
			 -EINVAL);
	assert_string_equal(err.text, "message OPEN: lane_cnt: value 65 is "
			    "outside 1..64");
	m = good_message(PT_MSG_FILE);
	m.file.name[0] = '\0';
	assert_int_equal(pt_message_encode(&m, bytes, sizeof(bytes), &err),
			 -EINVAL);
	memset(m.file.name, 'a', sizeof(m.file.name));	/* no NUL */
	assert_int_equal(pt_message_encode(&m, bytes, sizeof(bytes), &err),
			 -EINVAL);
	strcpy(m.file.name, "\x1b[2J");
	assert_int_equal(pt_message_encode(&m, bytes, sizeof(bytes), &err),
			 -EINVAL);
	m = good_message(PT_MSG_OFFER);
	m.offer.queue[1] = 256;
	assert_int_equal(pt_message_encode(&m, bytes, sizeof(bytes), &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "queue: item 1"));
}

static void test_abort_is_always_sendable(void **state)
{
	char text[600];
	struct pt_message m;
	unsigned sz;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "\x1b\xff\n", 3);
	memcpy(text + PT_ABORT_TEXT_MAX - 1, "\xc3\xa4", 2); /* cut within */
	text[599] = '\0';
	pt_message_abort(&m, PT_EXIT_OK, text);
	assert_int_equal(m.abort.exit, PT_EXIT_FAILED);
	assert_memory_equal(m.abort.text, "???a", 4);
	assert_int_equal(strlen(m.abort.text), PT_ABORT_TEXT_MAX - 1);
	sz = encode(&m);
	assert_int_equal(decode(m.type, sz), sz);
}

static void test_text(void **state)
{
	static const struct {
		const char *text;
		bool clean;
	} texts[] = {
		{ "", true }, { "a b~", true }, { "\x7f", false },
		{ "a\tb", false }, { "\xc2\xa0", true }, { "\xc2\x9b", false },
		{ "\xc0\x80", false }, { "\xc1\xbf", false }, { "\xc3", false },
		{ "\xe0\x9f\xbf", false }, { "\xe0\xa0\x80", true },
		{ "\xed\x9f\xbf", true }, { "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false }, { "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true }, { "\xf4\x90\x80\x80", false },
		{ "\xe2\x82\xac" "\xe2\x82", false }, { "\xe2\x28\xa1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (pt_text_is_clean(texts[i].text, strlen(texts[i].text)) !=
		    texts[i].clean)
			fail_msg("text %zu", i);
}

/* write_corpus: each good message as an input of fuzz_message: a byte whose
 * parity says who sent it, and the message. */
static int write_corpus(const char *folder)
{
	struct pt_message m;
	char path[4096];
	FILE *f;
	int sz;

	for (size_t i = 0; i < MESSAGE_TYPE_CNT; i++) {
		m = good_message(message_types[i]);
		sz = pt_message_encode(&m, bytes, sizeof(bytes), &err);
		snprintf(path, sizeof(path), "%s/%s", folder,
			 pt_message_name(m.type));
		f = fopen(path, "wb");
		if (!f || fputc(who(m.type) - PT_ROLE_SENDER, f) == EOF ||
		    fwrite(bytes, 1, sz, f) != (size_t)sz || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

/* test_messages --corpus FOLDER: writes fuzz_message's corpus instead. */
int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		CMUnitTestFunction test;
	} of_each[] = {
		{ "round trip", test_round_trip },
		{ "cut at every byte", test_cut_at_every_byte },
		{ "wrong length", test_wrong_length },
		{ "room for encoding", test_encode_room },
		{ "who may send it", test_direction },
		{ "every limit", test_every_limit },
	};
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_unknown_type),
		cmocka_unit_test(test_fullest),
		cmocka_unit_test(test_encode_refuses),
		cmocka_unit_test(test_abort_is_always_sendable),
		cmocka_unit_test(test_text),
	};
	struct CMUnitTest tests[512];
	size_t cnt = 0;

	if (argc == 3 && !strcmp(argv[1], "--corpus"))
		return write_corpus(argv[2]);
	for (size_t t = 0; t < MESSAGE_TYPE_CNT; t++)
		for (size_t i = 0; i < sizeof(of_each) / sizeof(of_each[0]);
		     i++) {
			static char names[512][64];

			snprintf(names[cnt], sizeof(names[0]), "%s: %s",
				 pt_message_name(message_types[t]),
				 of_each[i].name);
			tests[cnt] = (struct CMUnitTest){
				names[cnt], of_each[i].test, NULL, NULL,
				(void *)&message_types[t] };
			cnt++;
		}
	for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			goldens[i].name, test_golden, NULL, NULL,
			(void *)&goldens[i] };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL, (void *)&rows[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("messages", tests, cnt, NULL, NULL);
}
