// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Files beside an image that no receiver made: they stay, whatever name a
 * sender gives. */
#include "kept_kit.h"

static const char *const tails[] = { ".partial", ".journal", ".with.journal",
				     ".with.partial" };

/* others: modes and owners of files that no receiver leaves. */
static const struct {
	mode_t mode;
	uid_t uid;
} others[] = { { 0600, 0 }, { 0644, 0 }, { 01644, 0 }, { 01600, 4242 } };

static void assert_refused(void)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;

	assert_int_equal(pt_image_create(&s, OUT, layout, &err), -EEXIST);
	assert_non_null(strstr(err.text, "no receiver of this user left it"));
}

static void test_files(void **state)
{
	struct stat st;
	char path[64];

	(void)state;
	for (size_t i = 0; i < 4 * 4; i++) {
		snprintf(path, sizeof(path), OUT "%s", tails[i % 4]);
		close(scratch_file(path, 4));
		assert_int_equal(chown(path, others[i / 4].uid, 0), 0);
		assert_int_equal(chmod(path, others[i / 4].mode), 0);
		assert_refused();
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 4);
		unlink(path);
		assert_int_equal(rmdir(DIR_OUT), 0);	/* nothing else */
		assert_int_equal(mkdir(DIR_OUT, 0700), 0);
	}
}

static void test_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir(OUT ".with.partial", 0700), 0);
	close(scratch_file(OUT ".with.partial/precious", 4));
	assert_refused();
	assert_true(scratch_has(OUT ".with.partial/precious"));
	assert_false(scratch_has(PARTIAL));
}

/* A journal that appears during the transfer is not replaced either. */
static void test_journal_meanwhile(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;
	struct stat st;

	(void)state;
	assert_int_equal(pt_image_create(&s, OUT, layout, &err), 0);
	close(scratch_file(JOURNAL, 4));
	assert_int_equal(pt_image_journal_write(s, words, sizeof(words), &err),
			 -EEXIST);
	pt_sink_close(s);
	assert_int_equal(stat(JOURNAL, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_false(scratch_has(PARTIAL));
}

/* The mark of unfinished files is cleared after the commit. */
static void test_mark(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s = make();
	struct stat st;

	(void)state;
	assert_int_equal(stat(PARTIAL, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01600);
	assert_int_equal(pt_sink_file_begin(s, "f", 0, &err), 0);
	assert_int_equal(pt_sink_sync(s, &err), 0);
	assert_int_equal(pt_sink_commit(s, &err), 0);
	pt_sink_close(s);
	assert_int_equal(stat(OUT, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(OUT ".with", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* In a folder with S_ISGID, which its folders inherit: all is removed, also that
 * of a receiver that was killed. */
static void test_setgid(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;
	struct stat st;

	(void)state;
	assert_int_equal(chmod(DIR_OUT, 02700), 0);
	assert_int_equal(mkdir(OUT ".with.partial", 01700), 0);
	assert_int_equal(stat(OUT ".with.partial", &st), 0);
	assert_int_equal(st.st_mode & 07777, 03700);
	assert_int_equal(pt_image_create(&s, OUT, layout, &err), 0);
	assert_int_equal(pt_sink_file_begin(s, "f", 0, &err), 0);
	assert_int_equal(stat(OUT ".with.partial", &st), 0);
	assert_int_equal(st.st_mode & 07777, 01700);
	pt_sink_close(s);
	assert_int_equal(rmdir(DIR_OUT), 0);	/* nothing is left */
}

/* unmark: the file system kept no mark, as a vfat does not. */
static void unmark(void)
{
	assert_int_equal(chmod(PARTIAL, 0600), 0);
	assert_int_equal(chmod(JOURNAL, 0600), 0);
}

static void commit(struct pt_sink *s)
{
	struct pt_error err = { 0 };

	assert_int_equal(pt_sink_sync(s, &err), 0);
	assert_int_equal(pt_sink_commit(s, &err), 0);
	pt_sink_close(s);
	assert_true(scratch_has(OUT));
	assert_false(scratch_has(JOURNAL));
}

static void test_no_mark(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s = make();

	(void)state;
	unmark();
	commit(s);
	unlink(OUT);
	s = make();
	unmark();
	assert_int_equal(pt_sink_file_begin(s, "f", 0, &err), 0);
	assert_int_equal(chmod(OUT ".with.partial", 0700), 0);
	pt_sink_invalidate(s);
	pt_sink_close(s);
	assert_int_equal(rmdir(DIR_OUT), 0);	/* nothing is left */
}

static void test_no_mark_resumed(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;
	void *bytes;
	size_t sz;

	(void)state;
	leave();
	unmark();
	assert_int_equal(pt_image_reopen(&s, OUT, layout, &err), 0);
	assert_int_equal(pt_image_journal_read(s, &bytes, &sz, &err), 0);
	free(bytes);
	assert_int_equal(pt_image_resume(s, &err), 0);
	commit(s);
}

#define TEST(fn) cmocka_unit_test_setup(fn, out_begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files),
		TEST(test_folder),
		TEST(test_journal_meanwhile),
		TEST(test_mark),
		TEST(test_setgid),
		TEST(test_no_mark),
		TEST(test_no_mark_resumed),
	};

	return kept_start() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
