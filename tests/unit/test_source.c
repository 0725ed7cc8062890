// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Files as sources; test_source_trouble.c has their errors,
 * test_source_process.c processes. */
#include <sys/mman.h>
#include "guard_again.h"
#include "opened.h"

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
	/* Viewed in any order, and again. */
	see(&o, 3);
	assert_int_equal(o.view.page_cnt, 6);
	assert_int_equal(o.view.holes[0], 0x1f);
	see(&o, 0);
	assert_int_equal(o.view.holes[1], ~(1ULL << (100 - 64)));
	assert_int_equal(o.view.holes[7], ~0ULL);
	close_all(&o);
	/* A read of the hole would have filled it. */
	assert_int_equal(scratch_blocks(path), blocks);
	free(image);
}

/* afresh makes another view of the same source, as another thread has. */
static __u64 afresh(struct opened *o, const __u8 *image, __u64 sz)
{
	pt_view_free(&o->view);
	return check_content(o, image, sz);
}

/* Former data is not looked up again; a former hole is. */
static void test_seen_again(void **state)
{
	static const char path[] = SCRATCH "/again";
	static const __u32 spots[] = { 0, 30, 31, 511, 513, 700, 1024, 1030,
				       2047, 2048, 4 * 512 + 2 };
	const __u64 sz = 4 * REGION + 2 * PAGE + 5;
	__u8 *image = calloc(1, sz + PAGE);
	int fd = scratch_file(path, sz);
	struct opened o;
	__u64 holes;

	(void)state;
	/* data: pages 100 to 109, 512 to 1023, the last one */
	memset(image + 100 * PAGE, 1, 10 * PAGE);
	memset(image + 512 * PAGE, 2, 512 * PAGE);
	image[sz - 1] = 3;
	scratch_write(fd, 100 * PAGE, image + 100 * PAGE, 10 * PAGE);
	scratch_write(fd, 512 * PAGE, image + 512 * PAGE, 512 * PAGE);
	scratch_write(fd, sz - 1, image + sz - 1, 1);
	open_one(&o, path);
	holes = 4 * 512 + 3 - 10 - 512 - 1;
	assert_int_equal(check_content(&o, image, sz), holes);
	for (int i = 0; i < 3; i++)
		assert_int_equal(afresh(&o, image, sz), holes);
	/* A byte here and there, in holes and in data. */
	for (unsigned i = 0; i < sizeof(spots) / sizeof(spots[0]); i++) {
		__u64 at = (__u64)spots[i] * PAGE + (i ? 4 : 0);

		holes -= !image[(__u64)spots[i] * PAGE + 5] &&
			 spots[i] != 4 * 512 + 2;
		image[at] = 9;
		scratch_write(fd, at, &image[at], 1);
		assert_int_equal(afresh(&o, image, sz), holes);
		assert_int_equal(afresh(&o, image, sz), holes);
	}
	/* Data that was removed is zero, whether or not it is reported as a
	 * hole. */
	memset(image + 512 * PAGE, 0, 100 * PAGE);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				   FALLOC_FL_KEEP_SIZE, 512 * PAGE, 100 * PAGE),
			 0);
	afresh(&o, image, sz);
	close_all(&o);
	close(fd);
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

/* page_again compares pt_source_page with the view; returns whether both are
 * the same memory. */
static bool page_again(struct opened *o, __u64 page_idx, const void *want)
{
	__u8 buffer[PAGE];
	const __u8 *page;

	memset(buffer, 0xee, sizeof(buffer));
	page = pt_source_page(o->src, o->layout, page_idx, buffer);
	assert_non_null(page);
	assert_memory_equal(page, want, PAGE);
	see(o, page_idx / 512);
	return page == o->view.pages + page_idx % 512 * PAGE;
}

