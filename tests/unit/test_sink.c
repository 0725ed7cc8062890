// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image.h"

#include <jansson.h>
#include "scratch.h"

#define PAGE 4096u
#define DIR_OUT SCRATCH "/out"
#define OUT DIR_OUT "/ram"

static const struct pt_segment one[] = { { "ram", 0, 3 * PAGE + 5 } };
static const struct pt_segment two[] = { { "low", 16, PAGE + 1 },
					 { "h\xffgh", 1000, 2 * PAGE } };
static struct pt_layout *one_layout, *two_layout;

static const char *const leftovers[] = {
	OUT, OUT ".partial", OUT ".with", OUT ".with.partial",
};

/* Each test starts and ends with an empty folder. */
static int empty_out(void **state)
{
	(void)state;
	if (system("umount " DIR_OUT " 2>/dev/null; rm -rf " DIR_OUT))
		return -1;
	return mkdir(DIR_OUT, 0700);
}

static int assert_out_is_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++)
		if (scratch_has(leftovers[i])) {
			fprintf(stderr, "left: %s\n", leftovers[i]);
			return -1;
		}
	return 0;
}

static struct pt_sink *make(const struct pt_layout *l)
{
	struct pt_error err = { 0 };
	struct pt_sink *s = NULL;

	if (pt_image_create(&s, OUT, l, &err))
		fail_msg("%s", err.text);
	return s;
}

static void sync_and_commit(struct pt_sink *s)
{
	struct pt_error err = { 0 };

	if (pt_sink_sync(s, &err) || pt_sink_commit(s, &err))
		fail_msg("%s", err.text);
}

static void assert_content(const char *path, const void *bytes, size_t sz)
{
	__u8 *got = malloc(sz + 1);
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sz + 1), sz);
	assert_memory_equal(got, bytes, sz);
	close(fd);
	free(got);
}

/* --- results ----------------------------------------------------------- */

static void test_image_of_odd_size(void **state)
{
	struct pt_sink *s = make(one_layout);
	__u8 image[3 * PAGE + 5] = { 0 };
	struct stat st;

	(void)state;
	assert_true(scratch_has(OUT ".partial"));
	assert_false(scratch_has(OUT));
	assert_int_equal(stat(OUT ".partial", &st), 0);
	assert_int_equal(st.st_mode & 07777, 01600);
	assert_int_equal(st.st_size, sizeof(image));
	assert_int_equal(st.st_blocks, 0);

	image[7] = 1;
	image[3 * PAGE + 4] = 2;
	pt_image_page(s, 0)[7] = 1;
	pt_image_page(s, 3)[4] = 2;
	assert_int_equal(pt_image_page(s, 1)[0], 0);
	sync_and_commit(s);
	assert_int_equal(pt_sink_commit(s, NULL), 0);	/* twice is fine */
	pt_image_discard(s);				/* too late */
	pt_sink_close(s);
	assert_content(OUT, image, sizeof(image));
	assert_int_equal(unlink(OUT), 0);
}

static void test_zero_pages_stay_holes(void **state)
{
	struct pt_sink *s = make(one_layout);

	(void)state;
	pt_image_page(s, 2)[0] = 1;
	sync_and_commit(s);
	pt_sink_close(s);
	assert_int_equal(scratch_blocks(OUT), PAGE);
	unlink(OUT);
}

static void test_segments_and_their_table(void **state)
{
	struct pt_sink *s = make(two_layout);
	__u8 image[4 * PAGE] = { 0 };
	const char *name;
	json_t *root, *table, *row;
	json_int_t gfn, bytes, offset;

	(void)state;
	pt_image_page(s, 1)[0] = image[PAGE] = 'a';
	pt_image_page(s, 512)[0] = image[2 * PAGE] = 'b';
	pt_image_page(s, 513)[PAGE - 1] = image[4 * PAGE - 1] = 'c';
	sync_and_commit(s);
	pt_sink_close(s);
	assert_content(OUT, image, sizeof(image));

	root = json_load_file(OUT ".with/segments.json", 0, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "bytes")),
			 4 * PAGE);
	table = json_object_get(root, "segments");
	assert_int_equal(json_array_size(table), 2);
	row = json_array_get(table, 0);
	assert_int_equal(json_unpack(row, "{s:s, s:I, s:I, s:I}", "name",
				     &name, "gfn", &gfn, "bytes", &bytes,
				     "offset", &offset), 0);
	assert_string_equal(name, "low");
	assert_int_equal(gfn, 16);
	assert_int_equal(bytes, PAGE + 1);
	assert_int_equal(offset, 0);
	row = json_array_get(table, 1);
	assert_int_equal(json_unpack(row, "{s:s, s:I, s:I, s:I}", "name",
				     &name, "gfn", &gfn, "bytes", &bytes,
				     "offset", &offset), 0);
	assert_string_equal(name, "h?gh");
	assert_int_equal(gfn, 1000);
	assert_int_equal(offset, 2 * PAGE);
	json_decref(root);
	unlink(OUT ".with/segments.json");
	rmdir(OUT ".with");
	unlink(OUT);
}

