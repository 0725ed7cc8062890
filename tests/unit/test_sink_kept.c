// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sinks with a journal: kept when they are closed, and resumed by a later
 * one. */
#include "kept_kit.h"

static void assert_journal(struct pt_sink *s, const char *want,
			   size_t want_sz)
{
	struct pt_error err = { 0 };
	void *bytes;
	size_t sz;

	if (pt_image_journal_read(s, &bytes, &sz, &err))
		fail_msg("%s", err.text);
	assert_int_equal(sz, want_sz);
	assert_memory_equal(bytes, want, sz);
	free(bytes);
}

static struct pt_sink *reopen(void)
{
	struct pt_error err = { 0 };
	struct pt_sink *s = NULL;

	if (pt_image_reopen(&s, OUT, layout, &err))
		fail_msg("%s", err.text);
	assert_journal(s, words, sizeof(words));
	return s;
}

static struct pt_sink *resume(void)
{
	struct pt_error err = { 0 };
	struct pt_sink *s = reopen();

	if (pt_image_resume(s, &err))
		fail_msg("%s", err.text);
	return s;
}

static void assert_left(bool kept)
{
	assert_false(scratch_has(OUT));
	assert_int_equal(scratch_has(PARTIAL), kept);
	assert_int_equal(scratch_has(JOURNAL), kept);
	assert_false(scratch_has(OUT ".with.journal"));
	assert_false(scratch_has(OUT ".with.partial"));
}

/* --- kept, and resumed ------------------------------------------------ */

