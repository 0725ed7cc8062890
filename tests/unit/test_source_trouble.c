// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Files that are no valid source, and files that change while they are read. */
#include <linux/loop.h>
#include <sys/ioctl.h>
#include "guard_again.h"
#include "opened.h"

/* --- changes while it is read ---------------------------------------- */

static void test_cut_short_before_the_view(void **state)
{
	static const char path[] = SCRATCH "/cut1";
	int fd = scratch_file(path, 2 * REGION);
	struct pt_error err = { 0 };
	struct opened o;

	(void)state;
	open_one(&o, path);
	see(&o, 1);
	assert_int_equal(ftruncate(fd, 2 * REGION - 1), 0);
	assert_int_equal(pt_source_view(o.src, &o.view, o.layout, 0, &err),
			 -EIO);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "cut short while it was read, from "
			       "4194304 bytes to 4194303"));
	assert_int_equal(err.exit, PT_EXIT_FAILED);
	assert_int_equal(ftruncate(fd, 2 * REGION + 1), 0);
	assert_int_equal(pt_source_view(o.src, &o.view, o.layout, 0, &err),
			 -EIO);
	assert_non_null(strstr(err.text, "grew"));
	close_all(&o);
	close(fd);
}

static void test_cut_short_after_the_view(void **state)
{
	static const char path[] = SCRATCH "/cut2";
	int fd = scratch_file(path, 2 * REGION);
	static __u8 ones[2 * REGION];
	struct pt_error err = { 0 };
	volatile __u64 sum = 0;
	struct pt_guard guard;
	struct opened o;

	(void)state;
	guard_again();
	memset(ones, 1, sizeof(ones));
	scratch_write(fd, 0, ones, sizeof(ones));
	open_one(&o, path);
	see(&o, 1);
	if (pt_guard_enter(&guard)) {
		assert_int_equal(sum, PAGE);
		assert_int_equal(pt_source_fault(o.src, guard.addr, &err),
				 -EIO);
		assert_non_null(strstr(err.text, path));
		assert_non_null(strstr(err.text, "cut short"));
		assert_int_equal(pt_source_fault(o.src, &o, &err), 0);
		close_all(&o);
		close(fd);
		return;
	}
	assert_int_equal(ftruncate(fd, REGION + PAGE), 0);
	for (__u32 i = 0; i < REGION; i++)
		sum += o.view.pages[i];
	fail_msg("no SIGBUS");
}

/* loop_make: a loop device of the file, until it is closed. */
static int loop_make(int file, char path[32])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), fd = -1;
	struct loop_config cfg = {
		.fd = file, .info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};

	/* Another may take the free one first. */
	for (int i = 0; i < 100; i++) {
		snprintf(path, 32, "/dev/loop%d",
			 ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && !ioctl(fd, LOOP_CONFIGURE, &cfg))
			break;
		close(fd);
		fd = -1;
	}
	close(control);
	assert_true(fd >= 0);
	return fd;
}

/* A block device has no size in its stat, and may get another one, too. */
static void test_block_device(void **state)
{
	int file = scratch_file(SCRATCH "/disk", REGION + 512), loop;
	struct pt_error err = { 0 };
	struct opened o;
	char path[32];
	const char *paths[] = { path };

	(void)state;
	scratch_write(file, REGION + 7, "x", 1);
	loop = loop_make(file, path);
	open_one(&o, path);
	assert_int_equal(pt_layout_region_cnt(o.layout), 2);
	see(&o, 1);
	assert_int_equal(o.view.pages[7], 'x');
	assert_int_equal(ftruncate(file, REGION), 0);
	assert_int_equal(ioctl(loop, LOOP_SET_CAPACITY), 0);
	assert_int_equal(pt_source_view(o.src, &o.view, o.layout, 0, &err),
			 -EIO);
	assert_non_null(strstr(err.text, "from 2097664 bytes to 2097152"));
	close_all(&o);
	/* Not as the memory of a guest that runs. */
	assert_int_equal(pt_source_open_files_as(&o.src, PT_FILES_LIVE, paths, 1,
						 &err), -EINVAL);
	close(loop);
	close(file);
}

