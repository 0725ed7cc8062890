// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/trim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define ALL (~0ULL)
#define TOP (1ULL << 63)

static const struct row {
	const char *name;
	__u64 scanned;
	__u64 none, ends, blocks;	/* wanted */
} rows[] = {
	{ "an empty page stays empty", 0, 0, 0, 0 },
	{ "a full page stays full", ALL, ALL, ALL, ALL },
	{ "first block", 1, ALL, 1, 1 },
	{ "last block", TOP, ALL, TOP, TOP },
	{ "first and last", TOP | 1, ALL, ALL, TOP | 1 },
	{ "one block inside", 1 << 9, ALL, 1 << 9, 1 << 9 },
	{ "two with a gap", 0x90, ALL, 0xf0, 0x90 },
	{ "from the second to the last but one", TOP >> 1 | 2, ALL,
	  ALL >> 1 & ~1ULL, TOP >> 1 | 2 },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	assert_int_equal(pt_trim_mask(PT_TRIM_NONE, row->scanned), row->none);
	assert_int_equal(pt_trim_mask(PT_TRIM_ENDS, row->scanned), row->ends);
	assert_int_equal(pt_trim_mask(PT_TRIM_BLOCKS, row->scanned),
			 row->blocks);
}

/* The method's definition: from the first block that is not all zero to the
 * last, found from both ends. */
static __u64 ends_by_walking(__u64 scanned)
{
	unsigned int start = 0, end = 64;
	__u64 mask = 0;

	while (start < 64 && !(scanned >> start & 1))
		start++;
	while (end > start && !(scanned >> (end - 1) & 1))
		end--;
	for (unsigned int b = start; b < end; b++)
		mask |= 1ULL << b;
	return mask;
}

static void test_ends_of_all_pairs_and_random_masks(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		for (unsigned int j = i; j < 64; j++) {
			__u64 scanned = 1ULL << i | 1ULL << j;

			assert_int_equal(pt_trim_mask(PT_TRIM_ENDS, scanned),
					 ends_by_walking(scanned));
		}
	}
	srand(1);
	for (unsigned int i = 0; i < 10000; i++) {
		__u64 scanned = ((__u64)rand() << 32 | (__u64)rand())
				<< rand() % 64 >> rand() % 64;

		assert_int_equal(pt_trim_mask(PT_TRIM_ENDS, scanned),
				 ends_by_walking(scanned));
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(pt_trim_name(PT_TRIM_NONE), "none");
	assert_string_equal(pt_trim_name(PT_TRIM_ENDS), "ends");
	assert_string_equal(pt_trim_name(PT_TRIM_BLOCKS), "blocks");
	assert_null(pt_trim_name(PT_TRIM_CNT));
	assert_null(pt_trim_name(-1));
}

#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	struct CMUnitTest tests[ROW_CNT + 2] = {
		cmocka_unit_test(test_ends_of_all_pairs_and_random_masks),
		cmocka_unit_test(test_names),
	};

	for (size_t i = 0; i < ROW_CNT; i++)
		tests[2 + i] = (struct CMUnitTest){ rows[i].name, test_row,
						    NULL, NULL,
						    (void *)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
