// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Leases of queues of a device that does not exist: they are files only. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "xdp/lease.h"
#include "xdp/lockfile.h"

/* A namespace cookie that the kernel never gives: its cookies count up from
 * 1. */
static struct pt_device dev = {
	.name = "eth9", .ifindex = 7, .rx_queue_cnt = 4, .tx_queue_cnt = 2,
};

/* Two of each device, as in two processes. */
static struct pt_leases *one, *two;

static void path_of(char path[96])
{
	snprintf(path, 96, "/run/pagetrim/%llu-7-queues",
		 (unsigned long long)dev.netns_cookie);
}

static bool file_exists(void)
{
	struct stat st;
	char path[96];

	path_of(path);
	return !stat(path, &st);
}

static struct pt_leases *must_open(const struct pt_device *device)
{
	struct pt_leases *leases;
	struct pt_error err;

	if (pt_leases_open(&leases, device, &err))
		fail_msg("%s", err.text);
	return leases;
}

static int open_both(void **state)
{
	(void)state;
	one = must_open(&dev);
	two = must_open(&dev);
	return 0;
}

static int close_both(void **state)
{
	(void)state;
	pt_leases_close(one);
	assert_true(file_exists());
	pt_leases_close(two);
	assert_false(file_exists());	/* the last one removes it */
	return 0;
}

static struct pt_lease *must_take_of(struct pt_leases *leases, __u32 queue)
{
	struct pt_lease *lease = NULL;
	struct pt_error err;

	if (pt_lease_take(&lease, leases, queue, "receive", &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_lease_queue(lease), queue);
	return lease;
}

static struct pt_lease *must_take(__u32 queue)
{
	return must_take_of(one, queue);
}

static void test_taken_is_refused_and_named(void **state)
{
	struct pt_lease *lease = must_take(1), *second = NULL;
	struct pt_lease_owner owner;
	struct pt_error err = { 0 };
	char want[64];

	(void)state;
	assert_int_equal(pt_lease_take(&second, one, 1, "send", &err), -EBUSY);
	assert_int_equal(pt_lease_take(&second, two, 1, "send", &err), -EBUSY);
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
	pt_lease_release(must_take_of(two, 1));
	pt_lease_release(must_take(1));
	pt_lease_release(NULL);
	pt_leases_close(NULL);
}

static void test_no_such_queue(void **state)
{
	struct pt_lease *lease = NULL, *many[5];
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_lease_take(&lease, one, 4, "send", &err), -EINVAL);
	assert_non_null(strstr(err.text, "0..3"));
	assert_int_equal(pt_lease_take_free(many, 5, one, "send", &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "5 queues asked for, it has 4"));
	pt_lease_release(must_take(3));
}

static void test_devices_do_not_meet(void **state)
{
	struct pt_device other = dev, third = dev;
	struct pt_leases *others, *thirds;
	struct pt_lease *a = must_take(0), *b, *c;

	(void)state;
	other.ifindex++;
	third.netns_cookie++;
	others = must_open(&other);
	thirds = must_open(&third);
	b = must_take_of(others, 0);
	c = must_take_of(thirds, 0);
	pt_lease_release(a);
	pt_lease_release(b);
	pt_lease_release(c);
	pt_leases_close(others);
	pt_leases_close(thirds);
}

