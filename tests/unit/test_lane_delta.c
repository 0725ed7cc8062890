// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A memory that is written between rounds: pages of which few blocks changed go as
 * deltas of what the receiver has placed, others whole; a lost or refused delta
 * makes its page go whole.  lane_net checks each delta's base. */
#include "lane_kit.h"

#define WINDOW	1536
#define ROUNDS	8
#define HOT	200		/* pages that are written in every round */
#define CACHE	(8ULL << 20)	/* more than all memory */

static __u64 random_seed = 3;

/* hot_page returns the i-th of them, spread over all regions. */
static __u32 hot_page(__u32 i)
{
	return i * 7 % PAGES;
}

static void write_block(__u32 page)
{
	kit_fill(ram[page] + kit_random(&random_seed) % 64 * 64, 64,
		 &random_seed);
	pt_dirty_set(job.dirty, page, 1);
}

static void next_round(__u32 round)
{
	__u64 deadline = pt_clock_ns() + WAIT_NS;

	pt_inbox_round(pt_lane_inbox(lane), round);
	while (atomic_load(&pt_lane_counts(lane)->round_done) != round &&
	       pt_lane_state(lane) != PT_LANE_FAILED &&
	       pt_clock_ns() < deadline)
		usleep(200);
	reach(PT_LANE_CLEAN);
}

static void all_is_there(void)
{
	for (__u32 i = 0; i < PAGES; i++) {
		if (memcmp(copy[i], ram[i], PT_PAGE_SZ))
			fail_msg("page %u differs", i);
		if (pt_digests_get(&digests, i) !=
		    pt_digest_page(KEY, i, copy[i]))
			fail_msg("page %u: another digest", i);
	}
}

static __u64 count(const _Atomic __u64 *counter)
{
	return atomic_load(counter);
}

static const struct net nets[] = {
	{ "MTU 9000", .mtu = 9000, .delta_cache_sz = CACHE },
	{ "MTU 1500", .mtu = 1500, .delta_cache_sz = CACHE },
	{ "1 of 20 lost", .mtu = 1500, .loss_pct = 5, .delta_cache_sz = CACHE },
	{ "1 of 4 refused", .mtu = 9000, .refuse_each = 4,
	  .delta_cache_sz = CACHE },
	{ "lost and refused", .mtu = 1500, .loss_pct = 5, .refuse_each = 4,
	  .delta_cache_sz = CACHE },
	{ "another queue, and smaller frames", .mtu = 9000, .mtu_then = 1280,
	  .reprobe_at = 400, .delta_cache_sz = CACHE },
	{ "a window of fewer pages than a frame brings", .mtu = 9000,
	  .window = 20, .is_lazy = true, .delta_cache_sz = CACHE },
	{ "a small cache", .mtu = 9000, .delta_cache_sz = 400 << 10 },
	{ "a cache of less than a set", .mtu = 9000, .delta_cache_sz = 10000 },
	{ "none", .mtu = 9000 },
};

static void test_net(void **state)
{
	struct net with = *(const struct net *)*state;
	const struct pt_lane_counts *c;
	__u64 first;

	if (!with.window)
		with.window = WINDOW;
	with.live = LIVE_REGIONS;
	with.arrivals = true;
	start(&with);
	run_to_clean();
	c = pt_lane_counts(lane);
	assert_int_equal(delta_cnt, 0);
	first = count(&c->wire_bytes);
	for (__u32 round = 1; round <= ROUNDS; round++) {
		for (__u32 i = 0; i < HOT; i++)
			write_block(hot_page(i));
		next_round(round);
		all_is_there();
	}
	assert_int_equal(count(&c->deltas), delta_cnt);
	assert_int_equal(count(&c->delta_saved) > 0, delta_cnt > 0);
	assert_true(count(&c->delta_cache_sz) <= with.delta_cache_sz);
	if (with.delta_cache_sz < CACHE)
		assert_int_equal(delta_cnt > 0, with.delta_cache_sz > 100000);
	else if (!with.loss_pct && !with.refuse_each)
		assert_true(delta_cnt > HOT * ROUNDS * 6 / 10);
	else
		assert_true(delta_cnt > HOT);
	if (delta_cnt > HOT * ROUNDS * 6 / 10)
		assert_true(count(&c->wire_bytes) - first < HOT * ROUNDS * 2400);
	stop();
}

/* A page that became zero in between, or was written all over, is whole. */
static void test_no_delta(void **state)
{
	const struct net with = { "no delta", .mtu = 9000, .window = WINDOW,
				  .live = LIVE_REGIONS, .arrivals = true,
				  .delta_cache_sz = CACHE };

	(void)state;
	start(&with);
	run_to_clean();
	for (__u32 i = 0; i < HOT; i++) {
		kit_fill(ram[i], PT_PAGE_SZ, &random_seed);
		pt_dirty_set(job.dirty, i, 1);
	}
	next_round(1);
	assert_int_equal(delta_cnt, 0);
	for (__u32 i = 0; i < HOT; i++) {
		memset(ram[i], 0, PT_PAGE_SZ);
		pt_dirty_set(job.dirty, i, 1);
	}
	next_round(2);
	for (__u32 i = 0; i < HOT; i++)
		write_block(i);
	next_round(3);
	assert_int_equal(delta_cnt, 0);
	for (__u32 i = 0; i < HOT; i++)
		pt_dirty_set(job.dirty, i, 1);	/* written, to the same */
	next_round(4);
	all_is_there();
	assert_int_equal(delta_cnt, HOT);
	stop();
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(nets) + 1];

	for (size_t i = 0; i < COUNT_OF(nets); i++)
		tests[i] = (struct CMUnitTest){
			.name = nets[i].name,
			.test_func = test_net,
			.initial_state = (void *)&nets[i],
		};
	tests[COUNT_OF(nets)] =
		(struct CMUnitTest)cmocka_unit_test(test_no_delta);
	if (lane_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
