// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Where khugepaged fills pages for which somebody waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lazy/khugepaged.h"

#define ALL(word) "always within_size advise never deny force [" word "]"

static const struct row {
	const char *name, *release, *shmem_enabled, *huge;
	bool want;
} rows[] = {
	{ "a mount with huge=", "6.1.0-21-amd64", ALL("never"), "always", true },
	{ "a mount with huge=advise: QEMU advises", "6.3.13", ALL("never"), "advise", true },
	{ "a mount with huge=within_size", "6.1.0", ALL("advise"), "within_size", true },
	{ "a mount without huge=", "6.1.0", ALL("always"), "", false },
	{ "a mount with huge=never", "6.1.0", ALL("always"), "never", false },
	{ "a memfd, where shmem_enabled is never", "6.1.0", ALL("never"), NULL, false },
	{ "a memfd, where it is advise", "6.1.0", ALL("advise"), NULL, true },
	{ "deny", "6.1.0", ALL("deny"), "always", false },
	{ "force", "6.1.0", ALL("force"), "", true },
	{ "a kernel without large pages", "6.1.0", NULL, "always", false },
	{ "the last one that fills", "6.3.99-rc1", ALL("force"), NULL, true },
	{ "the first one that does not", "6.4.0", ALL("force"), "always", false },
	{ "a two-digit minor", "6.12.9", ALL("force"), "always", false },
	{ "a higher major", "7.0", ALL("force"), "always", false },
	{ "a lower major", "5.15.0", ALL("force"), "always", true },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	assert_int_equal(pt_khugepaged_fills(row->release, row->shmem_enabled, row->huge),
			 row->want);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0])];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
