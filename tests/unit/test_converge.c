/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live/converge.h"

#define MS	1000000ULL

static const struct pt_converge_cfg cfg = {
	.downtime_ns = 300 * MS, .rounds_max = 6,
};

/* run makes rounds over a path of 100 MB a second, of 4000 bytes a page; a guest
 * writes per_s pages a second, at most all.  It returns the last decision. */
static enum pt_converge_do run(const struct pt_converge_cfg *c, __u64 all,
			       __u64 per_s, const struct pt_stop_costs *costs,
			       struct pt_round *r)
{
	enum pt_converge_do next = PT_CONVERGE_AGAIN;
	struct pt_converge state = { 0 };
	__u64 dirty = all;

	for (r->idx = 1; ; r->idx++) {
		r->pages = r->data_pages = dirty;
		r->wire_bytes = dirty * 4000;
		r->took_ns = r->wire_bytes * 10;	/* 100 MB/s */
		dirty = per_s * r->took_ns / 1000000000;
		r->dirty_pages = dirty < all ? dirty : all;
		dirty = r->dirty_pages;
		next = pt_converge_round(&state, c, costs, r);
		if (next != PT_CONVERGE_AGAIN)
			return next;
	}
}

static void test_converges(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	struct pt_round r = { 0 };

	(void)state;
	assert_int_equal(run(&cfg, 100000, 10000, &costs, &r), PT_CONVERGE_STOP);
	assert_int_equal(r.idx, 6);	/* 4 s, 1.6 s, 0.64 s, 0.256 s fits, ... */
	assert_int_equal(r.bytes_per_s, 100000000);
	assert_in_range(r.dirty_per_s, 9900, 10000);
	assert_in_range(r.downtime_ns, 15 * MS, 17 * MS);
}

/* A round converges if a stop fits, or is shorter than after the one before. */
static void test_is_converging(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	static const struct { __u64 dirty; bool is; } rows[] = {
		{ 90000, true }, { 80000, true }, { 80000, false },
		{ 85000, false }, { 84000, true }, { 1000, true },
		{ 2000, true },		/* 80 ms fit */
	};
	struct pt_converge c = { 0 };
	struct pt_round r = { .data_pages = 100000, .wire_bytes = 400000000,
			      .took_ns = 4000 * MS };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r.idx = i + 1;
		r.dirty_pages = rows[i].dirty;
		pt_converge_round(&c, &cfg, &costs, &r);
		assert_int_equal(r.is_converging, rows[i].is);
	}
}

/* A stop that fits is put off while that makes it shorter, and not for ever. */
static void test_put_off(void **state)
{
	const struct pt_stop_costs none = { .is_settled = true };
	const struct pt_stop_costs most = { .look_ns = 200 * MS, .is_settled = true };
	struct pt_converge_cfg patient = cfg;
	struct pt_round r = { 0 };

	(void)state;
	patient.rounds_max = 1000;
	assert_int_equal(run(&patient, 100000, 17000, &none, &r),
			 PT_CONVERGE_STOP);
	assert_int_equal(r.idx, 7 + PT_SHORTER_ROUNDS);
	/* Another round saves little beside the other costs. */
	assert_int_equal(run(&patient, 1000, 1000, &most, &r),
			 PT_CONVERGE_STOP);
	assert_int_equal(r.idx, 1);
}

/* Hot pages count at the stop, but no round makes them fewer; those that cooled
 * were not written in this round. */
static void test_hot(void **state)
{
	const struct pt_stop_costs settles = { .is_settled = false };
	const struct pt_stop_costs costs = { .is_settled = true };
	struct pt_converge_cfg patient = cfg;
	struct pt_converge c = { 0 };
	struct pt_round r = {
		.idx = 1, .data_pages = 100000, .wire_bytes = 400000000,
		.took_ns = 4000 * MS, .dirty_pages = 5000, .hot_pages = 1000,
	};

	(void)state;
	patient.rounds_max = 1000;
	assert_int_equal(pt_converge_round(&c, &patient, &costs, &r),
			 PT_CONVERGE_AGAIN);	/* to 45 ms */
	assert_int_equal(r.downtime_ns, 200 * MS);
	assert_int_equal(r.dirty_per_s, 1250);
	r.hot_pages = 4000;			/* to 161 ms */
	assert_int_equal(pt_converge_round(&c, &patient, &costs, &r),
			 PT_CONVERGE_STOP);
	r.took_ns = 50 * MS;			/* only cooled ones are left */
	r.data_pages = 1250;
	r.wire_bytes = 5000000;
	r.hot_pages = 1000;
	r.cooled_pages = 4000;
	assert_int_equal(pt_converge_round(&c, &patient, &costs, &r),
			 PT_CONVERGE_AGAIN);
	assert_int_equal(r.dirty_per_s, 20000);
	r.dirty_pages = r.hot_pages = 100000;	/* 4 s */
	r.cooled_pages = 0;
	assert_int_equal(pt_converge_round(&c, &patient, &settles, &r),
			 PT_CONVERGE_PAUSE);
	assert_int_equal(pt_converge_round(&c, &patient, &costs, &r),
			 PT_CONVERGE_AGAIN);
}

