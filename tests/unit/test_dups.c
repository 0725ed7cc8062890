// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "survey/dups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* A hash as good as random; each i another one (splitmix64). */
static __u64 hash_of(__u64 i)
{
	i = (i + 1) * 0x9e3779b97f4a7c15ULL;
	i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9ULL;
	i = (i ^ i >> 27) * 0x94d049bb133111ebULL;
	return i ^ i >> 31;
}

static struct pt_dups *make(__u32 slots)
{
	struct pt_dups *t = NULL;

	assert_int_equal(pt_dups_create(&t, slots), 0);
	return t;
}

/* add returns whether an earlier one in the sample is equal. */
static int add(struct pt_dups *t, __u64 hash)
{
	int ret = pt_dups_add(t, hash);

	assert_in_range(ret, 0, 1);
	return ret;
}

static void test_counts_copies(void **state)
{
	struct pt_dups *t = make(64);

	(void)state;
	assert_int_equal(pt_dups_copies(t), 0);
	assert_int_equal(add(t, 5), 0);
	assert_int_equal(pt_dups_copies(t), 0);
	assert_int_equal(add(t, 5), 1);
	assert_int_equal(add(t, 5), 1);
	assert_int_equal(pt_dups_copies(t), 2);
	assert_int_equal(add(t, 6), 0);
	assert_int_equal(pt_dups_copies(t), 2);
	assert_int_equal(add(t, 6), 1);
	assert_int_equal(pt_dups_copies(t), 3);
	assert_int_equal(pt_dups_sample(t), 1);
	pt_dups_destroy(t);
	pt_dups_destroy(NULL);
}

/* Hashes that all want the same slot, the last one of the table, and 0. */
static void test_crowded_slots(void **state)
{
	struct pt_dups *t = make(64);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (__u64 i = 0; i < 20; i++)
			add(t, i << 32 | 63);
		add(t, 0);
	}
	assert_int_equal(pt_dups_copies(t), 21);
	pt_dups_destroy(t);
}

/* Exact as long as the table has space for all. */
static void test_exact_up_to_its_size(void **state)
{
	struct pt_dups *t = make(1024);

	(void)state;
	for (__u64 i = 0; i < 1024 / 4 * 3; i++)
		add(t, hash_of(i));
	assert_int_equal(pt_dups_sample(t), 1);
	assert_int_equal(pt_dups_copies(t), 0);
	add(t, hash_of(0));
	assert_true(pt_dups_sample(t) > 1);
	pt_dups_destroy(t);
}

/* Many more contents than the table has space for: each tenth content occurs
 * four times, first or last; so 3 of 13 pages are copies. */
static void test_estimates_beyond(void **state)
{
	const __u64 contents = 1000000;
	struct pt_dups *t = make(1u << 14);
	__u64 copies = contents / 10 * 3, found;

	(void)state;
	for (int round = 0; round < 4; round++)
		for (__u64 i = 0; i < contents; i++)
			if (!round || i % 10 == 0)
				add(t, hash_of(i));
	assert_true(pt_dups_sample(t) >= 64);
	found = pt_dups_copies(t);
	assert_in_range(found, copies / 100 * 93, copies / 100 * 107);
	pt_dups_destroy(t);
}

/* One content only, ever so often, stays exact. */
static void test_one_content(void **state)
{
	struct pt_dups *t = make(16);

	(void)state;
	for (int i = 0; i < 100000; i++)
		add(t, 77);
	assert_int_equal(pt_dups_copies(t), 99999);
	assert_int_equal(pt_dups_sample(t), 1);
	pt_dups_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_copies),
		cmocka_unit_test(test_crowded_slots),
		cmocka_unit_test(test_exact_up_to_its_size),
		cmocka_unit_test(test_estimates_beyond),
		cmocka_unit_test(test_one_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
