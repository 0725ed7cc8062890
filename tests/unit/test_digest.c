// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>
#include "trim/scan.h"

#define KEY 0x0123456789abcdefULL
#define GFN 0x1fffffffffULL

static __u8 room[4096 + 64] __attribute__((aligned(64)));

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

/* The definition of digest.h, with the library's function. */
static __u64 by_definition(__u64 key, __u64 gfn, const __u8 *page)
{
	static const __u8 zero[64];
	__u64 sum = 0;

	for (unsigned int b = 0; b < 64; b++)
		if (memcmp(page + b * 64, zero, 64))
			sum += XXH3_64bits_withSeed(page + b * 64, 64,
						    key ^ (gfn * 64 + b));
	return sum;
}

static void test_is_what_the_header_says(void **state)
{
	(void)state;
	srand(1);
	for (unsigned int i = 0; i < 200; i++) {
		const __u8 *page = random_page(i % 65);
		__u64 want = by_definition(KEY, GFN, page);

		assert_int_equal(pt_digest_page(KEY, GFN, pt_scan(page), page),
				 want);
		assert_int_equal(pt_digest_blocks(KEY, GFN, 0, 64, page), want);
	}
}

/* Both hosts must agree for ever, on every machine: one value written out. */
static void test_known_value(void **state)
{
	__u8 page[4096] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 64; i++)
		page[128 + i] = i;
	assert_int_equal(pt_digest_page(KEY, 5, 1 << 2, page),
			 0x5bf48bceba990a46ULL);
}

static void test_zero_counts_nothing(void **state)
{
	const __u8 *page = random_page(0);
	__u64 scanned = pt_scan(page);

	(void)state;
	assert_int_not_equal(scanned, ~0ULL);
	assert_int_equal(pt_digest_page(KEY, GFN, ~0ULL, page),
			 pt_digest_page(KEY, GFN, scanned, page));
	memset(room, 0, sizeof(room));
	assert_int_equal(pt_digest_page(KEY, GFN, ~0ULL, room), 0);
	assert_int_equal(pt_digest_blocks(KEY, GFN, 7, 1, room), 0);
	assert_int_equal(pt_digest_page(KEY, GFN, 0, room), 0);
}

static void test_pieces_add_up(void **state)
{
	(void)state;
	srand(2);
	for (unsigned int round = 0; round < 100; round++) {
		const __u8 *page = random_page(0);
		unsigned int a = rand() % 65, b = a + rand() % (65 - a);
		__u64 sum;

		sum = pt_digest_blocks(KEY, GFN, b, 64 - b, page + 64 * b);
		sum += pt_digest_blocks(KEY, GFN, 0, a, page);
		sum += pt_digest_blocks(KEY, GFN, a, b - a, page + 64 * a);
		assert_int_equal(sum, pt_digest_page(KEY, GFN, ~0ULL, page));

		sum = 0;
		for (unsigned int i = 0; i < 64; i++)
			sum += pt_digest_blocks(KEY, GFN, i, 1,
						page + 64 * i);
		assert_int_equal(sum, pt_digest_page(KEY, GFN, ~0ULL, page));
	}
}

/* What must change the digest: any bit, the place, the page, the key. */
static void test_sees_differences(void **state)
{
	const __u8 *page = random_page(0);
	__u64 whole = pt_digest_page(KEY, GFN, ~0ULL, page);

	(void)state;
	for (unsigned int bit = 0; bit < 4096 * 8; bit += 5) {
		room[bit / 8] ^= 1 << (bit % 8);
		assert_int_not_equal(pt_digest_page(KEY, GFN, ~0ULL, page),
				     whole);
		room[bit / 8] ^= 1 << (bit % 8);
	}
	assert_int_not_equal(pt_digest_page(KEY, GFN + 1, ~0ULL, page), whole);
	assert_int_not_equal(pt_digest_page(KEY + 1, GFN, ~0ULL, page), whole);

	memset(room, 1, 64);
	memset(room + 64, 2, 64);
	whole = pt_digest_page(KEY, GFN, ~0ULL, page);
	memset(room, 2, 64);
	memset(room + 64, 1, 64);
	assert_int_not_equal(pt_digest_page(KEY, GFN, ~0ULL, page), whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_what_the_header_says),
		cmocka_unit_test(test_known_value),
		cmocka_unit_test(test_zero_counts_nothing),
		cmocka_unit_test(test_pieces_add_up),
		cmocka_unit_test(test_sees_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
