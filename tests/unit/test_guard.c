// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "guard_again.h"

/* Four pages of a file that has only one. */
static volatile char *cut_map(void)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);
	char *map;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close(fd);
	return map;
}

static void cut_unmap(volatile char *map)
{
	munmap((void *)map, 4 * 4096);
}

static void test_no_fault(void **state)
{
	volatile char *map = cut_map();
	struct pt_guard guard;

	(void)state;
	guard_again();
	if (pt_guard_enter(&guard))
		fail_msg("faulted");
	map[4095] = 1;
	pt_guard_leave(&guard);
	cut_unmap(map);
}

static void test_read_and_write_past_the_end(void **state)
{
	volatile char *map = cut_map();
	volatile unsigned int faults = 0;

	(void)state;
	guard_again();
	/* Repeated: a signal left blocked would kill the process the second
	 * time. */
	for (volatile unsigned int i = 0; i < 100; i++) {
		struct pt_guard guard;

		if (pt_guard_enter(&guard)) {
			assert_ptr_equal(guard.addr, map + 4096 + i);
			faults++;
			continue;
		}
		if (i % 2)
			map[4096 + i] = 1;
		else
			(void)map[4096 + i];
		pt_guard_leave(&guard);
	}
	assert_int_equal(faults, 100);
	cut_unmap(map);
}

static void test_nested(void **state)
{
	volatile char *map = cut_map();
	struct pt_guard outer, inner;
	volatile int step = 0;

	(void)state;
	guard_again();
	if (pt_guard_enter(&outer)) {
		assert_int_equal(step, 2);
		assert_ptr_equal(outer.addr, map + 8192);
		cut_unmap(map);
		return;
	}
	if (pt_guard_enter(&inner)) {
		assert_int_equal(step, 1);
		assert_ptr_equal(inner.addr, map + 4096);
		step = 2;
		(void)map[8192];	/* the outer one's now */
		fail_msg("no fault");
	}
	step = 1;
	(void)map[4096];
	fail_msg("no fault");
}

static void *fault_often(void *arg)
{
	volatile char *map = arg;
	volatile long caught = 0;

	for (volatile int i = 0; i < 1000; i++) {
		struct pt_guard guard;

		if (pt_guard_enter(&guard)) {
			if (guard.addr == map + 4096)
				caught++;
			continue;
		}
		(void)map[4096];
		pt_guard_leave(&guard);
	}
	return (void *)caught;
}

static void test_each_thread_has_its_own(void **state)
{
	volatile char *map[4];
	pthread_t threads[4];
	void *caught;

	(void)state;
	guard_again();
	for (int i = 0; i < 4; i++) {
		map[i] = cut_map();
		assert_int_equal(pthread_create(&threads[i], NULL, fault_often,
						(void *)map[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &caught), 0);
		assert_int_equal((long)caught, 1000);
		cut_unmap(map[i]);
	}
}

/* The end of a child that runs body: its signal, or -1 - exit code. */
static int ending_of(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) :
				     -1 - WEXITSTATUS(status);
}

static void guarded_once(void)
{
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		_exit(99);
	pt_guard_leave(&guard);
}

static void fault_unguarded(void)
{
	signal(SIGBUS, SIG_DFL);
	guarded_once();
	(void)cut_map()[4096];
}

static void sent_while_guarded(void)
{
	struct pt_guard guard;

	signal(SIGBUS, SIG_DFL);
	if (pt_guard_enter(&guard))
		_exit(99);
	raise(SIGBUS);
	_exit(98);
}

static void on_sigbus_exit(int signo)
{
	(void)signo;
	_exit(42);
}

static void handler_before_us(void)
{
	signal(SIGBUS, on_sigbus_exit);
	guarded_once();
	(void)cut_map()[4096];
}

static void ignored_before_us(void)
{
	signal(SIGBUS, SIG_IGN);
	guarded_once();
	raise(SIGBUS);			/* ignored still */
	guarded_once();
	(void)fault_often((void *)cut_map());	/* and still guarded */
	_exit(7);
}

/* Each runs in a child, without the handler: this test runs first. */
static void test_unguarded_is_as_before(void **state)
{
	(void)state;
	assert_int_equal(ending_of(fault_unguarded), SIGBUS);
	assert_int_equal(ending_of(sent_while_guarded), SIGBUS);
	assert_int_equal(ending_of(handler_before_us), -1 - 42);
	assert_int_equal(ending_of(ignored_before_us), -1 - 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unguarded_is_as_before),
		cmocka_unit_test(test_no_fault),
		cmocka_unit_test(test_read_and_write_past_the_end),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_each_thread_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
