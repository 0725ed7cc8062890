/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lane/rate.h"

static const struct row {
	const char *name;
	__u64 wish;
	__u32 speed_mbit;
	int want;
	__u64 rate;		/* if want is 0 */
	const char *works;	/* else: named */
	enum pt_exit exit;	/* the code of that error */
} rows[] = {
	{ "no limit", PT_RATE_NONE, 10000, 0, 0, NULL, 0 },
	{ "no limit, no speed", PT_RATE_NONE, 0, 0, 0, NULL, 0 },
	{ "auto is the link's speed", PT_RATE_AUTO, 1000, 0, 125000000, NULL, 0 },
	{ "auto of 400 Gbit/s", PT_RATE_AUTO, 400000, 0, 50000000000, NULL, 0 },
	{ "auto without a speed is no limit", PT_RATE_AUTO, 0, 0, 0, NULL, 0 },
	{ "under the speed", 124999999, 1000, 0, 124999999, NULL, 0 },
	{ "just the speed", 125000000, 1000, 0, 125000000, NULL, 0 },
	{ "over the speed", 125000001, 1000, -ERANGE, 0,
	  "(125000000 works)", PT_EXIT_HOST },
	{ "over any, and no speed", PT_RATE_MAX, 0, 0, PT_RATE_MAX, NULL, 0 },
	{ "the least", PT_RATE_MIN, 0, 0, PT_RATE_MIN, NULL, 0 },
	{ "less", PT_RATE_MIN - 1, 0, -ERANGE, 0, "(65536 works)",
	  PT_EXIT_USAGE },
	{ "less, of a fast link", 1, 10000, -ERANGE, 0, "(65536 works)",
	  PT_EXIT_USAGE },
	{ "the least, of a slow link", PT_RATE_MIN, 1, 0, PT_RATE_MIN, NULL, 0 },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	const struct pt_device dev = {
		.name = "eth9", .speed_mbit = row->speed_mbit,
	};
	struct pt_error err = { 0 };
	__u64 rate;

	assert_int_equal(pt_rate_choose(&rate, row->wish, &dev, &err),
			 row->want);
	if (!row->want) {
		assert_int_equal(rate, row->rate);
		return;
	}
	assert_int_equal(err.exit, row->exit);
	assert_non_null(strstr(err.text, row->works));
}

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	struct CMUnitTest tests[ROWS] = { 0 };

	for (size_t i = 0; i < ROWS; i++) {
		tests[i].name = rows[i].name;
		tests[i].test_func = test_row;
		tests[i].initial_state = (void *)&rows[i];
	}
	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
