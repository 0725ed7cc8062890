// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The folder of control sockets, in a /run/pagetrim of the test's own. */
#include "ctl_kit.h"

#include <signal.h>
#include <sys/wait.h>

#include "ctl/ctl_folder.h"

#define NOBODY	65534

static struct pt_ctl_entry entries[PT_CTL_ENTRIES_MAX];

static int empty_run(void **state)
{
	(void)state;
	umount("/run/pagetrim");
	if (mkdir("/run/pagetrim", 0755) && errno != EEXIST)
		return -1;
	return mount("none", "/run/pagetrim", "tmpfs", 0, "mode=755");
}

static unsigned list(void)
{
	bool has_more;
	unsigned cnt = pt_ctl_folder_list(entries, &has_more);

	assert_false(has_more);
	return cnt;
}

/* as runs body in a child, as a user. */
static void as(uid_t uid, int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(uid && (setgid(uid) || setuid(uid)) ? 99 : body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* listen_in_folder leaves the socket of a process that ends without a word. */
static int listen_in_folder(void)
{
	char path[PT_CTL_PATH_SZ];
	struct pt_ctl *c;

	pt_ctl_folder_path(path);
	return pt_ctl_open(&c, path, NULL) ? 1 : 0;
}

static void test_makes(void **state)
{
	struct pt_error err;
	struct stat st;

	(void)state;
	assert_int_equal(list(), 0);
	assert_int_equal(pt_ctl_folder_make(0, 0, &err), 0);
	assert_int_equal(pt_ctl_folder_make(NOBODY, NOBODY, &err), 0);
	assert_int_equal(pt_ctl_folder_make(NOBODY, NOBODY, &err), 0);
	assert_int_equal(stat(PT_CTL_FOLDER "/0", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(PT_CTL_FOLDER "/65534", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, NOBODY);
	as(NOBODY, listen_in_folder);
	assert_int_equal(list(), 1);
	assert_int_equal(entries[0].uid, NOBODY);
}

static int make_refused(void)
{
	struct pt_error err = { 0 };
	int ret = pt_ctl_folder_make(geteuid(), getegid(), &err);

	return ret == -EACCES && strstr(err.text, "/run/pagetrim/ctl") ? 0 : 1;
}

/* Folders that others can write, or own, are no folders of ours. */
static void test_refuses(void **state)
{
	struct pt_error err;

	(void)state;
	as(NOBODY, make_refused);
	assert_int_equal(mkdir(PT_CTL_FOLDER, 0700), 0);
	assert_int_equal(chmod(PT_CTL_FOLDER, 0777), 0);
	assert_int_equal(pt_ctl_folder_make(0, 0, &err), -EPERM);
	assert_int_equal(chmod(PT_CTL_FOLDER, 0755), 0);
	assert_int_equal(mkdir(PT_CTL_FOLDER "/5", 0700), 0);
	assert_int_equal(chown(PT_CTL_FOLDER "/5", NOBODY, NOBODY), 0);
	assert_int_equal(pt_ctl_folder_make(5, 5, &err), -EPERM);
	assert_int_equal(symlink("/tmp", PT_CTL_FOLDER "/6"), 0);
	assert_true(pt_ctl_folder_make(6, 6, &err) < 0);
	assert_int_equal(scratch_file(PT_CTL_FOLDER "/5/1.sock", 1) < 0, 0);
	assert_int_equal(list(), 0);
}

/* Sockets of killed processes go; those in use, and other users', stay. */
static void test_sweeps(void **state)
{
	char path[PT_CTL_PATH_SZ];
	struct pt_error err;
	struct pt_ctl *c;

	(void)state;
	assert_int_equal(pt_ctl_folder_make(0, 0, &err), 0);
	assert_int_equal(pt_ctl_folder_make(NOBODY, NOBODY, &err), 0);
	as(0, listen_in_folder);
	as(NOBODY, listen_in_folder);
	assert_int_equal(symlink(SCRATCH "/gone", PT_CTL_FOLDER "/0/2.sock"), 0);
	assert_int_equal(scratch_file(PT_CTL_FOLDER "/0/3.sock", 1) < 0, 0);
	assert_int_equal(scratch_file(PT_CTL_FOLDER "/0/readme", 1) < 0, 0);
	pt_ctl_folder_path(path);
	assert_int_equal(pt_ctl_open(&c, path, &err), 0);
	assert_int_equal(symlink(path, PT_CTL_FOLDER "/0/4.sock"), 0);
	assert_int_equal(list(), 6);
	pt_ctl_folder_sweep();
	assert_int_equal(list(), 4);
	assert_int_equal(entries[0].pid, 3);
	assert_int_equal(entries[1].pid, 4);
	pt_ctl_close(c);
	pt_ctl_folder_sweep();
	assert_int_equal(list(), 2);
	assert_int_equal(access(PT_CTL_FOLDER "/0/readme", F_OK), 0);
}

/* A user's link does not lead root to another's socket. */
static void test_owner(void **state)
{
	char answer[PT_CTL_ANSWER_SZ];
	struct pt_error err;

	(void)state;
	assert_int_equal(start(NULL), 0);
	assert_int_equal(pt_ctl_ask(PATH, NOBODY, "status", answer, 1000, &err),
			 -EPERM);
	assert_int_equal(pt_ctl_take(ctl, line), false);
	assert_int_equal(pt_ctl_ask(PATH, 0, "status", answer, 100, &err),
			 -ETIMEDOUT);
	assert_int_equal(pt_ctl_take(ctl, line), true);
	stop(NULL);
}

static void test_more(void **state)
{
	char path[PT_CTL_PATH_SZ];
	bool has_more;

	(void)state;
	assert_int_equal(pt_ctl_folder_make(0, 0, NULL), 0);
	for (int i = 1; i <= PT_CTL_ENTRIES_MAX + 5; i++) {
		snprintf(path, sizeof(path), PT_CTL_FOLDER "/0/%d.sock", i);
		close(scratch_file(path, 0));
	}
	assert_int_equal(pt_ctl_folder_list(entries, &has_more),
			 PT_CTL_ENTRIES_MAX);
	assert_true(has_more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_makes, empty_run),
		cmocka_unit_test_setup(test_refuses, empty_run),
		cmocka_unit_test_setup(test_sweeps, empty_run),
		cmocka_unit_test_setup(test_owner, empty_run),
		cmocka_unit_test_setup(test_more, empty_run),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests_name("ctl folder", tests, NULL, NULL);
}
