/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/stages.h"

enum { A, B, C };

/* T0: no clock says 0, but a machine may have been up for long. */
#define T0	(1ULL << 62)

static struct pt_stage *look(const struct pt_stage_clock *c, __u64 now_ns)
{
	static struct pt_stage stages[PT_STAGES_MAX];

	memset(stages, 0, sizeof(stages));
	pt_stage_look_at(c, stages, now_ns);
	return stages;
}

static __u64 sum(const struct pt_stage *stages)
{
	__u64 ns = 0;

	for (unsigned i = 0; i < PT_STAGES_MAX; i++)
		ns += stages[i].ns;
	return ns;
}

static void test_time_goes_to_the_stage_that_is_left(void **state)
{
	struct pt_stage_clock c = { 0 };
	const struct pt_stage *seen;

	(void)state;
	pt_stage_start_at(&c, A, T0);
	pt_stage_enter_at(&c, B, T0 + 5);
	pt_stage_enter_at(&c, C, T0 + 12);
	pt_stage_enter_at(&c, B, T0 + 112);
	pt_stage_stop_at(&c, T0 + 113);
	seen = look(&c, T0 + 1000);
	assert_int_equal(seen[A].ns, 5);
	assert_int_equal(seen[B].ns, 7 + 1);
	assert_int_equal(seen[C].ns, 100);
	assert_int_equal(sum(seen), 113);
}

/* At any time the sum is the time that the clock has run. */
static void test_stages_tile_the_time(void **state)
{
	struct pt_stage_clock c = { 0 };

	(void)state;
	pt_stage_start_at(&c, A, T0);
	for (unsigned i = 1; i < 1000; i++) {
		if (i % 7 == 0)
			pt_stage_enter_at(&c, i % PT_STAGES_MAX, T0 + i);
		assert_int_equal(sum(look(&c, T0 + i)), i);
	}
}

static void test_the_stage_it_is_in_counts(void **state)
{
	struct pt_stage_clock c = { 0 };

	(void)state;
	pt_stage_start_at(&c, A, T0);
	pt_stage_enter_at(&c, C, T0 + 3);
	assert_int_equal(look(&c, T0 + 10)[C].ns, 7);
	assert_int_equal(look(&c, T0 + 20)[C].ns, 17);
	assert_int_equal(look(&c, T0 + 20)[A].ns, 3);
}

static void test_never_started_shows_nothing(void **state)
{
	struct pt_stage_clock c = { 0 };

	(void)state;
	assert_int_equal(sum(look(&c, T0)), 0);
}

static void test_look_adds(void **state)
{
	struct pt_stage stages[PT_STAGES_MAX] = { [A] = { .ns = 1000 } };
	struct pt_stage_clock c = { 0 };

	(void)state;
	pt_stage_start_at(&c, A, T0);
	pt_stage_bytes(&c, A, 64);
	pt_stage_look_at(&c, stages, T0 + 5);
	pt_stage_look_at(&c, stages, T0 + 5);
	assert_int_equal(stages[A].ns, 1010);
	assert_int_equal(stages[A].bytes, 128);
}

static void test_since(void **state)
{
	struct pt_profile before = { 0 }, after = { 0 };
	struct pt_stage_clock c = { 0 };

	(void)state;
	pt_stage_start_at(&c, A, T0);
	pt_stage_bytes(&c, B, 10);
	pt_stage_look_at(&c, before.stages, T0 + 100);
	pt_stage_enter_at(&c, B, T0 + 140);
	pt_stage_bytes(&c, B, 7);
	pt_stage_look_at(&c, after.stages, T0 + 150);
	pt_profile_since(&after, &before);
	assert_int_equal(after.stages[A].ns, 40);
	assert_int_equal(after.stages[B].ns, 10);
	assert_int_equal(after.stages[B].bytes, 7);
}

/* With the real clock: a stage can be left for the earlier one, and a repeated
 * entry has no effect. */
static void test_enter_says_what_was_left(void **state)
{
	struct pt_stage_clock c = { 0 };
	struct pt_stage stages[PT_STAGES_MAX] = { 0 };
	__u64 since_ns, begun_ns, ended_ns;

	(void)state;
	begun_ns = pt_clock_ns();
	pt_stage_start(&c, A);
	assert_int_equal(pt_stage_enter(&c, B), A);
	since_ns = c.since_ns;
	assert_int_equal(pt_stage_enter(&c, B), B);
	assert_int_equal(c.since_ns, since_ns);
	assert_int_equal(pt_stage_enter(&c, A), B);
	pt_stage_stop(&c);
	ended_ns = pt_clock_ns();
	pt_stage_look(&c, stages);
	assert_in_range(sum(stages), 1, ended_ns - begun_ns);
}

static void test_off_is_nothing(void **state)
{
	(void)state;
	pt_stage_start(NULL, A);
	assert_int_equal(pt_stage_enter(NULL, B), B);
	pt_stage_bytes(NULL, B, 1);
	pt_stage_stop(NULL);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(pt_send_stage_names[PT_SEND_STAGE_SEAL].name,
			    "seal");
	assert_string_equal(pt_receive_stage_names[PT_RECEIVE_STAGE_ACK].name,
			    "ack");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_goes_to_the_stage_that_is_left),
		cmocka_unit_test(test_stages_tile_the_time),
		cmocka_unit_test(test_the_stage_it_is_in_counts),
		cmocka_unit_test(test_never_started_shows_nothing),
		cmocka_unit_test(test_look_adds),
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_enter_says_what_was_left),
		cmocka_unit_test(test_off_is_nothing),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
