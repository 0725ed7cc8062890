// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lists of CPUs: valid ones, invalid ones, and that a thread is kept there. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cpus.h"

static int cpu;		/* one that this process may run on */
static int other;	/* another one, or -1 */

static void test_order(void **state)
{
	struct pt_error err;
	struct pt_cpus c;
	char list[64];

	(void)state;
	if (other < 0)
		fail_msg("this machine has one CPU: two are needed");
	snprintf(list, sizeof(list), "%d,%d,%d-%d", other, cpu, other, other);
	assert_int_equal(pt_cpus_parse(&c, list, &err), 0);
	assert_int_equal(c.cnt, 3);
	assert_int_equal(c.cpus[0], other);
	assert_int_equal(c.cpus[1], cpu);
	assert_int_equal(c.cpus[2], other);
}

static void test_range(void **state)
{
	struct pt_error err;
	struct pt_cpus c;

	(void)state;
	/* On any machine the list of all its CPUs is allowed. */
	assert_int_equal(pt_cpus_parse(&c, "0-1", &err), 0);
	assert_int_equal(c.cnt, 2);
	assert_int_equal(c.cpus[0], 0);
	assert_int_equal(c.cpus[1], 1);
}

static const char *const nonsense[] = {
	"", ",", "0,", ",0", "0,,1", "-1", "1-", "1-0", "a", "0x1", "0 ", " 0",
	"0-1-2", "+0", "0;1", "99999999999999999999", "1024", "0-64", "0-1023",
	"0,0-63",
};

static void test_nonsense(void **state)
{
	struct pt_cpus c = { .cnt = 7 };
	const char *list = *state;
	struct pt_error err;

	assert_int_equal(pt_cpus_parse(&c, list, &err), -EINVAL);
	assert_int_equal(c.cnt, 7);
}

static void test_not_here(void **state)
{
	struct pt_cpus c;
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_cpus_parse(&c, "1023", &err), -ENODEV);
	assert_non_null(strstr(err.text, "CPU 1023"));
	assert_non_null(strstr(err.text, " works"));
}

/* The error offers the allowed CPUs, not all of the machine. */
static void test_named(void **state)
{
	struct pt_error err;
	struct pt_cpus c;
	cpu_set_t all, one;
	char want[32], list[8];

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	snprintf(list, sizeof(list), "%d", other);
	assert_int_equal(pt_cpus_parse(&c, list, &err), -ENODEV);
	snprintf(want, sizeof(want), "there; %d works", cpu);
	assert_non_null(strstr(err.text, want));
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void test_pin(void **state)
{
	struct pt_cpus c = { .cnt = 2, .cpus = { cpu, other } };
	const struct pt_cpus none = { 0 };
	cpu_set_t all, now;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	pt_cpus_pin(&none, 1);
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_true(CPU_EQUAL(&all, &now));
	for (int i = 0; i < 4; i++) {
		pt_cpus_pin(&c, i);
		assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
		assert_int_equal(CPU_COUNT(&now), 1);
		assert_true(CPU_ISSET(i % 2 ? other : cpu, &now));
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
	enum { NONSENSE = sizeof(nonsense) / sizeof(nonsense[0]) };
	struct CMUnitTest tests[NONSENSE + 5] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_not_here),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_pin),
	};
	cpu_set_t set;

	cpu = other = -1;
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && other < 0; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		if (cpu < 0)
			cpu = i;
		else
			other = i;
	}
	for (int i = 0; i < NONSENSE; i++)
		tests[5 + i] = (struct CMUnitTest){
			.name = nonsense[i],
			.test_func = test_nonsense,
			.initial_state = (void *)nonsense[i],
		};
	return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
