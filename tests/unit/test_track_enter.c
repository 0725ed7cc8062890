// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which thread is entered, and what it notices. */
#include "track_child.h"

#include <pthread.h>

#include "track/enter.h"

/* watches: a new tracker reports a page that the child writes. */
static void watches(const struct child *c)
{
	struct pt_tracker *t = track_armed(c);

	child_obeys(c, 'w', 5);
	expect_seen(t, 517);
	pt_tracker_close(t);
}

/* A poll(2) that was interrupted goes on by another name. */
static void test_poll_twice(void **state)
{
	int fd = ram_new(0);
	struct child c;

	(void)state;
	child_polls = true;
	child_start(&c, fd, NULL);
	child_polls = false;
	for (int i = 0; i < 3; i++)
		pt_tracker_close(track_armed(&c));
	watches(&c);
	assert_int_equal(child_obeys(&c, 'w', 1).odd_cnt, 0);
	child_end(&c);
	close(fd);
}

static int never[2];

static void *sleeps(void *arg)
{
	const struct timespec ages = { .tv_sec = 100000 };

	(void)arg;
	nanosleep(&ages, NULL);
	return NULL;
}

static void *polls_alone(void *arg)
{
	struct pollfd p = { .fd = never[0], .events = POLLIN };

	(void)arg;
	if (!unshare(CLONE_FILES))
		poll(&p, 1, -1);
	return NULL;
}

/* thread_of starts a process whose first thread reads and whose second one runs
 * fn; both until they are killed. */
static pid_t thread_of(void *(*fn)(void *arg), int fd, __u8 **map)
{
	pid_t pid;

	*map = mmap(NULL, RAM_SZ, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(pipe2(never, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		pthread_t thread;
		char byte;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pthread_create(&thread, NULL, fn, NULL))
			_exit(1);
		for (;;)
			if (read(never[0], &byte, 1) < 1 && errno != EINTR)
				_exit(2);
	}
	munmap(*map, RAM_SZ);
	return pid;
}

struct waiting {
	const char *first;	/* of what its /proc/PID/task/TID/syscall says */
	pid_t pid;
};

static int thread_waits(void *arg, pid_t tid)
{
	const struct waiting *w = arg;
	char path[64], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", w->pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return !strncmp(text, w->first, strlen(w->first));
}

static void until(pid_t pid, const char *first)
{
	struct waiting w = { .first = first, .pid = pid };

	while (pt_proc_threads(pid, thread_waits, &w) != 1)
		continue;
}

static int track_thread(pid_t pid, const __u8 *map, struct pt_error *err)
{
	struct pt_track_range range = { .addr = (__u64)map, .sz = RAM_SZ };
	struct pt_tracker *t = NULL;
	int code = pt_tracker_open_wp(&t, pid, &range, 1, NULL, err);

	pt_tracker_close(t);
	return code;
}

static void thread_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(never[0]);
	close(never[1]);
}

/* The descriptor would be looked up among those of the first thread. */
static void test_thread_with_descriptors_of_its_own(void **state)
{
	struct pt_error err = { 0 };
	int fd = ram_new(0);
	__u8 *map;
	pid_t pid = thread_of(polls_alone, fd, &map);

	(void)state;
	until(pid, "7 ");
	assert_int_equal(track_thread(pid, map, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "poll(2)"));
	thread_end(pid);
	close(fd);
}

/* A sleep that was interrupted has the same name as a poll(2) that was. */
static void test_sleep_that_was_interrupted(void **state)
{
	struct pt_error err = { 0 };
	int fd = ram_new(0);
	__u8 *map;
	pid_t pid = thread_of(sleeps, fd, &map);

	(void)state;
	until(pid, "230 ");
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGCONT);
	until(pid, "219 ");
	assert_int_equal(track_thread(pid, map, &err), -EAGAIN);
	thread_end(pid);
	close(fd);
}

/* --- signals that come meanwhile --------------------------------------- */

static volatile unsigned int *caught_cnt;
static unsigned int signal_at;
static bool is_sent;

static void caught(int signo)
{
	(void)signo;
	(*caught_cnt)++;
}

static void catches(void)
{
	signal(SIGUSR1, caught);
}

static void signal_child(void *arg, unsigned int moment)
{
	const struct child *c = arg;

	if (moment == signal_at && !is_sent)
		is_sent = !kill(c->pid, SIGUSR1);
}

/* Each is delivered, once, and the tracker has its way. */
static void test_signals(void **state)
{
	int fd = ram_new(0);

	(void)state;
	caught_cnt = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (signal_at = 0; signal_at <= PT_TRACK_MOMENT_RELEASED;
	     signal_at++) {
		struct child c;
		struct pt_track_moments moments = { .at = signal_child,
						    .arg = &c };
		struct pt_error err = { 0 };
		struct pt_tracker *t = NULL;

		*caught_cnt = 0;
		is_sent = false;
		child_start(&c, fd, catches);
		if (track(&t, &c, &moments, &err))
			fail_msg("moment %u: %s", signal_at, err.text);
		pt_tracker_close(t);
		watches(&c);
		/* ppoll(2) says so at most once, as it always does. */
		assert_in_range(child_obeys(&c, 'w', 1).odd_cnt, 0, 1);
		assert_int_equal(*caught_cnt, 1);
		child_end(&c);
	}
	munmap((void *)caught_cnt, PAGE);
	close(fd);
}

static void *polls(void *arg)
{
	for (;;)
		poll(NULL, 0, -1);
	return arg;
}

/* It lives, but /proc/PID shows no memory of it.  One that is killed has ended. */
static void test_without_its_first_thread(void **state)
{
	struct pt_error err = { 0 };
	pthread_t thread;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pthread_create(&thread, NULL, polls, NULL))
			_exit(1);
		pthread_exit(NULL);
	}
	while (pt_proc_thread_lives(pid, pid))
		usleep(1000);
	assert_int_equal(pt_enter(pid, false, NULL, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "its first thread has ended"));
	kill(pid, SIGKILL);
	assert_int_equal(pt_enter(pid, false, NULL, &err), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll_twice),
		cmocka_unit_test(test_thread_with_descriptors_of_its_own),
		cmocka_unit_test(test_sleep_that_was_interrupted),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_without_its_first_thread),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
