/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "messages_kit.h"

#include "base/text.h"

static void test_round_trip(void **state)
{
	static __u8 again[PT_MESSAGE_SZ_MAX];
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good);

	assert_int_equal(decode(good.type, sz), sz);
	assert_int_equal(out.type, good.type);
	assert_int_equal(pt_message_encode(&out, caps, again, sizeof(again), NULL),
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
	/* The decoder does not wait for the payload of an invalid header. */
	set_payload_sz(~0u);
	refused(good.type, PT_MESSAGE_HDR_SZ, NULL);
	for (f = pt_message_fields(good.type); !pt_field_ends(f, caps); f++)
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
		assert_int_equal(pt_message_encode(&good, caps, bytes, room, NULL),
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
		assert_int_equal(pt_message_decode(&out, &scratch, role, caps,
						   bytes, sz, &err),
				 roles & role ? (int)sz : -EPROTO);
}

/* Each number and each count of the type: one below its minimum, one above its
 * maximum, the largest that its bytes hold. */
static void test_every_limit(void **state)
{
	const struct pt_message good = good_message(*(unsigned *)*state);
	unsigned sz = encode(&good), at = PT_MESSAGE_HDR_SZ, n;
	const struct pt_field *f;
	__u64 cnt, max;

	for (f = pt_message_fields(good.type); !pt_field_ends(f, caps); f++) {
		n = pt_field_sz(f, 0);
		cnt = 0;
		for (unsigned i = 0; i < n && i < 8; i++)
			cnt = cnt << 8 | bytes[at + i];
		if (f->kind == KIND_cap)
			continue;
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

static void test_unknown_type(void **state)
{
	const unsigned types[] = { 0, 40, 0xffff };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		memset(bytes, 0, PT_MESSAGE_HDR_SZ);
		poke(4, 2, types[i]);
		assert_int_equal(decode(PT_MSG_BYE, 8), -EPROTO);
		assert_string_equal(pt_message_name(types[i]), "unknown");
	}
	for (unsigned type = 29; type < 31; type++) {	/* set aside */
		memset(bytes, 0, PT_MESSAGE_HDR_SZ);
		poke(4, 2, type);
		assert_int_equal(decode(PT_MSG_BYE, 8), -EPROTO);
		assert_non_null(strstr(err.text, pt_message_name(type)));
		assert_string_not_equal(pt_message_name(type), "unknown");
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
	assert_int_equal(pt_message_encode(&m, caps, bytes, sizeof(bytes), &err),
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
	assert_int_equal(pt_message_encode(&m, caps, bytes, sizeof(bytes), &err),
			 -EINVAL);
	assert_string_equal(err.text, "message OPEN: lane_cnt: value 65 is "
			    "outside 1..64");
	m = good_message(PT_MSG_FILE);
	m.file.name[0] = '\0';
	assert_int_equal(pt_message_encode(&m, caps, bytes, sizeof(bytes), &err),
			 -EINVAL);
	memset(m.file.name, 'a', sizeof(m.file.name));	/* no NUL */
	assert_int_equal(pt_message_encode(&m, caps, bytes, sizeof(bytes), &err),
			 -EINVAL);
	strcpy(m.file.name, "\x1b[2J");
	assert_int_equal(pt_message_encode(&m, caps, bytes, sizeof(bytes), &err),
			 -EINVAL);
	m = good_message(PT_MSG_OFFER);
	m.offer.queue[1] = 256;
	assert_int_equal(pt_message_encode(&m, caps, bytes, sizeof(bytes), &err),
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
	/* Each of the three takes three bytes more; cut within. */
	memcpy(text + PT_ABORT_TEXT_MAX - 1 - 9, "\xc3\xa4", 2);
	text[599] = '\0';
	pt_message_abort(&m, PT_EXIT_OK, text);
	assert_int_equal(m.abort.exit, PT_EXIT_FAILED);
	assert_memory_equal(m.abort.text, "\\x1b\\xff\\x0aa", 13);
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

/* has_caps: some of its fields need a capability. */
static bool has_caps(unsigned type)
{
	const struct pt_field *f = pt_message_fields(type);

	while (f->name && f->kind != KIND_cap)
		f++;
	return f->name;
}

static int set_caps(void **state)
{
	(void)state;
	caps = ~0ULL;
	return 0;
}

static int clear_caps(void **state)
{
	(void)state;
	caps = 0;
	return 0;
}

/* add_of_each adds the tests of each type, or of those that need capabilities. */
static size_t add_of_each(struct CMUnitTest *tests, size_t cnt, bool with)
{
	static const struct {
		const char *name;
		CMUnitTestFunction test;
	} of_each[] = {
		{ "round trip", test_round_trip },
		{ "cut at every byte", test_cut_at_every_byte },
		{ "wrong length", test_wrong_length },
		{ "room for encoding", test_encode_room },
		{ "the role that sends it", test_direction },
		{ "every limit", test_every_limit },
	};
	static char names[512][64];

	for (size_t t = 0; t < MESSAGE_TYPE_CNT; t++) {
		if (with && !has_caps(message_types[t]))
			continue;
		for (size_t i = 0; i < sizeof(of_each) / sizeof(of_each[0]);
		     i++) {
			snprintf(names[cnt], sizeof(names[0]), "%s: %s%s",
				 pt_message_name(message_types[t]),
				 of_each[i].name,
				 with ? ", with capabilities" : "");
			tests[cnt] = (struct CMUnitTest){
				names[cnt], of_each[i].test,
				with ? set_caps : NULL,
				with ? clear_caps : NULL,
				(void *)&message_types[t] };
			cnt++;
		}
	}
	return cnt;
}

/* write_message writes one: see write_corpus. */
static int write_message(const char *folder, unsigned type)
{
	const struct pt_message m = good_message(type);
	char path[4096];
	FILE *f;
	int sz = encode(&m);

	snprintf(path, sizeof(path), "%s/%s%s", folder, pt_message_name(type),
		 caps ? "_caps" : "");
	f = fopen(path, "wb");
	if (!f || fputc((who(type) - PT_ROLE_SENDER) | (caps ? 2 : 0),
			f) == EOF ||
	    fwrite(bytes, 1, sz, f) != (size_t)sz || fclose(f)) {
		perror(path);
		return 1;
	}
	return 0;
}

/* write_corpus writes each good message as an input of fuzz_message: a byte
 * that states the sender and the capabilities, and the message. */
static int write_corpus(const char *folder)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < MESSAGE_TYPE_CNT; i++) {
		ret = write_message(folder, message_types[i]);
		caps = has_caps(message_types[i]) ? ~0ULL : 0;
		if (!ret && caps)
			ret = write_message(folder, message_types[i]);
		caps = 0;
	}
	return ret;
}

/* test_messages --corpus FOLDER: writes fuzz_message's corpus instead. */
int main(int argc, char **argv)
{
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
	cnt = add_of_each(tests, cnt, false);
	cnt = add_of_each(tests, cnt, true);
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("messages", tests, cnt, NULL, NULL);
}
