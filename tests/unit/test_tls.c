/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls_kit.h"

static struct pt_conn_cfg sender_with(struct pt_tls *tls)
{
	struct pt_conn_cfg cfg = sender_cfg;

	cfg.tls = tls;
	return cfg;
}

static struct pt_conn_cfg receiver_with(struct pt_tls *tls)
{
	struct pt_conn_cfg cfg = receiver_cfg;

	cfg.tls = tls;
	return cfg;
}

static void test_psk(void **state)
{
	struct pt_tls *st = psk_of(PT_ROLE_SENDER, "pagetrim:" KEY_A "\n");
	struct pt_tls *rt = psk_of(PT_ROLE_RECEIVER, "pagetrim:" KEY_A "\n");
	struct pt_conn_cfg sc = sender_with(st), rc = receiver_with(rt);
	struct pt_conn *s, *r;
	__u8 a[32], b[32];

	(void)state;
	make_pair_of(&s, &sc, &r, &rc, "127.0.0.1");
	assert_true(pt_conn_is_sealed(s));
	assert_true(pt_conn_is_sealed(r));
	assert_int_equal(send_ping(s, 1), 0);
	assert_int_equal(send_ping(r, 2), 0);
	expect_ping(r, 1);
	expect_ping(s, 2);
	assert_int_equal(pt_conn_export(s, "EXPORTER-x", "a", 1, a, 32), 0);
	assert_int_equal(pt_conn_export(r, "EXPORTER-x", "a", 1, b, 32), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(pt_conn_export(r, "EXPORTER-x", "b", 1, b, 32), 0);
	assert_memory_not_equal(a, b, 32);
	pt_conn_close(s);
	pt_conn_close(r);
	pt_tls_close(st);
	pt_tls_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psk),
	};

	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
