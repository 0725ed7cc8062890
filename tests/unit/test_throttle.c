/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A process of our own is throttled in a cgroup of its own, of the version that
 * limits CPU time here, and by the files of version 2, which a folder has. */
#include <errno.h>
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/throttle.h"

#define HELPER_CHECKS 3000

static const char *base;	/* the root cgroup */
static bool is_v2;		/* there */
static char folder[64];		/* the cgroup */
static pid_t spinner;

static void put(const char *dir, const char *file, const char *text)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s/%s", dir, file);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s", name, strerror(errno));
	close(fd);
}

static const char *get(const char *file)
{
	static char text[64];
	char name[128];
	ssize_t sz;
	int fd;

	snprintf(name, sizeof(name), "%s/%s", folder, file);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	sz = read(fd, text, sizeof(text) - 1);
	assert_true(sz > 0);
	text[sz] = '\0';
	text[strcspn(text, "\n")] = '\0';
	close(fd);
	return text;
}

/* spin begins a process that uses a CPU, and waits until it has done so for a
 * while. */
static void spin(void)
{
	struct timespec used = { 0 };
	clockid_t clock;

	spinner = fork();
	if (!spinner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	assert_int_equal(clock_getcpuclockid(spinner, &clock), 0);
	while (!used.tv_sec && used.tv_nsec < 50000000) {
		usleep(1000);
		assert_int_equal(clock_gettime(clock, &used), 0);
	}
}

static void join(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	put(folder, "cgroup.procs", text);
}

/* put_limit allows so many microseconds in each 100 ms. */
static void put_limit(long us)
{
	char text[32];

	snprintf(text, sizeof(text), is_v2 ? "%ld 100000" : "%ld", us);
	put(folder, is_v2 ? "cpu.max" : "cpu.cfs_quota_us", text);
}

/* limit returns them, -1: any. */
static long limit(void)
{
	const char *text = get(is_v2 ? "cpu.max" : "cpu.cfs_quota_us");

	return strncmp(text, "max", 3) ? atol(text) : -1;
}

static int group_setup(void **state)
{
	(void)state;
	is_v2 = access("/sys/fs/cgroup/cpu", F_OK);
	base = is_v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
	if (is_v2)
		put(base, "cgroup.subtree_control", "+cpu");
	return 0;
}

static int setup(void **state)
{
	(void)state;
	spinner = 0;
	snprintf(folder, sizeof(folder), "%s/pagetrim-test-%d", base, getpid());
	return mkdir(folder, 0755);
}

static int teardown(void **state)
{
	(void)state;
	if (spinner) {
		kill(spinner, SIGKILL);
		waitpid(spinner, NULL, 0);
	}
	for (int ms = 0; rmdir(folder) && errno == EBUSY && ms < 5000; ms++)
		usleep(1000);
	return access(folder, F_OK) ? 0 : -1;
}

static void refuses(int want, const char *words)
{
	struct pt_error err = { 0 };
	struct pt_throttle *t;

	assert_int_equal(pt_throttle_open(&t, spinner, &err), want);
	if (!strstr(err.text, words))
		fail_msg("'%s' lacks '%s'", err.text, words);
}

/* The limit is a part of what it used, and is lifted to what it was. */
static void test_steps(void **state)
{
	struct pt_error err = { 0 };
	struct pt_throttle *t;
	long quota, less;

	(void)state;
	spin();
	join(spinner);
	put_limit(250000);
	assert_int_equal(pt_throttle_open(&t, spinner, &err), 0);
	assert_int_equal(limit(), 250000);
	assert_string_equal(pt_throttle_undo(t),
			    is_v2 ? "250000 100000" : "250000");
	usleep(100000);
	assert_int_equal(pt_throttle_set(t, 20, &err), 0);
	quota = limit();
	assert_in_range(quota, 1000, 249999);
	assert_int_equal(pt_throttle_set(t, 60, &err), 0);
	less = limit();
	assert_true(quota == 1000 || (less >= quota / 2 - 1 &&
				      less <= quota / 2 + 1));
	assert_int_equal(pt_throttle_set(t, 0, &err), 0);
	assert_int_equal(limit(), 250000);
	assert_int_equal(pt_throttle_set(t, 99, &err), 0);
	pt_throttle_close(t);
	assert_int_equal(limit(), 250000);
	pt_throttle_close(NULL);
}

static void test_root(void **state)
{
	char text[16];

	(void)state;
	spin();
	snprintf(text, sizeof(text), "%d", spinner);
	put(base, "cgroup.procs", text);
	refuses(-EINVAL, "root");
}

/* Another process in it, or below it, is named, at any time. */
static void test_others(void **state)
{
	struct pt_error err = { 0 };
	struct pt_throttle *t;
	char words[64];
	pid_t other;

	(void)state;
	spin();
	join(spinner);
	assert_int_equal(pt_throttle_open(&t, spinner, &err), 0);
	other = fork();
	if (!other) {
		pause();
		_exit(0);
	}
	join(other);
	snprintf(words, sizeof(words), "process %d", other);
	assert_int_equal(pt_throttle_set(t, 20, &err), -EBUSY);
	assert_non_null(strstr(err.text, words));
	assert_int_equal(limit(), -1);
	refuses(-EBUSY, words);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	assert_int_equal(pt_throttle_set(t, 20, &err), 0);
	pt_throttle_close(t);
}

/* Helpers of the process that end at any time are no strangers. */
static void test_helpers(void **state)
{
	struct pt_error err = { 0 };
	struct pt_cgroup c;

	(void)state;
	spinner = fork();
	if (!spinner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGCHLD, SIG_IGN);
		for (;;)
			if (!fork())
				_exit(0);
	}
	join(spinner);
	assert_int_equal(pt_cgroup_find(&c, spinner, &err), 0);
	for (int i = 0; i < HELPER_CHECKS; i++)
		if (pt_cgroup_check_own(&c, spinner, &err))
			fail_msg("check %d: %s", i, err.text);
}

