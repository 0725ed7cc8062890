// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <sys/mman.h>

#include "memory/digests.h"

#define REGIONS	3
#define MIDDLE	PT_REGION_PAGES		/* first page of region 1 */

static struct pt_digests d;

static int start(void **state)
{
	(void)state;
	return pt_digests_init(&d, REGIONS);
}

static int stop(void **state)
{
	(void)state;
	pt_digests_free(&d);
	pt_digests_free(&d);
	return 0;
}

static void test_starts_at_zero(void **state)
{
	(void)state;
	for (__u64 r = 0; r < REGIONS; r++) {
		assert_null(pt_digests_region(&d, r));
		assert_int_equal(pt_digests_sum(&d, r), 0);
	}
	assert_int_equal(pt_digests_get(&d, REGIONS * PT_REGION_PAGES - 1), 0);
}

/* Zeroes leave a region's sum as it is, and set pages remain known. */
static void test_set(void **state)
{
	(void)state;
	for (__u64 i = 0; i < PT_REGION_PAGES; i++)
		pt_digests_set(&d, MIDDLE + i, 0);
	assert_null(pt_digests_region(&d, 1));
	pt_digests_set(&d, MIDDLE, 5);
	pt_digests_set(&d, MIDDLE + PT_REGION_PAGES - 1, ~0ULL);
	assert_int_equal(pt_digests_sum(&d, 1), 4);	/* modulo 2^64 */
	assert_int_equal(pt_digests_region(&d, 1)[0], 5);
	assert_null(pt_digests_region(&d, 0));
	assert_null(pt_digests_region(&d, 2));
	pt_digests_set(&d, MIDDLE, 0);
	assert_int_equal(pt_digests_get(&d, MIDDLE), 0);
	assert_int_equal(pt_digests_sum(&d, 1), ~0ULL);
}

static void test_clear(void **state)
{
	(void)state;
	pt_digests_set(&d, MIDDLE - 1, 1);
	pt_digests_set(&d, MIDDLE, 2);
	pt_digests_set(&d, 2 * PT_REGION_PAGES - 1, 3);
	pt_digests_set(&d, 2 * PT_REGION_PAGES, 4);
	pt_digests_clear(&d, 1);
	assert_int_equal(pt_digests_sum(&d, 0), 1);
	assert_int_equal(pt_digests_sum(&d, 1), 0);
	assert_int_equal(pt_digests_sum(&d, 2), 4);
}

static void test_forget(void **state)
{
	(void)state;
	for (__u32 i = 0; i < 3 * PT_REGION_PAGES; i++)
		pt_digests_set(&d, i, 1);
	pt_digests_forget(&d, PT_REGION_PAGES + 10, 5);
	assert_int_equal(pt_digests_sum(&d, 1), PT_REGION_PAGES - 5);
	assert_int_equal(pt_digests_get(&d, PT_REGION_PAGES + 9), 1);
	assert_int_equal(pt_digests_get(&d, PT_REGION_PAGES + 10), 0);
	assert_int_equal(pt_digests_get(&d, PT_REGION_PAGES + 14), 0);
	pt_digests_forget(&d, PT_REGION_PAGES, PT_REGION_PAGES);
	assert_int_equal(pt_digests_sum(&d, 0), PT_REGION_PAGES);
	assert_int_equal(pt_digests_sum(&d, 1), 0);
	assert_int_equal(pt_digests_sum(&d, 2), PT_REGION_PAGES);
}

static void test_copy(void **state)
{
	static __u64 told[PT_REGION_PAGES];

	(void)state;
	for (__u32 i = 0; i < PT_REGION_PAGES; i++)
		told[i] = i;
	pt_digests_copy(&d, 1, told, 1);	/* a zero */
	assert_null(pt_digests_region(&d, 1));
	pt_digests_copy(&d, 1, told, 11);
	assert_int_equal(pt_digests_sum(&d, 1), 55);
	assert_int_equal(pt_digests_get(&d, MIDDLE + 10), 10);
	assert_int_equal(pt_digests_get(&d, MIDDLE + 11), 0);
}

/* Reads and clearings allocate nothing where no page was set. */
static void test_takes_no_memory(void **state)
{
	const __u64 many = 1 << 14;	/* 32 GiB of memory: 64 MiB of digests */
	const __u64 sz = many * PT_REGION_PAGES * sizeof(__u64);
	unsigned char *resident = malloc(sz / 4096);
	struct pt_digests big;
	__u64 cnt = 0;

	(void)state;
	assert_non_null(resident);
	assert_int_equal(pt_digests_init(&big, many), 0);
	for (__u64 r = 0; r < many; r++) {
		pt_digests_clear(&big, r);
		pt_digests_forget(&big, r * PT_REGION_PAGES + 1, 3);
		pt_digests_set(&big, r * PT_REGION_PAGES, 0);
		assert_int_equal(pt_digests_sum(&big, r), 0);
		assert_int_equal(pt_digests_get(&big, r * PT_REGION_PAGES), 0);
	}
	pt_digests_set(&big, 77 * PT_REGION_PAGES, 1);
	assert_int_equal(mincore(big.pages, sz, resident), 0);
	for (__u64 i = 0; i < sz / 4096; i++)
		cnt += resident[i] & 1;
	assert_int_equal(cnt, 1);
	pt_digests_free(&big);
	free(resident);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_starts_at_zero),
		TEST(test_set),
		TEST(test_clear),
		TEST(test_forget),
		TEST(test_copy),
		TEST(test_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
