// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Memory that is mapped more than once: by other processes, and in one. */
#include "track_child.h"

static void expect_whole(struct pt_tracker *t)
{
	static struct seen seen;

	collect(t, &seen);
	assert_int_equal(seen.cnt, RAM_PAGES);
}

static void review(struct pt_tracker *t)
{
	struct pt_error err = { 0 };

	if (pt_tracker_review(t, &err))
		fail_msg("%s", err.text);
}

static void test_two_that_map_it(void **state)
{
	struct child a, b, late;
	int fd = ram_new(0);
	struct pt_tracker *t;

	(void)state;
	child_start(&a, fd, NULL);
	child_start(&b, fd, NULL);
	t = track_armed(&a);
	expect_seen(t);
	child_obeys(&a, 'w', 1);
	child_obeys(&b, 'w', 2);
	expect_seen(t, 513, 514);
	child_obeys(&b, 'w', 1);
	expect_seen(t, 513);

	/* One that comes later: all that it may have written meanwhile. */
	child_start(&late, fd, NULL);
	child_obeys(&late, 'w', 3);
	review(t);
	child_obeys(&late, 'w', 4);
	expect_whole(t);
	child_obeys(&late, 'w', 5);
	review(t);
	expect_seen(t, 517);

	/* One that goes takes the record of its last writes along. */
	child_obeys(&b, 'w', 6);
	child_end(&b);
	expect_whole(t);
	expect_seen(t);
	child_obeys(&late, 'u', 100);
	child_obeys(&late, 'w', 7);
	expect_whole(t);
	review(t);		/* the rest of it */
	{
		static struct seen seen;

		collect(t, &seen);
		assert_int_equal(seen.cnt, RAM_PAGES - 1);
		assert_int_equal(seen.pages[512 + 100], 0);
	}
	child_obeys(&late, 'w', 8);
	child_obeys(&a, 'w', 9);
	expect_seen(t, 520, 521);
	pt_tracker_close(t);
	child_end(&late);
	child_end(&a);
	close(fd);
}

/* --- at two addresses -------------------------------------------------- */

/* Pages of two ranges show the same bytes of a file. */
static void test_two_ranges_of_one_file(void **state)
{
	struct pt_error err = { 0 };
	int fd = ram_new(0);
	struct pt_tracker *t;
	struct child a, b;

	(void)state;
	child_start(&a, fd, NULL);
	child_start(&b, fd, NULL);
	{
		__u64 alias = child_obeys(&a, 'a', 0).sum;
		/* The second begins at page 512 of the file. */
		struct pt_track_range ranges[] = {
			{ .addr = (__u64)a.map, .sz = RAM_SZ,
			  .page_idx = 512 },
			{ .addr = alias + 512 * PAGE, .sz = 600 * PAGE,
			  .page_idx = 8192 },
		};

		if (pt_tracker_open_wp(&t, a.pid, ranges, 2, NULL, &err))
			fail_msg("%s", err.text);
	}
	arm(t);
	child_obeys(&a, 'w', 511);
	child_obeys(&a, 'w', 512);
	expect_seen(t, 1023, 1024, 8192);
	child_obeys(&a, 'A', 513);
	child_obeys(&a, 'A', 512 + 599);
	child_obeys(&a, 'A', 512 + 600);	/* in the first range only */
	child_obeys(&a, 'A', 1);
	expect_seen(t, 513, 1025, 8193, 512 + 512 + 599, 8192 + 599,
		    512 + 512 + 600);
	child_obeys(&b, 'w', 520);
	child_obeys(&b, 'w', 20);
	expect_seen(t, 532, 1032, 8200);
	expect_seen(t);
	pt_tracker_close(t);
	child_end(&b);
	child_end(&a);
	close(fd);
}

static void test_ranges_that_overlap(void **state)
{
	int fd = ram_new(0);
	struct pt_error err = { 0 };
	struct pt_tracker *t = NULL;
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	{
		struct pt_track_range ranges[] = {
			{ .addr = (__u64)c.map, .sz = 2 * PAGE },
			{ .addr = (__u64)c.map + PAGE, .sz = PAGE,
			  .page_idx = 9 },
		};

		assert_int_equal(pt_tracker_open_wp(&t, c.pid, ranges, 2, NULL,
						    &err), -EINVAL);
		ranges[0].sz = PAGE;
		assert_int_equal(pt_tracker_open_wp(&t, c.pid, ranges, 2, NULL,
						    &err), 0);
		pt_tracker_close(t);
	}
	child_end(&c);
	close(fd);
}

/* --- others that end meanwhile ------------------------------------------ */

static struct child ending;
static unsigned int end_at, left;

/* end_other ends the other process, once it is reached by its own arming. */
static void end_other(void *arg, unsigned int moment)
{
	siginfo_t end;

	(void)arg;
	if (moment != end_at || left-- != 1)
		return;
	kill(ending.pid, SIGKILL);
	waitid(P_PID, ending.pid, &end, WEXITED | WNOWAIT);
}

/* The other one ends at each moment at which it is entered. */
static void test_other_that_ends(void **state)
{
	struct pt_track_moments moments = { .at = end_other };
	int fd = ram_new(0);

	(void)state;
	for (end_at = 0; end_at <= PT_TRACK_MOMENT_RELEASED; end_at++) {
		struct pt_error err = { 0 };
		struct pt_tracker *t;
		struct child c;

		left = 2;	/* the target comes first */
		child_start(&c, fd, NULL);
		child_start(&ending, fd, NULL);
		if (track(&t, &c, &moments, &err))
			fail_msg("moment %u: %s", end_at, err.text);
		arm(t);
		child_obeys(&c, 'w', 3);
		{
			static struct seen seen;

			collect(t, &seen);
			assert_int_equal(seen.pages[512 + 3], 1);
		}
		child_obeys(&c, 'w', 4);
		expect_seen(t, 516);
		pt_tracker_close(t);
		child_kill(&ending);
		child_end(&c);
	}
	close(fd);
}

