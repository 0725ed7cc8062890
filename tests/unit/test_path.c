// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The folder that a path leads to, and the owners of the symbolic links on
 * it. */
#include "scratch.h"

#include <limits.h>

#include "memory/path.h"

#define STRANGER 4242

/* real: the folder; every row is a path to it, or one that is refused. */
#define REAL SCRATCH "/real"

static const struct link {
	const char *name, *text;
	uid_t owner;
} links[] = {
	{ "ours", "real", 0 },
	{ "absolute", REAL, 0 },
	{ "through", "ours/../absolute", 0 },
	{ "strange", "real", STRANGER },
	{ "strange-absolute", REAL, STRANGER },
	{ "to-strange", "strange", 0 },
	{ "to-file", "file", 0 },
	{ "dangling", "nothing", 0 },
	{ "loop", "loop", 0 },
	{ "ring", "real/../ring2", 0 },
	{ "ring2", "ring", 0 },
};

static const struct row {
	const char *path;
	int want;		/* 0: leads to REAL */
} rows[] = {
	{ REAL, 0 },
	{ REAL "/", 0 },
	{ SCRATCH "//real/.", 0 },
	{ SCRATCH "/real/../real", 0 },
	{ "real", 0 },
	{ "./real", 0 },
	{ "../mnt/real", 0 },
	{ "ours", 0 },
	{ "ours/", 0 },
	{ "absolute", 0 },
	{ "through", 0 },
	{ SCRATCH "/through/", 0 },
	{ "strange", -ELOOP },
	{ "strange/", -ELOOP },
	{ "strange/../real", -ELOOP },
	{ "strange-absolute", -ELOOP },
	{ "to-strange", -ELOOP },
	{ "file", -ENOTDIR },
	{ "file/", -ENOTDIR },
	{ "to-file", -ENOTDIR },
	{ "nothing", -ENOENT },
	{ "nothing/real", -ENOENT },
	{ "dangling", -ENOENT },
	{ "loop", -ELOOP },
	{ "ring", -ELOOP },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct stat want, got;
	int fd = pt_path_folder(row->path);

	if (row->want) {
		assert_int_equal(fd, row->want);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(stat(REAL, &want), 0);
	assert_int_equal(got.st_ino, want.st_ino);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

/* As a user: links of root and of the user are followed. */
static void test_owner_is_the_effective_user(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(chmod(SCRATCH, 0755), 0);
	assert_int_equal(chmod(REAL, 0755), 0);
	assert_int_equal(seteuid(STRANGER), 0);
	fd = pt_path_folder("strange");
	assert_true(fd >= 0);
	close(fd);
	fd = pt_path_folder("ours");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(seteuid(STRANGER + 1), 0);
	assert_int_equal(pt_path_folder("strange"), -ELOOP);
	assert_int_equal(seteuid(0), 0);
}

/* Links that make the path longer than a path may be. */
static void test_long_ways(void **state)
{
	char text[PATH_MAX], path[PATH_MAX + 8];

	(void)state;
	memset(path, 'a', PATH_MAX);
	path[PATH_MAX] = '\0';
	assert_int_equal(pt_path_folder(path), -ENAMETOOLONG);
	path[NAME_MAX + 1] = '\0';
	assert_int_equal(pt_path_folder(path), -ENAMETOOLONG);
	for (size_t i = 0; i < PATH_MAX - 2; i += 2)
		memcpy(text + i, "./", 2);
	text[PATH_MAX - 2] = '\0';
	assert_int_equal(symlink(text, "dots"), 0);
	assert_int_equal(pt_path_folder("dots/real"), -ENAMETOOLONG);
}

static int rewrite(const char *path)
{
	int fd = pt_path_rewrite(path, 0640);

	if (fd < 0)
		return fd;
	assert_int_equal(write(fd, "new", 3), 3);
	close(fd);
	return 0;
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* A picture may replace a former picture, but no file of a stranger's
 * choice. */
static void test_rewrite(void **state)
{
	(void)state;
	close(scratch_file("real/old", 100));
	assert_int_equal(symlink("old", "real/ours"), 0);
	assert_int_equal(symlink("old", "real/strange"), 0);
	assert_int_equal(lchown("real/strange", STRANGER, 0), 0);
	assert_int_equal(rewrite("real/strange"), -ELOOP);
	assert_int_equal(rewrite("strange/old"), -ELOOP);
	assert_int_equal(size_of("real/old"), 100);
	assert_int_equal(rewrite("real/ours"), 0);
	assert_int_equal(size_of("real/old"), 3);
	assert_int_equal(rewrite("new"), 0);
	assert_int_equal(size_of("new"), 3);
	assert_int_equal(rewrite("new"), 0);
	assert_int_equal(rewrite("/dev/null"), 0);
	assert_int_equal(rewrite("no/new"), -ENOENT);
	assert_int_equal(rewrite("real"), -EISDIR);
	assert_int_equal(rewrite("real/"), -ENOENT);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(rewrite("pipe"), -ENXIO);
}

int main(void)
{
	enum { ROW_CNT = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[ROW_CNT + 3];

	if (scratch_mount() || chdir(SCRATCH) || mkdir("real", 0700) ||
	    close(scratch_file("file", 1)))
		return 1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i].text, links[i].name) ||
		    lchown(links[i].name, links[i].owner, 0))
			return 1;
	for (size_t i = 0; i < ROW_CNT; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].path,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	tests[ROW_CNT] = (struct CMUnitTest)
		cmocka_unit_test(test_owner_is_the_effective_user);
	tests[ROW_CNT + 1] = (struct CMUnitTest)
		cmocka_unit_test(test_long_ways);
	tests[ROW_CNT + 2] = (struct CMUnitTest)
		cmocka_unit_test(test_rewrite);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
