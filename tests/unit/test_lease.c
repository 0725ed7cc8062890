// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Leases of queues of a device that does not exist: they are files only. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "xdp/lease.h"

/* A namespace cookie that the kernel does not give: it counts up from 1. */
static struct pt_device dev = {
	.name = "eth9", .ifindex = 7, .rx_queue_cnt = 4, .tx_queue_cnt = 2,
};

static void path_of(char path[96], unsigned int queue)
{
	snprintf(path, 96, "/run/pagetrim/%llu-7-q%u",
		 (unsigned long long)dev.netns_cookie, queue);
}

static bool file_exists(unsigned int queue)
{
	struct stat st;
	char path[96];

	path_of(path, queue);
	return !stat(path, &st);
}

static struct pt_lease *must_take(__u32 queue)
{
	struct pt_lease *lease = NULL;
	struct pt_error err;

	if (pt_lease_take(&lease, &dev, queue, "receive", &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_lease_queue(lease), queue);
	return lease;
}

static void test_taken_is_refused_and_named(void **state)
{
	struct pt_lease *lease = must_take(1), *second = NULL;
	struct pt_lease_owner owner;
	struct pt_error err = { 0 };
	char want[64];

	(void)state;
	assert_int_equal(pt_lease_take(&second, &dev, 1, "send", &err), -EBUSY);
	assert_null(second);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	snprintf(want, sizeof(want), "eth9 queue 1: taken by pid %d, pagetrim "
		 "receive", getpid());
	assert_non_null(strstr(err.text, want));
	assert_true(pt_lease_owner(&dev, 1, &owner));
	assert_int_equal(owner.pid, getpid());
	assert_string_equal(owner.role, "receive");
	assert_false(pt_lease_owner(&dev, 2, &owner));

	pt_lease_release(lease);
	assert_false(pt_lease_owner(&dev, 1, &owner));
	assert_false(file_exists(1));
	pt_lease_release(must_take(1));
	pt_lease_release(NULL);
}

static void test_no_such_queue(void **state)
{
	struct pt_lease *lease = NULL, *many[5];
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_lease_take(&lease, &dev, 4, "send", &err), -EINVAL);
	assert_non_null(strstr(err.text, "0..3"));
	assert_int_equal(pt_lease_take_free(many, 5, &dev, "send", &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "5 queues asked for, it has 4"));
	pt_lease_release(must_take(3));
}

static void test_devices_do_not_meet(void **state)
{
	struct pt_device other = dev;
	struct pt_lease *a = must_take(0), *b = NULL, *c = NULL;

	(void)state;
	other.ifindex++;
	assert_int_equal(pt_lease_take(&b, &other, 0, "send", NULL), 0);
	other = dev;
	other.netns_cookie++;
	assert_int_equal(pt_lease_take(&c, &other, 0, "send", NULL), 0);
	pt_lease_release(a);
	pt_lease_release(b);
	pt_lease_release(c);
}

static void test_free_ones_all_or_none(void **state)
{
	struct pt_lease *one = must_take(1), *got[4];
	struct pt_lease_owner owner;
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_lease_take_free(got, 3, &dev, "send", &err), 0);
	assert_int_equal(pt_lease_queue(got[0]), 0);
	assert_int_equal(pt_lease_queue(got[1]), 2);
	assert_int_equal(pt_lease_queue(got[2]), 3);
	pt_lease_release(got[1]);
	pt_lease_release(got[2]);
	pt_lease_release(got[0]);

	assert_int_equal(pt_lease_take_free(got, 4, &dev, "send", &err),
			 -EBUSY);
	assert_non_null(strstr(err.text, "3 of 4 are free"));
	assert_non_null(strstr(err.text, "pagetrim receive"));
	for (__u32 q = 0; q < 4; q++)
		assert_int_equal(pt_lease_owner(&dev, q, &owner), q == 1);
	pt_lease_release(one);
}

/* child holds queue 2 until it is killed. */
static pid_t child_with_lease(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test may abort */
		must_take(2);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void test_death_frees_it(void **state)
{
	struct pt_lease *lease = NULL;
	struct pt_lease_owner owner;
	struct pt_error err;
	pid_t pid = child_with_lease();

	(void)state;
	assert_true(pt_lease_owner(&dev, 2, &owner));
	assert_int_equal(owner.pid, pid);
	assert_int_equal(pt_lease_take(&lease, &dev, 2, "send", &err), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(file_exists(2));	/* it could not clean up */
	assert_false(pt_lease_owner(&dev, 2, &owner));
	pt_lease_release(must_take(0));	/* but the next one does */
	assert_false(file_exists(2));
	pt_lease_release(must_take(2));
}

/* A file that is not ours to write through. */
static void test_planted_link(void **state)
{
	struct pt_lease *lease = NULL;
	struct pt_error err;
	char path[96];

	(void)state;
	path_of(path, 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(pt_lease_take(&lease, &dev, 0, "send", &err), -ELOOP);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(unlink(path), 0);
}

#define THREADS 4
#define ROUNDS 200

static int holders, overlaps, wins;

static void *fight(void *arg)
{
	struct pt_lease *lease;
	struct pt_lease_owner owner;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pt_lease_owner(&dev, 0, &owner);
		if (pt_lease_take(&lease, &dev, 0, "fight", NULL))
			continue;
		if (__atomic_add_fetch(&holders, 1, __ATOMIC_SEQ_CST) != 1)
			__atomic_add_fetch(&overlaps, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&wins, 1, __ATOMIC_SEQ_CST);
		usleep(100);	/* let the others try */
		__atomic_sub_fetch(&holders, 1, __ATOMIC_SEQ_CST);
		pt_lease_release(lease);
	}
	return NULL;
}

/* Taken and released all the time, the file removed in between: never two. */
static void test_never_two_owners(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fight,
						NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(overlaps, 0);
	assert_true(wins >= ROUNDS);
	assert_false(file_exists(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_is_refused_and_named),
		cmocka_unit_test(test_no_such_queue),
		cmocka_unit_test(test_devices_do_not_meet),
		cmocka_unit_test(test_free_ones_all_or_none),
		cmocka_unit_test(test_death_frees_it),
		cmocka_unit_test(test_planted_link),
		cmocka_unit_test(test_never_two_owners),
	};

	dev.netns_cookie = (1ull << 62) + getpid();
	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
