// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Processes and kernels that no tracker by write protection takes. */
#include "ioctl_filter.h"
#include "track_child.h"

#include <linux/capability.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGEMAP_SCAN 0xc0606610

static void filter_any(void)
{
	filter_one(0xffffffff, SECCOMP_RET_ALLOW);
}

static void too_old(void)
{
	filter_one(PAGEMAP_SCAN, SECCOMP_RET_ERRNO | ENOTTY);
}

static void no_scan(void)
{
	filter_one(PAGEMAP_SCAN, SECCOMP_RET_ERRNO | ENOMEM);
}

/* no_files: the pipe and what else is open take all descriptors. */
static void no_files(void)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_NOFILE, &none))
		_exit(4);
}

static void nobody(void)
{
	if (setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 1))
		_exit(4);
}

/* two_capabilities: root, but with those only that migrate keeps. */
static void two_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct two[2] = { {
		.effective = 1U << CAP_SYS_PTRACE | 1U << CAP_DAC_READ_SEARCH,
		.permitted = 1U << CAP_SYS_PTRACE | 1U << CAP_DAC_READ_SEARCH,
	} };

	if (syscall(SYS_capset, &head, two))
		_exit(4);
}

/* try_in has a process of its own, after `before`, try it. */
static int try_in(const struct child *c, void (*before)(void), char *text)
{
	struct pt_error err = { 0 };
	int told[2], status;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (!pid) {
		struct pt_tracker *t = NULL;
		int code;

		if (before)
			before();
		code = track(&t, c, NULL, &err);
		pt_tracker_close(t);
		if (write(told[1], err.text, sizeof(err.text)) < 0)
			_exit(99);
		_exit(-code);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(read(told[0], text, sizeof(err.text)),
			 sizeof(err.text));
	close(told[0]);
	close(told[1]);
	return -WEXITSTATUS(status);
}

static void expect(const struct child *c, void (*before)(void), int code,
		   const char *why)
{
	char text[512];
	int got = try_in(c, before, text);

	if (got != code || !strstr(text, why))
		fail_msg("%d, not %d: %s", got, code, text);
}

static void test_seccomp(void **state)
{
	int fd = ram_new(0);
	struct child c, other;

	(void)state;
	child_start(&c, fd, filter_any);
	expect(&c, NULL, -EACCES, "seccomp");
	assert_int_equal(child_obeys(&c, 'w', 1).odd_cnt, 0);
	/* It maps the memory of another one, too. */
	child_start(&other, fd, NULL);
	expect(&other, NULL, -EACCES, "maps the memory, too");
	child_end(&c);
	expect(&other, NULL, 0, "");
	child_end(&other);
	close(fd);
}

static void test_not_permitted(void **state)
{
	int fd = ram_new(0);
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	expect(&c, nobody, -EPERM, "CAP_SYS_PTRACE");
	assert_int_equal(ptrace(PTRACE_SEIZE, c.pid, 0, 0), 0);
	expect(&c, NULL, -EPERM, "traces it already");
	assert_int_equal(ptrace(PTRACE_INTERRUPT, c.pid, 0, 0), 0);
	assert_int_equal(waitpid(c.pid, NULL, __WALL), c.pid);
	assert_int_equal(ptrace(PTRACE_DETACH, c.pid, 0, 0), 0);
	child_waits(&c);
	assert_int_equal(child_obeys(&c, 'w', 1).odd_cnt, 0);
	expect(&c, NULL, 0, "");
	child_end(&c);
	close(fd);
}

/* The files in /proc of another user's process are that user's. */
static void test_of_another_user(void **state)
{
	int fd = ram_new(0);
	struct child c;

	(void)state;
	child_start(&c, fd, nobody);
	expect(&c, two_capabilities, 0, "");
	assert_int_equal(child_obeys(&c, 'w', 1).odd_cnt, 0);
	child_end(&c);
	close(fd);
}

static void test_kernel_that_is_old(void **state)
{
	int fd = ram_new(0);
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	expect(&c, too_old, -EOPNOTSUPP, "PAGEMAP_SCAN (Linux 6.7");
	/* Other causes are named. */
	expect(&c, no_scan, -ENOMEM, "PAGEMAP_SCAN: Cannot allocate memory");
	expect(&c, no_files, -EMFILE, "userfaultfd: Too many open files");
	assert_int_equal(child_obeys(&c, 'w', 1).odd_cnt, 0);
	child_end(&c);
	close(fd);
}

static void test_two_trackers(void **state)
{
	int fd = ram_new(0);
	struct pt_tracker *t;
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	t = track_armed(&c);
	expect(&c, NULL, -EBUSY, "another tracker");
	child_obeys(&c, 'w', 1);
	expect_seen(t, 513);
	pt_tracker_close(t);
	expect(&c, NULL, 0, "");
	child_end(&c);
	close(fd);
}

static void test_no_such_memory(void **state)
{
	struct pt_error err = { 0 };
	struct pt_tracker *t = NULL;
	struct pt_track_range range = { .sz = RAM_SZ };
	int fd = ram_new(0);
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	assert_int_equal(pt_tracker_open_wp(&t, c.pid, &range, 0, NULL, &err),
			 -EINVAL);
	range.addr = (__u64)c.map + 1;
	assert_int_equal(pt_tracker_open_wp(&t, c.pid, &range, 1, NULL, &err),
			 -EINVAL);
	range.addr = (__u64)c.map;
	child_obeys(&c, 'u', 700);
	assert_int_equal(pt_tracker_open_wp(&t, c.pid, &range, 1, NULL, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "nothing is mapped"));
	assert_null(t);
	child_end(&c);
	assert_int_equal(pt_tracker_open_wp(&t, c.pid, &range, 1, NULL, &err),
			 -ESRCH);
	close(fd);
}

/* Stopped, it can do no call; and it stays stopped. */
static void test_no_thread_that_waits(void **state)
{
	int fd = ram_new(0), status;
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	kill(c.pid, SIGSTOP);
	assert_int_equal(waitpid(c.pid, &status, WUNTRACED), c.pid);
	expect(&c, NULL, -EAGAIN, "stopped");
	assert_int_equal(waitpid(c.pid, &status, WNOHANG | WCONTINUED), 0);
	kill(c.pid, SIGCONT);
	assert_int_equal(child_obeys(&c, 'w', 1).odd_cnt, 0);
	expect(&c, NULL, 0, "");
	child_end(&c);
	close(fd);
}

/* --- the best that there is ------------------------------------------- */

struct choice {
	struct pt_track_range range;
	struct pt_track_target target;
	struct pt_layout *layout;
	struct pt_digests digests;
	struct pt_error why, err;
	int refused;
};

static int choose(struct pt_tracker **t, struct choice *ch)
{
	*t = NULL;
	ch->refused = 77;
	return pt_tracker_open(t, &ch->target, &ch->refused, &ch->why,
			       &ch->err);
}

static void choice_init(struct choice *ch, const struct child *c)
{
	const struct pt_segment *segs;
	char path[64];
	const char *paths = path;
	__u32 cnt;

	memset(ch, 0, sizeof(*ch));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), c->fd);
	ch->target = (struct pt_track_target){ .pid = c->pid,
		.ranges = &ch->range, .range_cnt = 1, .digest_key = 7,
		.digests = &ch->digests };
	ch->range = (struct pt_track_range){ .addr = (__u64)c->map,
					     .sz = RAM_SZ };
	assert_int_equal(pt_source_open_files_as(&ch->target.src, PT_FILES_LIVE,
						 &paths, 1, &ch->err), 0);
	segs = pt_source_segments(ch->target.src, &cnt);
	assert_int_equal(pt_layout_create(&ch->layout, segs, cnt, &ch->err), 0);
	ch->target.layout = ch->layout;
	assert_int_equal(pt_digests_init(&ch->digests,
					 pt_layout_region_cnt(ch->layout)), 0);
}

