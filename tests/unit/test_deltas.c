// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The bounded memory of sent pages. */
#include "lane/deltas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <pagetrim/wire.h>

#define SET_SZ	(PT_DELTA_WAYS * (PT_PAGE_SZ + sizeof(struct pt_delta_slot)))
#define MANY	100000

static struct pt_deltas deltas;

static int teardown(void **state)
{
	(void)state;
	pt_deltas_free(&deltas);
	pt_deltas_free(&deltas);
	return 0;
}

static void setup(__u64 sz)
{
	assert_int_equal(pt_deltas_init(&deltas, sz), 0);
	assert_true(pt_deltas_sz(&deltas) <= sz);
}

/* put remembers the page; false: there was no room. */
static bool put(__u64 page_idx, __u32 round)
{
	struct pt_delta_slot *slot = pt_deltas_take(&deltas, page_idx, round);

	if (!slot)
		return false;
	assert_int_equal(slot->page, page_idx + 1);
	assert_ptr_equal(pt_deltas_find(&deltas, page_idx), slot);
	slot->round = round;
	memset(pt_deltas_page(&deltas, slot), page_idx, PT_PAGE_SZ);
	return true;
}

static __u32 put_all(__u64 first, __u32 cnt, __u32 round)
{
	__u32 put_cnt = 0;

	for (__u32 i = 0; i < cnt; i++)
		put_cnt += put(first + i, round);
	return put_cnt;
}

static __u32 found(__u64 first, __u32 cnt)
{
	__u32 found_cnt = 0;

	for (__u64 i = first; i < first + cnt; i++) {
		struct pt_delta_slot *slot = pt_deltas_find(&deltas, i);

		if (!slot)
			continue;
		found_cnt++;
		assert_int_equal(pt_deltas_page(&deltas, slot)[4095],
				 (__u8)i);
	}
	return found_cnt;
}

static void test_sizes(void **state)
{
	(void)state;
	setup(0);
	assert_int_equal(deltas.set_cnt, 0);
	setup(SET_SZ - 1);
	assert_int_equal(deltas.set_cnt, 0);
	setup(SET_SZ);
	assert_int_equal(deltas.set_cnt, 1);
	assert_int_equal(pt_deltas_sz(&deltas), SET_SZ);
	teardown(NULL);
	setup(64 << 20);
	assert_in_range(deltas.set_cnt, (64 << 20) / SET_SZ,
			(64 << 20) / SET_SZ);
}

static void test_one_set(void **state)
{
	(void)state;
	setup(SET_SZ);
	assert_null(pt_deltas_find(&deltas, 0));
	assert_int_equal(put_all(0, 6, 0), PT_DELTA_WAYS);
	assert_int_equal(found(0, 6), PT_DELTA_WAYS);
	assert_true(put(2, 0));		/* again */
	assert_true(put(9, 1));		/* the first round's go */
	assert_int_equal(put_all(20, 9, 1), 3);
	assert_int_equal(found(0, 4), 0);
	assert_false(put(30, 2));	/* those of the round before stay */
	assert_true(put(9, 2));
	assert_int_equal(put_all(40, 9, 3), 3);
	assert_int_equal(found(9, 1), 1);
}

/* More pages than fit, in every round: those that are here are found. */
static void test_too_many(void **state)
{
	__u32 cnt;

	(void)state;
	setup(1000 * SET_SZ);
	put_all(0, MANY, 0);
	put_all(0, MANY, 1);
	cnt = found(0, MANY);
	assert_true(cnt > 1000 * PT_DELTA_WAYS * 9 / 10);
	for (__u32 round = 2; round < 5; round++) {
		assert_int_equal(put_all(0, MANY, round), cnt);
		assert_int_equal(found(0, MANY), cnt);
	}
}

/* A stripe of regions, as one of four lanes has it, fills the memory. */
static void test_stripes(void **state)
{
	__u32 cnt = 0;

	(void)state;
	setup(2048 * SET_SZ);
	for (__u64 r = 1; r < 64; r += 4)
		put_all(r * PT_REGION_PAGES, PT_REGION_PAGES, 1);
	for (__u64 r = 1; r < 64; r += 4)
		cnt += found(r * PT_REGION_PAGES, PT_REGION_PAGES);
	assert_true(cnt > 2048 * PT_DELTA_WAYS * 7 / 10);
}

static void test_diff(void **state)
{
	static __u8 a[PT_PAGE_SZ + 1], b[PT_PAGE_SZ + 1];

	(void)state;
	assert_true(pt_deltas_diff(a + 1, b) == 0);
	for (unsigned int at = 0; at < PT_PAGE_SZ; at++) {
		b[at] = 1;
		assert_true(pt_deltas_diff(a + 1, b) == 1ULL << at / 64);
		b[at] = 0;
	}
	memset(b, 1, sizeof(b));
	assert_true(pt_deltas_diff(a, b) == ~0ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_sizes, teardown),
		cmocka_unit_test_teardown(test_one_set, teardown),
		cmocka_unit_test_teardown(test_too_many, teardown),
		cmocka_unit_test_teardown(test_stripes, teardown),
		cmocka_unit_test_teardown(test_diff, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