/* Bytes behind the end of a file in its last page are not sent. */
static void test_bytes_behind_the_end_are_zero(void **state)
{
	static const char path[] = SCRATCH "/behind";
	int fd = scratch_file(path, 10);
	__u8 *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	__u8 page[PAGE] = { 0 };
	struct opened o;

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	memset(map, 0xee, PAGE);
	open_one(&o, path);
	check_content(&o, map, 10);
	memset(page, 0xee, 10);
	assert_false(page_again(&o, 0, page));
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

/* A view's buffer keeps no page of the former region. */
static void test_tails_one_after_the_other(void **state)
{
	static const char *const paths[] = { SCRATCH "/tail1",
					     SCRATCH "/tail2" };
	static const __u8 zero[PAGE];
	__u8 page[PAGE - 1];
	struct opened o;
	int fd;

	(void)state;
	memset(page, 0xff, sizeof(page));
	fd = scratch_file(paths[0], sizeof(page));
	scratch_write(fd, 0, page, sizeof(page));
	close(fd);
	fd = scratch_file(paths[1], 1);
	scratch_write(fd, 0, "x", 1);
	close(fd);
	open_all(&o, paths, 2);
	see(&o, 0);
	assert_memory_equal(o.view.pages, page, sizeof(page));
	assert_int_equal(o.view.pages[PAGE - 1], 0);
	see(&o, 1);
	assert_int_equal(o.view.pages[0], 'x');
	assert_memory_equal(o.view.pages + 1, zero, PAGE - 1);
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

/* Single pages: in the mapping, but for one that the file fills in part, even
 * where the view that shows them is a buffer. */
static void test_pages(void **state)
{
	static const char *const paths[] = { SCRATCH "/p1", SCRATCH "/p2" };
	const __u64 sz = REGION + 2 * PAGE + 7;
	__u8 *image = calloc(1, REGION + 3 * PAGE);
	struct opened o;
	int fd;

	(void)state;
	for (__u64 i = 0; i < sz; i++)
		image[i] = i * 5 + (i >> 12) + 1;
	for (int i = 0; i < 2; i++) {
		fd = scratch_file(paths[i], i ? sz : PAGE);
		scratch_write(fd, 0, image, i ? sz : PAGE);
		close(fd);
	}
	open_all(&o, paths, 2);
	assert_true(page_again(&o, 0, image));
	for (__u64 i = 0; i < 512; i++)
		assert_true(page_again(&o, 512 + i, image + i * PAGE));
	/* The last region's view is no mapping. */
	for (__u64 i = 512; i < 515; i++)
		assert_false(page_again(&o, 512 + i, image + i * PAGE));
	assert_false(o.view.is_stable);
	assert_ptr_equal(pt_source_page(o.src, o.layout, 1025, NULL),
			 pt_source_page(o.src, o.layout, 1023, NULL) +
			 2 * PAGE);
	close_all(&o);
	free(image);
}

/* A page that was removed: the mapping faults, a read returns an error. */
static void test_pages_of_a_cut_file(void **state)
{
	static const char path[] = SCRATCH "/cut";
	int fd = scratch_file(path, PAGE + 1);
	struct pt_error err = { 0 };
	struct pt_guard guard;
	const __u8 *page;
	__u8 buffer[PAGE];
	struct opened o;

	(void)state;
	guard_again();
	open_one(&o, path);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_null(pt_source_page(o.src, o.layout, 1, buffer));
	page = pt_source_page(o.src, o.layout, 0, buffer);
	assert_non_null(page);
	if (!pt_guard_enter(&guard)) {
		buffer[0] = *(const volatile __u8 *)page;
		fail_msg("no fault");
	}
	assert_int_equal(pt_source_fault(o.src, guard.addr, &err), -EIO);
	assert_non_null(strstr(err.text, path));
	close_all(&o);
}

/* ext4 with blocks of 1 KiB: data and holes begin and end within pages. */
static void test_extents_smaller_than_a_page(void **state)
{
	static const char path[] = SCRATCH "/ext4/ram";
	const __u64 sz = 1024 * PAGE;
	__u8 *image = calloc(1, sz);
	struct opened o;
	__u64 holes;
	int fd;

	(void)state;
	mkdir(SCRATCH "/ext4", 0700);
	if (system("truncate -s 16M " SCRATCH "/disk && mkfs.ext4 -q -b 1024 "
		   SCRATCH "/disk && mount -o loop " SCRATCH "/disk " SCRATCH
		   "/ext4"))
		fail_msg("no loop device, or no mkfs.ext4");
	fd = scratch_file(path, sz);
	for (__u64 i = 0; i < sz / 1024; i++) {
		/* page i / 4: its blocks by the bits of its number */
		if (i / 4 % 16 >> (i % 4) & 1) {
			memset(image + i * 1024, 1 + i % 200, 1024);
			scratch_write(fd, i * 1024, image + i * 1024, 1024);
		}
	}
	assert_int_equal(fsync(fd), 0);
	close(fd);
	open_one(&o, path);
	holes = check_content(&o, image, sz);
	assert_int_equal(holes, 1024 / 16);
	close_all(&o);
	assert_int_equal(umount(SCRATCH "/ext4"), 0);
	unlink(SCRATCH "/disk");
	free(image);
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
	/* All holes: it needs no huge page, and takes none. */
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
	assert_false(page_again(&o, 512, image + REGION));
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
	assert_true(page_again(&o, 512, image + REGION));
	close_all(&o);
	unlink(path);
	scratch_huge(-2);
clean_up:
	close(fd);
	umount(SCRATCH "/huge");
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_of_odd_size),
		cmocka_unit_test(test_seen_again),
		cmocka_unit_test(test_full_region_is_stable),
		cmocka_unit_test(test_bytes_behind_the_end_are_zero),
		cmocka_unit_test(test_memfd_by_proc_path),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_tails_one_after_the_other),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_pages_of_a_cut_file),
		cmocka_unit_test(test_extents_smaller_than_a_page),
		cmocka_unit_test(test_hugetlbfs),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