/* A guest that writes more than the path takes never converges. */
static void test_never(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	struct pt_converge_cfg stops = cfg;
	struct pt_round r = { 0 };

	(void)state;
	assert_int_equal(run(&cfg, 100000, 30000, &costs, &r), PT_CONVERGE_FAIL);
	assert_int_equal(r.idx, 6);
	stops.otherwise = PT_NO_CONVERGE_STOP;
	assert_int_equal(run(&stops, 100000, 30000, &costs, &r),
			 PT_CONVERGE_STOP);
	assert_int_equal(r.idx, 6);
}

/* A guest that does not converge is throttled step by step, as soon as that shows,
 * and what it writes between the throttle and the stop counts. */
static void test_throttle(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	const struct pt_converge_cfg slows = {
		.downtime_ns = 300 * MS, .rounds_max = 6,
		.otherwise = PT_NO_CONVERGE_THROTTLE,
	};
	static const struct { __u32 idx, throttle; } rows[] = {
		{ 1, 0 }, { 2, 0 }, { 3, 20 }, { 4, 20 }, { 5, 30 }, { 6, 40 },
		{ 7, 50 }, { 8, 60 }, { 9, 70 }, { 10, 80 }, { 11, 90 },
		{ 12, 99 },
	};
	struct pt_converge c = { 0 };
	struct pt_round r = {
		.data_pages = 10000, .wire_bytes = 40000000,
		.took_ns = 400 * MS, .dirty_pages = 10000,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r.idx = rows[i].idx;
		assert_int_equal(pt_converge_round(&c, &slows, &costs, &r),
				 PT_CONVERGE_AGAIN);
		assert_int_equal(r.throttle, rows[i].throttle);
	}
	/* 25000 pages per second were written without it: 1250 until the stop. */
	assert_int_equal(r.downtime_ns, 450 * MS);
	r.dirty_pages = 6000;
	assert_int_equal(pt_converge_round(&c, &slows, &costs, &r),
			 PT_CONVERGE_STOP);
	assert_int_equal(r.throttle, 0);
	assert_int_equal(r.downtime_ns, 290 * MS);
	r.dirty_pages = 10000;
	assert_int_equal(pt_converge_round(&c, &slows, &costs, &r),
			 PT_CONVERGE_FAIL);
	assert_int_equal(r.throttle, 0);
}

/* One that converges is not, nor one that needs a pause only. */
static void test_no_throttle(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	const struct pt_stop_costs settles = { .suspects = 301,
					       .suspect_ns = MS };
	struct pt_converge_cfg slows = cfg;
	struct pt_converge c = { 0 };
	struct pt_round r = { 0 };

	(void)state;
	slows.otherwise = PT_NO_CONVERGE_THROTTLE;
	assert_int_equal(run(&slows, 100000, 10000, &costs, &r),
			 PT_CONVERGE_STOP);
	r = (struct pt_round){ .data_pages = 1000, .wire_bytes = 4000000,
			       .took_ns = 40 * MS, .dirty_pages = 100 };
	for (r.idx = 1; r.idx < 9; r.idx++) {
		assert_int_equal(pt_converge_round(&c, &slows, &settles, &r),
				 PT_CONVERGE_PAUSE);
		assert_int_equal(r.throttle, 0);
	}
}

/* A deadline takes the place of the last round: no round or pause is begun that
 * would not end in time, also where it would make the stop shorter. */
static void test_deadline(void **state)
{
	struct pt_stop_costs costs = { .is_settled = true, .left_ns = 850 * MS };
	struct pt_converge_cfg once = { .downtime_ns = 300 * MS, .rounds_max = 1 };
	struct pt_converge c = { 0 };
	struct pt_round r = {
		.idx = 9, .data_pages = 10000, .wire_bytes = 40000000,
		.took_ns = 400 * MS, .dirty_pages = 10000,
	};

	(void)state;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_AGAIN);	/* 400 ms, and a stop of 400 */
	costs.is_settled = false;
	costs.left_ns = 750 * MS;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_FAIL);
	once.otherwise = PT_NO_CONVERGE_STOP;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_STOP);
	once.otherwise = PT_NO_CONVERGE_THROTTLE;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_FAIL);

	r.took_ns = 4000 * MS;			/* a stop of 200 ms, then 10 */
	r.data_pages = 100000;
	r.wire_bytes = 400000000;
	r.dirty_pages = 5000;
	costs.left_ns = 401 * MS;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_AGAIN);
	costs.left_ns = 399 * MS;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_STOP);

	r.dirty_pages = 0;			/* only the comparison is too long */
	costs.suspects = 301;
	costs.suspect_ns = MS;
	costs.left_ns = 552 * MS;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_PAUSE);
	costs.left_ns = 1;
	assert_int_equal(pt_converge_round(&c, &once, &costs, &r),
			 PT_CONVERGE_FAIL);
}

