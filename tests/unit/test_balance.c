// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "session/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SENT	1000

/* A ledger that balances, in which no two numbers are alike. */
static const struct pt_ledger good = {
	.received = 1014,
	.accepted = 977,
	.duplicate = 19,
	.late = 7,
	.missing = 23,
	.refused_auth = 8,
	.refused_record = 5,
	.refused_window = 2,
	.refused_unit = 3,
	.placed = 2900,
	.stale = 83,
	.refused_version = 17,
	.records = 3000,
	.probes = 61,
	.steered = 1088,
	.xdp_dropped = 31,
	.socket_dropped = 13,
};

static void test_balanced(void **state)
{
	static const struct pt_ledger empty;

	(void)state;
	assert_int_equal(pt_balance(&good, SENT), 0);
	assert_int_equal(pt_balance(&empty, 0), 0);
}

/* One number is wrong; so many identities break. */
static const struct row {
	const char *name;
	size_t at;		/* of the number in the ledger */
	unsigned int broken;	/* identities that hold it */
} rows[] = {
#define FIELD(name, broken) { #name, offsetof(struct pt_ledger, name), broken }
	FIELD(accepted, 2),	/* sent, received */
	FIELD(missing, 1),	/* sent */
	FIELD(received, 2),	/* received, steered */
	FIELD(duplicate, 1),	/* received */
	FIELD(refused_auth, 1),
	FIELD(refused_record, 1),
	FIELD(refused_window, 1),
	FIELD(refused_unit, 1),
	FIELD(records, 1),	/* records */
	FIELD(placed, 1),
	FIELD(stale, 1),
	FIELD(refused_version, 1),
	FIELD(steered, 1),	/* steered */
	FIELD(probes, 1),
	FIELD(socket_dropped, 1),
	FIELD(late, 0),		/* among the accepted */
	FIELD(xdp_dropped, 0),	/* never steered */
#undef FIELD
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_ledger ledger = good;
	__u64 *number = (__u64 *)((char *)&ledger + row->at);

	for (__u64 by = 1; by <= *number; by = by * 3 + 1) {
		*number += by;
		assert_int_equal(pt_balance(&ledger, SENT), by * row->broken);
		*number -= 2 * by;
		assert_int_equal(pt_balance(&ledger, SENT), by * row->broken);
		*number += by;
	}
}

static void test_sent(void **state)
{
	(void)state;
	assert_int_equal(pt_balance(&good, SENT + 1), 1);
	assert_int_equal(pt_balance(&good, SENT - 1), 1);
	assert_int_equal(pt_balance(&good, 0), SENT);
}

static void test_queue(void **state)
{
	struct pt_ledger ledger = good;

	(void)state;
	ledger.queue_unaccounted = 3;
	assert_int_equal(pt_balance(&ledger, SENT), 3);
}

/* A surplus in one place does not make up for a deficit in another. */
static void test_no_cancelling(void **state)
{
	struct pt_ledger ledger = good;

	(void)state;
	ledger.missing++;	/* one more than sent */
	ledger.duplicate--;	/* one fewer than received */
	assert_int_equal(pt_balance(&ledger, SENT), 2);
	ledger.stale--;
	ledger.probes++;
	assert_int_equal(pt_balance(&ledger, SENT), 4);
}

#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

/* Every number of the ledger is in a row, but for queue_unaccounted. */
_Static_assert(ROW_CNT + 1 == sizeof(struct pt_ledger) / sizeof(__u64),
	       "a row for each number");

int main(void)
{
	struct CMUnitTest tests[4 + ROW_CNT] = {
		cmocka_unit_test(test_balanced),
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_no_cancelling),
	};

	for (size_t i = 0; i < ROW_CNT; i++)
		tests[4 + i] = (struct CMUnitTest){ rows[i].name, test_row,
						    NULL, NULL,
						    (void *)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
