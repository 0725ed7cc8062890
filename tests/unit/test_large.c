/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which units of an image are to be large pages, and what a source tells of its own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "memory/large.h"
#include "source/source_large.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define MIB (1ULL << 20)

static struct pt_layout *layout;
static struct pt_large large;
static struct pt_error err;

/* lay_out: "odd" makes all behind it lie apart from the units of the image. */
static int lay_out(void **state)
{
	const struct pt_segment segs[] = {
		{ "ram", 0, 8 * MIB },
		{ "odd", 1 << 20, 4096 },
		{ "apart", 2 << 20, 4 * MIB },
	};

	(void)state;
	assert_int_equal(pt_layout_create(&layout, segs, 3, &err), 0);
	assert_int_equal(pt_large_init(&large, layout), 0);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	pt_large_free(&large);
	pt_layout_free(layout);
	return 0;
}

static int want(__u64 first, __u64 cnt)
{
	return pt_large_want(&large, layout,
			     &(struct pt_large_run){ first, cnt });
}

static void test_units(void **state)
{
	(void)state;
	assert_int_equal(large.unit_cnt, 6);
	assert_int_equal(want(1, 2), 0);
	assert_int_equal(want(3, 1), 0);
	for (__u64 i = 0; i < 6; i++)
		assert_int_equal(pt_large_is_wanted(&large, i), i >= 1 && i <= 3);
	assert_int_equal(large.wanted_cnt, 3);
	assert_int_equal(large.source_cnt, 3);
	assert_int_equal(large.apart_cnt, 0);
	pt_large_want_all(&large);
	assert_int_equal(large.wanted_cnt, 6);
	assert_false(pt_large_is_wanted(&large, 6));
}

static void test_apart(void **state)
{
	(void)state;
	assert_int_equal(want((2 << 20) / 512, 2), 0);
	assert_int_equal(large.source_cnt, 2);
	assert_int_equal(large.apart_cnt, 2);
	assert_int_equal(large.wanted_cnt, 0);
}

/* A run comes from a stranger. */
static void test_refused(void **state)
{
	const struct pt_large_run runs[] = {
		{ 0, 0 },				/* empty */
		{ 0, 5 }, { 3, 2 }, { 0, ~0ULL },	/* beyond the segment */
		{ 4, 1 }, { 77, 1 },			/* in none */
		{ (1 << 20) / 512, 1 },			/* larger than it */
		{ ~0ULL, 1 }, { 1ULL << 55, 1 },	/* no page number */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		assert_int_equal(pt_large_want(&large, layout, &runs[i]),
				 -EINVAL);
	assert_int_equal(want(1, 2), 0);
	assert_int_equal(want(2, 1), -EINVAL);		/* again */
	assert_int_equal(want(0, 1), -EINVAL);		/* not in order */
	assert_int_equal(large.wanted_cnt, 2);
}

/* A memfd of 8 MiB: large, small, a hole, large; only what is large is told. */
static void test_source(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct pt_source_large found;
	struct pt_source *source;
	char path[64];
	const char *paths[] = { path };
	__u8 *room, *map;

	(void)state;
	assert_int_equal(ftruncate(fd, 8 * MIB), 0);
	room = mmap(NULL, 10 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	map = room + (-(uintptr_t)room & (2 * MIB - 1));
	assert_ptr_equal(mmap(map, 8 * MIB, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, 0), map);
	map[5 * 4096] = map[2 * MIB + 4096] = map[6 * MIB] = 1;
	assert_int_equal(madvise(map, 2 * MIB, MADV_COLLAPSE), 0);
	assert_int_equal(madvise(map + 6 * MIB, 2 * MIB, MADV_COLLAPSE), 0);
	munmap(room, 10 * MIB);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(pt_source_open_files(&source, paths, 1, &err), 0);
	assert_int_equal(pt_source_find_large(source, &found), 0);
	assert_true(found.is_known);
	assert_int_equal(found.page_cnt, 2);
	assert_int_equal(found.cnt, 2);
	assert_int_equal(found.runs[0].first, 0);
	assert_int_equal(found.runs[1].first, 3);
	assert_int_equal(lseek(fd, 4 * MIB, SEEK_DATA), 6 * MIB);
	pt_source_large_free(&found);
	pt_source_close(source);
	close(fd);
}

/* The page of zeroes that memory shares which was only read is large, and no large page
 * of it. */
static void test_zero_page(void **state)
{
	__u8 *room = mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u8 *map = room + (-(uintptr_t)room & (2 * MIB - 1));
	struct pt_source_large found = { 0 };
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	(void)state;
	assert_int_equal(madvise(map, 4 * MIB, MADV_HUGEPAGE), 0);
	assert_int_equal(*(volatile __u8 *)map, 0);
	map[2 * MIB] = 1;
	assert_int_equal(pt_source_large_scan(&found, pagemap, (uintptr_t)map,
					      4 * MIB, 0), 0);
	/* Where no large page is free, both are small. */
	assert_in_range(found.page_cnt, 0, 1);
	if (found.page_cnt)
		assert_int_equal(found.runs[0].first, 1);
	pt_source_large_free(&found);
	munmap(room, 6 * MIB);
	close(pagemap);
}

/* The caller's own memory has no table. */
static void test_unknown(void **state)
{
	static __u8 page[4096] __attribute__((aligned(4096)));
	const struct pt_region region = { page, 0, 4096, "own" };
	struct pt_source_large found;
	struct pt_source *source;

	(void)state;
	assert_int_equal(pt_source_open_regions(&source, &region, 1, &err), 0);
	assert_int_equal(pt_source_find_large(source, &found), 0);
	assert_false(found.is_known);
	assert_int_equal(found.cnt, 0);
	pt_source_close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_units, lay_out, forget),
		cmocka_unit_test_setup_teardown(test_apart, lay_out, forget),
		cmocka_unit_test_setup_teardown(test_refused, lay_out, forget),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_zero_page),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
