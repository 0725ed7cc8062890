// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The tracker or the watched process ends at each moment of arming. */
#include "track_child.h"

static unsigned int die_at;
static pid_t victim;

static void end_victim(void *arg, unsigned int moment)
{
	(void)arg;
	if (moment == die_at)
		kill(victim, SIGKILL);
}

/* end_tracer is called by the process that traces the target. */
static void end_tracer(void *arg, unsigned int moment)
{
	(void)arg;
	if (moment == die_at)
		kill(getpid(), SIGKILL);
}

static void stop_victim(void *arg, unsigned int moment)
{
	(void)arg;
	if (moment == die_at)
		kill(victim, SIGSTOP);
}

static void (*moments_at)(void *arg, unsigned int moment) = end_victim;

/* track_all does all that a tracker does, until it fails: a process that was
 * killed has its memory for a moment yet. */
static int track_all(const struct child *c, struct pt_error *err)
{
	struct pt_track_moments moments = { .at = moments_at };
	static struct seen seen;
	struct pt_track_to to = { .dirty = seen_dirty, .arg = &seen };
	struct pt_tracker *t = NULL;
	int code = track(&t, c, &moments, err);

	if (!code)
		code = pt_tracker_arm(t, err);
	while (!code)
		code = pt_tracker_collect(t, &to, err);
	pt_tracker_close(t);
	return code;
}

static int uffd_cnt(pid_t pid)
{
	char path[64], name[64];
	int cnt = 0;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t got;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		got = readlink(path, name, sizeof(name) - 1);
		name[got > 0 ? got : 0] = '\0';
		cnt += strstr(name, "userfaultfd") != NULL;
	}
	return cnt;
}

/* goes_on: the target counts on, and its memory is whole.  At the worst its call
 * ended worst times, and so many descriptors that were never used stay. */
static void goes_on(struct child *c, const struct answer *before, int worst)
{
	struct answer after;

	child_waits(c);		/* it never ended its wait for good */
	after = child_obeys(c, 's', 0);
	assert_int_equal(after.done_cnt, before->done_cnt + 1);
	assert_int_equal(after.sum, before->sum);
	assert_in_range(after.odd_cnt, 0, worst);
	assert_in_range(uffd_cnt(c->pid), 0, worst);
	/* The next tracker has its way. */
	pt_tracker_close(track_armed(c));
	assert_int_equal(child_obeys(c, 'w', 0).odd_cnt, after.odd_cnt);
	child_obeys(c, 's', 0);
}

static pid_t tracker_start(const struct child *c)
{
	pid_t pid = fork();

	if (!pid) {
		struct pt_error err = { 0 };

		victim = getpid();
		_exit(track_all(c, &err) ? 1 : 2);
	}
	return pid;
}

/* The process that traces the target for us finishes its work. */
static void test_tracker_is_killed(void **state)
{
	int fd = ram_new(0);

	(void)state;
	for (die_at = 0; die_at < PT_TRACK_MOMENT_CNT; die_at++) {
		struct answer before;
		struct child c;
		int status;
		pid_t pid;

		child_start(&c, fd, NULL);
		before = child_obeys(&c, 's', 0);
		pid = tracker_start(&c);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		child_is_left(&c);
		goes_on(&c, &before, 0);
		child_end(&c);
	}
	close(fd);
}

/* The process that traces for us is killed, and we are not. */
static void test_tracer_is_killed(void **state)
{
	struct pt_track_moments moments = { .at = end_tracer };
	int fd = ram_new(0), open_cnt = uffd_cnt(getpid());

	(void)state;
	for (die_at = 0; die_at < PT_TRACK_MOMENT_RELEASED; die_at++) {
		struct pt_error err = { 0 };
		struct pt_tracker *t = NULL;
		struct answer before;
		struct child c;

		child_start(&c, fd, NULL);
		before = child_obeys(&c, 's', 0);
		assert_int_equal(track(&t, &c, &moments, &err), -EINTR);
		assert_non_null(strstr(err.text, "was killed"));
		assert_int_equal(uffd_cnt(getpid()), open_cnt);
		goes_on(&c, &before, die_at > PT_TRACK_MOMENT_ENTRY);
		child_end(&c);
	}
	close(fd);
}

/* A stop of ours, as by the terminal, does not stop the target. */
static void test_tracker_is_stopped(void **state)
{
	int fd = ram_new(0);

	(void)state;
	moments_at = stop_victim;
	for (die_at = 0; die_at <= PT_TRACK_MOMENT_RELEASED; die_at++) {
		struct answer before;
		struct child c;
		int status;
		pid_t pid;

		child_start(&c, fd, NULL);
		before = child_obeys(&c, 's', 0);
		pid = tracker_start(&c);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		child_is_left(&c);
		child_waits(&c);
		assert_int_equal(child_obeys(&c, 's', 0).sum, before.sum);
		assert_int_equal(child_obeys(&c, 's', 0).odd_cnt, 0);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		child_end(&c);
	}
	moments_at = end_victim;
	close(fd);
}

/* The target is our own child: its end is ours to wait for. */
static void test_child_is_killed(void **state)
{
	struct pt_track_moments moments = { .at = end_victim };
	int fd = ram_new(0);

	(void)state;
	for (die_at = 0; die_at < PT_TRACK_MOMENT_RELEASED; die_at++) {
		struct pt_error err = { 0 };
		struct pt_tracker *t = NULL;
		struct child c;
		int status;

		child_start(&c, fd, NULL);
		victim = c.pid;
		assert_int_equal(track(&t, &c, &moments, &err), -ESRCH);
		assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		close(c.to);
		close(c.from);
	}
	close(fd);
}

static void test_target_is_killed(void **state)
{
	int fd = ram_new(0);

	(void)state;
	for (die_at = 0; die_at < PT_TRACK_MOMENT_CNT; die_at++) {
		int status, told[2];
		struct child c;
		pid_t pid;

		assert_int_equal(pipe(told), 0);
		child_start(&c, fd, NULL);
		pid = fork();	/* it is no parent of the target */
		if (!pid) {
			struct pt_error err = { 0 };
			int code;

			victim = c.pid;
			code = track_all(&c, &err);
			if (write(told[1], err.text, sizeof(err.text)) < 0)
				_exit(99);
			_exit(-code);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) != ESRCH) {
			char text[512];

			assert_true(read(told[0], text, sizeof(text)) > 0);
			fail_msg("moment %u: %d, %s", die_at,
				 WEXITSTATUS(status), text);
		}
		close(told[0]);
		close(told[1]);
		child_kill(&c);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tracker_is_killed),
		cmocka_unit_test(test_tracer_is_killed),
		cmocka_unit_test(test_tracker_is_stopped),
		cmocka_unit_test(test_child_is_killed),
		cmocka_unit_test(test_target_is_killed),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