/* The costs of a stop count, each. */
static void test_costs(void **state)
{
	const struct pt_stop_costs each[] = {
		{ .look_ns = 301 * MS, .is_settled = true },
		{ .suspects = 301, .suspect_ns = MS, .is_settled = true },
	};
	struct pt_round r = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(run(&cfg, 1000, 0, &each[i], &r),
				 PT_CONVERGE_FAIL);
		assert_int_equal(r.downtime_ns, 301 * MS);
	}
}

/* A round of few bytes takes as long as its round trip, which is no rate. */
static void test_small_round(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	struct pt_converge c = { 0 };
	struct pt_round r = {
		.idx = 1, .data_pages = 1000, .wire_bytes = 4 << 20,
		.took_ns = 40 * MS, .dirty_pages = 100000,
	};

	(void)state;
	pt_converge_round(&c, &cfg, &costs, &r);
	assert_int_equal(c.bytes_per_s, 104857600);
	r = (struct pt_round){ .idx = 2, .data_pages = 1, .wire_bytes = 100,
			       .took_ns = 40 * MS, .dirty_pages = 1 };
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_STOP);
	assert_int_equal(c.bytes_per_s, 104857600);
}

/* A guest that is mostly zero: its dirty pages are not. */
static void test_zero_pages(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	struct pt_converge c = { 0 };
	struct pt_round r = {
		.idx = 1, .pages = 1000000, .data_pages = 10000,
		.wire_bytes = 40000000, .took_ns = 400 * MS,
		.dirty_pages = 10000,
	};

	(void)state;
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_AGAIN);
	assert_int_equal(r.downtime_ns, 400 * MS);
}

/* While the memory settles, rounds go on behind the last; where only that is
 * waited for, with pauses, in which the guest writes, too. */
static void test_settles(void **state)
{
	struct pt_stop_costs costs = { .suspects = 301, .suspect_ns = MS };
	struct pt_converge c = { 0 };
	struct pt_round r = {
		.idx = 60, .data_pages = 1000, .wire_bytes = 4000000,
		.took_ns = 40 * MS, .pause_ns = 60 * MS, .dirty_pages = 100000,
	};

	(void)state;
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_AGAIN);
	assert_int_equal(r.dirty_per_s, 1000000);
	r.dirty_pages = 1;
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_PAUSE);
	costs.is_settled = true;
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_FAIL);
}

/* Nothing dirty, and nothing measured: no division by zero. */
static void test_nothing(void **state)
{
	const struct pt_stop_costs costs = { .is_settled = true };
	struct pt_converge c = { 0 };
	struct pt_round r = { .idx = 1 };

	(void)state;
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_STOP);
	assert_int_equal(r.downtime_ns, 0);
	r = (struct pt_round){ .idx = 1, .dirty_pages = 10 };
	assert_int_equal(pt_converge_round(&c, &cfg, &costs, &r),
			 PT_CONVERGE_AGAIN);
}

static void test_defaults(void **state)
{
	struct pt_converge_cfg none = { 0 }, all = { 1, 2, 3,
						     PT_NO_CONVERGE_STOP };

	(void)state;
	pt_converge_fill(&none);
	assert_int_equal(none.downtime_ns, PT_DOWNTIME_DEFAULT_MS * 1000000ULL);
	assert_int_equal(none.rounds_max, PT_ROUNDS_DEFAULT);
	assert_int_equal(none.deadline_ns, 0);
	pt_converge_fill(&all);
	assert_int_equal(all.downtime_ns, 1);
	assert_int_equal(all.rounds_max, 2);
	assert_int_equal(all.deadline_ns, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_converges),
		cmocka_unit_test(test_is_converging),
		cmocka_unit_test(test_put_off),
		cmocka_unit_test(test_hot),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_no_throttle),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_small_round),
		cmocka_unit_test(test_zero_pages),
		cmocka_unit_test(test_settles),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests_name("converge", tests, NULL, NULL);
}