static void test_files_with_it(void **state)
{
	struct pt_sink *s = make(one_layout);
	struct pt_error err = { 0 };

	(void)state;
	assert_false(scratch_has(OUT ".with.partial"));
	assert_int_equal(pt_sink_file_begin(s, "state.json", 7, &err), 0);
	assert_int_equal(pt_sink_file_write(s, "abc", 3, &err), 0);
	/* not complete: neither the next file nor the end is accepted */
	assert_int_equal(pt_sink_file_begin(s, "x", 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "state.json lacks 4 bytes"));
	assert_int_equal(pt_sink_sync(s, &err), -EINVAL);
	assert_int_equal(pt_sink_file_write(s, "defgh", 5, &err), -EINVAL);
	assert_int_equal(pt_sink_file_write(s, "defg", 4, &err), 0);
	assert_int_equal(pt_sink_file_write(s, "h", 1, &err), -EINVAL);
	assert_int_equal(pt_sink_file_begin(s, "empty", 0, &err), 0);
	assert_int_equal(pt_sink_file_begin(s, "state.json", 1, &err), -EEXIST);
	assert_non_null(strstr(err.text, "two files"));
	sync_and_commit(s);
	pt_sink_close(s);
	assert_false(scratch_has(OUT ".with.partial"));
	assert_content(OUT ".with/state.json", "abcdefg", 7);
	assert_content(OUT ".with/empty", "", 0);
	assert_true(scratch_has(OUT ".with/segments.json"));
	assert_int_equal(system("rm -r " OUT " " OUT ".with"), 0);
}

static void test_file_names(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "/", "a/b", "../x", "/etc/passwd", "a\nb",
		"a\x7f", "segments.json",
	};
	char long_name[300];
	struct pt_sink *s = make(one_layout);
	struct pt_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pt_sink_file_begin(s, bad[i], 0, &err),
				 -EINVAL);
	memset(long_name, 'x', 256);
	long_name[256] = '\0';
	assert_int_equal(pt_sink_file_begin(s, long_name, 0, &err), -EINVAL);
	assert_false(scratch_has(OUT ".with.partial"));
	long_name[255] = '\0';
	assert_int_equal(pt_sink_file_begin(s, long_name, 0, &err), 0);
	assert_int_equal(pt_sink_file_begin(s, "...", 0, &err), 0);
	assert_int_equal(pt_sink_file_begin(s, "-rf \xc3\xa4", 0, &err), 0);
	pt_sink_close(s);
}

static void test_discard(void **state)
{
	struct pt_sink *s = make(two_layout);

	(void)state;
	pt_image_page(s, 0)[0] = 1;
	assert_int_equal(pt_sink_file_begin(s, "f", 3, NULL), 0);
	pt_image_discard(s);
	assert_int_equal(assert_out_is_empty(state), 0);
	pt_image_page(s, 0)[1] = 1;	/* the mapping is still there */
	pt_image_discard(s);
	pt_sink_close(s);
	s = make(two_layout);
	assert_int_equal(pt_sink_sync(s, NULL), 0);
	assert_int_equal(pt_sink_sync(s, NULL), 0);
	pt_sink_close(s);		/* synced, and not committed */
	pt_sink_close(NULL);
}

/* --- conflicts --------------------------------------------------------- */

