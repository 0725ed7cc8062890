// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Processes and kernels that no tracker by write protection takes. */
#include "track_child.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define PAGEMAP_SCAN 0xc0606610

/* filter_one has ioctl(2) of one command fail as nothing that is known. */
static void filter_one(__u32 command)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, command, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		_exit(4);
}

static void filter_any(void)
{
	filter_one(0xffffffff);
}

static void too_old(void)
{
	filter_one(PAGEMAP_SCAN);
}

static void nobody(void)
{
	if (setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 1))
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

static void test_kernel_that_is_old(void **state)
{
	int fd = ram_new(0);
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	expect(&c, too_old, -EOPNOTSUPP, "PAGEMAP_SCAN");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_not_permitted),
		cmocka_unit_test(test_kernel_that_is_old),
		cmocka_unit_test(test_two_trackers),
		cmocka_unit_test(test_no_such_memory),
		cmocka_unit_test(test_no_thread_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