/* check_before_arm: the other one is not as it was when arming begins. */
static void check_before_arm(char order)
{
	int fd = ram_new(0);
	struct pt_error err = { 0 };
	struct pt_tracker *t;
	struct child c, other;

	child_start(&c, fd, NULL);
	child_start(&other, fd, NULL);
	if (track(&t, &c, NULL, &err))
		fail_msg("%s", err.text);
	if (order == 'x')
		child_becomes_sleep(&other);
	else if (order == 'm')
		child_obeys(&other, 'm', 0);
	else
		child_kill(&other);
	arm(t);
	expect_whole(t);
	review(t);
	if (order == 'm')
		expect_whole(t);
	child_obeys(&c, 'w', 4);
	if (order == 'm')
		child_obeys(&other, 'w', 4);
	expect_seen(t, 516);
	pt_tracker_close(t);
	if (order != 'k')
		child_kill(&other);
	child_end(&c);
	close(fd);
}

static void test_other_that_changes_before_arm(void **state)
{
	(void)state;
	check_before_arm('k');
	check_before_arm('x');
	check_before_arm('m');
}

/* Another process has the number of one that ended. */
static void test_same_number(void **state)
{
	int fd = ram_new(0);
	struct child c, other;
	struct pt_tracker *t;
	pid_t number;

	(void)state;
	child_start(&c, fd, NULL);
	child_start(&other, fd, NULL);
	t = track_armed(&c);
	number = other.pid;
	child_kill(&other);
	child_start_as(&other, number, fd, NULL);
	review(t);
	expect_whole(t);
	child_obeys(&other, 'w', 4);
	expect_seen(t, 516);
	pt_tracker_close(t);
	child_end(&other);
	child_end(&c);
	close(fd);
}

/* --- others that are not seen at once ------------------------------------ */

static struct child forked;
static int forked_fd;

/* free_number returns a lower one that no process has. */
static pid_t free_number(pid_t below)
{
	for (pid_t number = below - 1; number > 1; number--) {
		pid_t pid = child_fork(number);

		if (!pid)
			_exit(0);
		if (pid < 0)
			continue;
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		return number;
	}
	fail_msg("no number below %d is free", below);
	return 0;
}

/* A process appears when the other one is entered, and its number is lower. */
static void fork_low(void *arg, unsigned int moment)
{
	const struct child *other = arg;

	if (moment != PT_TRACK_MOMENT_RELEASED || left-- != 1)
		return;
	child_start_as(&forked, free_number(other->pid), forked_fd, NULL);
}

static void test_one_that_appears_meanwhile(void **state)
{
	struct child c, other;
	struct pt_track_moments moments = { .at = fork_low, .arg = &other };
	struct pt_error err = { 0 };
	struct pt_tracker *t;

	(void)state;
	forked_fd = ram_new(0);
	left = 2;
	child_start(&c, forked_fd, NULL);
	child_start(&other, forked_fd, NULL);
	if (track(&t, &c, &moments, &err))
		fail_msg("%s", err.text);
	assert_true(forked.pid < other.pid);
	arm(t);
	child_obeys(&forked, 'w', 9);
	expect_seen(t, 521);
	pt_tracker_close(t);
	child_end(&forked);
	child_end(&other);
	child_end(&c);
	close(forked_fd);
}

/* misses_in returns the misses of a tracker of a process's own memory, whose
 * processes are those of a /proc mounted so; nobody: it is no root. */
static int misses_in(int flags, const char *options, bool is_nobody)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct pt_track_range range = { .sz = 64 * PAGE };
		struct pt_error err = { 0 };
		struct pt_tracker *t;
		void *map = mmap(NULL, range.sz, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		range.addr = (__u64)map;
		if (unshare(flags | CLONE_NEWNS) ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(90);
		pid = flags ? fork() : 0;
		if (pid) {
			waitpid(pid, &status, 0);
			_exit(WEXITSTATUS(status));
		}
		if (mount("proc", "/proc", "proc", 0, options))
			_exit(91);
		if (is_nobody && (setgid(65534) || setuid(65534) ||
				  prctl(PR_SET_DUMPABLE, 1)))
			_exit(92);
		if (pt_tracker_open_wp(&t, getpid(), &range, 1, NULL, &err)) {
			print_message("%s\n", err.text);
			_exit(93);
		}
		_exit(pt_tracker_misses(t));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_processes_that_are_hidden(void **state)
{
	const int always = PT_TRACK_MISSES_HOLES | PT_TRACK_MISSES_IN_FLIGHT |
			   PT_TRACK_MISSES_FILE_WRITES;

	(void)state;
	assert_int_equal(misses_in(CLONE_NEWPID, NULL, false),
			 always | PT_TRACK_MISSES_MAPPERS);
	assert_int_equal(misses_in(0, "hidepid=2", true),
			 always | PT_TRACK_MISSES_MAPPERS);
	/* Root sees them, as without. */
	assert_int_equal(misses_in(0, "hidepid=2", false),
			 misses_in(0, NULL, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_that_map_it),
		cmocka_unit_test(test_two_ranges_of_one_file),
		cmocka_unit_test(test_ranges_that_overlap),
		cmocka_unit_test(test_other_that_ends),
		cmocka_unit_test(test_other_that_changes_before_arm),
		cmocka_unit_test(test_same_number),
		cmocka_unit_test(test_one_that_appears_meanwhile),
		cmocka_unit_test(test_processes_that_are_hidden),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
