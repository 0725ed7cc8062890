// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <errno.h>

#include "sink/journal.h"
#include "wire/checksum.h"

static const struct pt_segment segments[] = {
	{ "low", 16, 4096 * 40 + 1 },
	{ "high", 1ULL << 39, 1ULL << 33 },
};

static const struct pt_journal good = {
	.name = "guest \xc3\xa4",
	.transfer_id = 0x0123456789abcdefULL,
	.segment_cnt = 2,
	.segments = segments,
};

#define GOOD_SZ	(24 + 1 + 8 + 2 * 16 + 16)

/* The journal as bytes, so that a later version can read it. */
static const __u8 good_head[] = {
	'P', 'T', 'J', 'N', 0, 0, 0, 1, 0, 0, 0, GOOD_SZ, 0, 0, 0, 2,
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
	8, 'g', 'u', 'e', 's', 't', ' ', 0xc3, 0xa4,
	0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 2, 0x80, 1,
	0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0,
};

static __u8 bytes[GOOD_SZ + 100];

static void encode(void)
{
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(pt_journal_sz(&good), GOOD_SZ);
	pt_journal_encode(&good, bytes);
}

/* hash_anew sets the hash that is right for the present bytes. */
static void hash_anew(size_t sz)
{
	pt_checksum(&(struct pt_span){ .base = bytes, .sz = sz - PT_AUTH_SZ },
		    1, bytes + sz - PT_AUTH_SZ);
}

static int parse(size_t sz)
{
	struct pt_journal j = { .segment_cnt = 77 };
	__u8 *copy = malloc(sz ? sz : 1);	/* a sanitizer sees its end */
	int ret;

	memcpy(copy, bytes, sz);
	ret = pt_journal_parse(&j, copy, sz);
	if (ret)
		assert_int_equal(j.segment_cnt, 77);
	else
		pt_journal_free(&j);
	free(copy);
	return ret;
}

static void test_form(void **state)
{
	(void)state;
	encode();
	assert_int_equal(sizeof(good_head), GOOD_SZ - 16);
	assert_memory_equal(bytes, good_head, sizeof(good_head));
}

static void test_there_and_back(void **state)
{
	struct pt_journal j;

	(void)state;
	encode();
	assert_int_equal(pt_journal_parse(&j, bytes, GOOD_SZ), 0);
	assert_string_equal(j.name, good.name);
	assert_int_equal(j.transfer_id, good.transfer_id);
	assert_int_equal(j.segment_cnt, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(j.segments[i].gfn, segments[i].gfn);
		assert_int_equal(j.segments[i].sz, segments[i].sz);
		assert_string_equal(j.segments[i].name, "");
	}
	assert_true(pt_journal_is_same(&j, &good));
	pt_journal_free(&j);
	pt_journal_free(&j);
}

/* As in a huge page. */
static void test_zeroes_behind(void **state)
{
	(void)state;
	encode();
	assert_int_equal(parse(sizeof(bytes)), 0);
	bytes[sizeof(bytes) - 1] = 1;
	assert_int_equal(parse(sizeof(bytes)), -EBADMSG);
	assert_int_equal(parse(sizeof(bytes) - 1), 0);
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	encode();
	for (size_t sz = 0; sz < GOOD_SZ; sz++)
		assert_int_equal(parse(sz), -EBADMSG);
	assert_int_equal(parse(GOOD_SZ), 0);
}

