// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Mappings as /proc/PID/maps lists them, in files of the test's own, and the
 * segments that are made of them.  The page tables are the test's. */
#include <sys/mman.h>
#include <sys/wait.h>
#include "ioctl_filter.h"
#include "memory/pagemap.h"
#include "scratch.h"
#include "source/process_rooms.h"

#define ANON(range)	range " rw-p 00000000 00:00 0 \n"

#define PAGEMAP_SCAN	_IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 96)

static struct pt_error err;
static struct pt_process_files files;

/* maps_of reads lines. */
static int maps_of(struct pt_process_maps *m, const char *text)
{
	int fd = scratch_file(SCRATCH "/maps", 0), ret;

	scratch_write(fd, 0, text, strlen(text));
	lseek(fd, 0, SEEK_END);
	files.maps = fd;
	ret = pt_process_maps_read(m, &files, 7, &err);
	close(fd);
	return ret;
}

static void test_mappings_that_are_sent(void **state)
{
	struct pt_process_maps m = { 0 };

	(void)state;
	assert_int_equal(maps_of(&m,
		"1000-2000 r-xp 00000000 08:01 7  /bin/program\n"
		"2000-4000 rw-p 00001000 08:01 7  /bin/program\n"
		"5000-6000 rw-s 00000000 00:01 9  /dev/zero (deleted)\n"
		"7000-8000 rw-p 00000000 00:00 0 \n"
		"8000-9000 -w-p 00000000 00:00 0  [heap]\n"
		"9000-a000 rw-p 00000000 00:05 3  /dev/mem\n"
		"200000-400000 rw-p 00000000 00:0f 4  /anon_hugepage (deleted)\n"
		), 0);
	assert_int_equal(m.cnt, 4);
	assert_string_equal(m.all[0].seg.name, "program");
	assert_int_equal(m.all[0].seg.gfn, 2);
	assert_int_equal(m.all[0].seg.sz, 0x2000);
	assert_false(m.all[0].is_anonymous);
	assert_string_equal(m.all[1].seg.name, "anon");
	assert_true(m.all[1].is_anonymous);
	assert_string_equal(m.all[2].seg.name, "[heap]");
	assert_true(m.all[3].is_anonymous);
	/* Once more: these take the place of the others. */
	assert_int_equal(maps_of(&m, "1000-2000 rw-p 0 00:00 0 \n"), 0);
	assert_int_equal(m.cnt, 1);
	assert_int_equal(maps_of(&m, ""), -ESRCH);
	pt_process_maps_free(&m);
}

/* is_sent: the mapping at `at` is, although it cannot be written now. */
static bool is_sent(const void *at, const char *path)
{
	struct pt_process_maps m = { 0 };
	unsigned long start = (unsigned long)at;
	char text[128];
	bool is;

	snprintf(text, sizeof(text), "%lx-%lx r-xp 00000000 08:01 7  %s\n",
		 start, start + 4 * PT_PAGE_SZ, path);
	assert_int_equal(maps_of(&m, text), 0);
	is = m.cnt == 1;
	pt_process_maps_free(&m);
	return is;
}