static void test_free_ones_all_or_none(void **state)
{
	struct pt_lease *one = must_take(1), *got[4];
	struct pt_lease_owner owner;
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_lease_take_free(got, 3, two, "send", &err), 0);
	assert_int_equal(pt_lease_queue(got[0]), 0);
	assert_int_equal(pt_lease_queue(got[1]), 2);
	assert_int_equal(pt_lease_queue(got[2]), 3);
	pt_lease_release(got[1]);
	pt_lease_release(got[2]);
	pt_lease_release(got[0]);

	assert_int_equal(pt_lease_take_free(got, 4, two, "send", &err),
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
		must_take_of(must_open(&dev), 2);
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
	assert_int_equal(pt_lease_take(&lease, one, 2, "send", &err), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(pt_lease_owner(&dev, 2, &owner));
	pt_lease_release(must_take(2));
}

/* A dead process's file has no owner: the next process that opens a lease
 * removes it. */
static void test_what_the_dead_left(void **state)
{
	struct pt_device other = dev;
	struct pt_leases *others;
	pid_t pid = child_with_lease();

	(void)state;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(file_exists());
	other.ifindex++;
	others = must_open(&other);
	assert_false(file_exists());
	pt_leases_close(others);
}

/* A process that dropped the right to remove the file, and to make one, can
 * still take queues; and its leftovers block no other. */
static void test_without_privileges(void **state)
{
	struct pt_lease_owner owner;
	int status, taken[2], go[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(taken) | pipe(go), 0);
	pid = fork();
	if (!pid) {
		struct pt_leases *leases = must_open(&dev);
		struct pt_lease *lease;

		close(go[1]);
		if (setuid(65534) ||
		    pt_lease_take(&lease, leases, 3, "send", NULL) ||
		    write(taken[1], "", 1) != 1 || read(go[0], &byte, 1))
			_exit(1);
		pt_lease_release(lease);
		pt_leases_close(leases);
		_exit(0);
	}
	assert_int_equal(read(taken[0], &byte, 1), 1);
	assert_true(pt_lease_owner(&dev, 3, &owner));
	assert_int_equal(owner.pid, pid);
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(pt_lease_owner(&dev, 3, &owner));
	close(go[0]);
	close(taken[0]);
	close(taken[1]);
	assert_true(file_exists());
	open_both(NULL);
	pt_lease_release(must_take(3));
	close_both(NULL);
}

/* as_stranger runs what in a process of another user; returns its status. */
static int as_stranger(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(setgid(65534) || setuid(65534) ? 99 : what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A user that can open the file could lock it, and no other would get a
 * queue. */
static int open_refused(void)
{
	char path[96];

	path_of(path);
	return open(path, O_RDONLY) != -1 || errno != EACCES;
}

static void test_strangers_lock(void **state)
{
	(void)state;
	assert_int_equal(as_stranger(open_refused), 0);
}

/* refused_folder, in a mount namespace of its own: with the folder's mode and
 * owner as given no lease is opened. */
static void refused_folder(mode_t mode, uid_t owner)
{
	struct pt_leases *leases = NULL;
	struct pt_error err;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    (mkdir("/run/pagetrim", 0755) && errno != EEXIST) ||
		    mount("none", "/run/pagetrim", "tmpfs", 0, NULL) ||
		    chmod("/run/pagetrim", mode) ||
		    chown("/run/pagetrim", owner, 0))
			_exit(2);
		if (pt_leases_open(&leases, &dev, &err) != -EPERM || leases ||
		    !strstr(err.text, "/run/pagetrim: must be a folder"))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A folder in which other users may write is not trusted. */
static void test_folder_of_others(void **state)
{
	(void)state;
	refused_folder(01777, 0);
	refused_folder(0757, 0);
	refused_folder(0755, 65534);
}

/* A file that is not ours to write through. */
static void test_planted_link(void **state)
{
	struct pt_leases *leases = NULL;
	struct pt_error err;
	char path[96];

	(void)state;
	path_of(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(pt_leases_open(&leases, &dev, &err), -ELOOP);
	assert_null(leases);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(unlink(path), 0);
}

#define THREADS 4
#define WINS 50		/* of each */
#define TRIES_MAX 100000

static int holders, overlaps, wins;

/* win takes the queue for a moment; false: another process had it. */
static bool win(struct pt_leases *leases)
{
	struct pt_lease *lease;

	if (pt_lease_take(&lease, leases, 0, "fight", NULL))
		return false;
	if (__atomic_add_fetch(&holders, 1, __ATOMIC_SEQ_CST) != 1)
		__atomic_add_fetch(&overlaps, 1, __ATOMIC_SEQ_CST);
	usleep(100);	/* let the others try */
	__atomic_sub_fetch(&holders, 1, __ATOMIC_SEQ_CST);
	pt_lease_release(lease);
	return true;
}

static void *fight(void *arg)
{
	struct pt_lease_owner owner;
	struct pt_leases *leases;
	int won = 0;

	(void)arg;
	for (int i = 0; i < TRIES_MAX && won < WINS; i++) {
		pt_lease_owner(&dev, 0, &owner);
		if (!pt_leases_open(&leases, &dev, NULL)) {
			won += win(leases);
			pt_leases_close(leases);
		}
		usleep(50);
	}
	__atomic_add_fetch(&wins, won, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Taken and released repeatedly, the file removed in between: never two
 * owners. */
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
	assert_int_equal(wins, THREADS * WINS);
	assert_false(file_exists());
}

#define BOTH(fn) cmocka_unit_test_setup_teardown(fn, open_both, close_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_taken_is_refused_and_named),
		BOTH(test_no_such_queue),
		BOTH(test_devices_do_not_meet),
		BOTH(test_free_ones_all_or_none),
		BOTH(test_death_frees_it),
		cmocka_unit_test(test_what_the_dead_left),
		cmocka_unit_test(test_without_privileges),
		BOTH(test_strangers_lock),
		cmocka_unit_test(test_folder_of_others),
		cmocka_unit_test(test_planted_link),
		cmocka_unit_test(test_never_two_owners),
	};

	dev.netns_cookie = (1ull << 62) + getpid();
	/* A /run of its own: opening leases elsewhere removes stale files. */
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/run", "tmpfs", 0, "mode=755")) {
		perror("lease: cannot mount (run as root)");
		return 1;
	}
	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
