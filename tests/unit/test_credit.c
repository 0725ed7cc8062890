// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A queue's credit and chunks, divided by demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rxq/credit.h"

#define CREDIT	1536
#define RING	2048

static const struct row {
	const char *name;
	__u32 idle_cnt, busy_cnt;
	struct pt_windows want;
} rows[] = {
	{ "no lane", 0, 0, { 0, 0 } },
	{ "one sends", 0, 1, { CREDIT, CREDIT } },
	{ "one idles, alone", 1, 0, { CREDIT, CREDIT } },
	{ "four send", 0, 4, { 384, 384 } },
	{ "four idle", 4, 0, { 384, 384 } },
	{ "one of two idles", 1, 1, { 384, 1152 } },
	{ "one of two hundred idles", 1, 199, { 18, 18 } },
	{ "a polite peer of 64 lanes", 64, 1, { 18, 768 } },
	{ "two of them", 128, 1, { 18, 768 } },
	{ "as many as there can be", 255, 1, { 18, 768 } },
	{ "as many, and all send", 0, 256, { 18, 18 } },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_windows w = pt_credit_share(CREDIT, row->idle_cnt,
					      row->busy_cnt);

	assert_int_equal(w.idle, row->want.idle);
	assert_int_equal(w.busy, row->want.busy);
}

/* For any mix: a frame of any size fits, an idle lane has no more than a
 * sending one, and those that send have half of the credit at least.  The sum
 * stays within the total, unless lanes are too many for that. */
static void test_any_mix(void **state)
{
	(void)state;
	for (__u32 idle = 1; idle < 256; idle++) {
		for (__u32 busy = 1; idle + busy <= 256; busy++) {
			struct pt_windows w = pt_credit_share(CREDIT, idle,
							      busy);

			assert_true(w.idle >= PT_SPANS_MAX);
			assert_true(w.busy >= w.idle);
			assert_true((w.busy + 1) * busy > CREDIT / 2);
			if (idle * PT_SPANS_MAX <= CREDIT / 2 &&
			    busy * PT_SPANS_MAX <= CREDIT / 2)
				assert_true(w.idle * idle + w.busy * busy <=
					    CREDIT);
		}
	}
}

/* hold_all returns the number of RING's chunks that each of cnt lanes gets, the
 * first all it may before the second begins, and so on. */
static void hold_all(__u32 *held, __u32 cnt)
{
	__u32 all = 0;

	for (__u32 i = 0; i < cnt; i++) {
		held[i] = 0;
		while (pt_credit_may_hold(RING, all, held[i], 1)) {
			held[i]++;
			all++;
		}
		assert_true(all < RING);
	}
}

/* Whichever lane waits for storage first, the next one gets some chunks. */
static void test_hold(void **state)
{
	__u32 held[3];

	(void)state;
	hold_all(held, 3);
	assert_int_equal(held[0], RING * PT_HOLD_TIMES / (PT_HOLD_TIMES + 1));
	assert_true(held[1] >= PT_SPANS_MAX);
	assert_true(held[2] >= PT_SPANS_MAX);
	assert_true(held[1] >= held[2]);
}

static void test_hold_edges(void **state)
{
	(void)state;
	assert_true(pt_credit_may_hold(10, 0, 0, 8));
	assert_false(pt_credit_may_hold(10, 0, 0, 9));
	assert_false(pt_credit_may_hold(10, 0, 0, 10));
	assert_false(pt_credit_may_hold(10, 9, 0, 2));
	assert_false(pt_credit_may_hold(10, 10, 0, 1));
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[ROWS + 3];

	for (int i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(test_any_mix);
	tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(test_hold);
	tests[ROWS + 2] = (struct CMUnitTest)cmocka_unit_test(test_hold_edges);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
