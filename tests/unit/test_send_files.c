// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Files of --with, as they are opened: a file that cannot be sent whole is
 * refused by its name before anything is sent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "send/send_files.h"

static char folder[] = "/tmp/pagetrim-files.XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static void takes(const char *path, __u64 sz)
{
	struct pt_send_files *f;
	struct pt_error err;

	if (pt_send_files_open(&f, &path, 1, NULL, 0, &err))
		fail_msg("%s", err.text);
	assert_true(pt_send_files_total_sz(f) == sz);
	pt_send_files_close(f);
}

static void refuses(const char *path, int code, const char *word)
{
	struct pt_send_files *f = NULL;
	struct pt_error err;

	assert_int_equal(pt_send_files_open(&f, &path, 1, NULL, 0, &err), code);
	assert_null(f);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	if (!strstr(err.text, path) || !strstr(err.text, word))
		fail_msg("'%s' without '%s'", err.text, word);
}

/* make writes sz bytes, and returns the path. */
static const char *make(const char *name, size_t sz)
{
	static char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	for (size_t i = 0; i < sz; i++)
		fputc('x', file);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void test_regular(void **state)
{
	const char *path;

	(void)state;
	path = make("some", 5000);
	takes(path, 5000);
	unlink(path);
	path = make("empty", 0);
	takes(path, 0);
	unlink(path);
}

/* file_sz: as many bytes as read(2) has. */
static __u64 file_sz(const char *path)
{
	FILE *file = fopen(path, "r");
	__u64 sz = 0;

	assert_non_null(file);
	while (fgetc(file) != EOF)
		sz++;
	fclose(file);
	assert_int_not_equal(sz, 0);
	return sz;
}

static void test_size_not_told(void **state)
{
	(void)state;
	takes("/proc/cpuinfo", file_sz("/proc/cpuinfo"));
	takes("/sys/kernel/mm/transparent_hugepage/enabled",
	      file_sz("/sys/kernel/mm/transparent_hugepage/enabled"));
	refuses("/proc/self/mem", -EIO, "(with)");
}

static void test_no_file(void **state)
{
	const char *path;

	(void)state;
	refuses(folder, -EINVAL, "not a regular file");
	refuses("/dev/null", -EINVAL, "not a regular file");
	refuses("/nowhere/at/all", -ENOENT, "(with)");
	path = make("segments.json", 1);
	refuses(path, -EINVAL, "table of segments");
	unlink(path);
}

/* A part of another file is sent as large as it is said to be. */
static void test_part(void **state)
{
	const char *path = make("whole", 100);
	const struct pt_send_part parts[] = {
		{ path, "small", 10, 20 }, { path, "other", 0, 7 },
	};
	struct pt_send_files *f;
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_send_files_open(&f, &path, 1, parts, 2, &err), 0);
	assert_true(pt_send_files_total_sz(f) == 127);
	pt_send_files_close(f);
	unlink(path);
	assert_int_equal(pt_send_files_open(&f, NULL, 0, parts, 1, &err),
			 -ENOENT);
	assert_non_null(strstr(err.text, "small"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regular),
		cmocka_unit_test(test_size_not_told),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_part),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
