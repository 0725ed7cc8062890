// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The choice of zero copy, by the known facts of the device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "xsk/zero_copy.h"

#define XSK	(1 | 2 | 8)	/* NETDEV_XDP_ACT_BASIC, REDIRECT, XSK_ZEROCOPY */

/* Each row changes one thing of a card that can, with an MTU of 1500. */
static const struct row {
	const char *name;
	struct pt_zero_copy_facts facts;
	enum pt_zero_copy_answer want;
	bool is_said;
} rows[] = {
#define CARD(wish_, mtu_, segs, features, known_)			\
	{ .wish = PT_ZERO_COPY_##wish_, .mtu = mtu_,			\
	  .netdev = { .known = known_, .xdp_features = features,	\
		      .zc_max_segs = segs } }
	{ "a card that can", CARD(AUTO, 1500, 1, XSK, true),
	  PT_ZERO_COPY_TRY, false },
	{ "a must", CARD(ON, 1500, 1, XSK, true), PT_ZERO_COPY_TRY, false },
	{ "not wanted", CARD(OFF, 1500, 1, XSK, true),
	  PT_ZERO_COPY_UNWANTED, false },
	{ "a veth: XDP and redirection only", CARD(AUTO, 1500, 1, 3 | 32, true),
	  PT_ZERO_COPY_ABSENT, false },
	{ "zero copy without redirection", CARD(AUTO, 1500, 1, 1 | 8, true),
	  PT_ZERO_COPY_ABSENT, false },
	{ "no XDP at all", CARD(AUTO, 1500, 0, 0, true), PT_ZERO_COPY_ABSENT,
	  false },
	{ "a kernel that does not say", CARD(AUTO, 1500, 0, 0, false),
	  PT_ZERO_COPY_TRY, false },
	{ "a kernel that does not say, large frames",
	  CARD(AUTO, 9000, 0, 0, false), PT_ZERO_COPY_MTU, true },
	{ "the largest MTU of one buffer", CARD(AUTO, 3814, 1, XSK, true),
	  PT_ZERO_COPY_TRY, false },
	{ "one byte more", CARD(AUTO, 3815, 1, XSK, true), PT_ZERO_COPY_MTU,
	  true },
	{ "one byte more, a must", CARD(ON, 3815, 1, XSK, true),
	  PT_ZERO_COPY_MTU, true },
	{ "several buffers take it", CARD(AUTO, 9000, 3, XSK, true),
	  PT_ZERO_COPY_TRY, false },
	{ "the largest MTU of three", CARD(AUTO, 10342, 3, XSK, true),
	  PT_ZERO_COPY_TRY, false },
	{ "too few buffers", CARD(AUTO, 10343, 3, XSK, true),
	  PT_ZERO_COPY_SEGMENTS, true },
#undef CARD
};

static void test_row(void **state)
{
	const struct row *row = *state;
	enum pt_zero_copy_answer got = pt_zero_copy_judge(&row->facts);

	assert_int_equal(got, row->want);
	assert_int_equal(pt_zero_copy_is_said(got), row->is_said);
}

/* A driver that garbles sent frames: only `on` tries it. */
static void test_garbles(void **state)
{
	struct pt_zero_copy_facts facts = rows[0].facts;

	(void)state;
	facts.garbles = true;
	assert_int_equal(pt_zero_copy_judge(&facts), PT_ZERO_COPY_GARBLES);
	assert_true(pt_zero_copy_is_said(PT_ZERO_COPY_GARBLES));
	facts.wish = PT_ZERO_COPY_ON;
	assert_int_equal(pt_zero_copy_judge(&facts), PT_ZERO_COPY_TRY);
	facts.mtu = 9000;
	assert_int_equal(pt_zero_copy_judge(&facts), PT_ZERO_COPY_MTU);
}

static void test_generic(void **state)
{
	struct pt_zero_copy_facts facts = rows[0].facts;

	(void)state;
	facts.generic = true;
	assert_int_equal(pt_zero_copy_judge(&facts), PT_ZERO_COPY_GENERIC);
}

/* Each reason names the device, and a remedy. */
static void test_explained(void **state)
{
	static const struct {
		enum pt_zero_copy_answer answer;
		const char *word;
	} says[] = {
		{ PT_ZERO_COPY_GENERIC, "with generic" },
		{ PT_ZERO_COPY_ABSENT, "driver igbx has no zero copy" },
		{ PT_ZERO_COPY_MTU, "mtu 3814" },
		{ PT_ZERO_COPY_SEGMENTS, "MTU is 12000" },
		{ PT_ZERO_COPY_GARBLES, "zero_copy on tries it" },
	};
	const struct pt_device device = { .name = "eth7", .driver = "igbx",
					  .mtu = 12000 };
	const struct pt_netdev_facts netdev = { .zc_max_segs = 1 };
	struct pt_error why;

	(void)state;
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		pt_zero_copy_explain(&why, says[i].answer, &device, &netdev);
		assert_int_equal(why.exit, PT_EXIT_HOST);
		assert_ptr_equal(strstr(why.text, "eth7: "), why.text);
		assert_non_null(strstr(why.text, says[i].word));
	}
}

int main(void)
{
	enum { CNT = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[CNT + 4] = {
		[CNT] = cmocka_unit_test(test_generic),
		cmocka_unit_test(test_garbles),
		cmocka_unit_test(test_explained),
	};

	for (size_t i = 0; i < CNT; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
