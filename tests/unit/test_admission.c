/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One address has no more than its places, and gives them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "transfer/admission.h"

static struct pt_error err;

static struct pt_address peer(__u8 last, __u16 port)
{
	struct pt_address a = { .port = port };

	a.ip[15] = last;
	return a;
}

static int enter(struct pt_admission *a, __u8 last, __u16 port, __u32 max)
{
	struct pt_address p = peer(last, port);

	return pt_admission_enter(a, &p, max, &err);
}

static void test_most_of_one(void **state)
{
	struct pt_admission a = { .cnt = 0 };

	(void)state;
	assert_int_equal(enter(&a, 1, 1000, 2), 0);
	assert_int_equal(enter(&a, 1, 1001, 2), 0);
	assert_int_equal(enter(&a, 1, 1002, 2), -EDQUOT);
	assert_int_equal(enter(&a, 2, 1000, 2), 0);
	pt_admission_leave(&a, peer(1, 0).ip);
	assert_int_equal(enter(&a, 1, 1003, 2), 0);
	assert_int_equal(enter(&a, 1, 1004, 2), -EDQUOT);
	assert_int_equal(enter(&a, 2, 1004, 2), 0);
	assert_int_equal(enter(&a, 2, 1005, 2), -EDQUOT);
}

static void test_most_of_all(void **state)
{
	struct pt_admission a = { .cnt = 0 };

	(void)state;
	for (int i = 0; i < PT_ADMISSION_MAX; i++)
		assert_int_equal(enter(&a, i, 1, 0), 0);
	assert_int_equal(enter(&a, 200, 1, 0), -ENOSPC);
	for (int i = 0; i < PT_ADMISSION_MAX; i++)
		pt_admission_leave(&a, peer(i, 0).ip);
	assert_int_equal(a.cnt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_most_of_one),
		cmocka_unit_test(test_most_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
