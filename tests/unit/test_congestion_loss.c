// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Loss that a smaller window does not end is the path's, and the window is
 * restored; loss that it did end, for long enough, was a queue's, and so is the
 * next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lane/congestion_loss.h"

#define FRAME_SZ	1500
#define FIRST		(400.0 * FRAME_SZ)	/* the window before all cuts */
#define ROUND_NS	10000000ULL

static struct pt_congestion c;
static __u64 now_ns;

static int set_up(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	c.frame_sz = FRAME_SZ;
	c.wanted = FIRST;
	now_ns = 1000 * ROUND_NS;
	return 0;
}

/* round_of reports a round without a queue.  Returns whether a cut answers it
 * or, with *back set, the earlier window. */
static bool round_of(unsigned int arrived_cnt, unsigned int lost_cnt, double *back)
{
	const struct pt_cc_round r = {
		.arrived_sz = (__u64)arrived_cnt * FRAME_SZ,
		.lost_sz = (__u64)lost_cnt * FRAME_SZ,
	};

	*back = 0;
	now_ns += ROUND_NS;
	if (!pt_cc_is_congested(&c, &r, now_ns))
		return false;
	*back = pt_cc_stays(&c, now_ns);
	if (*back == 0)
		c.wanted *= 0.7;
	memset(&c.loss, 0, sizeof(c.loss));
	return true;
}

/* tenth_lost reports frames of which a tenth is lost, until the earlier window
 * follows a cut.  Returns that, or 0 after cnt rounds. */
static double tenth_lost(unsigned int cnt)
{
	double back = 0;

	while (cnt-- && back == 0)
		round_of(90, 10, &back);
	return back;
}

static void none_lost(unsigned int frame_cnt)
{
	double back;

	for (unsigned int i = 0; i < frame_cnt; i += 32)
		assert_false(round_of(32, 0, &back));
}

static void test_stays(void **state)
{
	(void)state;
	assert_true(tenth_lost(4) == FIRST);
}

/* A good stretch of a lossy path is chance. */
static void test_good_stretch(void **state)
{
	double back;

	(void)state;
	assert_true(round_of(90, 10, &back));
	none_lost(512);
	assert_true(tenth_lost(8) == FIRST);
}

/* A queue overflowed; much later, with the window at less than half for another
 * reason, a queue overflows again: the old window is not restored. */
static void test_ended(void **state)
{
	double back;

	(void)state;
	assert_true(round_of(90, 10, &back));
	none_lost(2048);
	c.wanted = FIRST / 4;
	assert_true(round_of(60, 40, &back));
	assert_true(back == 0);
	none_lost(2048);
	assert_true(round_of(60, 40, &back));
	assert_true(back == 0);
	/* Loss that stays from here on restores the window of this moment. */
	assert_true(tenth_lost(4) < FIRST / 4);
}

/* Frames sent far too fast are lost, too: more than four in ten prove
 * nothing. */
static void test_too_fast(void **state)
{
	double back;

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_true(round_of(50, 50, &back));
		assert_true(back == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, set_up)
		T(test_stays), T(test_good_stretch), T(test_ended),
		T(test_too_fast),
	};

	return cmocka_run_group_tests_name("congestion_loss", tests, NULL, NULL);
}
