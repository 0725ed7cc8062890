/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "net/address.h"

#define PORT	16644

static const struct row {
	const char *text;
	int want;		/* 0, or -errno and the error's text */
	const char *print;
} rows[] = {
	{ "10.0.0.2", 0, "10.0.0.2:16644" },
	{ "10.0.0.2:1", 0, "10.0.0.2:1" },
	{ "10.0.0.2:65535", 0, "10.0.0.2:65535" },
	{ "10.0.0.2:0", -EINVAL, "10.0.0.2:0: the port is not 1..65535" },
	{ "10.0.0.2:65536", -EINVAL, "port" },
	{ "10.0.0.2:", -EINVAL, "port" },
	{ "10.0.0.2:x", -EINVAL, "port" },
	{ "10.0.0.2:1x", -EINVAL, "port" },
	{ "10.0.0.2: 1", -EINVAL, "port" },
	{ "10.0.0.2:+1", -EINVAL, "port" },
	{ "10.0.0.2:000001", -EINVAL, "port" },
	{ "10.0.0.300", -EINVAL, "not an IPv4 address" },
	{ "10.2", -EINVAL, "not an IPv4 address" },
	{ "16644", -EINVAL, "not an IPv4 address" },
	{ "fd00::2", 0, "[fd00::2]:16644" },
	{ "[fd00::2]", 0, "[fd00::2]:16644" },
	{ "[fd00::2]:7", 0, "[fd00::2]:7" },
	{ "[fd00::2", -EINVAL, "']'" },
	{ "[fd00::2]7", -EINVAL, "']'" },
	{ "[fd00::2]:", -EINVAL, "port" },
	{ "[10.0.0.2]:7", -EINVAL, "brackets" },
	{ "[]:7", -EINVAL, "no address" },
	{ "", -EINVAL, "no address" },
	{ ":7", -EINVAL, "no address" },
	{ "fd00::zz", -EINVAL, "not an IPv6 address" },
	{ "::ffff:10.0.0.2", 0, "10.0.0.2:16644" },
	{ "::", 0, "[::]:16644" },
	{ "fe80::1%lo", 0, "[fe80::1%lo]:16644" },
	{ "[fe80::1%lo]:9", 0, "[fe80::1%lo]:9" },
	{ "fe80::1%nosuchdev", -EINVAL, "device" },
	{ "localhost:5", 0, NULL },	/* either family */
	{ "no-such-host.invalid", -ENOENT, "no-such-host.invalid" },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	char text[PT_ADDRESS_TEXT_SZ];
	struct pt_address a, again;
	struct sockaddr_storage sa;
	struct pt_error err = { 0 };

	assert_int_equal(pt_address_parse(&a, row->text, PORT, &err),
			 row->want);
	if (row->want) {
		if (!strstr(err.text, row->print))
			fail_msg("'%s' lacks '%s'", err.text, row->print);
		return;
	}
	pt_address_print(&a, text);
	if (row->print)
		assert_string_equal(text, row->print);
	assert_int_equal(pt_address_parse(&again, text, 0, &err), 0);
	assert_memory_equal(&again, &a, sizeof(a));
	pt_address_to_sockaddr(&a, &sa);
	assert_true(pt_address_from_sockaddr(&again, &sa));
	assert_memory_equal(&again, &a, sizeof(a));
}

static struct pt_address address(const char *text)
{
	struct pt_address a;

	assert_int_equal(pt_address_parse(&a, text, 0, NULL), 0);
	return a;
}

static void test_bytes(void **state)
{
	static const __u8 mapped[16] = { [10] = 0xff, 0xff, 10, 0, 0, 2 };
	struct pt_address a = address("10.0.0.2"), b = address("fe80::1%lo");
	char text[PT_ADDRESS_TEXT_SZ];

	(void)state;
	assert_memory_equal(a.ip, mapped, 16);
	assert_int_equal(b.scope, if_nametoindex("lo"));
	assert_string_equal(pt_address_print(&a, text), "10.0.0.2");
	assert_string_equal(pt_address_print(&b, text), "fe80::1%lo");
	b.scope = 54321;	/* a device that is gone */
	assert_string_equal(pt_address_print(&b, text), "fe80::1%54321");
}

static void test_predicates(void **state)
{
	struct pt_address a;

	(void)state;
	a = address("10.0.0.2");
	assert_true(pt_address_is_v4(&a) && !pt_address_is_any(&a));
	a = address("0.0.0.0");
	assert_true(pt_address_is_v4(&a) && pt_address_is_any(&a));
	a = address("::");
	assert_true(!pt_address_is_v4(&a) && pt_address_is_any(&a));
	a = address("febf::1%lo");
	assert_true(pt_address_is_link_local(&a));
	a = address("fec0::1");
	assert_false(pt_address_is_link_local(&a));
}

static void test_resolve(void **state)
{
	struct pt_address a[PT_ADDRESSES_MAX];
	int cnt = pt_address_resolve(a, PT_ADDRESSES_MAX, "localhost:3", 1,
				     NULL);

	(void)state;
	assert_in_range(cnt, 1, PT_ADDRESSES_MAX);
	for (int i = 0; i < cnt; i++)
		assert_int_equal(a[i].port, 3);
}

static void test_too_long(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pt_address_parse(&(struct pt_address){}, text, 1,
					  NULL), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_predicates),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_too_long),
	};
	struct CMUnitTest tests[64];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[cnt++] = (struct CMUnitTest){ rows[i].text, test_row,
						    NULL, NULL,
						    (void *)&rows[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("address", tests, cnt, NULL, NULL);
}