static void test_own_without_the_right_to_write(void **state)
{
	__u8 *at = mmap(NULL, 4 * PT_PAGE_SZ, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = scratch_file(SCRATCH "/text", 4 * PT_PAGE_SZ);
	__u8 *file = mmap(NULL, 4 * PT_PAGE_SZ, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE, fd, 0);

	(void)state;
	assert_true(at != MAP_FAILED && file != MAP_FAILED);
	assert_false(is_sent(at, ""));
	/* Pages that were only read: the one of zeroes, and the file's. */
	assert_int_equal(((volatile __u8 *)at)[0], 0);
	assert_int_equal(((volatile __u8 *)file)[0], 0);
	assert_false(is_sent(at, ""));
	assert_false(is_sent(file, "/text"));
	assert_true(is_sent(file, "/text (deleted)"));
	at[3 * PT_PAGE_SZ] = file[2 * PT_PAGE_SZ] = 1;
	assert_int_equal(mprotect(at, 4 * PT_PAGE_SZ, PROT_NONE), 0);
	assert_true(is_sent(at, ""));
	assert_true(is_sent(at, "[anon:name]"));
	assert_false(is_sent(at, "[vdso]"));
	assert_true(is_sent(file, "/text"));
	munmap(at, 4 * PT_PAGE_SZ);
	munmap(file, 4 * PT_PAGE_SZ);
	close(fd);
}

/* Before Linux 6.7 smaps tells the same. */
static void test_own_without_a_scan(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		close(files.pagemap);
		close(files.smaps);
		files.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		files.smaps = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
		filter_one(PAGEMAP_SCAN, SECCOMP_RET_ERRNO | ENOTTY);
		if (pt_pagemap_has_own(files.pagemap, 0, PT_PAGE_SZ) != -ENOTTY)
			_exit(2);
		test_own_without_the_right_to_write(state);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A file under /dev that cannot be seen is taken for a device, unless it was found
 * to be none. */
static void test_memory_stays_memory(void **state)
{
	const char *hidden = "2000-3000 rw-p 00000000 00:05 3  /dev/x\n"
			     "3000-4000 rw-p 00001000 00:05 4  /dev/y\n"
			     "4000-5000 rw-p 00000000 00:05 3  /dev/x\n";
	struct pt_process_maps m = { 0 };

	(void)state;
	assert_int_equal(maps_of(&m, hidden), 0);
	assert_int_equal(m.cnt, 0);
	assert_int_equal(maps_of(&m, "1000-4000 rw-p 00000000 00:05 3  /x\n"),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(maps_of(&m, hidden), 0);
		assert_int_equal(m.cnt, 1);
		assert_int_equal(m.all[0].seg.gfn, 2);
	}
	pt_process_maps_free(&m);
}

static void test_find(void **state)
{
	struct pt_process_maps m = { 0 };

	(void)state;
	assert_int_equal(pt_process_maps_find(&m, 0), 0);
	assert_int_equal(maps_of(&m, ANON("2000-4000") ANON("5000-6000")
				 ANON("6000-9000")), 0);
	assert_int_equal(pt_process_maps_find(&m, 0), 0);
	assert_int_equal(pt_process_maps_find(&m, 3), 0);
	assert_int_equal(pt_process_maps_find(&m, 4), 1);
	assert_int_equal(pt_process_maps_find(&m, 5), 1);
	assert_int_equal(pt_process_maps_find(&m, 6), 2);
	assert_int_equal(pt_process_maps_find(&m, 8), 2);
	assert_int_equal(pt_process_maps_find(&m, 9), 3);
	pt_process_maps_free(&m);
}

/* --- rooms ------------------------------------------------------------- */

#define ROOM_PAGES	16

/* segs: pages first-end of each segment; rooms in brackets. */
static const struct row {
	const char *name, *maps, *segs;
} rows[] = {
	{ "one mapping: nothing comes behind it", ANON("100000-200000"),
	  "[f0-100]100-200" },
	{ "at the lowest address", ANON("10000-20000"), "10-20" },
	{ "near it", ANON("12000-20000"), "[10-12]12-20" },
	{ "a small gap", ANON("100000-101000") ANON("102000-103000"),
	  "[f0-100]100-101[101-102]102-103" },
	{ "side by side", ANON("100000-101000") ANON("101000-103000"),
	  "[f0-100]100-101101-103" },
	{ "a gap of two rooms", ANON("100000-101000") ANON("121000-122000"),
	  "[f0-100]100-101[101-121]121-122" },
	{ "a larger gap", ANON("100000-101000") ANON("122000-123000"),
	  "[f0-100]100-101[101-111][112-122]122-123" },
};

static void test_rooms(void **state)
{
	const struct row *row = *state;
	struct pt_process_maps m = { 0 };
	struct pt_segment *segs;
	char text[256] = "";
	__u32 cnt;

	assert_int_equal(maps_of(&m, row->maps), 0);
	assert_int_equal(pt_process_rooms_make(&segs, &cnt, &m,
					       ROOM_PAGES * PT_PAGE_SZ), 0);
	for (__u32 i = 0; i < cnt; i++) {
		bool is_room = !strcmp(segs[i].name, PT_ROOM_NAME);

		sprintf(text + strlen(text), "%s%llx-%llx%s",
			is_room ? "[" : "", segs[i].gfn,
			segs[i].gfn + segs[i].sz / PT_PAGE_SZ,
			is_room ? "]" : "");
	}
	assert_string_equal(text, row->segs);
	assert_int_equal(pt_process_rooms_lack(segs, cnt, &m), ~0ULL);
	free(segs);
	pt_process_maps_free(&m);
}

static void test_no_rooms(void **state)
{
	struct pt_process_maps m = { 0 };
	struct pt_segment *segs;
	__u32 cnt;

	(void)state;
	assert_int_equal(maps_of(&m, ANON("100000-101000")
				 ANON("200000-201000")), 0);
	assert_int_equal(pt_process_rooms_make(&segs, &cnt, &m, 0), 0);
	assert_int_equal(cnt, 2);
	free(segs);
	pt_process_maps_free(&m);
}

/* Mappings 100-101 and 110-112, with rooms of 4 pages. */
static const struct lack {
	const char *maps;
	__u64 at;
} lacks[] = {
	{ ANON("101000-105000"), ~0ULL },
	{ ANON("101000-106000"), 0x105000 },
	{ ANON("fc000-105000") ANON("10c000-112000"), ~0ULL },
	{ ANON("fb000-fc000"), 0xfb000 },
	{ ANON("106000-10a000"), 0x106000 },
	{ ANON("100000-101000") ANON("10b000-10d000"), 0x10b000 },
	{ ANON("111000-113000"), 0x112000 },
	{ ANON("200000-201000"), 0x200000 },
};

static void test_lack(void **state)
{
	struct pt_process_maps m = { 0 };
	struct pt_segment *segs;
	__u32 cnt;

	(void)state;
	assert_int_equal(maps_of(&m, ANON("100000-101000")
				 ANON("110000-112000")), 0);
	assert_int_equal(pt_process_rooms_make(&segs, &cnt, &m,
					       4 * PT_PAGE_SZ), 0);
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
		assert_int_equal(maps_of(&m, lacks[i].maps), 0);
		assert_int_equal(pt_process_rooms_lack(segs, cnt, &m),
				 lacks[i].at);
	}
	free(segs);
	pt_process_maps_free(&m);
}

#define FIRST 7	/* the tests before the rows */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	struct CMUnitTest tests[FIRST + ROWS] = {
		cmocka_unit_test(test_mappings_that_are_sent),
		cmocka_unit_test(test_own_without_the_right_to_write),
		cmocka_unit_test(test_own_without_a_scan),
		cmocka_unit_test(test_memory_stays_memory),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_no_rooms),
		cmocka_unit_test(test_lack),
	};

	for (size_t i = 0; i < ROWS; i++)
		tests[FIRST + i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_rooms,
			.initial_state = (void *)&rows[i],
		};
	files.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	files.smaps = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	if (files.pagemap < 0 || files.smaps < 0 || scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
