// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The notes in front of the units of an image at rest that is received. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "image/ptrim_log.h"

#define OFF		123456

static void test_log(void **state)
{
	static const struct pt_log_note note = {
		.page_cnt = 3, .copy_cnt = 2, .sz = 0x123456789abcULL,
		.pages = { 100000, 100000 - PT_LOG_FAR, 100000 + PT_LOG_FAR },
		.copies = { { 7, 1ULL << 62 | 9 }, { 1ULL << 35, 5 } },
	};
	__u8 bytes[PT_LOG_NOTE_MAX];
	struct pt_log_note got;
	__u32 sz = pt_log_sz(&note);

	(void)state;
	memset(&got, 0, sizeof(got));
	pt_log_encode(&note, OFF, bytes);
	assert_int_equal(pt_log_decode(&got, OFF, bytes, sizeof(bytes)), sz);
	assert_memory_equal(&got, &note, sizeof(note));
	for (__u32 left = 0; left < sz; left++)
		assert_int_equal(pt_log_decode(&got, OFF, bytes, left), 0);
	assert_int_equal(pt_log_decode(&got, OFF + 1, bytes, sz), 0);
	for (__u32 i = 0; i < sz; i++) {
		bytes[i] ^= 0x10;
		assert_int_equal(pt_log_decode(&got, OFF, bytes, sz), 0);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(pt_log_decode(&got, OFF, bytes, sz), sz);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