/* Every bit of it matters. */
static void test_flipped_anywhere(void **state)
{
	(void)state;
	encode();
	for (size_t bit = 0; bit < GOOD_SZ * 8; bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(parse(GOOD_SZ), -EBADMSG);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
	assert_int_equal(parse(GOOD_SZ), 0);
}

/* Intact, but nothing that this version writes. */
static const struct row {
	const char *name;
	size_t at;
	__u8 with;
	int want;
} rows[] = {
	{ "as it is", 0, 'P', 0 },
	{ "magic", 0, 'Q', -EBADMSG },
	{ "version 2", 7, 2, -EPROTONOSUPPORT },
	{ "version 2^24 + 1", 4, 1, -EPROTONOSUPPORT },
	{ "a segment less", 15, 1, -EBADMSG },
	{ "a segment more", 15, 3, -EBADMSG },
	{ "no segments", 15, 0, -EBADMSG },
	{ "more segments than memory", 12, 0xff, -EBADMSG },
	{ "name shorter than said", 24, 9, -EBADMSG },
	{ "name longer than said", 24, 7, -EBADMSG },
	{ "name longer than all", 24, 200, -EBADMSG },
	{ "NUL in the name", 26, 0, -EBADMSG },
	{ "escape in the name", 26, 27, -EBADMSG },
	{ "half a character in the name", 31, 'x', -EBADMSG },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	encode();
	bytes[row->at] = row->with;
	hash_anew(GOOD_SZ);
	assert_int_equal(parse(GOOD_SZ), row->want);
}

/* Sizes too small for the required fields. */
static void test_tiny(void **state)
{
	(void)state;
	for (unsigned sz = 0; sz < 41; sz++) {
		encode();
		memset(bytes + 12, 0, sizeof(bytes) - 12);
		bytes[11] = sz;
		if (sz >= 12 + PT_AUTH_SZ)
			hash_anew(sz);
		for (size_t room = sz; room < 64; room++)
			assert_int_equal(parse(room), -EBADMSG);
	}
}

/* Intact, with no segment at all. */
static void test_no_segment(void **state)
{
	struct pt_journal j = good;

	(void)state;
	j.segment_cnt = 0;
	memset(bytes, 0, sizeof(bytes));
	pt_journal_encode(&j, bytes);
	assert_int_equal(parse(pt_journal_sz(&j)), -EBADMSG);
}

/* A name of the maximum length, and one byte more. */
static void test_longest_name(void **state)
{
	struct pt_journal j = good;
	__u8 *long_bytes;
	size_t sz;

	(void)state;
	memset(j.name, 'n', sizeof(j.name) - 1);
	j.name[sizeof(j.name) - 1] = '\0';
	sz = pt_journal_sz(&j);
	long_bytes = calloc(1, sz + 1);
	pt_journal_encode(&j, long_bytes);
	assert_int_equal(pt_journal_parse(&j, long_bytes, sz), 0);
	assert_int_equal(strlen(j.name), 128);
	pt_journal_free(&j);

	memmove(long_bytes + 26, long_bytes + 25, sz - 25);
	long_bytes[24]++;
	long_bytes[11]++;
	pt_checksum(&(struct pt_span){ .base = long_bytes,
				       .sz = sz + 1 - PT_AUTH_SZ }, 1,
		    long_bytes + sz + 1 - PT_AUTH_SZ);
	assert_int_equal(pt_journal_parse(&j, long_bytes, sz + 1), -EBADMSG);
	free(long_bytes);
}

static void test_same(void **state)
{
	struct pt_segment own[2];
	struct pt_journal j = good;

	(void)state;
	memcpy(own, segments, sizeof(own));
	j.segments = own;
	j.transfer_id++;
	strcpy(own[1].name, "another");
	assert_true(pt_journal_is_same(&j, &good));
	own[1].gfn++;
	assert_false(pt_journal_is_same(&j, &good));
	own[1].gfn--;
	own[0].sz++;
	assert_false(pt_journal_is_same(&j, &good));
	own[0].sz--;
	j.segment_cnt = 1;
	assert_false(pt_journal_is_same(&j, &good));
	j.segment_cnt = 2;
	j.name[0] = 'G';
	assert_false(pt_journal_is_same(&j, &good));
}

#define FIXED	9

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(rows)] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_zeroes_behind),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_flipped_anywhere),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_tiny),
		cmocka_unit_test(test_no_segment),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
