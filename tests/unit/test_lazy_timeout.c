// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The keeper's fault timeout: a process is ended for a fault that waits, and for no
 * other reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "lazy/keeper.h"

#define P		4096ULL
#define TIMEOUT_MS	300
#define SECOND_NS	1000000000ULL

static struct pt_lazy_record *record;
static char path[] = "/tmp/pagetrim-keeper.XXXXXX";
static struct pt_lazy_kept kept;
static int connection, uffd_end;
static pid_t vmm;

/* begin starts a keeper of a process that only waits.  A pipe is its userfaultfd: it
 * has an event to be read as long as it is not empty. */
static int begin(void **state)
{
	struct pt_lazy_region region = { .addr = 1 << 20, .sz = P, .page_sz = P };
	struct pt_error err;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	vmm = fork();
	if (!vmm) {
		pause();
		_exit(0);
	}
	kept.uffd = ends[0];
	uffd_end = ends[1];
	kept.pidfd = syscall(SYS_pidfd_open, vmm, 0);
	assert_true(kept.pidfd >= 0);
	kept.record_fd = pt_lazy_record_make(&record, &region, 1, "id", &err);
	assert_true(kept.record_fd >= 0);
	connection = pt_lazy_keeper_start(&kept, record, path, TIMEOUT_MS, &err);
	assert_true(connection >= 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	kill(vmm, SIGKILL);
	waitpid(vmm, NULL, 0);
	pt_lazy_keeper_end(connection);
	pt_lazy_record_close(record);
	close(kept.uffd);
	close(kept.pidfd);
	close(kept.record_fd);
	close(uffd_end);
	return 0;
}

static bool ended_in(int ms)
{
	struct pollfd fd = { .fd = kept.pidfd, .events = POLLIN };

	return poll(&fd, 1, ms) > 0;
}

/* The server may store a time right after the keeper took its own. */
static void test_later_than_now(void **state)
{
	(void)state;
	__atomic_store_n(&record->waits_since_ns, pt_clock_ns() + 3600 * SECOND_NS,
			 __ATOMIC_RELAXED);
	assert_false(ended_in(4 * TIMEOUT_MS));
	__atomic_store_n(&record->waits_since_ns, pt_clock_ns() - SECOND_NS,
			 __ATOMIC_RELAXED);
	assert_true(ended_in(10000));
}

/* Some event is unread whenever the keeper looks, and each is read soon. */
static void test_busy(void **state)
{
	(void)state;
	assert_int_equal(write(uffd_end, "x", 1), 1);
	for (int i = 0; i < 100; i++) {
		__atomic_fetch_add(&record->read_cnt, 1, __ATOMIC_RELAXED);
		assert_false(ended_in(TIMEOUT_MS / 30));
	}
	assert_true(ended_in(10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_later_than_now, begin, end),
		cmocka_unit_test_setup_teardown(test_busy, begin, end),
	};
	int fd = mkstemp(path);

	close(fd);
	unlink(path);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
