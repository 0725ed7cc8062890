// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct row {
	const char *from, *to;
} rows[] = {
	{ "plain", "plain" },
	{ "caf\xc3\xa9", "caf\xc3\xa9" },
	{ "caf\xe9.ram", "caf\\xe9.ram" },
	{ "a\nb\x1b[2J", "a\\x0ab\\x1b[2J" },
	{ "a\x7f\xc2\x9b" "b", "a\\x7f\\xc2\\x9bb" },
	{ "x\xe2\x80\xae" "exe", "x\\u202eexe" },	/* U+202E */
	{ "x\xd8\x9c" "y", "x\\u061cy" },		/* U+061C */
	{ "x\xe2\x80\xaa", "x\\u202a" },		/* U+202A */
	{ "x\xe2\x80\xaf", "x\xe2\x80\xaf" },	/* U+202F, a space */
	{ "x\xe2\x80\x8e", "x\\u200e" },		/* U+200E */
	{ "x\xe2\x80\x8d", "x\xe2\x80\x8d" },	/* U+200D, a joiner */
	{ "x\xe2\x81\xa6", "x\\u2066" },		/* U+2066 */
	{ "x\xe2\x81\xaa", "x\xe2\x81\xaa" },	/* U+206A */
};

static void test_clean(void **state)
{
	char to[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pt_text_clean(to, sizeof(to), rows[i].from);
		assert_string_equal(to, rows[i].to);
		pt_text_clean(to, sizeof(to), rows[i].to);
		assert_string_equal(to, rows[i].to);
	}
	pt_text_clean(to, 5, "caf\xc3\xa9");	/* no half of a character */
	assert_string_equal(to, "caf");
	pt_text_clean(to, 7, "caf\xff");	/* nor of an escape */
	assert_string_equal(to, "caf");
	pt_text_clean(to, 8, "caf\xff");
	assert_string_equal(to, "caf\\xff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
