// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lazy/door.h"

static const struct row {
	const char *name, *text;
	int cnt;		/* of regions; -1: it is refused */
	__u64 page_sz;		/* of the first */
} rows[] = {
#define R(more) "{\"base_host_virt_addr\": 65536, \"size\": 8192, \"offset\": 4096" more "}"
	{ "no page size", "[" R("") "]", 1, 4096 },
	{ "page_size", "[" R(", \"page_size\": 2097152") "]", 1, 2097152 },
	{ "page_size_kib in KiB", "[" R(", \"page_size_kib\": 2048") "]", 1, 2097152 },
	{ "page_size_kib of 4", "[" R(", \"page_size_kib\": 4") "]", 1, 4096 },
	{ "page_size_kib in bytes", "[" R(", \"page_size_kib\": 4096") "]", 1, 4096 },
	{ "both", "[" R(", \"page_size_kib\": 9, \"page_size\": 4096") "]", 1, 4096 },
	{ "a key that is not known", "[" R(", \"more\": {}") "]", 1, 4096 },
	{ "two", "[" R("") "," R("") "]", 2, 4096 },
	{ "none", "[]", 0, 0 },
	{ "page_size is text", "[" R(", \"page_size\": \"4096\"") "]", -1, 0 },
	{ "page_size is no integer", "[" R(", \"page_size\": 4096.0") "]", -1, 0 },
	{ "page_size_kib is negative", "[" R(", \"page_size_kib\": -4") "]", -1, 0 },
	{ "a key twice", "[" R(", \"size\": 4096") "]", -1, 0 },
	{ "no object", "[1]", -1, 0 },
	{ "no array", R(""), -1, 0 },
	{ "more behind it", "[" R("") "] []", -1, 0 },
	{ "cut", "[" R("") ",", -1, 0 },
};

static void test_row(void **state)
{
	static struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];
	const struct row *row = *state;
	__u32 cnt = 77;
	int code = pt_lazy_message_parse(row->text, strlen(row->text), regions, &cnt,
					 NULL);

	assert_int_equal(code, row->cnt < 0 ? -EPROTO : 0);
	if (row->cnt < 0)
		return;
	assert_int_equal(cnt, row->cnt);
	for (int i = 0; i < row->cnt; i++) {
		assert_int_equal(regions[i].addr, 65536);
		assert_int_equal(regions[i].sz, 8192);
		assert_int_equal(regions[i].off, 4096);
		assert_int_equal(regions[i].page_sz, row->page_sz);
	}
}

static void test_too_many(void **state)
{
	static struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];
	static char text[PT_LAZY_MESSAGE_MAX];
	__u32 cnt;

	(void)state;
	strcpy(text, "[" R(""));
	for (int i = 1; i < PT_LAZY_REGIONS_MAX; i++)
		strcat(text, "," R(""));
	strcat(text, "]");
	assert_int_equal(pt_lazy_message_parse(text, strlen(text), regions, &cnt, NULL),
			 0);
	assert_int_equal(cnt, PT_LAZY_REGIONS_MAX);
	strcpy(text + strlen(text) - 1, "," R("") "]");
	assert_int_equal(pt_lazy_message_parse(text, strlen(text), regions, &cnt, NULL),
			 -EPROTO);
}

int main(void)
{
	struct CMUnitTest tests[1 + sizeof(rows) / sizeof(*rows)] = {
		cmocka_unit_test(test_too_many),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		tests[1 + i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
