// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The bytes that a sender reports as left, for a memory that may end within a
 * page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "send/sender.h"

static const struct row {
	enum pt_send_phase phase;
	__u64 memory_sz, pages_left, want;
} rows[] = {
	/* Before lanes count, all bytes are left. */
	{ PT_SEND_SETUP, 8192, 0, 8192 },
	{ PT_SEND_COMPARE, 8193, 3, 8193 },
	{ PT_SEND_SEND, 8192, 2, 8192 },
	{ PT_SEND_SEND, 8192, 1, 4096 },
	{ PT_SEND_SEND, 8193, 3, 8193 },	/* 12288 it has not */
	{ PT_SEND_SEND, 8193, 2, 8192 },
	{ PT_SEND_SEND, 1, 1, 1 },
	{ PT_SEND_VERIFY, 8193, 0, 0 },
};

static void test_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct pt_send_report r = {
			.phase = row->phase,
			.memory_sz = row->memory_sz,
			.pages_left = row->pages_left,
		};

		if (pt_send_left_sz(&r) != row->want)
			fail_msg("row %zu: %llu", i,
				 (unsigned long long)pt_send_left_sz(&r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
