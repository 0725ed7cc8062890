// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/due.h"

#define MS	1000000ULL
#define LIMIT	(6000 * MS)
#define STEP	(100 * MS)

static struct pt_due due;
static __u64 now_ns;

static int begin(void **state)
{
	(void)state;
	now_ns = 77 * MS;
	pt_due_begin(&due, LIMIT, now_ns);
	return 0;
}

/* passes lets ns pass in steps of STEP, and returns whether the deadline is
 * over. */
static bool passes(__u64 ns, bool owes, __u64 amount)
{
	for (__u64 i = 0; i < ns / STEP; i++) {
		now_ns += STEP;
		pt_due_look(&due, now_ns, owes, amount);
	}
	return pt_due_is_over(&due);
}

static void test_nothing_comes(void **state)
{
	(void)state;
	assert_false(passes(LIMIT, true, 0));
	assert_true(passes(STEP, true, 0));
}

static void test_any_move_begins_anew(void **state)
{
	(void)state;
	assert_false(passes(LIMIT, true, 0));
	assert_false(passes(LIMIT + STEP, true, 5));
	assert_false(passes(LIMIT + STEP, true, 4));
	assert_true(passes(STEP, true, 4));
}

/* While the peer waits for this end, the clock stays at its start. */
static void test_stands_while_we_owe(void **state)
{
	(void)state;
	assert_false(passes(LIMIT, true, 0));
	assert_false(passes(1000 * LIMIT, false, 0));
	assert_false(passes(LIMIT, true, 0));
	assert_true(passes(STEP, true, 0));
}

/* A process that was stopped for an hour has waited for one step of it. */
static void test_stands_while_nobody_looks(void **state)
{
	(void)state;
	now_ns += 3600000 * MS;
	pt_due_look(&due, now_ns, true, 0);
	assert_false(passes(LIMIT - PT_DUE_LOOK_NS, true, 0));
	assert_true(passes(STEP, true, 0));
}

static void test_time_that_goes_back(void **state)
{
	(void)state;
	pt_due_look(&due, now_ns - MS, true, 0);
	assert_false(pt_due_is_over(&due));
	assert_false(passes(LIMIT, true, 0));
}

static void test_works(void **state)
{
	(void)state;
	assert_false(passes(LIMIT, true, 0));
	pt_due_works(&due);
	assert_false(passes(LIMIT, true, 0));
	assert_true(passes(STEP, true, 0));
}

/* A peer that works without progress gets a while, not for ever. */
static void test_works_without_end(void **state)
{
	__u64 passed_ns = 0;

	(void)state;
	while (!passes(STEP, true, 0) && passed_ns < 100 * LIMIT) {
		passed_ns += STEP;
		pt_due_works(&due);
	}
	assert_int_equal(passed_ns, (PT_DUE_WORK + 1) * LIMIT);
}

static void test_works_and_moves(void **state)
{
	(void)state;
	for (__u64 i = 0; i < 100; i++) {
		assert_false(passes(LIMIT, true, i));
		pt_due_works(&due);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_comes, begin),
		cmocka_unit_test_setup(test_any_move_begins_anew, begin),
		cmocka_unit_test_setup(test_stands_while_we_owe, begin),
		cmocka_unit_test_setup(test_stands_while_nobody_looks, begin),
		cmocka_unit_test_setup(test_time_that_goes_back, begin),
		cmocka_unit_test_setup(test_works, begin),
		cmocka_unit_test_setup(test_works_without_end, begin),
		cmocka_unit_test_setup(test_works_and_moves, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
