/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live/hot.h"

#define REGIONS		3
#define PAGE		(PT_REGION_PAGES + 70)	/* not in the first region */

struct world {
	struct pt_hot *hot;
	struct pt_dirty *found, *to;
};

static void setup(struct world *w)
{
	assert_int_equal(pt_hot_create(&w->hot, REGIONS), 0);
	assert_int_equal(pt_dirty_create(&w->found, REGIONS), 0);
	assert_int_equal(pt_dirty_create(&w->to, REGIONS), 0);
}

static void teardown(struct world *w)
{
	pt_hot_free(w->hot);
	pt_dirty_destroy(w->found);
	pt_dirty_destroy(w->to);
}

/* taken returns the pages of the set, from the page on, and empties it. */
static __u64 taken(struct world *w, __u64 page_idx)
{
	__u64 bits[PT_REGION_WORDS], is = 0;

	for (__u64 r = 0; r < REGIONS; r++) {
		__u32 cnt = pt_dirty_take(w->to, r, bits);

		if (r != page_idx / PT_REGION_PAGES) {
			assert_int_equal(cnt, 0);
			continue;
		}
		is = bits[page_idx % PT_REGION_PAGES / 64] >>
		     (page_idx % 64);
		assert_int_equal(__builtin_popcountll(is), cnt);
	}
	return is;
}

/* look: cnt pages from PAGE on are found; it returns what is to be sent. */
static __u64 look(struct world *w, __u32 cnt, __u64 cooled)
{
	if (cnt)
		pt_dirty_set(w->found, PAGE, cnt);
	assert_int_equal(pt_hot_sort(w->hot, w->found, w->to), cooled);
	assert_int_equal(pt_dirty_cnt(w->found, PAGE / PT_REGION_PAGES), 0);
	return taken(w, PAGE);
}

/* Only the third look in a row leaves a page for last, and all others go. */
static void test_third_look(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	assert_int_equal(look(&w, 1, 0), 1);
	assert_int_equal(look(&w, 2, 0), 3);
	assert_int_equal(pt_hot_cnt(w.hot), 0);
	assert_int_equal(look(&w, 3, 0), 6);
	assert_int_equal(pt_hot_cnt(w.hot), 1);
	assert_int_equal(look(&w, 3, 0), 4);
	assert_int_equal(pt_hot_cnt(w.hot), 2);
	teardown(&w);
}

/* A page that one look did not find goes, and starts anew. */
static void test_cools(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	for (int i = 0; i < 5; i++)
		look(&w, 4, 0);
	assert_int_equal(pt_hot_cnt(w.hot), 4);
	assert_int_equal(look(&w, 1, 3), 14);
	assert_int_equal(pt_hot_cnt(w.hot), 1);
	assert_int_equal(look(&w, 4, 0), 14);
	assert_int_equal(look(&w, 0, 1), 1);
	assert_int_equal(pt_hot_cnt(w.hot), 0);
	assert_int_equal(look(&w, 0, 0), 0);
	teardown(&w);
}

/* All that was left goes at the end, once. */
static void test_release(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	pt_hot_release(w.hot, w.to);
	assert_int_equal(taken(&w, PAGE), 0);
	for (int i = 0; i < 3; i++)
		look(&w, 5, 0);
	pt_hot_release(w.hot, w.to);
	assert_int_equal(taken(&w, PAGE), 31);
	assert_int_equal(pt_hot_cnt(w.hot), 0);
	pt_hot_release(w.hot, w.to);
	assert_int_equal(taken(&w, PAGE), 0);
	pt_hot_release(NULL, w.to);
	assert_int_equal(pt_hot_cnt(NULL), 0);
	teardown(&w);
}

/* The set's pages of earlier are none of its business; a whole region, too, is
 * left for last. */
static void test_whole_region(void **state)
{
	__u64 bits[PT_REGION_WORDS];
	struct world w;

	(void)state;
	setup(&w);
	for (int i = 0; i < 4; i++) {
		pt_dirty_set(w.found, 0, PT_REGION_PAGES);
		pt_hot_sort(w.hot, w.found, w.to);
		assert_int_equal(pt_dirty_take(w.to, 0, bits),
				 i < 2 ? PT_REGION_PAGES : 0);
	}
	assert_int_equal(pt_hot_cnt(w.hot), PT_REGION_PAGES);
	pt_dirty_set(w.to, PAGE, 1);
	pt_hot_release(w.hot, w.to);
	assert_int_equal(pt_dirty_cnt(w.to, 0), PT_REGION_PAGES);
	assert_int_equal(pt_dirty_cnt(w.to, 1), 1);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_third_look),
		cmocka_unit_test(test_cools),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_whole_region),
	};

	return cmocka_run_group_tests_name("hot", tests, NULL, NULL);
}
