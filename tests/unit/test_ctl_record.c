// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
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

#include "ctl/ctl_record.h"

static char dir[] = "/tmp/pagetrim-record-XXXXXX";
static char path[64], last[80];
static char answer[PT_CTL_ANSWER_SZ];

static void put_file(const char *bytes, size_t sz)
{
	FILE *out = fopen(last, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, sz, out), sz);
	assert_int_equal(fclose(out), 0);
}

static void test_replaced(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(pt_ctl_record_read(path, answer), -ENOENT);
	assert_int_equal(pt_ctl_record_write(path, "{\"a\": 1, \"b\": 2}"), 0);
	assert_int_equal(pt_ctl_record_write(path, "{\"a\": 3}"), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), 0);
	assert_string_equal(answer, "{\"a\": 3}");
	assert_int_equal(stat(last, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	pt_ctl_record_remove(path);
	assert_int_equal(pt_ctl_record_read(path, answer), -ENOENT);
	assert_int_equal(rmdir(dir), 0);	/* nothing else is left */
	assert_int_equal(mkdir(dir, 0700), 0);
}

/* The longest text fits, and comes back. */
static void test_long(void **state)
{
	static char text[PT_CTL_ANSWER_SZ + 1];

	(void)state;
	memset(text, 'x', PT_CTL_ANSWER_SZ - 1);
	assert_int_equal(pt_ctl_record_write(path, text), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), 0);
	assert_string_equal(answer, text);
	text[PT_CTL_ANSWER_SZ - 1] = 'x';
	assert_int_equal(pt_ctl_record_write(path, text), -EMSGSIZE);
	assert_int_equal(pt_ctl_record_read(path, answer), 0);	/* as it was */
}

/* A file that is no record, and links to others. */
static void test_strange(void **state)
{
	static const char *const texts[] = { "", "no newline", "two\nlines\n" };
	char other[80];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_file(texts[i], strlen(texts[i]));
		assert_int_equal(pt_ctl_record_read(path, answer), -EPROTO);
	}
	snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(rename(last, other), 0);
	assert_int_equal(symlink(other, last), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), -ELOOP);
	assert_int_equal(pt_ctl_record_write(path, "{}"), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), 0);
	unlink(last);
	assert_int_equal(mkfifo(last, 0600), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), -EPROTO);
	unlink(last);
	unlink(other);
}

static void test_refused(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'p', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pt_ctl_record_write(text, "{}"), -ENAMETOOLONG);
	assert_int_equal(pt_ctl_record_read(text, answer), -ENOENT);
	assert_int_equal(pt_ctl_record_write("/nowhere/c", "{}"), -ENOENT);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/control", dir);
	snprintf(last, sizeof(last), "%s.last", path);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(last);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_strange),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
