/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lane/batch.h"

/* frames_until_full returns how many such frames one kick sends. */
static __u32 frames_until_full(__u32 frame_sz, __u64 pack_ns, __u32 sz_max)
{
	struct pt_batch b = { 0 };

	do
		pt_batch_add(&b, frame_sz, pack_ns);
	while (!pt_batch_is_full(&b, sz_max));
	return b.frame_cnt;
}

static void test_limits(void **state)
{
	(void)state;
	assert_int_equal(frames_until_full(1514, 0, PT_BATCH_SZ), 64);
	assert_int_equal(frames_until_full(65550, 0, PT_BATCH_SZ), 4);
	assert_int_equal(frames_until_full(9014, 0, 30000), 4);
	assert_int_equal(frames_until_full(9014, 0, 1), 1);
}

/* No frame waits for the compression of many others. */
static void test_compression(void **state)
{
	(void)state;
	assert_int_equal(frames_until_full(1514, 4000, PT_BATCH_SZ), 50);
	assert_int_equal(frames_until_full(9014, 30000, PT_BATCH_SZ), 7);
	assert_int_equal(frames_until_full(9014, 15000000, PT_BATCH_SZ), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_compression),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
