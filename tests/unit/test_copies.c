// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lane/copies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT_OF(a)	(sizeof(a) / sizeof((a)[0]))

static struct pt_copies copies;

static void setup(__u64 page_cnt, __u32 lane_cnt)
{
	pt_copies_free(&copies);
	assert_int_equal(pt_copies_init(&copies, page_cnt, lane_cnt), 0);
}

static void assert_found(__u64 content, __u64 page_idx, __u32 seq)
{
	struct pt_original original;

	assert_true(pt_copies_find(&copies, content, &original));
	assert_int_equal(original.page_idx, page_idx);
	assert_int_equal(original.seq, seq);
}

static void assert_nothing(__u64 content)
{
	assert_false(pt_copies_find(&copies, content,
				    &(struct pt_original){ 0 }));
}

/* Page 0 and the last that a slot can number are pages like any other. */
static void test_found_as_noted(void **state)
{
	(void)state;
	setup(~0U, 1);
	for (__u64 i = 0; i <= copies.mask; i++)
		assert_nothing(i);
	pt_copies_note(&copies, 1, 0, 0);
	pt_copies_note(&copies, 2, ~0U - 1ULL, 0x7ffffffffULL);
	assert_found(1, 0, 0);
	assert_found(2, ~0U - 1ULL, ~0U);
	assert_nothing(3);
	assert_nothing(0);
}

/* Later inserts overwrite a slot, with the same content or another. */
static void test_replaced(void **state)
{
	(void)state;
	setup(1000, 1);
	pt_copies_note(&copies, 7, 10, 100);
	pt_copies_note(&copies, 7, 11, 101);
	assert_found(7, 11, 101);
	pt_copies_note(&copies, 7 + copies.mask + 1, 12, 102);
	assert_found(7, 12, 102);
	pt_copies_note(&copies, 7 + (5ULL << 60), 13, 103);
	assert_found(7, 13, 103);
	pt_copies_note(&copies, 8, 14, 104);
	assert_found(7, 13, 103);
	pt_copies_note_later(&copies, 7, 13, 105);
	assert_found(7, 13, 105);
	pt_copies_note_later(&copies, 7, 12, 106);
	assert_found(7, 13, 105);
}

static const struct size {
	__u64 page_cnt;
	__u32 lane_cnt;
	__u64 slot_cnt;		/* 0: no table */
} sizes[] = {
	{ 512, 1, 1024 },
	{ 512 * 3, 1, 4096 },
	{ 512, 64, 64 },
	{ 512, 2, 512 },
	{ 1 << 18, 1, 1 << 19 },
	{ 1 << 18, 2, 1 << 18 },
	{ 1 << 19, 1, 1 << 20 },
	{ 1 << 20, 1, 1 << 20 },
	{ 1 << 20, 3, 1 << 18 },
	{ 1 << 20, 64, 1 << 14 },
	{ ~0U, 1, 1 << 20 },
	{ 1ULL << 32, 1, 0 },
	{ 1ULL << 36, 64, 0 },
};

/* About two slots per page, no more than 8 MiB in all. */
static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		const struct size *s = &sizes[i];

		setup(s->page_cnt, s->lane_cnt);
		assert_true(!copies.slots == !s->slot_cnt);
		if (s->slot_cnt)
			assert_int_equal(copies.mask, s->slot_cnt - 1);
		assert_true(s->slot_cnt * s->lane_cnt <= PT_COPIES_SLOTS_MAX);
	}
	pt_copies_free(&copies);
	assert_null(copies.slots);
	pt_copies_free(&copies);
}

static const struct settled {
	const char *name;
	__u64 seq, placed_upto, next;
	bool want;
} settled[] = {
	{ "the first, in the making", 0, 0, 0, false },
	{ "the first, in flight", 0, 0, 1, false },
	{ "the first, decided", 0, 1, 1, true },
	{ "the one in the making", 5, 5, 5, false },
	{ "the last decided", 4, 5, 5, true },
	{ "the first in flight", 5, 5, 2053, false },
	{ "the last in flight", 2052, 5, 2053, false },
	{ "before the wrap, decided", 0xffffffff, 0x100000000, 0x100000000,
	  true },
	{ "before the wrap, in flight", 0xffffffff, 0xfffffff0, 0x100000010,
	  false },
	{ "behind it, in flight", 0x100000000, 0xfffffff0, 0x100000010, false },
	{ "behind it, in the making", 0x100000010, 0xfffffff0, 0x100000010,
	  false },
	{ "behind it, decided", 0x100000000, 0x100000001, 0x100000010, true },
	{ "long before it", 3, 0x1fffffff0, 0x200000002, true },
	{ "2^31 ago", 10, 0x80000020, 0x80000030, true },
	{ "2^32 ago: nobody knows", 0x20, 0x100000020, 0x100000030, false },
	{ "far up", 0xfffffffffffffff0, 0xfffffffffffffff1,
	  0xfffffffffffffff2, true },
};

static void test_settled(void **state)
{
	const struct settled *s = *state;
	const struct pt_original original = { .seq = s->seq };

	assert_true(pt_copies_is_settled(&original, s->placed_upto, s->next) ==
		    s->want);
}

#define FIXED	3

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(settled)] = {
		cmocka_unit_test(test_found_as_noted),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_sizes),
	};

	for (size_t i = 0; i < COUNT_OF(settled); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			settled[i].name, test_settled, NULL, NULL,
			(void *)&settled[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
