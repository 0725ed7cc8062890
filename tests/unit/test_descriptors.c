/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "wire/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/record.h"

static void test_desc_cnt(void **state)
{
	(void)state;
	assert_int_equal(pt_desc_cnt(1, 3840), 1);
	assert_int_equal(pt_desc_cnt(3839, 3840), 1);
	assert_int_equal(pt_desc_cnt(3840, 3840), 1);
	assert_int_equal(pt_desc_cnt(3841, 3840), 2);
	assert_int_equal(pt_desc_cnt(7680, 3840), 2);
	assert_int_equal(pt_desc_cnt(65549, 3840), 18);
}

/* A frame costs its descriptors, or the whole pages that it brings. */
static void test_cost(void **state)
{
	struct pt_record_host r = { .kind = PT_RECORD_BLOCKS, .mask = 0x70 };

	(void)state;
	assert_int_equal(pt_frame_cost(1, 0), 1);
	assert_int_equal(pt_frame_cost(1, 2 * 64 - 1), 1);
	assert_int_equal(pt_frame_cost(1, 2 * 64), 2);
	assert_int_equal(pt_frame_cost(3, 2 * 64), 3);
	assert_int_equal(pt_frame_cost(3, 96 * 64), 96);
	assert_int_equal(pt_record_load(&r), 3);
	r.kind = PT_RECORD_DELTA;
	assert_int_equal(pt_record_load(&r), 64);
	r.kind = PT_RECORD_COPY;
	assert_int_equal(pt_record_load(&r), 64);
	r.kind = PT_RECORD_ZEROES;
	assert_int_equal(pt_record_load(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_desc_cnt),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
