// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <pthread.h>

#include "lane/pacer.h"

#define SECOND	1000000000ULL
#define START	(77 * SECOND)	/* some time after boot */
#define RATE	1000000ULL	/* a byte takes a microsecond */

static void test_no_limit(void **state)
{
	struct pt_pacer p = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pt_pacer_wait_ns(&p, START, 65553), 0);
}

/* In a pause nothing goes, with a limit or without, and nothing is booked. */
static void test_pause(void **state)
{
	struct pt_pacer p = { .is_paused = true };

	(void)state;
	assert_int_equal(pt_pacer_wait_ns(&p, START, 1), PT_PACER_WAIT_NS);
	pt_pacer_set(&p, RATE, START);
	assert_int_equal(pt_pacer_wait_ns(&p, START + SECOND, 1),
			 PT_PACER_WAIT_NS);
	p.is_paused = false;
	assert_int_equal(p.due_ns, START);
	assert_int_equal(pt_pacer_wait_ns(&p, START + SECOND, 1), 0);
}

/* After a silence 2 ms go at once; the other savings go at 5/4 of the rate. */
static void test_burst(void **state)
{
	struct pt_pacer p = { .bytes_per_s = RATE };
	__u64 bytes = 0;

	(void)state;
	/* A frame due exactly now goes, a later one waits. */
	assert_int_equal(pt_pacer_wait_ns(&p, START, 1250), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, START, 1250), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, START, 1875), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, START, 1875), 1500000);
	/* pt_pacer_wait_ns books bytes only if it returns 0. */
	assert_int_equal(pt_pacer_wait_ns(&p, START, 1875), 1500000);
	assert_int_equal(pt_pacer_wait_ns(&p, START + 1499999, 1875), 1);
	assert_int_equal(pt_pacer_wait_ns(&p, START + 1500000, 1875), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, START + 1500000, 1), 1500000);
	/* 20 ms were saved, of which these four took their part. */
	for (__u64 us = 3000; us < 200000; us++)
		while (!pt_pacer_wait_ns(&p, START + us * 1000, 100))
			bytes += 100;
	assert_in_range(bytes, 20000 - 6250 + 199999 - 100, 20000 - 6250 +
							  199999 + 100);
}

/* A silence within the limit counts whole; only the end of a longer one
 * counts. */
static void test_silence(void **state)
{
	struct pt_pacer p = { .bytes_per_s = RATE };

	(void)state;
	p.due_ns = START;
	assert_int_equal(pt_pacer_wait_ns(&p, START + PT_PACER_SAVED_NS, 1),
			 0);
	assert_int_equal(p.due_ns, START + 1000);
	p.due_ns = START;
	assert_int_equal(pt_pacer_wait_ns(&p, START + PT_PACER_SAVED_NS + 1,
					  1), 0);
	assert_int_equal(p.due_ns, START + 1 + 1000);
}

/* A new rate holds at once, whatever the debt at the old one, and begins
 * without savings. */
static void test_change(void **state)
{
	struct pt_pacer p = { .bytes_per_s = 1 };
	__u64 now = START;

	(void)state;
	assert_int_equal(pt_pacer_wait_ns(&p, now, 1500), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, now, 1500), PT_PACER_WAIT_NS);
	pt_pacer_set(&p, RATE, now);
	assert_int_equal(pt_pacer_rate(&p), RATE);
	assert_int_equal(pt_pacer_wait_ns(&p, now, 1000), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, now, 1), 1000000);
	now += SECOND;
	pt_pacer_set(&p, 2 * RATE, now);
	assert_int_equal(pt_pacer_wait_ns(&p, now, 1000), 0);
	assert_int_equal(pt_pacer_wait_ns(&p, now, 1), 500000);
	pt_pacer_set(&p, 0, now);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pt_pacer_wait_ns(&p, now, 65553), 0);
}

/* In any steps of time: never above the rate from any moment on but by the
 * savings and a frame; and when it is asked often enough, not below. */
static void test_rates(void **state)
{
	static const __u64 rates[] = {
		1, 1000, 125000, 12500000, 1250000000, 12500000000,
	};
	__u64 random = 3;

	(void)state;
	for (size_t r = 0; r < COUNT_OF(rates); r++) {
		struct pt_pacer p = { .bytes_per_s = rates[r] };
		__u64 now = START;
		__u64 bytes = 0;

		for (int i = 0; i < 20000; i++) {
			__u32 sz = 128 + kit_random(&random) % 9000;
			__u64 wait = pt_pacer_wait_ns(&p, now, sz);

			if (wait) {
				__u64 late = wait < 2500000 ? wait * 4
							    : 10000000;

				/* woken early, sometimes late */
				now += i % 20 ? 1 + kit_random(&random) % wait
					      : wait + kit_random(&random) %
						late;
				continue;
			}
			bytes += sz;
			assert_true(bytes - sz <= (double)rates[r] *
				    (now - START + PT_PACER_SAVED_NS) /
				    SECOND + 1);
		}
		for (__u64 wait; (wait = pt_pacer_wait_ns(&p, now, 1)); )
			now += wait;
		/* Each frame's time is rounded up: 1 ns a frame. */
		assert_true((double)bytes >= (double)rates[r] * 0.98 *
					     (now - START) / SECOND);
	}
}

#define ASKERS	4

struct asker {
	struct pt_pacer *pacer;
	__u64 until_ns;
	__u64 bytes;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	__u64 now = START;

	while (now < a->until_ns) {
		__u64 wait = pt_pacer_wait_ns(a->pacer, now, 9000);

		now += wait;
		if (!wait)
			a->bytes += 9000;
	}
	return NULL;
}

/* Lanes that share it stay under the rate together, whatever each of them
 * sends, and a lane that is alone has all of it. */
static void test_shared(void **state)
{
	struct pt_pacer p = { .bytes_per_s = 125000000 };
	struct asker askers[ASKERS];
	pthread_t threads[ASKERS];
	__u64 bytes = 0;

	(void)state;
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){
			&p, START + (i ? SECOND / 2 : SECOND), 0,
		};
		assert_int_equal(pthread_create(&threads[i], NULL, ask,
						&askers[i]), 0);
	}
	for (int i = 0; i < ASKERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		bytes += askers[i].bytes;
	}
	assert_in_range(bytes, 125000000 * 0.99, 125000000 + 2500000 + ASKERS * 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
