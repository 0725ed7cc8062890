// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/digest.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>

#include "upper_kit.h"

#define KEY 0x0123456789abcdefULL
#define GFN 0x1fffffffffULL

static __u8 room[4096 + 64] __attribute__((aligned(64)));

static const struct pt_digest_variant *variants;
static unsigned int variant_cnt;

/* A page with data in some of its blocks. */
static __u8 *random_page(unsigned int at)
{
	memset(room, 0, sizeof(room));
	for (unsigned int b = 0; b < 64; b++)
		if (rand() % 3)
			for (unsigned int i = 0; i < 64; i++)
				room[at + b * 64 + i] = rand();
	return room + at;
}

/* in_pieces returns the page's digest by a stream of up to max bytes a piece;
 * zero pieces are sometimes only declared zero. */
static __u64 in_pieces(const struct pt_digest_variant *v,
		       struct pt_digest_stream *s, const __u8 *page,
		       unsigned int max)
{
	static const __u8 zero[4096];

	v->start(s, KEY, GFN);
	for (unsigned int at = 0, sz; at < 4096; at += sz) {
		sz = rand() % (max + 1);
		sz = sz < 4096 - at ? sz : 4096 - at;
		v->add(s, rand() % 2 && !memcmp(page + at, zero, sz)
			  ? NULL : page + at, sz);
	}
	return v->end(s);
}

/* defined returns the digest by its definition in digest.h, with the library's
 * function. */
static __u64 defined(__u64 key, __u64 gfn, const void *page)
{
	__u64 content = htobe64(XXH3_64bits_withSeed(page, 4096, key));

	return XXH3_64bits_withSeed(&content, sizeof(content), gfn);
}

/* Any variant, any alignment and any pieces; one stream for all. */
static void test_is_what_the_header_says(void **state)
{
	static const unsigned int maxes[] = { 1, 64, 100, 3840, 4096 };
	struct pt_digest_stream s = { .has_data = false };

	(void)state;
	srand(1);
	for (unsigned int i = 0; i < 400; i++) {
		const __u8 *page = random_page(i % 65);
		const struct pt_digest_variant *v = &variants[i % variant_cnt];
		__u64 want = defined(KEY, GFN, page);

		if (!v->is_supported)
			continue;
		assert_int_equal(pt_digest_at(v->content(KEY, page), GFN),
				 want);
		assert_int_equal(pt_digest_page(KEY, GFN, page), want);
		assert_int_equal(in_pieces(v, &s, page, maxes[i % 5]), want);
	}
}

/* Both hosts must agree for ever, on every machine: the values are
 * constants. */
static void test_known_value(void **state)
{
	__u8 page[4096] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 64; i++)
		page[128 + i] = i;
	assert_int_equal(pt_digest_content(KEY, page), 0xff147975a1a2280eULL);
	assert_int_equal(pt_digest_page(KEY, 0, page), 0xe15fad97bb570ac1ULL);
	assert_int_equal(pt_digest_page(KEY, 5, page), 0x0e0acd2dfb4a010dULL);
	assert_int_equal(pt_digest_page(KEY, GFN, page),
			 0xe3c34d054d0dc295ULL);
	memset(page, 1, sizeof(page));	/* docs/wire-format.md's */
	assert_int_equal(pt_digest_content(7, page), 0x09266074bdf6fc09ULL);
	assert_int_equal(pt_digest_page(7, 5, page), 0xd3eb307931d85efbULL);
	assert_int_equal(pt_digest_unreadable(5), 0x89715d59ecd05a65ULL);
}

/* No bytes have the content digest of a page that cannot be read. */
static void test_unreadable_is_no_content(void **state)
{
	(void)state;
	assert_int_equal(pt_digest_content_of(0), 0);
	assert_int_equal(pt_digest_content_of(1), 2);
	assert_int_equal(pt_digest_content_of(2), 2);
	assert_int_equal(pt_digest_content_of(~0ULL), ~0ULL);
	assert_int_not_equal(pt_digest_unreadable(0), 0);
	assert_int_not_equal(pt_digest_unreadable(GFN),
			     pt_digest_unreadable(GFN + 1));
}

