/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A thread has its name, takes no signal but its own faults, and leaves its
 * creator's mask unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

struct look {
	sigset_t mask;
	int told[2];
};

static void *look_main(void *arg)
{
	struct look *look = arg;

	pthread_sigmask(SIG_SETMASK, NULL, &look->mask);
	return arg;
}

static void *wait_main(void *arg)
{
	int sig;
	sigset_t *usr1 = arg;

	sigwait(usr1, &sig);
	return NULL;
}

static void signals_are_blocked(void **state)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP,
				      SIGSYS };
	struct look look;
	sigset_t before, after;
	pthread_t thread;
	void *ret;

	(void)state;
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(pt_thread_start(&thread, look_main, &look, "x"), 0);
	pthread_join(thread, &ret);
	assert_ptr_equal(ret, &look);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig <= SIGSYS; sig++) {
		bool is_fault = sig == SIGKILL || sig == SIGSTOP;

		for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
			is_fault |= sig == faults[i];
		if (sigismember(&look.mask, sig) == is_fault)
			fail_msg("signal %d: %d", sig, is_fault);
		assert_int_equal(sigismember(&after, sig), sig == SIGUSR2);
	}
}

static void name_is_cut(void **state)
{
	char name[32];
	pthread_t thread;
	sigset_t usr1;

	(void)state;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	assert_int_equal(pt_thread_start(&thread, wait_main, &usr1, "pt-%s-%d",
					 "lane", 7), 0);
	assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
	assert_string_equal(name, "pt-lane-7");
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	assert_int_equal(pt_thread_start(&thread, wait_main, &usr1, "%s",
					 "0123456789abcdefgh"), 0);
	assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
	assert_string_equal(name, "0123456789abcde");
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

/* A wait that nobody ends lasts until its time, by the clock that does not jump. */
static void test_wait(void **state)
{
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	__u64 until_ns = pt_clock_ns() + 20000000;

	(void)state;
	pthread_mutex_lock(&lock);
	while (pt_thread_wait(&condition, &lock, until_ns))
		;
	assert_true(pt_clock_ns() >= until_ns);
	assert_false(pt_thread_wait(&condition, &lock, until_ns));
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_are_blocked),
		cmocka_unit_test(name_is_cut),
		cmocka_unit_test(test_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
