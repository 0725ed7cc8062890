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

#define RECORD	"{\"role\":\"sender\"}"

static void put_file(const char *bytes, size_t sz)
{
	FILE *out = fopen(last, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, sz, out), sz);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(last, 0600), 0);
}

static void test_replaced(void **state)
{
	struct pt_error err;
	struct stat st;

	(void)state;
	assert_int_equal(pt_ctl_record_read(path, answer), -ENOENT);
	assert_int_equal(pt_ctl_record_write(path, "{\"role\":1, \"b\": 2}"), 0);
	assert_int_equal(pt_ctl_record_write(path, "{\"role\":3}"), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), 0);
	assert_string_equal(answer, "{\"role\":3}");
	assert_int_equal(stat(last, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(pt_ctl_record_clear(path, &err), 0);
	assert_int_equal(pt_ctl_record_clear(path, &err), 0);
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
	memcpy(text, PT_CTL_RECORD_BEGIN, strlen(PT_CTL_RECORD_BEGIN));
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
	assert_int_equal(pt_ctl_record_write(path, RECORD), -EEXIST);
	unlink(last);
	assert_int_equal(mkfifo(last, 0600), 0);
	assert_int_equal(pt_ctl_record_read(path, answer), -EPROTO);
	unlink(last);
	unlink(other);
}

/* others: files of a record's name that are none; and the same with a record's
 * mode or beginning. */
static const struct {
	const char *text;
	mode_t mode;
} others[] = {
	{ "precious", 0600 }, { "{\"rol", 0600 }, { "", 0644 },
	{ RECORD "\n", 0640 }, { RECORD "\n", 0400 }, { RECORD "\n", 01600 },
};

/* assert_stays: the file is another's, so it stays, whatever is done. */
static void assert_stays(const char *file, const char *tail)
{
	struct pt_error err = { 0 };

	assert_int_equal(pt_ctl_record_clear(path, &err), -EEXIST);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, tail));
	assert_non_null(strstr(err.text, "remove it"));
	assert_int_equal(pt_ctl_record_write(path, RECORD), -EEXIST);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(dir), 0);	/* nothing else is left */
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void test_others_stay(void **state)
{
	static const char *const tails[] = { ".last", ".last.new" };
	char file[80];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(others) / sizeof(others[0]); i++) {
		snprintf(file, sizeof(file), "%s%s", path, tails[i % 2]);
		put_file(others[i / 2].text, strlen(others[i / 2].text));
		assert_int_equal(chmod(last, others[i / 2].mode), 0);
		assert_int_equal(rename(last, file), 0);
		assert_stays(file, tails[i % 2]);
	}
	assert_int_equal(symlink("/nowhere", last), 0);
	assert_int_equal(pt_ctl_record_write(path, RECORD), -EEXIST);
	unlink(last);
}

/* A process that was killed leaves a part of one. */
static void test_half_written(void **state)
{
	static const char *const texts[] = { "", PT_CTL_RECORD_BEGIN "\"s" };
	struct pt_error err;
	char next[88];

	(void)state;
	snprintf(next, sizeof(next), "%s.new", last);
	for (int i = 0; i < 4; i++) {
		put_file(texts[i / 2], strlen(texts[i / 2]));
		assert_int_equal(rename(last, next), 0);
		if (i % 2)
			assert_int_equal(pt_ctl_record_clear(path, &err), 0);
		else
			assert_int_equal(pt_ctl_record_write(path, RECORD), 0);
		assert_int_not_equal(access(next, F_OK), 0);
	}
	assert_int_equal(pt_ctl_record_clear(path, &err), 0);
}

/* owners: those of a record and of its folder; the reader is root. */
static const struct {
	uid_t uid, folder;
	mode_t mode;
	int want;
} owners[] = {
	{ 0, 0, 0600, 0 }, { 0, 4242, 0600, 0 }, { 4242, 4242, 0600, 0 },
	{ 4242, 0, 0600, -EPERM }, { 4242, 4343, 0600, -EPERM },
	{ 0, 0, 0640, -EPERM }, { 0, 0, 0602, -EPERM }, { 0, 0, 01600, -EPERM },
};

static void test_owners(void **state)
{
	char file[80];

	(void)state;
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		put_file(RECORD "\n", strlen(RECORD "\n"));
		assert_int_equal(chown(last, owners[i].uid, 0), 0);
		assert_int_equal(chmod(last, owners[i].mode), 0);
		assert_int_equal(chown(dir, owners[i].folder, 0), 0);
		assert_int_equal(pt_ctl_record_read(path, answer),
				 owners[i].want);
	}
	assert_int_equal(chown(dir, 0, 0), 0);
	put_file(RECORD "\n", strlen(RECORD "\n"));
	assert_int_equal(chdir(dir), 0);	/* the folder is . */
	snprintf(file, sizeof(file), "%s", strrchr(path, '/') + 1);
	assert_int_equal(pt_ctl_record_read(file, answer), 0);
	assert_int_equal(chdir("/"), 0);
}

static void test_refused(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'p', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pt_ctl_record_write(text, RECORD), -ENAMETOOLONG);
	assert_int_equal(pt_ctl_record_read(text, answer), -ENOENT);
	assert_int_equal(pt_ctl_record_write("/nowhere/c", RECORD), -ENOENT);
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
		cmocka_unit_test(test_others_stay),
		cmocka_unit_test(test_half_written),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