/* --- refusals -------------------------------------------------------- */

static const struct refusal {
	const char *name;
	const char *path;
	int want;
	const char *text;
} refusals[] = {
	{ "missing", SCRATCH "/no-such", -ENOENT, "No such file" },
	{ "a folder", SCRATCH, -EINVAL, "neither a regular file nor a block" },
	{ "a character device", "/dev/null", -EINVAL, "neither a regular file" },
	{ "a pipe without writer", SCRATCH "/pipe", -EINVAL, "neither a regular" },
	{ "empty", SCRATCH "/empty", -EINVAL, "empty" },
	{ "no path", "", -ENOENT, "No such file" },
	{ "an end that is no folder", SCRATCH "/empty/x", -ENOTDIR,
	  "Not a directory" },
	{ "links in a circle", SCRATCH "/loop", -ELOOP, "symbolic links" },
};

static void test_refusal(void **state)
{
	const struct refusal *row = *state;
	const char *paths[2] = { SCRATCH "/good", row->path };
	struct pt_source *src = (void *)7;
	struct pt_error err = { 0 };

	mkfifo(SCRATCH "/pipe", 0600);
	close(scratch_file(SCRATCH "/empty", 0));
	close(scratch_file(SCRATCH "/good", 1));
	if (symlink("loop", SCRATCH "/loop"))
		assert_int_equal(errno, EEXIST);
	/* alone, and behind a good one */
	assert_int_equal(pt_source_open_files(&src, &row->path, 1, &err),
			 row->want);
	assert_int_equal(pt_source_open_files(&src, paths, 2, &err),
			 row->want);
	assert_ptr_equal(src, (void *)7);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_int_equal(strncmp(err.text, row->path, strlen(row->path)), 0);
	assert_non_null(strstr(err.text, row->text));
}

static void test_unreadable(void **state)
{
	static const char *const path = SCRATCH "/secret";
	struct pt_source *src = NULL;
	struct pt_error err = { 0 };

	(void)state;
	close(scratch_file(path, 1));
	assert_int_equal(chmod(SCRATCH, 0711), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(pt_source_open_files(&src, &path, 1, &err), -EACCES);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(err.text, "Permission denied"));
}

static void test_counts(void **state)
{
	const char *paths[PT_SOURCE_FILES_MAX + 1];
	struct pt_source *src = NULL;
	struct pt_error err;

	(void)state;
	close(scratch_file(SCRATCH "/good", 1));
	for (int i = 0; i <= PT_SOURCE_FILES_MAX; i++)
		paths[i] = SCRATCH "/good";
	assert_int_equal(pt_source_open_files(&src, paths, 0, &err), -EINVAL);
	assert_int_equal(pt_source_open_files(&src, paths,
					      PT_SOURCE_FILES_MAX + 1, &err),
			 -EINVAL);
	assert_int_equal(pt_source_open_files(&src, paths, PT_SOURCE_FILES_MAX,
					      &err), 0);
	pt_source_close(src);
	pt_source_close(NULL);
}

#define REFUSAL_CNT (sizeof(refusals) / sizeof(refusals[0]))

int main(void)
{
	struct CMUnitTest tests[5 + REFUSAL_CNT] = {
		cmocka_unit_test(test_cut_short_before_the_view),
		cmocka_unit_test(test_cut_short_after_the_view),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_block_device),
	};

	if (scratch_mount())
		return 1;
	for (size_t i = 0; i < REFUSAL_CNT; i++)
		tests[5 + i] = (struct CMUnitTest){ refusals[i].name,
						    test_refusal, NULL, NULL,
						    (void *)&refusals[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