static void choice_free(struct choice *ch, struct pt_source *src)
{
	pt_digests_free(&ch->digests);
	pt_layout_free(ch->layout);
	pt_source_close(src);
}

/* watches: the tracker reports the pages that are written. */
static void watches(struct pt_tracker *t, struct choice *ch,
		    const struct child *c, const char *name)
{
	assert_string_equal(pt_tracker_name(t), name);
	arm(t);
	assert_int_equal(sent_as_now(ch->target.src, ch->layout, 7,
				     &ch->digests, &ch->err), 0);
	child_obeys(c, 'w', 700);
	expect_seen(t, 700);
	assert_int_equal(sent_as_now(ch->target.src, ch->layout, 7,
				     &ch->digests, &ch->err), 0);
	expect_seen(t);
	pt_tracker_close(t);
}

static void test_the_best_is_chosen(void **state)
{
	int fd = ram_new(0);
	struct pt_tracker *t;
	struct pt_source *src;
	struct choice ch;
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	choice_init(&ch, &c);
	src = ch.target.src;
	assert_int_equal(choose(&t, &ch), 0);
	assert_int_equal(ch.refused, 0);
	watches(t, &ch, &c, "wp-async");

	ch.target.pid = 0;
	assert_int_equal(choose(&t, &ch), 0);
	assert_int_equal(ch.refused, -EOPNOTSUPP);
	watches(t, &ch, &c, "digest");

	/* Errors that no digest mends. */
	ch.target.pid = c.pid;
	ch.range.addr++;
	assert_int_equal(choose(&t, &ch), -EINVAL);
	assert_non_null(strstr(ch.err.text, "no pages"));
	child_end(&c);
	assert_int_equal(choose(&t, &ch), -ESRCH);
	choice_free(&ch, src);
	close(fd);
}

static void test_digest_where_it_is_refused(void **state)
{
	int fd = ram_new(0);
	struct pt_tracker *t;
	struct pt_source *src;
	struct choice ch;
	struct child c;

	(void)state;
	child_start(&c, fd, filter_any);
	choice_init(&ch, &c);
	src = ch.target.src;
	assert_int_equal(choose(&t, &ch), 0);
	assert_int_equal(ch.refused, -EACCES);
	assert_non_null(strstr(ch.why.text, "seccomp"));
	watches(t, &ch, &c, "digest");
	ch.target.src = NULL;
	assert_int_equal(choose(&t, &ch), -EACCES);
	assert_non_null(strstr(ch.err.text, "seccomp"));
	child_end(&c);
	choice_free(&ch, src);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_not_permitted),
		cmocka_unit_test(test_of_another_user),
		cmocka_unit_test(test_kernel_that_is_old),
		cmocka_unit_test(test_two_trackers),
		cmocka_unit_test(test_no_such_memory),
		cmocka_unit_test(test_no_thread_that_waits),
		cmocka_unit_test(test_the_best_is_chosen),
		cmocka_unit_test(test_digest_where_it_is_refused),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