static void assert_refused(const char *path, int want, const char *text)
{
	struct pt_sink *s = (void *)7;
	struct pt_error err = { 0 };

	assert_int_equal(pt_image_create(&s, path, one_layout, &err), want);
	assert_ptr_equal(s, (void *)7);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void test_existing_names(void **state)
{
	struct stat st;

	(void)state;
	close(scratch_file(OUT, 3));
	assert_refused(OUT, -EEXIST, "ram: exists already");
	assert_int_equal(stat(OUT, &st), 0);
	assert_int_equal(st.st_size, 3);
	unlink(OUT);
	assert_int_equal(symlink("/nowhere", OUT), 0);
	assert_refused(OUT, -EEXIST, "ram: exists already");
	unlink(OUT);
	assert_int_equal(mkdir(OUT, 0700), 0);
	assert_refused(OUT, -EEXIST, "ram: exists already");
	rmdir(OUT);

	/* Another user's folder under one of the names stays. */
	assert_int_equal(mkdir(OUT ".with", 0700), 0);
	assert_refused(OUT, -EEXIST, "ram.with: exists already");
	close(scratch_left(OUT ".partial", 1));
	assert_refused(OUT, -EEXIST, "ram.with: exists already");
	assert_true(scratch_has(OUT ".with"));
	rmdir(OUT ".with");
	scratch_left_folder(OUT ".with.partial");
	assert_int_equal(mkdir(OUT ".with.partial/sub", 0700), 0);
	assert_refused(OUT, -ENOTEMPTY, "ram.with.partial: cannot be removed");
	assert_int_equal(system("rm -r " OUT ".with.partial"), 0);
}

static void test_stale_partial_is_replaced(void **state)
{
	struct pt_sink *s;
	struct stat st;
	int old;

	(void)state;
	old = scratch_left(OUT ".partial", 100 * PAGE);
	scratch_left_folder(OUT ".with.partial");
	close(scratch_file(OUT ".with.partial/f", 9));
	scratch_write(old, 0, "old", 3);
	s = make(one_layout);
	assert_false(scratch_has(OUT ".with.partial"));
	assert_int_equal(pt_image_page(s, 0)[0], 0);
	pt_image_page(s, 0)[0] = 'n';
	/* A new file, not the old one written over. */
	assert_int_equal(fstat(old, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, 100 * PAGE);
	close(old);
	pt_sink_close(s);
}

static void test_partial_in_use_is_refused(void **state)
{
	struct pt_sink *s = make(one_layout);

	(void)state;
	assert_refused(OUT, -EBUSY, "another receiver writes it");
	assert_refused(OUT, -EBUSY, "peer_timeout");
	assert_true(scratch_has(OUT ".partial"));
	sync_and_commit(s);
	assert_refused(OUT, -EEXIST, "exists already");
	pt_sink_close(s);
	unlink(OUT);
}

/* Names that a peer may give to an image with --serve. */
static void test_names_of_our_own_files(void **state)
{
	struct pt_error err;

	(void)state;
	assert_refused(OUT ".partial", -EINVAL, "ends as the files beside");
	assert_refused(OUT ".with", -EINVAL, "ends as the files beside");
	assert_refused(OUT ".journal", -EINVAL, "ends as the files beside");
	assert_refused(DIR_OUT "/.with", -EINVAL, "ends as the files beside");
	assert_int_equal(pt_image_check_path(OUT ".with", &err), -EINVAL);
	assert_int_equal(pt_image_check_path(OUT ".withal", &err), 0);
}

/* Another process replaces the folder of the files between making and
 * committing. */
static void test_swapped_folder(void **state)
{
	struct pt_sink *s = make(one_layout);
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_sink_file_begin(s, "f", 0, &err), 0);
	assert_int_equal(pt_sink_sync(s, &err), 0);
	assert_int_equal(rename(OUT ".with.partial", DIR_OUT "/away"), 0);
	assert_int_equal(mkdir(OUT ".with.partial", 0700), 0);
	assert_int_equal(pt_sink_commit(s, &err), -ESTALE);
	assert_non_null(strstr(err.text, "replaced it"));
	assert_false(scratch_has(OUT));
	assert_false(scratch_has(OUT ".with"));
	pt_sink_close(s);
	assert_int_equal(rmdir(OUT ".with.partial"), 0);	/* theirs */
	assert_int_equal(system("rm -r " DIR_OUT "/away"), 0);
}

/* A user that may not write there is refused before a peer connects. */
static void test_check_as_a_user(void **state)
{
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_image_check_path(OUT, &err), 0);
	assert_int_equal(pt_image_check_folder(DIR_OUT, &err), 0);
	assert_int_equal(pt_image_check_folder(DIR_OUT "/no", &err), -ENOENT);
	assert_int_equal(chmod(SCRATCH, 0755), 0);
	assert_int_equal(chmod(DIR_OUT, 0755), 0);
	assert_int_equal(seteuid(4242), 0);
	assert_int_equal(pt_image_check_path(OUT, &err), -EACCES);
	assert_non_null(strstr(err.text, ": user)"));
	assert_int_equal(pt_image_check_folder(DIR_OUT, &err), -EACCES);
	assert_non_null(strstr(err.text, ": user)"));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(DIR_OUT, 0700), 0);
}

