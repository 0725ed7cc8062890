// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Files as sources; processes are in test_source_process.c. */
#include "memory/source.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "guard_again.h"
#include "scratch.h"

#define REGION (2u << 20)
#define PAGE 4096u

struct opened {
	struct pt_source *src;
	struct pt_layout *layout;
	struct pt_view view;
};

static void open_all(struct opened *o, const char *const *paths,
		     unsigned int cnt)
{
	struct pt_error err = { 0 };
	const struct pt_segment *segs;
	__u32 seg_cnt;

	if (pt_source_open_files(&o->src, paths, cnt, &err))
		fail_msg("%s", err.text);
	segs = pt_source_segments(o->src, &seg_cnt);
	assert_int_equal(seg_cnt, cnt);
	assert_int_equal(pt_layout_create(&o->layout, segs, seg_cnt, &err), 0);
	pt_view_init(&o->view);
}

static void open_one(struct opened *o, const char *path)
{
	open_all(o, &path, 1);
}

static void close_all(struct opened *o)
{
	pt_view_free(&o->view);
	pt_view_free(&o->view);		/* twice is fine */
	pt_layout_free(o->layout);
	pt_source_close(o->src);
}

static void see(struct opened *o, __u64 region)
{
	struct pt_error err = { 0 };

	if (pt_source_view(o->src, &o->view, o->layout, region, &err))
		fail_msg("%s", err.text);
}

/* The whole source equals the image, page by page, holes being zero; returns
 * how many pages were holes. */
static __u64 check_content(struct opened *o, const __u8 *image, __u64 sz)
{
	static const __u8 zero[PAGE];
	__u64 holes = 0, off = 0;

	for (__u64 r = 0; r < pt_layout_region_cnt(o->layout); r++) {
		see(o, r);
		for (__u32 i = 0; i < o->view.page_cnt; i++, off += PAGE) {
			__u64 left = sz - off < PAGE ? sz - off : PAGE;

			if (pt_view_is_hole(&o->view, i)) {
				assert_memory_equal(image + off, zero, left);
				holes++;
				continue;
			}
			assert_memory_equal(o->view.pages + i * PAGE,
					    image + off, left);
			assert_memory_equal(o->view.pages + i * PAGE + left,
					    zero, PAGE - left);
		}
		for (__u32 i = o->view.page_cnt; i < 512; i++)
			assert_false(pt_view_is_hole(&o->view, i));
	}
	assert_true(off >= sz && off - sz < PAGE);
	return holes;
}

static void test_sparse_of_odd_size(void **state)
{
	static const char path[] = SCRATCH "/sparse";
	const __u64 sz = 3 * REGION + 5 * PAGE + 17;
	__u8 *image = calloc(1, sz);
	int fd = scratch_file(path, sz);
	struct opened o;
	__u64 blocks;

	(void)state;
	/* in the middle of the first, over the border of the next two, the
	 * last byte; the page before the last is a hole */
	memset(image + 100 * PAGE + 9, 1, 1);
	memset(image + 2 * REGION - 3, 2, 10);
	memset(image + sz - 1, 3, 1);
	for (__u64 i = 0; i < sz; i++)
		if (image[i])
			scratch_write(fd, i, image + i, 1);
	close(fd);
	blocks = scratch_blocks(path);
	open_one(&o, path);
	assert_int_equal(check_content(&o, image, sz), 3 * 512 + 6 - 4);
	/* Looked at in any order, and again. */
	see(&o, 3);
	assert_int_equal(o.view.page_cnt, 6);
	assert_int_equal(o.view.holes[0], 0x1f);
	see(&o, 0);
	assert_int_equal(o.view.holes[1], ~(1ULL << (100 - 64)));
	assert_int_equal(o.view.holes[7], ~0ULL);
	close_all(&o);
	/* Reading a hole would have filled it. */
	assert_int_equal(scratch_blocks(path), blocks);
	free(image);
}

static void test_full_region_is_stable(void **state)
{
	static const char path[] = SCRATCH "/full";
	int fd = scratch_file(path, 2 * REGION + 1);
	__u8 *image = malloc(2 * REGION + 1);
	const __u8 *first;
	struct opened o;

	(void)state;
	for (__u32 i = 0; i < 2 * REGION + 1; i++)
		image[i] = i * 7 + (i >> 12) + 1;
	scratch_write(fd, 0, image, 2 * REGION + 1);
	close(fd);
	open_one(&o, path);
	assert_int_equal(check_content(&o, image, 2 * REGION + 1), 0);
	see(&o, 0);
	assert_true(o.view.is_stable);
	first = o.view.pages;
	see(&o, 1);
	assert_true(o.view.is_stable);
	assert_memory_equal(first, image, REGION);
	see(&o, 2);		/* one byte of a page */
	assert_false(o.view.is_stable);
	assert_memory_equal(first, image, REGION);
	close_all(&o);
	free(image);
}

/* What lies behind the end of a file in its last page is not sent. */
static void test_bytes_behind_the_end_are_zero(void **state)
{
	static const char path[] = SCRATCH "/behind";
	int fd = scratch_file(path, 10);
	__u8 *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct opened o;

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	memset(map, 0xee, PAGE);
	open_one(&o, path);
	check_content(&o, map, 10);
	close_all(&o);
	munmap(map, PAGE);
	close(fd);
}

