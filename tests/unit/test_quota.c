// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The cost of a memory of cnt segments of sz bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "receive/quota.h"

#define TABLES(cnt)	((cnt) * (PT_QUOTA_REGION_SZ + PT_QUOTA_SEGMENT_SZ))

static const struct row {
	const char *name;
	__u32 cnt;
	__u64 sz, want;
} rows[] = {
	{ "a byte is a page", 1, 1, 4096 },
	{ "a page", 1, 4096, 4096 },
	{ "a byte more", 1, 4097, 8192 },
	{ "a region: tables are free", 1, 2 << 20, 2 << 20 },
	{ "1 TiB: tables are free", 1, 1ULL << 40, 1ULL << 40 },
	{ "65536 of a byte", 65536, 1, (256 << 20) + TABLES(65536ULL) -
	  (1 << 20) - PT_QUOTA_TABLES_FREE },
	{ "30000 of a page", 30000, 4096, 30000 * 4096 + TABLES(30000ULL) -
	  30000 * 16 - PT_QUOTA_TABLES_FREE },
	{ "the most", 1, PT_LAYOUT_SZ_MAX, PT_LAYOUT_SZ_MAX },
	{ "more than the most", 1, PT_LAYOUT_SZ_MAX + 1, ~0ULL },
	{ "together more than the most", 2, PT_LAYOUT_SZ_MAX, ~0ULL },
	{ "a sum that would wrap", 65536, ~0ULL, ~0ULL },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_segment *segs = calloc(row->cnt, sizeof(*segs));

	assert_non_null(segs);
	for (__u32 i = 0; i < row->cnt; i++)
		segs[i].sz = row->sz;
	assert_true(pt_quota_memory_sz(segs, row->cnt) == row->want);
	free(segs);
}

static void test_files(void **state)
{
	(void)state;
	assert_true(pt_quota_file_sz(0) == 4096);
	assert_true(pt_quota_file_sz(1) == 8192);
	assert_true(pt_quota_file_sz(4096) == 8192);
	assert_true(pt_quota_file_sz(4097) == 12288);
	assert_true(pt_quota_file_sz(~0ULL - 8192) != ~0ULL);
	assert_true(pt_quota_file_sz(~0ULL - 8191) == ~0ULL);
	assert_true(pt_quota_file_sz(~0ULL) == ~0ULL);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[ROWS + 1];

	for (int i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(test_files);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
