/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Holes in the files of a guest's memory: they stay, and come again. */
#include "sink_guest_kit.h"

static __u64 allocated_sz(int i)
{
	struct stat st;

	assert_int_equal(fstat(memories[i].fd, &st), 0);
	return st.st_blocks * 512;
}

/* A guest that holds nothing but one page takes one. */
static void test_zeroes_stay_holes(void **state)
{
	__u64 random = 5;

	(void)state;
	memset(image, 0, sizeof(image));
	start_guest();
	start_sink();
	send_zeroes(0, FIRST_CNT, 1);
	send_zeroes(FIRST_CNT, SECOND_CNT, 1);
	assert_int_equal(allocated_sz(0), 0);
	assert_int_equal(allocated_sz(1), 0);
	send_data(FIRST_CNT + 7, 1, &random);
	assert_int_equal(allocated_sz(0), 0);
	assert_int_equal(allocated_sz(1), PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

/* 2 MiB that were a hole, and turn zero, are one again; data of the start stays
 * allocated. */
static void test_zeroes_become_holes(void **state)
{
	__u8 bytes[PT_PAGE_SZ];
	__u64 random = 6;

	(void)state;
	memset(image, 0, sizeof(image));
	start_guest();
	memset(bytes, 1, sizeof(bytes));
	write_file(512, bytes);
	start_sink();
	for (__u32 page = 0; page < FIRST_CNT; page++)
		send_data(page, 1, &random);
	assert_int_equal(allocated_sz(0), FIRST_CNT * PT_PAGE_SZ);
	send_zeroes(0, 512, 2);
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 512) * PT_PAGE_SZ);
	assert_int_equal(pt_sink_zero(sink, 5 * PT_PAGE_SZ, 9 * PT_PAGE_SZ,
				      &err), 0);
	send_zeroes(512, 512, 2);
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 512) * PT_PAGE_SZ);
	read_file(512, bytes);
	assert_memory_equal(bytes, image[512], PT_PAGE_SZ);
	send_zeroes(1024, 40, 2);	/* too few */
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 512) * PT_PAGE_SZ);
	send_data(3, 3, &random);	/* the hole is one like any other */
	send_zeroes(3, 1, 4);
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 511) * PT_PAGE_SZ);
	read_file(3, bytes);
	assert_memory_equal(bytes, image[3], PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

/* The same in a file that has other bytes in front. */
static void test_holes_behind_an_offset(void **state)
{
	__u8 bytes[PT_PAGE_SZ];
	__u64 random = 12;

	(void)state;
	start_guest();
	fill_front();
	start_sink();
	send_zeroes(FIRST_CNT, SECOND_CNT, 1);
	assert_int_equal(allocated_sz(1), SECOND_OFF);
	for (__u32 page = FIRST_CNT; page < CNT; page++)
		send_data(page, 2, &random);
	send_zeroes(FIRST_CNT, 512, 3);
	assert_int_equal(allocated_sz(1), SECOND_OFF +
			 (SECOND_CNT - 512) * PT_PAGE_SZ);
	for (__u32 page = FIRST_CNT; page < CNT; page++) {
		read_file(page, bytes);
		assert_memory_equal(bytes, image[page], PT_PAGE_SZ);
	}
	stop_sink();
	stop_guest();
}

/* A file that cannot be punched, here one with seals, gets zeroes. */
static void test_no_punching(void **state)
{
	__u8 bytes[PT_PAGE_SZ];
	__u64 random = 7;

	(void)state;
	start_guest();
	start_sink();
	for (__u32 page = 0; page < 512; page++)
		send_data(page, 1, &random);
	assert_int_equal(fcntl(memories[0].fd, F_ADD_SEALS,
			       F_SEAL_FUTURE_WRITE), 0);
	send_zeroes(0, 512, 2);
	assert_int_equal(allocated_sz(0), 512 * PT_PAGE_SZ);
	read_file(100, bytes);
	assert_memory_equal(bytes, image[100], PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

/* Reading a hole, of any size and place, fills none. */
static void test_read(void **state)
{
	static __u8 got[20 * PT_PAGE_SZ], want[20 * PT_PAGE_SZ];
	const __u32 at = FIRST_CNT - 10;	/* across both memories */
	__u64 random = 8;

	(void)state;
	memset(image, 0, sizeof(image));
	start_guest();
	start_sink();
	send_data(at + 3, 1, &random);
	send_data(at + 12, 1, &random);
	memcpy(want, image[at], sizeof(want));
	for (__u32 i = 0; i < 2000; i++) {
		__u64 off = kit_random(&random) % sizeof(got);
		__u64 sz = 1 + kit_random(&random) % (sizeof(got) - off);

		memset(got, 0xee, sizeof(got));
		if (pt_sink_read(sink, at * PT_PAGE_SZ + off, got, sz, &err))
			fail_msg("%s", err.text);
		assert_memory_equal(got, want + off, sz);
	}
	assert_int_equal(allocated_sz(0), PT_PAGE_SZ);
	assert_int_equal(allocated_sz(1), PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroes_stay_holes),
		cmocka_unit_test(test_zeroes_become_holes),
		cmocka_unit_test(test_holes_behind_an_offset),
		cmocka_unit_test(test_no_punching),
		cmocka_unit_test(test_read),
	};

	guard_again();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