/* The files of version 2. */
static void test_v2(void **state)
{
	struct pt_cgroup c = { .is_v2 = true };
	struct pt_error err = { 0 };
	struct pt_throttle *t;
	long quota, period;
	char text[64];

	(void)state;
	rmdir(folder);
	strcpy(folder, "/tmp/pagetrim-test.XXXXXX");
	assert_non_null(mkdtemp(folder));
	strcpy(c.path, folder);
	spin();
	snprintf(text, sizeof(text), "%d\n", spinner);
	put(folder, "cgroup.threads", text);
	assert_int_equal(pt_throttle_open_in(&t, &c, spinner, &err),
			 -EOPNOTSUPP);
	put(folder, "cpu.max", "max 50000\n");
	assert_int_equal(pt_throttle_open_in(&t, &c, spinner, &err), 0);
	usleep(100000);
	assert_int_equal(pt_throttle_set(t, 20, &err), 0);
	assert_int_equal(sscanf(get("cpu.max"), "%ld %ld", &quota, &period), 2);
	assert_in_range(quota, 1000, 1000000);
	assert_int_equal(period, 50000);
	put(folder, "cpu.max", "");	/* a file keeps what is longer */
	pt_throttle_close(t);
	assert_string_equal(get("cpu.max"), "max 50000");
	put(folder, "cgroup.threads", "1\n");
	assert_int_equal(pt_throttle_open_in(&t, &c, spinner, &err), -EBUSY);
	assert_non_null(strstr(err.text, "process 1,"));
	put(folder, "cgroup.threads", "0\n");	/* of another PID namespace */
	assert_int_equal(pt_throttle_open_in(&t, &c, spinner, &err), -EBUSY);
	assert_non_null(strstr(err.text, "PID namespace"));
	snprintf(text, sizeof(text), "%.40s/cpu.max", folder);
	unlink(text);
	snprintf(text, sizeof(text), "%.40s/cgroup.threads", folder);
	unlink(text);
	assert_int_equal(mkdir(text, 0700), 0);		/* fails to be read */
	assert_int_equal(pt_throttle_open_in(&t, &c, spinner, &err), -EBUSY);
	assert_non_null(strstr(err.text, "not known"));
	rmdir(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_helpers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v2, setup, teardown),
	};

	return cmocka_run_group_tests_name("throttle", tests, group_setup,
					   NULL);
}