static void test_kept_and_resumed(void **state)
{
	struct pt_error err = { 0 };
	struct stat st;
	struct pt_sink *s;

	(void)state;
	leave();
	assert_left(true);
	assert_int_equal(stat(JOURNAL, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01600);
	s = resume();
	assert_int_equal(pt_image_page(s, 1)[0], 'x');
	assert_int_equal(pt_image_page(s, 0)[0], 0);
	pt_image_page(s, 2)[0] = 'y';
	pt_sink_close(s);		/* again not the end */
	assert_left(true);

	s = resume();
	assert_int_equal(pt_image_page(s, 2)[0], 'y');
	assert_int_equal(pt_sink_sync(s, &err), 0);
	assert_int_equal(pt_sink_commit(s, &err), 0);
	pt_sink_close(s);
	assert_true(scratch_has(OUT));
	assert_false(scratch_has(PARTIAL));
	assert_false(scratch_has(JOURNAL));
}

/* Refused before it was resumed: nothing has changed. */
static void test_looked_at_only(void **state)
{
	struct stat before, after;
	struct pt_sink *s;

	(void)state;
	leave();
	assert_int_equal(truncate(PARTIAL, 5), 0);
	assert_int_equal(mkdir(OUT ".with.partial", 0700), 0);
	assert_int_equal(stat(PARTIAL, &before), 0);
	s = reopen();
	pt_sink_close(s);
	assert_int_equal(stat(PARTIAL, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim,
			    sizeof(before.st_mtim));
	assert_int_equal(after.st_size, 5);
	assert_true(scratch_has(JOURNAL));
	assert_true(scratch_has(OUT ".with.partial"));
}

static void test_without_journal_nothing_is_kept(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	assert_int_equal(pt_image_create(&s, OUT, layout, &err), 0);
	pt_sink_close(s);
	assert_left(false);
}

static void test_invalidated(void **state)
{
	struct pt_sink *s;

	(void)state;
	s = make();
	pt_sink_invalidate(s);
	pt_image_discard(s);
	assert_left(false);
	pt_sink_close(s);
	leave();
	s = resume();
	pt_image_discard(s);		/* kept */
	assert_left(true);
	pt_sink_invalidate(s);
	pt_sink_close(s);
	assert_left(true);		/* discard decided */
}

static void test_files_are_not_kept(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	s = make();
	assert_int_equal(pt_sink_file_begin(s, "f", 3, &err), 0);
	pt_sink_close(s);
	assert_left(true);
	scratch_left_folder(OUT ".with.partial");
	close(scratch_file(OUT ".with.partial/f", 3));
	/* Killed between the renames of its commit: */
	scratch_left_folder(OUT ".with");
	close(scratch_file(OUT ".with/segments.json", 3));
	s = resume();
	assert_false(scratch_has(OUT ".with"));
	assert_int_equal(pt_sink_file_begin(s, "f", 0, &err), 0);
	pt_sink_close(s);
	assert_left(true);
}

/* Whatever its size, it gets the image's size. */
static void test_sizes(void **state)
{
	static const off_t sizes[] = { 0, 1, PAGE + 1, 100 * PAGE };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct stat st;
		struct pt_sink *s;

		leave();
		assert_int_equal(truncate(PARTIAL, sizes[i]), 0);
		s = resume();
		assert_int_equal(stat(PARTIAL, &st), 0);
		assert_int_equal(st.st_size, pt_layout_image_sz(layout));
		assert_int_equal(pt_image_page(s, 1)[0],
				 sizes[i] > PAGE ? 'x' : 0);
		pt_sink_close(s);
	}
}

/* --- content ----------------------------------------------------------- */

static void test_data_and_holes(void **state)
{
	struct pt_segment seg = { "ram", 0, 1000 * PAGE + 7 };
	struct pt_layout *l;
	struct pt_error err = { 0 };
	__u8 pages[3 * PAGE];
	struct pt_sink *s;
	__u64 from, to;

	(void)state;
	assert_int_equal(pt_layout_create(&l, &seg, 1, &err), 0);
	assert_int_equal(pt_image_create(&s, OUT, l, &err), 0);
	assert_false(pt_image_data(s, 0, &from, &to));
	pt_image_page(s, 10)[5] = 'a';
	pt_image_page(s, 11)[5] = 'b';
	pt_image_page(s, 1000)[6] = 'z';
	assert_true(pt_image_data(s, 0, &from, &to));
	assert_int_equal(from, 10 * PAGE);
	assert_int_equal(to, 12 * PAGE);
	assert_true(pt_image_data(s, 11 * PAGE + 9, &from, &to));
	assert_int_equal(from, 11 * PAGE + 9);
	assert_int_equal(to, 12 * PAGE);
	assert_true(pt_image_data(s, to, &from, &to));
	assert_int_equal(from, 1000 * PAGE);
	assert_int_equal(to, 1000 * PAGE + 7);
	assert_false(pt_image_data(s, to, &from, &to));

	memset(pages, 0xff, sizeof(pages));
	assert_int_equal(pt_sink_read(s, 9 * PAGE, pages, sizeof(pages), &err),
			 0);
	assert_int_equal(pages[0], 0);
	assert_int_equal(pages[PAGE + 5], 'a');
	assert_int_equal(pages[2 * PAGE + 5], 'b');
	memset(pages, 0xff, sizeof(pages));
	assert_int_equal(pt_sink_read(s, 1000 * PAGE, pages, PAGE, &err), 0);
	assert_int_equal(pages[6], 'z');
	assert_int_equal(pages[7], 0);
	assert_int_equal(pages[PAGE - 1], 0);
	assert_int_equal(pages[PAGE], 0xff);
	assert_int_equal(scratch_blocks(PARTIAL), 3 * PAGE);
	pt_sink_close(s);
	pt_layout_free(l);
}

/* --- not resumed ------------------------------------------------------- */

static void assert_refused(int want, const char *text)
{
	struct pt_sink *s = (void *)7;
	struct pt_error err = { 0 };

	assert_int_equal(pt_image_reopen(&s, OUT, layout, &err), want);
	assert_ptr_equal(s, (void *)7);
	if (text && !strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void test_partial_refused(void **state)
{
	struct pt_sink *s;
	int fd;

	(void)state;
	assert_refused(-ENOENT, NULL);
	leave();
	s = reopen();
	assert_refused(-EBUSY, "another receiver writes it");
	pt_sink_close(s);
	close(scratch_file(OUT, 1));
	assert_refused(-EEXIST, "ram: exists already");
	unlink(OUT);
	assert_int_equal(chmod(PARTIAL, 0620), 0);
	assert_refused(-EPERM, "ram.partial: others may write it");
	assert_int_equal(chmod(PARTIAL, 0602), 0);
	assert_refused(-EPERM, "ram.partial: others may write it");
	assert_int_equal(chmod(PARTIAL, 0600), 0);
	assert_int_equal(chown(PARTIAL, 12345, 0), 0);
	assert_refused(-EPERM, "ram.partial: another user's");
	assert_int_equal(chown(PARTIAL, 0, 0), 0);
	assert_int_equal(link(PARTIAL, DIR_OUT "/second"), 0);
	assert_refused(-EPERM, "ram.partial: it has a second name");
	assert_int_equal(rename(PARTIAL, DIR_OUT "/first"), 0);
	assert_int_equal(symlink("first", PARTIAL), 0);
	assert_refused(-ELOOP, "ram.partial: a symbolic link");
	unlink(PARTIAL);
	assert_int_equal(mkfifo(PARTIAL, 0600), 0);
	assert_refused(-EEXIST, "ram.partial: not a regular file");
	unlink(PARTIAL);
	unlink(DIR_OUT "/second");
	assert_int_equal(rename(DIR_OUT "/first", PARTIAL), 0);
	/* The refusal left no lock behind. */
	fd = open(PARTIAL, O_RDWR);
	assert_true(fd >= 0);
	close(fd);
	pt_sink_close(resume());
}

static void assert_journal_refused(int want, const char *text)
{
	struct pt_sink *s;
	struct pt_error err = { 0 };
	void *bytes = (void *)7;
	size_t sz;

	assert_int_equal(pt_image_reopen(&s, OUT, layout, &err), 0);
	assert_int_equal(pt_image_journal_read(s, &bytes, &sz, &err), want);
	assert_ptr_equal(bytes, (void *)7);
	if (text && !strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
	pt_sink_close(s);
	assert_true(scratch_has(PARTIAL));
}

static void test_journal_refused(void **state)
{
	(void)state;
	leave();
	assert_int_equal(truncate(JOURNAL, PT_IMAGE_JOURNAL_SZ_MAX + 1), 0);
	assert_journal_refused(-EFBIG, "which no journal has");
	assert_int_equal(chmod(JOURNAL, 0602), 0);
	assert_journal_refused(-EPERM, "ram.journal: others may write it");
	assert_int_equal(rename(JOURNAL, DIR_OUT "/first"), 0);
	assert_journal_refused(-ENOENT, NULL);
	assert_int_equal(symlink("first", JOURNAL), 0);
	assert_journal_refused(-ELOOP, "ram.journal: a symbolic link");
	unlink(JOURNAL);
	assert_int_equal(mkfifo(JOURNAL, 0600), 0);
	assert_journal_refused(-EEXIST, "ram.journal: not a regular file");
}

/* A new sink for the name drops the kept data. */
static void test_replaced(void **state)
{
	struct pt_sink *s;

	(void)state;
	leave();
	assert_int_equal(pt_image_create(&s, OUT, layout, NULL), 0);
	assert_false(scratch_has(JOURNAL));
	assert_int_equal(pt_image_page(s, 1)[0], 0);
	pt_sink_close(s);
	assert_left(false);
	/* A journal alone is not resumed. */
	close(scratch_left(JOURNAL, 9));
	assert_int_equal(pt_image_create(&s, OUT, layout, NULL), 0);
	assert_false(scratch_has(JOURNAL));
	pt_sink_close(s);
}

/* Another process removed the .partial: its new file is not touched, nor the
 * journal. */
static void test_partial_replaced_by_another(void **state)
{
	struct pt_sink *s;

	(void)state;
	s = make();
	unlink(PARTIAL);
	close(scratch_file(PARTIAL, 3));
	pt_sink_invalidate(s);
	pt_sink_close(s);
	assert_true(scratch_has(PARTIAL));
	assert_true(scratch_has(JOURNAL));
}

/* --- trouble --------------------------------------------------------- */

static void test_no_room_for_journal(void **state)
{
	struct pt_error err = { 0 };
	void *bytes = calloc(1, 1 << 20);
	struct pt_sink *s;

	(void)state;
	scratch_fs("out", "tmpfs", 0, "size=64k");
	assert_int_equal(pt_image_create(&s, OUT, layout, &err), 0);
	assert_int_equal(pt_image_journal_write(s, bytes, 1 << 20, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.text, "cannot write its .journal"));
	assert_false(scratch_has(JOURNAL));
	assert_false(scratch_has(OUT ".with.journal"));
	pt_sink_close(s);		/* and is not kept */
	assert_left(false);
	free(bytes);
}

static void test_hugetlbfs(void **state)
{
	struct pt_segment seg = { "ram", 0, 2 << 20 };
	struct pt_error err = { 0 };
	struct pt_layout *l;
	struct pt_sink *s;
	void *bytes;
	size_t sz;
	__u64 from, to;
	__u8 page[PAGE];

	(void)state;
	if (!scratch_huge(2)) {
		print_message("hugetlbfs: this machine gives no huge pages: "
			      "nothing kept on one was tested\n");
		return;
	}
	assert_int_equal(pt_layout_create(&l, &seg, 1, &err), 0);
	scratch_fs("out", "hugetlbfs", 0, "pagesize=2M,size=4M");
	if (pt_image_create(&s, OUT, l, &err) ||
	    pt_image_journal_write(s, words, sizeof(words), &err))
		fail_msg("%s", err.text);
	pt_image_page(s, 3)[0] = 'h';
	pt_sink_close(s);
	assert_left(true);
	assert_int_equal(pt_image_reopen(&s, OUT, l, &err), 0);
	assert_int_equal(pt_image_journal_read(s, &bytes, &sz, &err), 0);
	assert_int_equal(sz, 2 << 20);
	assert_memory_equal(bytes, words, sizeof(words));
	assert_int_equal(((char *)bytes)[sz - 1], 0);
	free(bytes);
	assert_int_equal(pt_image_resume(s, &err), 0);
	assert_int_equal(pt_image_page(s, 3)[0], 'h');
	assert_true(pt_image_data(s, 0, &from, &to));
	assert_int_equal(pt_sink_read(s, 3 * PAGE, page, PAGE, &err), 0);
	assert_int_equal(page[0], 'h');
	pt_sink_invalidate(s);
	pt_sink_close(s);

	/* Memory for the image, and none for the journal. */
	assert_int_equal(umount(DIR_OUT), 0);
	scratch_fs("out", "hugetlbfs", 0, "pagesize=2M,size=2M");
	assert_int_equal(pt_image_create(&s, OUT, l, &err), 0);
	assert_int_equal(pt_image_journal_write(s, words, 1, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "ram.journal: it takes a huge page"));
	pt_sink_close(s);
	assert_left(false);
	assert_int_equal(umount(DIR_OUT), 0);
	scratch_huge(-2);
	pt_layout_free(l);
}

#define TEST(fn) cmocka_unit_test_setup(fn, out_begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kept_and_resumed),
		TEST(test_looked_at_only),
		TEST(test_without_journal_nothing_is_kept),
		TEST(test_invalidated),
		TEST(test_files_are_not_kept),
		TEST(test_sizes),
		TEST(test_data_and_holes),
		TEST(test_partial_refused),
		TEST(test_journal_refused),
		TEST(test_replaced),
		TEST(test_partial_replaced_by_another),
		TEST(test_no_room_for_journal),
		TEST(test_hugetlbfs),
	};

	if (kept_start())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
