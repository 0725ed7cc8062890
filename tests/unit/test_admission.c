/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One peer, by address and by name, has a limit on places, memory and files,
 * and releases them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "receive/admission.h"

static struct pt_error err;
static struct pt_admission a;

static int setup(void **state)
{
	(void)state;
	memset(&a, 0, sizeof(a));
	return 0;
}

/* enter admits the peer with that last byte of an address.  NULL: refused. */
static struct pt_admitted *enter(__u8 last, const char *name)
{
	static __u16 port;
	struct pt_address peer = { .port = ++port };
	struct pt_admitted *t = NULL;
	int ret;

	peer.ip[10] = peer.ip[11] = 0xff;
	peer.ip[12] = 10;
	peer.ip[15] = last;
	ret = pt_admission_enter(&a, &t, &peer, name, port, &err);
	assert_int_equal(!ret, t != NULL);
	return t;
}

static void expect_text(const char *want)
{
	if (!strstr(err.text, want))
		fail_msg("'%s' lacks '%s'", err.text, want);
}

static void test_most_of_one_address(void **state)
{
	struct pt_admitted *first;

	(void)state;
	a.limits.transfers = 2;
	first = enter(1, "");
	assert_non_null(first);
	assert_non_null(enter(1, "x"));
	assert_null(enter(1, "y"));
	expect_text("10.0.0.1: has 2 transfers already, the most of one address "
		    "(receive max_transfers)");
	assert_non_null(enter(2, ""));
	pt_admission_leave(first);
	assert_non_null(enter(1, ""));
	assert_null(enter(1, ""));
	assert_non_null(enter(2, ""));
	assert_null(enter(2, ""));
}

/* An id is of one transfer at a time, whoever names it. */
static void test_one_id(void **state)
{
	struct pt_admitted *t = enter(1, "");
	__u64 id;

	(void)state;
	assert_non_null(t);
	id = t->transfer_id;
	assert_int_equal(pt_admission_check(&a, id + 1, &err), 0);
	assert_int_equal(pt_admission_check(&a, id, &err), -EEXIST);
	expect_text("is running already");
	pt_admission_leave(t);
	assert_int_equal(pt_admission_check(&a, id, &err), 0);
}

static void test_most_of_one_name(void **state)
{
	struct pt_admitted *first;

	(void)state;
	a.limits.transfers = 2;
	first = enter(1, "x");
	assert_non_null(first);
	assert_non_null(enter(2, "x"));
	assert_null(enter(3, "x"));
	expect_text("certificate 'x': has 2 transfers already, the most of one "
		    "certificate name, from any address "
		    "(receive max_transfers)");
	assert_non_null(enter(3, "xy"));
	assert_non_null(enter(3, ""));	/* no name belongs to no peer */
	assert_non_null(enter(4, ""));
	assert_non_null(enter(5, ""));
	pt_admission_leave(first);
	assert_non_null(enter(4, "x"));
	assert_null(enter(5, "x"));
}

static void test_most_of_all(void **state)
{
	struct pt_admitted *all[PT_ADMISSION_MAX];

	(void)state;
	for (int i = 0; i < PT_ADMISSION_MAX; i++) {
		all[i] = enter(i, "");
		assert_non_null(all[i]);
	}
	assert_null(enter(200, ""));
	expect_text("128 transfers have not ended yet");
	pt_admission_leave(all[7]);
	assert_ptr_equal(enter(200, ""), all[7]);
	for (int i = 0; i < PT_ADMISSION_MAX; i++)
		pt_admission_leave(all[i]);
	pt_admission_leave(NULL);
	a.limits.transfers = 1;
	for (int i = 0; i < PT_ADMISSION_MAX; i++)
		assert_non_null(enter(i, ""));
}

/* sizes: memory and files follow the same rules. */
static const struct kind {
	const char *name;
	const char *option;
	const char *what;
	__u64 *limit;
} kinds[] = {
	{ "memory of a peer", "max_peer_memory", "memory",
	  &a.limits.memory_sz },
	{ "files of a peer", "max_peer_files", "file 'state'",
	  &a.limits.files_sz },
};

static int claim(const struct kind *k, struct pt_admitted *t, __u64 sz)
{
	return k->limit == &a.limits.memory_sz
		? pt_admission_memory(&a, t, sz, &err)
		: pt_admission_file(&a, t, sz, "state", &err);
}

static void test_sizes(void **state)
{
	const struct kind *k = *state;
	struct pt_admitted *one, *two, *three, *other;
	char want[200];

	memset(&a, 0, sizeof(a));
	one = enter(1, "x");
	two = enter(2, "x");
	three = enter(2, "y");
	other = enter(3, "");
	assert_int_equal(claim(k, one, ~0ULL), 0);	/* no limit */
	pt_admission_leave(one);
	one = enter(1, "x");
	*k->limit = 100;
	assert_int_equal(claim(k, one, 60), 0);
	assert_int_equal(claim(k, two, 41), -EDQUOT);
	snprintf(want, sizeof(want), "certificate 'x': %s of 41 bytes, and 40 "
		 "are left of 100 for one certificate name, from any address "
		 "(receive %s)", k->what, k->option);
	expect_text(want);
	assert_int_equal(claim(k, two, 40), 0);
	assert_int_equal(claim(k, two, 1), -EDQUOT);
	assert_int_equal(claim(k, three, 61), -EDQUOT);
	snprintf(want, sizeof(want), "10.0.0.2: %s of 61 bytes, and 60 are left "
		 "of 100 for one address (receive %s)", k->what, k->option);
	expect_text(want);
	assert_int_equal(claim(k, three, 60), 0);
	assert_int_equal(claim(k, other, ~0ULL), -EDQUOT);
	assert_int_equal(claim(k, other, 100), 0);
	pt_admission_leave(one);
	assert_int_equal(claim(k, two, 1), -EDQUOT);	/* of its address */
	expect_text("one address");
	pt_admission_leave(three);
	assert_int_equal(claim(k, two, 60), 0);
	assert_int_equal(claim(k, two, 1), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_most_of_one_address, setup),
		cmocka_unit_test_setup(test_one_id, setup),
		cmocka_unit_test_setup(test_most_of_one_name, setup),
		cmocka_unit_test_setup(test_most_of_all, setup),
		{ kinds[0].name, test_sizes, NULL, NULL, (void *)&kinds[0] },
		{ kinds[1].name, test_sizes, NULL, NULL, (void *)&kinds[1] },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
