// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include "net/plpmtud.h"

#define MIN_SZ		1294	/* IPv4 without a tag, MTU 1280 */
#define COPIES		2	/* probes of one size in a round */
#define ROUNDS_MAX	24	/* the caller gives up then */

static const __u32 max_sizes[] = {
	MIN_SZ, MIN_SZ + 1, MIN_SZ + 63, MIN_SZ + 64, MIN_SZ + 65, 1400, 1514,
	3520, 9014, 65549,
};

/* path: drops frames above true_sz, and loss_pct of all others. */
struct path {
	__u32 true_sz;
	__u32 loss_pct;
	__u64 random;
	__u32 rounds;		/* the sizes that passed */
	__u32 probes;
};

static bool passes(struct path *p, __u32 sz)
{
	return sz <= p->true_sz && kit_random(&p->random) % 100 >= p->loss_pct;
}

/* assert_round checks the invariants of any round. */
static void assert_round(const struct pt_plpmtud *l, const __u32 *sizes,
			 __u32 cnt)
{
	assert_true(cnt <= PT_PLPMTUD_SIZES);
	for (__u32 i = 0; i < cnt; i++) {
		assert_in_range(sizes[i], l->min_sz, l->max_sz);
		assert_true(sizes[i] > l->seen_sz);	/* nothing known */
		assert_true(!i || sizes[i] < sizes[i - 1]);
	}
}

/* climb finds the largest size as a lane does. */
static __u32 climb(struct path *p, __u32 min_sz, __u32 max_sz)
{
	__u32 sizes[PT_PLPMTUD_SIZES + 1];
	struct pt_plpmtud l;
	__u32 cnt;

	pt_plpmtud_init(&l, min_sz, max_sz);
	p->rounds = p->probes = 0;
	for (;;) {
		sizes[PT_PLPMTUD_SIZES] = 0xeeeeeeee;
		cnt = pt_plpmtud_next(&l, sizes);
		assert_int_equal(sizes[PT_PLPMTUD_SIZES], 0xeeeeeeee);
		assert_round(&l, sizes, cnt);
		if (!cnt || p->rounds == ROUNDS_MAX)
			return l.seen_sz;
		p->rounds++;
		for (__u32 i = 0; i < cnt * COPIES; i++, p->probes++)
			if (passes(p, sizes[i % cnt]))
				pt_plpmtud_seen(&l, sizes[i % cnt]);
		pt_plpmtud_close(&l, sizes, cnt);
	}
}

static void assert_found(const struct path *p, __u32 found, __u32 min_sz,
			 __u32 max_sz)
{
	if (p->true_sz < min_sz)
		assert_int_equal(found, 0);
	else if (p->true_sz >= max_sz)
		assert_int_equal(found, max_sz);
	else if (found > p->true_sz || found + PT_PLPMTUD_STEP_SZ <= p->true_sz)
		fail_msg("%u passes, found %u", p->true_sz, found);
}

/* Every size, each found within a block, in few rounds. */
static void test_every_size(void **state)
{
	(void)state;
	for (size_t m = 0; m < COUNT_OF(max_sizes); m++)
		for (__u32 sz = MIN_SZ - 1; sz <= max_sizes[m] + 1; sz++) {
			struct path p = { .true_sz = sz, .random = 1 };
			__u32 found = climb(&p, MIN_SZ, max_sizes[m]);

			assert_found(&p, found, MIN_SZ, max_sizes[m]);
			assert_true(p.rounds <= 9);
		}
}

/* The same where one in ten of the passing probes is lost. */
static void test_every_size_with_loss(void **state)
{
	__u64 random = 17;
	__u32 most = 0;

	(void)state;
	for (size_t m = 0; m < COUNT_OF(max_sizes); m++)
		for (__u32 sz = MIN_SZ - 1; sz <= max_sizes[m] + 1; sz++) {
			struct path p = { sz, 10, kit_random(&random), 0, 0 };
			__u32 found = climb(&p, MIN_SZ, max_sizes[m]);

			assert_found(&p, found, MIN_SZ, max_sizes[m]);
			most = p.rounds > most ? p.rounds : most;
		}
	assert_true(most < ROUNDS_MAX);
}

/* Half of all lost: never a size too large, mostly the right one, and always an
 * end. */
static void test_heavy_loss(void **state)
{
	__u64 random = 23;
	__u32 close = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		__u32 sz = MIN_SZ + kit_random(&random) % (9014 - MIN_SZ);
		struct path p = { sz, 50, kit_random(&random), 0, 0 };
		__u32 found = climb(&p, MIN_SZ, 9014);

		assert_true(found <= sz);
		close += found + PT_PLPMTUD_STEP_SZ > sz;
	}
	assert_true(close > 20000 * 9 / 10);
}

/* The common case costs one round of one size. */
static void test_all_passes(void **state)
{
	struct path p = { .true_sz = 9014, .random = 1 };

	(void)state;
	assert_int_equal(climb(&p, MIN_SZ, 9014), 9014);
	assert_int_equal(p.rounds, 1);
	assert_int_equal(p.probes, COPIES);
}

