// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live/round_clock.h"

static void test_without_a_pause(void **state)
{
	struct pt_round_clock c;
	struct pt_round r = { .pause_ns = 77 };

	(void)state;
	pt_round_clock_begin(&c, 1000);
	pt_round_clock_end(&c, &r, 0, 1300);
	assert_int_equal(r.took_ns, 300);
	assert_int_equal(r.pause_ns, 0);
}

/* Pages were written in all pauses: in the round, before the look, and while a
 * look was held. */
static void test_pauses(void **state)
{
	struct pt_round_clock c;
	struct pt_round r = { 0 };

	(void)state;
	pt_round_clock_begin(&c, 1000);
	pt_round_clock_pause(&c, 50, 1100);
	pt_round_clock_pause(&c, 20, 1200);
	pt_round_clock_end(&c, &r, 250, 1300);
	assert_int_equal(r.took_ns, 230);
	assert_int_equal(r.pause_ns, 320);
	pt_round_clock_look_again(&c, &r, 2000);	/* due at 1550 */
	assert_int_equal(r.pause_ns, 770);
	pt_round_clock_look_again(&c, &r, 2100);
	assert_int_equal(r.pause_ns, 870);
	assert_int_equal(r.took_ns, 230);
}

/* The next round does not inherit them. */
static void test_next_round(void **state)
{
	struct pt_round_clock c;
	struct pt_round r = { 0 };

	(void)state;
	pt_round_clock_begin(&c, 1000);
	pt_round_clock_pause(&c, 50, 1100);
	pt_round_clock_end(&c, &r, 250, 1300);
	pt_round_clock_look_again(&c, &r, 2000);
	pt_round_clock_begin(&c, 3000);
	pt_round_clock_end(&c, &r, 0, 3400);
	assert_int_equal(r.took_ns, 400);
	assert_int_equal(r.pause_ns, 0);
}

/* A pause that began before the round. */
static void test_older_pause(void **state)
{
	struct pt_round_clock c;
	struct pt_round r = { 0 };

	(void)state;
	pt_round_clock_begin(&c, 1000);
	pt_round_clock_pause(&c, 5000, 1100);
	pt_round_clock_end(&c, &r, 0, 1300);
	assert_int_equal(r.took_ns, 200);
	assert_int_equal(r.pause_ns, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_pause),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_next_round),
		cmocka_unit_test(test_older_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
