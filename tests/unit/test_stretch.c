// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The limit by which a window may exceed a lane's share: the need of the path,
 * as far as the ring allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rxq/stretch.h"

#define MS	1000000ULL
#define CREDIT	1536
#define RING	2048
#define BATCH	64
#define FULL_AT	(RING - BATCH)

/* A lane alone on its queue, and a path of so many descriptors per ms. */
static struct pt_stretch lane;
static __u64 now_ns, rtt_ns, came_desc;

static int start(void **state)
{
	(void)state;
	memset(&lane, 0, sizeof(lane));
	now_ns = 1000 * MS;
	rtt_ns = 100 * MS;
	came_desc = 0;
	return 0;
}

static __u32 window(void)
{
	return pt_stretch_window(&lane, CREDIT);
}

/* look calls it once, a millisecond later, with the ring's fill level. */
static void look(__u32 fill_cnt)
{
	const struct pt_stretch_look now = {
		.now_ns = now_ns += MS,
		.rtt_ns = rtt_ns,
		.came_desc = came_desc,
		.share = CREDIT,
		.fill = pt_stretch_fill(fill_cnt, CREDIT, RING, BATCH),
	};

	pt_stretch_take(&lane, &now);
}

/* flow lets ms pass in which a sender's rate is limited by path and window. */
static void flow(__u32 ms, __u32 path_desc, __u32 fill_cnt)
{
	while (ms--) {
		__u32 limit = rtt_ns ? window() * MS / rtt_ns : ~0U;

		came_desc += path_desc < limit ? path_desc : limit;
		look(fill_cnt);
	}
}

/* 1 Gbit/s and 100 ms, frames of 1500 bytes: 8250 descriptors in flight. */
static void test_long_path(void **state)
{
	(void)state;
	flow(400, 82, 10);
	assert_true(window() >= 7 * CREDIT / 2);
	flow(200, 82, 10);
	assert_int_equal(window(), PT_STRETCH_MAX);
	assert_true(lane.is_used);
}

/* A lane that needs no more than its share keeps no extra when another
 * comes. */
static void test_share_falls(void **state)
{
	(void)state;
	flow(500, 2, 10);
	assert_int_equal(pt_stretch_window(&lane, CREDIT / 2), CREDIT / 2);
	flow(500, 82, 10);
	flow(3, 82, CREDIT / 4 * 3);
	flow(1000, 2, CREDIT / 4 * 3);
	assert_int_equal(pt_stretch_window(&lane, CREDIT / 2), CREDIT / 2);
}

/* A path that holds less than the grant gets twice its need. */
static void test_fits(void **state)
{
	(void)state;
	flow(1000, 20, 10);
	assert_in_range(window(), 3900, 4100);
}

static void test_lan(void **state)
{
	(void)state;
	rtt_ns = MS / 10;
	flow(1000, 800, 10);
	assert_int_equal(window(), CREDIT);
	assert_false(lane.is_used);
}

static void test_rtt_not_known(void **state)
{
	(void)state;
	rtt_ns = 0;
	flow(1000, 82, 10);
	assert_int_equal(window(), CREDIT);
}

static void test_slow_sender(void **state)
{
	(void)state;
	flow(1000, 5, 10);
	assert_int_equal(window(), CREDIT);
	assert_false(lane.is_used);
}

/* One call with a full ring is enough, and so is one with storage that
 * hangs. */
static void test_full(void **state)
{
	(void)state;
	flow(1000, 82, 10);
	look(FULL_AT);
	assert_int_equal(window(), CREDIT);
	flow(1000, 82, FULL_AT);
	assert_int_equal(window(), CREDIT);
}

/* A ring that comes near full halves the window, once a round trip. */
static void test_near(void **state)
{
	(void)state;
	flow(1000, 82, 10);
	look(CREDIT / 4 * 3);
	assert_int_equal(window(), PT_STRETCH_MAX / 2);
	flow(99, 82, CREDIT / 4 * 3);
	assert_int_equal(window(), PT_STRETCH_MAX / 2);
	flow(2, 82, CREDIT / 4 * 3);
	assert_int_equal(window(), PT_STRETCH_MAX / 4);
}

/* After a warning it doubles up to half of the excessive value, and then grows
 * slowly. */
static void test_grows_slowly(void **state)
{
	__u32 before;

	(void)state;
	flow(1000, 82, 10);
	look(FULL_AT);
	flow(300, 82, 10);
	assert_in_range(window(), PT_STRETCH_MAX / 2, PT_STRETCH_MAX / 8 * 5);
	for (int i = 0; i < 4; i++) {
		before = window();
		flow(101, 82, 10);
		assert_in_range(window(), before + 1, before / 8 * 9 + 9);
	}
}

static void test_half_full_stays(void **state)
{
	__u32 before;

	(void)state;
	flow(250, 82, 10);
	before = window();
	assert_true(before > CREDIT);
	look(CREDIT / 2);
	flow(75, 82, 10);	/* this round still has it */
	assert_int_equal(window(), before);
	flow(201, 82, 10);
	assert_true(window() > before);
}

/* A round without frames costs an eighth; the sender stopped. */
static void test_forgets(void **state)
{
	__u32 before;

	(void)state;
	flow(1000, 82, 10);
	before = window();
	flow(101, 0, 10);
	assert_in_range(window(), before / 8 * 7, before - 1);
	flow(3000, 0, 10);
	assert_int_equal(window(), CREDIT);
}

static void test_fill(void **state)
{
	static const struct {
		__u32 cnt;
		enum pt_fill want;
	} rows[] = {
		{ 0, PT_FILL_LOW },
		{ 767, PT_FILL_LOW },
		{ 768, PT_FILL_HALF },
		{ 1151, PT_FILL_HALF },
		{ 1152, PT_FILL_NEAR },
		{ FULL_AT - 1, PT_FILL_NEAR },
		{ FULL_AT, PT_FILL_FULL },
		{ RING, PT_FILL_FULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(pt_stretch_fill(rows[i].cnt, CREDIT, RING,
						 BATCH), rows[i].want);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, start)
	const struct CMUnitTest tests[] = {
		TEST(test_long_path),
		TEST(test_share_falls),
		TEST(test_fits),
		TEST(test_lan),
		TEST(test_rtt_not_known),
		TEST(test_slow_sender),
		TEST(test_full),
		TEST(test_near),
		TEST(test_grows_slowly),
		TEST(test_half_full_stays),
		TEST(test_forgets),
		TEST(test_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