/* Nothing passes: the smallest size was tried PT_PLPMTUD_TRIES times. */
static void test_nothing_passes(void **state)
{
	struct path p = { .true_sz = 0, .random = 1 };

	(void)state;
	assert_int_equal(climb(&p, MIN_SZ, 9014), 0);
	assert_int_equal(p.rounds, 1 + PT_PLPMTUD_TRIES);
	assert_int_equal(climb(&p, MIN_SZ, MIN_SZ), 0);
	assert_int_equal(p.rounds, PT_PLPMTUD_TRIES);
}

/* A size counted as lost that arrives after all reopens the sizes above it. */
static void test_seen_after_all(void **state)
{
	__u32 sizes[PT_PLPMTUD_SIZES];
	struct pt_plpmtud l;
	__u32 cnt;

	(void)state;
	pt_plpmtud_init(&l, MIN_SZ, 9014);
	cnt = pt_plpmtud_next(&l, sizes);
	pt_plpmtud_close(&l, sizes, cnt);	/* 9014 lost */
	cnt = pt_plpmtud_next(&l, sizes);
	assert_int_equal(sizes[0], 9014);	/* asked again */
	assert_int_equal(sizes[cnt - 1], MIN_SZ);
	pt_plpmtud_seen(&l, MIN_SZ);
	pt_plpmtud_close(&l, sizes, cnt);	/* all others lost */
	assert_int_equal(l.seen_sz, MIN_SZ);
	assert_int_equal(l.lost_sz, sizes[cnt - 2]);
	cnt = pt_plpmtud_next(&l, sizes);
	assert_int_equal(sizes[0], l.lost_sz);
	pt_plpmtud_seen(&l, sizes[0]);
	pt_plpmtud_close(&l, sizes, cnt);
	cnt = pt_plpmtud_next(&l, sizes);
	assert_int_equal(sizes[0], 9014);
	pt_plpmtud_seen(&l, 9014);
	assert_int_equal(pt_plpmtud_next(&l, sizes), 0);
	assert_int_equal(l.seen_sz, 9014);
}

/* The same where less than a block is open: the largest size counts. */
static void test_seen_after_all_near_the_top(void **state)
{
	__u32 sizes[PT_PLPMTUD_SIZES];
	struct pt_plpmtud l;
	__u32 cnt;

	(void)state;
	pt_plpmtud_init(&l, MIN_SZ, MIN_SZ + 20);
	cnt = pt_plpmtud_next(&l, sizes);
	pt_plpmtud_close(&l, sizes, cnt);
	cnt = pt_plpmtud_next(&l, sizes);
	assert_int_equal(cnt, 3);
	assert_int_equal(sizes[1], MIN_SZ + 19);
	pt_plpmtud_seen(&l, MIN_SZ);
	pt_plpmtud_close(&l, sizes, cnt);
	assert_int_equal(pt_plpmtud_next(&l, sizes), 1);
	assert_int_equal(sizes[0], MIN_SZ + 19);
	pt_plpmtud_seen(&l, MIN_SZ + 19);
	pt_plpmtud_close(&l, sizes, 1);
	assert_int_equal(pt_plpmtud_next(&l, sizes), 1);
	assert_int_equal(sizes[0], MIN_SZ + 20);
}

/* Answers for sizes that were never probed are ignored. */
static void test_foreign_sizes(void **state)
{
	static const __u32 foreign[] = {
		0, 1, MIN_SZ - 1, 9015, 65549, ~0U,
	};
	struct pt_plpmtud l;

	(void)state;
	pt_plpmtud_init(&l, MIN_SZ, 9014);
	for (size_t i = 0; i < COUNT_OF(foreign); i++) {
		pt_plpmtud_seen(&l, foreign[i]);
		assert_int_equal(l.seen_sz, 0);
		assert_int_equal(l.lost_sz, 9015);
	}
	pt_plpmtud_seen(&l, MIN_SZ);
	assert_int_equal(l.seen_sz, MIN_SZ);
	pt_plpmtud_seen(&l, 2000);
	pt_plpmtud_seen(&l, 1999);		/* never down */
	assert_int_equal(l.seen_sz, 2000);
}

static void turned_round(void)
{
	struct pt_plpmtud l;

	pt_plpmtud_init(&l, 1515, 1514);
}

static void a_step(void)
{
	struct pt_plpmtud l;

	pt_plpmtud_init(&l, PT_PLPMTUD_STEP_SZ, 1514);
}

static void test_misuse(void **state)
{
	(void)state;
	assert_true(kit_aborts(turned_round));
	assert_true(kit_aborts(a_step));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_every_size_with_loss),
		cmocka_unit_test(test_heavy_loss),
		cmocka_unit_test(test_all_passes),
		cmocka_unit_test(test_nothing_passes),
		cmocka_unit_test(test_seen_after_all),
		cmocka_unit_test(test_seen_after_all_near_the_top),
		cmocka_unit_test(test_foreign_sizes),
		cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