static void test_planted_links(void **state)
{
	struct stat st;

	(void)state;
	close(scratch_file(DIR_OUT "/victim", 4));
	assert_int_equal(symlink("victim", OUT ".partial"), 0);
	assert_refused(OUT, -ELOOP, "ram.partial: a symbolic link");
	unlink(OUT ".partial");
	assert_int_equal(mkfifo(OUT ".partial", 0600), 0);
	assert_refused(OUT, -EEXIST, "ram.partial: not a regular file");
	unlink(OUT ".partial");
	assert_int_equal(link(DIR_OUT "/victim", OUT ".partial"), 0);
	assert_refused(OUT, -EEXIST, "no receiver of this user left it");
	unlink(OUT ".partial");
	/* A stranger's link on the path. */
	assert_int_equal(symlink(DIR_OUT, SCRATCH "/way"), 0);
	assert_int_equal(lchown(SCRATCH "/way", 4242, 0), 0);
	assert_refused(SCRATCH "/way/ram", -ELOOP, "another user's");
	unlink(SCRATCH "/way");
	/* A link in place of the folder. */
	assert_int_equal(mkdir(DIR_OUT "/home", 0700), 0);
	close(scratch_file(DIR_OUT "/home/precious", 1));
	assert_int_equal(symlink("home", OUT ".with.partial"), 0);
	assert_refused(OUT, -EEXIST, "ram.with.partial: exists already");
	unlink(OUT ".with.partial");
	assert_true(scratch_has(DIR_OUT "/home/precious"));
	assert_int_equal(stat(DIR_OUT "/victim", &st), 0);
	assert_int_equal(st.st_size, 4);
}

/* The final name appears during the transfer: that file is not replaced, and no
 * file of the transfer has a final name. */
static void test_name_taken_meanwhile(void **state)
{
	struct pt_sink *s = make(two_layout);
	struct pt_error err = { 0 };

	(void)state;
	assert_int_equal(pt_sink_sync(s, &err), 0);
	close(scratch_file(OUT, 3));
	assert_int_equal(pt_sink_commit(s, &err), -EEXIST);
	assert_non_null(strstr(err.text, "cannot give it its name"));
	assert_false(scratch_has(OUT ".with"));
	assert_true(scratch_has(OUT ".with.partial"));
	unlink(OUT);
	assert_int_equal(mkdir(OUT ".with", 0700), 0);
	assert_int_equal(pt_sink_commit(s, &err), -EEXIST);
	assert_false(scratch_has(OUT));
	rmdir(OUT ".with");
	assert_int_equal(pt_sink_commit(s, &err), 0);	/* and now it goes */
	pt_sink_close(s);
	assert_true(scratch_has(OUT));
	assert_int_equal(system("rm -r " OUT " " OUT ".with"), 0);
}

static void test_partial_replaced_by_another(void **state)
{
	struct pt_sink *s = make(one_layout);
	struct pt_error err = { 0 };

	(void)state;
	assert_int_equal(pt_sink_sync(s, &err), 0);
	unlink(OUT ".partial");
	close(scratch_file(OUT ".partial", 3));
	assert_int_equal(pt_sink_commit(s, &err), -ESTALE);
	pt_sink_close(s);
	assert_false(scratch_has(OUT));
	assert_true(scratch_has(OUT ".partial"));	/* not ours: stays */
	unlink(OUT ".partial");
}

static void test_paths(void **state)
{
	char path[400];
	struct pt_sink *s;

	(void)state;
	assert_refused(DIR_OUT "/", -EINVAL, "names a folder");
	assert_refused(DIR_OUT "/..", -EINVAL, "names a folder");
	assert_refused("", -EINVAL, "names a folder");
	assert_refused(DIR_OUT "/no/ram", -ENOENT, "make its folder first");
	assert_refused("/dev/null/ram", -ENOTDIR, "Not a directory");
	assert_refused("/dev/null", -EEXIST, "a device, and an image is");
	snprintf(path, sizeof(path), DIR_OUT "/%0243d", 7);
	assert_refused(path, -ENAMETOOLONG, "longer than 242 bytes");
	snprintf(path, sizeof(path), DIR_OUT "/%0242d", 7);
	assert_int_equal(pt_image_create(&s, path, one_layout, NULL), 0);
	pt_sink_close(s);
	/* A name alone means the current folder. */
	assert_int_equal(chdir(DIR_OUT), 0);
	assert_int_equal(pt_image_create(&s, "ram", one_layout, NULL), 0);
	assert_int_equal(chdir("/"), 0);
	sync_and_commit(s);
	pt_sink_close(s);
	assert_int_equal(unlink(OUT), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, empty_out, \
						 assert_out_is_empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_image_of_odd_size),
		TEST(test_zero_pages_stay_holes),
		TEST(test_segments_and_their_table),
		TEST(test_files_with_it),
		TEST(test_file_names),
		TEST(test_discard),
		TEST(test_existing_names),
		TEST(test_stale_partial_is_replaced),
		TEST(test_partial_in_use_is_refused),
		TEST(test_names_of_our_own_files),
		TEST(test_swapped_folder),
		TEST(test_check_as_a_user),
		TEST(test_planted_links),
		TEST(test_name_taken_meanwhile),
		TEST(test_partial_replaced_by_another),
		TEST(test_paths),
	};
	int failed;

	if (scratch_mount() ||
	    pt_layout_create(&one_layout, one, 1, NULL) ||
	    pt_layout_create(&two_layout, two, 2, NULL))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pt_layout_free(one_layout);
	pt_layout_free(two_layout);
	return failed;
}