static void test_zero_is_zero(void **state)
{
	struct pt_digest_stream s = { .has_data = false };

	(void)state;
	for (unsigned int i = 0; i < variant_cnt; i++) {
		const struct pt_digest_variant *v = &variants[i];

		if (!v->is_supported)
			continue;
		memset(room, 0, sizeof(room));
		assert_int_equal(v->content(KEY, room), 0);
		assert_int_equal(pt_digest_at(0, GFN), 0);
		assert_int_equal(in_pieces(v, &s, room, 4096), 0);
		/* One byte of data at any place counts. */
		for (unsigned int at = 0; at < 4096; at += 63) {
			room[at] = 1;
			assert_int_not_equal(v->content(KEY, room), 0);
			assert_int_equal(in_pieces(v, &s, room, 1000),
					 defined(KEY, GFN, room));
			room[at] = 0;
		}
	}
}

/* A seed of 0 is one like any other. */
static void test_seed_zero(void **state)
{
	struct pt_digest_stream s = { .has_data = false };
	const __u8 *page = random_page(0);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {	/* 0, another, 0 again */
		__u64 key = i % 2 ? KEY : GFN;

		pt_digest_start(&s, key, GFN);
		pt_digest_add(&s, page, 1000);
		pt_digest_add(&s, page + 1000, 3096);
		assert_int_equal(pt_digest_end(&s),
				 pt_digest_page(key, GFN, page));
	}
}

/* Any bit, the place, the page and the key each change the digest. */
static void test_sees_differences(void **state)
{
	const __u8 *page = random_page(0);
	__u64 whole = pt_digest_page(KEY, GFN, page);

	(void)state;
	for (unsigned int bit = 0; bit < 4096 * 8; bit += 5) {
		room[bit / 8] ^= 1 << (bit % 8);
		assert_int_not_equal(pt_digest_page(KEY, GFN, page), whole);
		room[bit / 8] ^= 1 << (bit % 8);
	}
	assert_int_not_equal(pt_digest_page(KEY, GFN + 1, page), whole);
	assert_int_not_equal(pt_digest_page(KEY + 1, GFN, page), whole);

	memset(room, 1, 64);
	memset(room + 64, 2, 64);
	whole = pt_digest_page(KEY, GFN, page);
	memset(room, 2, 64);
	memset(room + 64, 1, 64);
	assert_int_not_equal(pt_digest_page(KEY, GFN, page), whole);
}

/* Else each later change to SSE instructions and back is slow. */
static void test_upper_halves(void **state)
{
	struct pt_digest_stream s = { .has_data = false };
	const __u8 *page = random_page(0);

	(void)state;
	for (unsigned int i = 0; i < variant_cnt; i++) {
		const struct pt_digest_variant *v = &variants[i];

		if (!v->is_supported || strcmp(v->name, "avx2"))
			continue;
		v->content(KEY, page);
		assert_true(kit_upper_is_zero());
		v->start(&s, KEY, GFN);
		assert_true(kit_upper_is_zero());
		v->add(&s, page, 100);
		assert_true(kit_upper_is_zero());
		v->add(&s, page + 100, 3996);
		assert_true(kit_upper_is_zero());
		v->end(&s);
		assert_true(kit_upper_is_zero());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_what_the_header_says),
		cmocka_unit_test(test_known_value),
		cmocka_unit_test(test_unreadable_is_no_content),
		cmocka_unit_test(test_zero_is_zero),
		cmocka_unit_test(test_seed_zero),
		cmocka_unit_test(test_sees_differences),
		cmocka_unit_test(test_upper_halves),
	};

	variants = pt_digest_variants(&variant_cnt);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
