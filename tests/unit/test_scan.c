// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Every variant against a byte loop that cannot be wrong. */
#include "trim/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define PAGE 4096

/* Room for a page at each offset 0..64 of a 64-byte line. */
static __u8 room[PAGE + 128] __attribute__((aligned(64)));

static __u64 naive(const __u8 *page)
{
	__u64 mask = 0;

	for (unsigned int i = 0; i < PAGE; i++)
		if (page[i])
			mask |= 1ULL << (i / 64);
	return mask;
}

/* check_all: all variants and the chosen one agree with the byte loop. */
static void check_all(const __u8 *page)
{
	unsigned int cnt;
	const struct pt_scan_variant *v = pt_scan_variants(&cnt);
	__u64 want = naive(page);

	for (unsigned int i = 0; i < cnt; i++)
		if (v[i].is_supported)
			assert_int_equal(v[i].scan(page), want);
	assert_int_equal(pt_scan(page), want);
}

static void test_no_byte(void **state)
{
	(void)state;
	memset(room, 0xff, sizeof(room));	/* the neighbours hold data */
	for (unsigned int at = 0; at <= 64; at++) {
		memset(room + at, 0, PAGE);
		check_all(room + at);
		assert_int_equal(pt_scan(room + at), 0);
		memset(room + at, 0xff, PAGE);
	}
}

static void test_each_byte_alone(void **state)
{
	(void)state;
	memset(room, 0, sizeof(room));
	for (unsigned int i = 0; i < PAGE; i++) {
		/* one bit, a different one each time */
		room[i] = 1 << (i % 8);
		check_all(room);
		assert_int_equal(pt_scan(room), 1ULL << (i / 64));
		room[i] = 0;
	}
}

static void test_each_block_missing(void **state)
{
	(void)state;
	for (unsigned int b = 0; b < 64; b++) {
		memset(room, 0x80, sizeof(room));
		memset(room + b * 64, 0, 64);
		check_all(room);
		assert_int_equal(pt_scan(room), ~(1ULL << b));
	}
}

static void test_random_at_each_offset(void **state)
{
	(void)state;
	srand(1);
	for (unsigned int round = 0; round < 40; round++) {
		for (unsigned int at = 0; at <= 64; at++) {
			__u8 *page = room + at;
			unsigned int bytes = rand() % 64;

			memset(room, 0, sizeof(room));
			for (unsigned int i = 0; i < bytes; i++)
				page[rand() % PAGE] = rand();
			check_all(page);
		}
	}
}

/* A variant that reads past the page faults here. */
static void test_reads_nothing_outside(void **state)
{
	__u8 *map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map, PAGE, PROT_NONE), 0);
	assert_int_equal(mprotect(map + 2 * PAGE, PAGE, PROT_NONE), 0);
	map[PAGE] = 1;
	map[2 * PAGE - 1] = 1;
	check_all(map + PAGE);
	assert_int_equal(pt_scan(map + PAGE), 1ULL << 63 | 1);
	munmap(map, 3 * PAGE);
}

static void test_the_widest_is_chosen(void **state)
{
	unsigned int cnt;
	const struct pt_scan_variant *v = pt_scan_variants(&cnt);
	const struct pt_scan_variant *widest = NULL;

	(void)state;
	for (unsigned int i = 0; i < cnt; i++) {
		print_message("scan: %s %s\n", v[i].name,
			      v[i].is_supported ? "tested" :
						  "not on this CPU");
		if (v[i].is_supported)
			widest = &v[i];
	}
	assert_true(v[0].is_supported);
	assert_string_equal(v[0].name, "portable");
	assert_ptr_equal(pt_scan_chosen, widest->scan);
	assert_string_equal(pt_scan_name(), widest->name);
#ifdef __x86_64__
	assert_int_equal(cnt, 3);
	assert_true(v[1].is_supported == !!__builtin_cpu_supports("avx2"));
	assert_true(v[2].is_supported == !!__builtin_cpu_supports("avx512f"));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_byte),
		cmocka_unit_test(test_each_byte_alone),
		cmocka_unit_test(test_each_block_missing),
		cmocka_unit_test(test_random_at_each_offset),
		cmocka_unit_test(test_reads_nothing_outside),
		cmocka_unit_test(test_the_widest_is_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
