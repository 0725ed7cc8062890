// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lists of pages as ranges, and the names of the first of them. */
#include "scratch.h"

#include <errno.h>

#include "memory/page_ranges.h"

static void test_add(void **state)
{
	struct pt_page_ranges r = { 0 };

	(void)state;
	assert_false(pt_page_ranges_has(&r, 0));
	assert_int_equal(pt_page_ranges_add(&r, 5, 0), -EINVAL);
	assert_int_equal(pt_page_ranges_add(&r, 5, 2), 0);
	assert_int_equal(pt_page_ranges_add(&r, 7, 1), 0);	/* joins */
	assert_int_equal(pt_page_ranges_add(&r, 7, 1), -EINVAL);
	assert_int_equal(pt_page_ranges_add(&r, 9, 1), 0);
	assert_int_equal(pt_page_ranges_add(&r, ~0ULL, 1), -EINVAL);
	assert_int_equal(r.cnt, 2);
	assert_int_equal(r.page_cnt, 4);
	for (__u64 page = 0; page < 12; page++)
		assert_int_equal(pt_page_ranges_has(&r, page),
				 (page >= 5 && page <= 7) || page == 9);
	pt_page_ranges_free(&r);
	assert_int_equal(r.cnt, 0);
}

static void test_most(void **state)
{
	struct pt_page_ranges r = { 0 };

	(void)state;
	for (__u64 i = 0; i < PT_PAGE_RANGES_MAX; i++)
		assert_int_equal(pt_page_ranges_add(&r, 2 * i, 1), 0);
	assert_int_equal(pt_page_ranges_add(&r, 3 * PT_PAGE_RANGES_MAX, 1),
			 -E2BIG);
	assert_int_equal(r.page_cnt, PT_PAGE_RANGES_MAX);
	for (__u64 i = 0; i < 2 * PT_PAGE_RANGES_MAX; i++)
		assert_int_equal(pt_page_ranges_has(&r, i), i % 2 == 0);
	pt_page_ranges_free(&r);
}

static void test_names(void **state)
{
	struct pt_page_names n = { 0 };

	(void)state;
	for (__u64 i = 0; i < PT_PAGE_NAMES_MAX + 3; i++) {
		pt_page_names_add(&n, 10 * i, 1);
		pt_page_names_add(&n, 10 * i + 1, 2);
	}
	assert_int_equal(n.range_cnt, PT_PAGE_NAMES_MAX + 3);
	assert_int_equal(n.page_cnt, 3 * (PT_PAGE_NAMES_MAX + 3));
	for (__u64 i = 0; i < PT_PAGE_NAMES_MAX; i++) {
		assert_int_equal(n.named[i].first, 10 * i);
		assert_int_equal(n.named[i].cnt, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
