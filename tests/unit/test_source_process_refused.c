// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Process numbers that are refused. */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "victim.h"

static void assert_refused(pid_t pid, int want, const char *text)
{
	struct pt_source *src = (void *)7;
	struct pt_error err = { 0 };

	assert_int_equal(pt_source_open_pid(&src, pid, false, &err), want);
	assert_ptr_equal(src, (void *)7);
	assert_int_equal(err.exit, pid == getpid() ? PT_EXIT_USAGE : PT_EXIT_HOST);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void test_no_such_process(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	/* first a zombie, then nothing */
	assert_int_equal(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT), 0);
	assert_refused(pid, -ESRCH, "went away");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_refused(pid, -ESRCH, "no such process");
	assert_refused(0, -ESRCH, "no such process");
	assert_refused(-1, -ESRCH, "no such process");
}

static void test_ourselves_and_the_kernel(void **state)
{
	(void)state;
	assert_refused(getpid(), -EINVAL, "the calling process");
	if (!kill(2, 0))	/* not seen from within a container */
		assert_refused(2, -ENODATA, "thread of the kernel");
}

/* as_first is the first process of a PID namespace: its child, number 2 there, has
 * memory as any other. */
static int as_first(void)
{
	struct pt_source *src = NULL;
	struct pt_error err = { 0 };
	pid_t second;
	int ret;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		return 2;
	second = fork();
	if (!second)
		for (;;)
			pause();
	ret = pt_source_open_pid(&src, second, false, &err);
	pt_source_close(src);
	return second == 2 ? !!ret : 3;
}

static void test_second_of_a_namespace(void **state)
{
	pid_t outer = fork(), first;
	int status;

	(void)state;
	if (!outer) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS))
			_exit(4);
		first = fork();
		if (!first)
			_exit(as_first());
		waitpid(first, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 5);
	}
	assert_int_equal(waitpid(outer, &status, 0), outer);
	assert_int_equal(status, 0);
}

static void test_a_thread(void **state)
{
	pid_t pid = child_start(), tid = 0;
	const struct dirent *entry;
	char text[64];
	DIR *dir;

	(void)state;
	snprintf(text, sizeof(text), "/proc/%d/task", pid);
	dir = opendir(text);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (atoi(entry->d_name) && atoi(entry->d_name) != pid)
			tid = atoi(entry->d_name);
	closedir(dir);
	snprintf(text, sizeof(text), "a thread of process %d", pid);
	assert_refused(tid, -EINVAL, text);
	child_end(pid);
}

static void test_traced_by_another(void **state)
{
	pid_t pid = child_start();
	char text[64];

	(void)state;
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	snprintf(text, sizeof(text), "process %d traces it", getpid());
	assert_refused(pid, -EPERM, text);
	assert_runs();
	child_end(pid);
}

static void test_not_permitted(void **state)
{
	pid_t pid = child_start(), other = fork();
	struct pt_error err = { 0 };
	struct pt_source *src;
	int status;

	(void)state;
	if (!other) {
		if (setuid(65534))
			_exit(1);
		if (pt_source_open_pid(&src, pid, false, &err) != -EPERM)
			_exit(2);
		if (pt_source_open_pid(&src, pid, true, &err) != -EACCES)
			_exit(3);
		_exit(strstr(err.text, "CAP_SYS_PTRACE") ? 0 : 4);
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	assert_runs();
	child_end(pid);
}

/* forbid_ptrace: a filter has it fail as if the right was lacking. */
static void forbid_ptrace(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
}

/* Root is not told to be root. */
static void test_not_permitted_to_root(void **state)
{
	pid_t pid = child_start(), other = fork();
	struct pt_error err = { 0 };
	struct pt_source *src;
	int status;

	(void)state;
	if (!other) {
		forbid_ptrace();
		if (pt_source_open_pid(&src, pid, false, &err) != -EPERM)
			_exit(2);
		_exit(strstr(err.text, "a security module or a seccomp filter") &&
		      !strstr(err.text, "run as root") ? 0 : 4);
	}
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	assert_runs();
	child_end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_such_process),
		cmocka_unit_test(test_ourselves_and_the_kernel),
		cmocka_unit_test(test_second_of_a_namespace),
		cmocka_unit_test(test_a_thread),
		cmocka_unit_test(test_traced_by_another),
		cmocka_unit_test(test_not_permitted),
		cmocka_unit_test(test_not_permitted_to_root),
	};

	if (victim_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
