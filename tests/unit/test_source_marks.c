// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages that a process cannot read in its mapping of a file, which can itself be read:
 * unreadable in the view of the file, and never read. */
#include "guard_again.h"
#include "opened.h"
#include "poison_kit.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <linux/memfd.h>

#include "memory/pagemap.h"
#include "source/scan_batch.h"
#include "trim/digest.h"

#define PAGES	1024u
#define SZ	(PAGES * PAGE)
#define KEY	7

static struct pt_source *src;
static struct pt_layout *layout;
static struct pt_view view;
static struct pt_error err;
static int memfd;
static __u8 *map;

/* begin: a memory of two regions, all of it data; pages 3, 511 and 512 are marked, and
 * hold bytes beneath the marks. */
static void begin(enum pt_on_unreadable how)
{
	__u8 bytes[PAGE];
	char path[64];
	const char *paths[] = { path };
	const struct pt_segment *segs;
	__u64 addr;
	__u32 cnt;

	memfd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memfd, SZ), 0);
	memset(bytes, 'x', sizeof(bytes));
	for (__u64 i = 0; i < PAGES; i++)
		scratch_write(memfd, i * PAGE, bytes, PAGE);
	map = mmap(NULL, SZ, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	assert_true(kit_poison(map + 3 * PAGE, PAGE));
	assert_true(kit_poison(map + 511 * PAGE, 2 * PAGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	if (pt_source_open_files_as(&src, PT_FILES_LIVE, paths, 1, &err))
		fail_msg("%s", err.text);
	addr = (__u64)(unsigned long)map;
	if (pt_source_mapped_by(src, getpid(), &addr, &err))
		fail_msg("%s", err.text);
	pt_source_on_unreadable(src, how);
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	pt_view_init(&view);
}

static void end(void)
{
	pt_view_free(&view);
	pt_layout_free(layout);
	pt_source_close(src);
	munmap(map, SZ);
	close(memfd);
}

static struct pt_scan_batch scan(__u64 region, __u32 first)
{
	struct pt_scan_batch batch;

	if (pt_source_view(src, &view, layout, region, &err))
		fail_msg("%s", err.text);
	batch = pt_scan_batch_of(&view, layout, region, first);
	batch.search = ~0ULL;
	if (pt_scan_batch_read(&batch, src, KEY, &err))
		fail_msg("%s", err.text);
	return batch;
}

static void test_marked(void **state)
{
	struct pt_scan_batch batch;

	(void)state;
	begin(PT_UNREADABLE_MARK);
	batch = scan(0, 0);
	assert_int_equal(batch.unreadable, 1ULL << 3);
	assert_int_equal(batch.holes, 0);
	assert_int_equal(batch.digests[3], pt_digest_unreadable(batch.gfn + 3));
	assert_true(pt_scan_batch_data(&batch) == ~(1ULL << 3));
	assert_int_equal(scan(0, 448).unreadable, 1ULL << 63);
	assert_int_equal(scan(1, 0).unreadable, 1);
	assert_int_equal(scan(1, 64).unreadable, 0);
	end();
}

/* The bytes beneath a mark are not read: the view's own memory is as before. */
static void test_not_read(void **state)
{
	(void)state;
	begin(PT_UNREADABLE_MARK);
	assert_int_equal(pt_source_view(src, &view, layout, 0, &err), 0);
	assert_non_null(view.staged);
	memset(view.staged, 0x55, 64 * PAGE);
	assert_int_equal(pt_view_load(src, &view, 0, ~0ULL, &err), 0);
	for (__u64 i = 0; i < 64; i++)
		assert_int_equal(view.pages[i * PAGE + 9], i == 3 ? 0x55 : 'x');
	end();
}

/* In a hole of the file, too; and one that is punched takes the mark along. */
static void test_hole(void **state)
{
	struct pt_scan_batch batch;

	(void)state;
	begin(PT_UNREADABLE_MARK);
	assert_int_equal(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   2 * PAGE, 8 * PAGE), 0);
	assert_true(kit_poison(map + 8 * PAGE, PAGE));
	batch = scan(0, 0);
	assert_int_equal(batch.unreadable & (1ULL << 8), 1ULL << 8);
	assert_int_equal(batch.holes & (1ULL << 8), 0);
	assert_true(batch.holes >> 2 & 1);
	end();
}

/* A large page of hugetlbfs is lost as a whole, where the file has data beneath the mark,
 * and where it has none.  One that is not there, under a tracker, is not touched. */
static void test_hugetlb(void **state)
{
	struct uffdio_api api = { .api = UFFD_API, .features = 1 << 12 | 1 << 13 | 1 << 15 };
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_WP, .range = { .len = 4 * REGION },
	};
	struct uffdio_writeprotect protect = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	__u64 marks[8], at;
	struct stat st;
	int pagemap, mem, uffd;
	__u8 *first;

	(void)state;
	if (!scratch_huge(4))
		skip();		/* the machine has too few */
	memfd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	assert_int_equal(ftruncate(memfd, 4 * REGION), 0);
	first = mmap(NULL, 4 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	map = mmap(NULL, 4 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	first[0] = first[REGION] = map[0] = 1;
	at = reg.range.start = (__u64)(unsigned long)map;
	assert_true(kit_poison(map + REGION, REGION));
	assert_true(kit_poison(map + 2 * REGION, REGION));
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	assert_int_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	protect.range = reg.range;
	assert_int_equal(ioctl(uffd, UFFDIO_WRITEPROTECT, &protect), 0);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	for (__u64 i = 0; i < 4; i++) {
		__u64 want = i == 1 || i == 2 ? ~0ULL : 0;

		assert_int_equal(pt_pagemap_poisoned(pagemap, mem, at + i * REGION,
						     at + (i + 1) * REGION, marks), 0);
		assert_int_equal(marks[0], want);
		assert_int_equal(marks[7], want);
	}
	assert_int_equal(fstat(memfd, &st), 0);
	assert_int_equal(st.st_blocks * 512ULL, 2 * REGION);
	close(mem);
	close(pagemap);
	close(uffd);
	munmap(first, 4 * REGION);
	munmap(map, 4 * REGION);
	close(memfd);
	scratch_huge(-4);
}

static void test_other_ways(void **state)
{
	struct pt_scan_batch batch;

	(void)state;
	begin(PT_UNREADABLE_ZERO);
	batch = scan(0, 0);
	assert_int_equal(batch.unreadable, 0);
	assert_int_equal(batch.holes, 1ULL << 3);
	assert_int_equal(batch.digests[3], 0);
	end();
	begin(PT_UNREADABLE_FAIL);
	assert_int_equal(pt_source_view(src, &view, layout, 0, &err), -EIO);
	assert_non_null(strstr(err.text, "memory errors (on_unreadable mark"));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marked),
		cmocka_unit_test(test_not_read),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_hugetlb),
		cmocka_unit_test(test_other_ways),
	};
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!kit_poison(page, PAGE)) {
		printf("skipped: needs Linux 6.7\n");
		return 77;
	}
	munmap(page, PAGE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
