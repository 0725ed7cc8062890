// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The limit of a sender at the receiver: a sender that keeps it gets its credit at
 * once, any other only when its average fits again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "receive/rx_rate.h"

#define SECOND	1000000000ULL
#define TICK	(SECOND / 10)
#define RATE	(100ULL << 20)

/* ticks_ahead sends at times a hundredth of the limit for 60 s; returns the ticks
 * that are ahead. */
static unsigned ticks_ahead(__u64 percent)
{
	struct pt_rx_rate r = { .bytes_per_s = RATE };
	unsigned cnt = 0;

	for (__u64 i = 1; i <= 600; i++)
		cnt += pt_rx_rate_take(&r, i * (RATE / 1000) * percent,
				       i * TICK);
	return cnt;
}

static void test_honest(void **state)
{
	(void)state;
	assert_int_equal(ticks_ahead(100), 0);
	assert_int_equal(ticks_ahead(124), 0);
}

static void test_too_fast(void **state)
{
	(void)state;
	assert_true(ticks_ahead(130) > 0);
	assert_true(ticks_ahead(200) > 590);
}

static void test_no_limit(void **state)
{
	struct pt_rx_rate r = { 0 };

	(void)state;
	assert_false(pt_rx_rate_take(&r, ~0ULL, SECOND));
}

/* Time without frames is not saved up for later. */
static void test_idle(void **state)
{
	struct pt_rx_rate r = { .bytes_per_s = RATE };

	(void)state;
	assert_false(pt_rx_rate_take(&r, 1, SECOND));
	assert_false(pt_rx_rate_take(&r, 1, 1000 * SECOND));
	assert_true(pt_rx_rate_take(&r, RATE, 1000 * SECOND));
	assert_false(pt_rx_rate_take(&r, RATE, 1001 * SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_too_fast),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