static void test_memfd_by_proc_path(void **state)
{
	int fd = memfd_create("guest-ram", MFD_CLOEXEC);
	__u8 *image = calloc(1, REGION);
	char path[64];
	struct opened o;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, REGION), 0);
	memset(image + 7 * PAGE, 0x55, PAGE);
	scratch_write(fd, 7 * PAGE, image + 7 * PAGE, PAGE);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	open_one(&o, path);
	assert_int_equal(check_content(&o, image, REGION), 511);
	close_all(&o);
	close(fd);
	free(image);
}

static void test_several_files(void **state)
{
	static const char *const paths[] = { SCRATCH "/a.ram", SCRATCH "/b.ram",
					     SCRATCH "/c\nd" };
	static const __u64 sz[] = { 1, REGION + PAGE, REGION };
	const struct pt_segment *segs;
	struct opened o;
	__u32 cnt;

	(void)state;
	for (int i = 0; i < 3; i++) {
		int fd = scratch_file(paths[i], sz[i]);

		scratch_write(fd, sz[i] - 1, &"xyz"[i], 1);
		close(fd);
	}
	open_all(&o, paths, 3);
	segs = pt_source_segments(o.src, &cnt);
	assert_string_equal(segs[0].name, "a.ram");
	assert_string_equal(segs[1].name, "b.ram");
	assert_string_equal(segs[2].name, "c?d");
	assert_int_equal(segs[0].gfn, 0);
	assert_int_equal(segs[1].gfn, 512);
	assert_int_equal(segs[2].gfn, 512 + 1024);
	for (int i = 0; i < 3; i++)
		assert_int_equal(segs[i].sz, sz[i]);
	assert_int_equal(pt_layout_region_cnt(o.layout), 4);
	see(&o, 0);
	assert_int_equal(o.view.pages[0], 'x');
	see(&o, 2);
	assert_int_equal(o.view.page_cnt, 1);
	assert_int_equal(o.view.pages[PAGE - 1], 'y');
	see(&o, 1);		/* back to a hole of the same file */
	assert_int_equal(o.view.holes[0] & o.view.holes[7], ~0ULL);
	see(&o, 3);
	assert_int_equal(o.view.holes[7], ~0ULL >> 1);
	assert_int_equal(o.view.pages[REGION - 1], 'z');
	close_all(&o);
}

static void test_long_name_is_cut(void **state)
{
	char path[sizeof(SCRATCH) + 101];
	const struct pt_segment *segs;
	struct opened o;
	__u32 cnt;

	(void)state;
	snprintf(path, sizeof(path), SCRATCH "/%0100d", 7);
	close(scratch_file(path, 1));
	open_one(&o, path);
	segs = pt_source_segments(o.src, &cnt);
	assert_int_equal(strlen(segs[0].name), 63);
	close_all(&o);
}

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

/* --- hugetlbfs ------------------------------------------------------- */

static void test_hugetlbfs(void **state)
{
	static const char path[] = SCRATCH "/huge/ram";
	__u8 *image = calloc(2, REGION);
	struct opened o;
	__u64 blocks;
	__u8 *map;
	int fd;

	(void)state;
	/* All holes: needs no huge page, and takes none. */
	scratch_fs("huge", "hugetlbfs", 0, "pagesize=2M");
	fd = scratch_file(path, 2 * REGION);
	open_one(&o, path);
	check_content(&o, image, 2 * REGION);
	close_all(&o);
	assert_int_equal(scratch_blocks(path), 0);
	if (!scratch_huge(2)) {
		print_message("hugetlbfs: this machine gives no huge pages, "
			      "tested without\n");
		goto clean_up;
	}

	map = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   REGION);
	assert_ptr_not_equal(map, MAP_FAILED);
	map[9] = image[REGION + 9] = 9;
	munmap(map, REGION);

	/* With a hole: read, and the hole takes no page from the pool. */
	blocks = scratch_blocks(path);
	assert_int_equal(blocks, REGION);
	open_one(&o, path);
	check_content(&o, image, 2 * REGION);
	assert_false(o.view.is_stable);
	close_all(&o);
	assert_int_equal(scratch_blocks(path), blocks);

	/* Without: mapped. */
	map = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	map[5] = image[5] = 5;
	munmap(map, REGION);
	open_one(&o, path);
	check_content(&o, image, 2 * REGION);
	assert_true(o.view.is_stable);
	close_all(&o);
	unlink(path);
	scratch_huge(-2);
clean_up:
	close(fd);
	umount(SCRATCH "/huge");
	free(image);
}

/* --- refusals -------------------------------------------------------- */

static const struct refusal {
	const char *name;
	const char *path;
	int want;
	const char *text;
} refusals[] = {
	{ "missing", SCRATCH "/no-such", -ENOENT, "No such file" },
	{ "a folder", SCRATCH, -EINVAL, "not a regular file" },
	{ "a device", "/dev/null", -EINVAL, "not a regular file" },
	{ "a pipe without writer", SCRATCH "/pipe", -EINVAL, "not a regular" },
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
	struct CMUnitTest tests[11 + REFUSAL_CNT] = {
		cmocka_unit_test(test_sparse_of_odd_size),
		cmocka_unit_test(test_full_region_is_stable),
		cmocka_unit_test(test_bytes_behind_the_end_are_zero),
		cmocka_unit_test(test_memfd_by_proc_path),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_cut_short_before_the_view),
		cmocka_unit_test(test_cut_short_after_the_view),
		cmocka_unit_test(test_hugetlbfs),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_counts),
	};

	if (scratch_mount())
		return 1;
	for (size_t i = 0; i < REFUSAL_CNT; i++)
		tests[11 + i] = (struct CMUnitTest){ refusals[i].name,
						     test_refusal, NULL, NULL,
						     (void *)&refusals[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
