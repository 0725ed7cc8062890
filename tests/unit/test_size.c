// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BAD	(~0ULL)

static const struct row {
	const char *text;
	__u64 bytes, rate;	/* BAD: refused */
} rows[] = {
	{ "0",		0, 0 },
	{ "4096",	4096, 4096 },
	{ "4096B",	4096, 4096 },
	{ "64K",	65536, 65536 },
	{ "64k",	65536, 65536 },
	{ "1M",		1 << 20, 1 << 20 },
	{ "1MB",	1 << 20, 1 << 20 },
	{ "1MiB",	1 << 20, 1 << 20 },
	{ "1 MiB",	1 << 20, 1 << 20 },
	{ "10GiB",	10ULL << 30, 10ULL << 30 },
	{ "1.5G",	3ULL << 29, 3ULL << 29 },
	{ "0.5",	0, 0 },
	{ "2T",		2ULL << 40, 2ULL << 40 },
	{ "1MiB/s",	BAD, 1 << 20 },
	{ "10Gbit/s",	BAD, 1250000000 },
	{ "10gbit",	BAD, 1250000000 },
	{ "1.5Mbit/s",	BAD, 187500 },
	{ "8000bit/s",	BAD, 1000 },
	{ "100Mbits",	BAD, BAD },
	{ "10GB/s",	BAD, 10ULL << 30 },
	{ "10Gb/s",	BAD, BAD },	/* bits or bytes? */
	{ "10gb",	10ULL << 30, BAD },
	{ "10Gib",	10ULL << 30, BAD },
	{ "4096b",	4096, BAD },
	{ "10GBIT",	BAD, BAD },
	{ "10X",	BAD, BAD },
	{ "10Gi/",	BAD, BAD },
	{ "10i",	BAD, BAD },
	{ "1..5G",	BAD, BAD },
	{ "1.G",	BAD, BAD },
	{ ".5G",	BAD, BAD },
	{ "-1",		BAD, BAD },
	{ "",		BAD, BAD },
	{ "K",		BAD, BAD },
	{ "10 ",	BAD, BAD },
	{ " 10",	BAD, BAD },
	{ "18446744073709551616", BAD, BAD },
	{ "99999999T",	BAD, BAD },
};

static __u64 parse(const char *text, enum pt_size_kind kind)
{
	__u64 value;

	return pt_size_parse(text, kind, 0, 1ULL << 60, &value) ? value : BAD;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		if (parse(r->text, PT_SIZE_BYTES) != r->bytes ||
		    parse(r->text, PT_SIZE_RATE) != r->rate)
			fail_msg("'%s': %llu, %llu", r->text,
				 parse(r->text, PT_SIZE_BYTES),
				 parse(r->text, PT_SIZE_RATE));
	}
}

static void test_plain(void **state)
{
	(void)state;
	assert_int_equal(parse("12", PT_SIZE_PLAIN), 12);
	assert_int_equal(parse("12K", PT_SIZE_PLAIN), BAD);
	assert_int_equal(parse("1.5", PT_SIZE_PLAIN), BAD);
	assert_true(pt_size_is_plain("12"));
	assert_true(pt_size_is_plain("12K"));
	assert_false(pt_size_is_plain("12k"));
	assert_false(pt_size_is_plain("1.5G"));
	assert_false(pt_size_is_plain("12Gbit"));
}

static void test_bounds(void **state)
{
	__u64 value = 7;

	(void)state;
	assert_false(pt_size_parse("3", PT_SIZE_BYTES, 4, 8, &value));
	assert_false(pt_size_parse("9", PT_SIZE_BYTES, 4, 8, &value));
	assert_int_equal(value, 7);
	assert_true(pt_size_parse("4", PT_SIZE_BYTES, 4, 8, &value));
	assert_true(pt_size_parse("8", PT_SIZE_BYTES, 4, 8, &value));
	assert_int_equal(value, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
