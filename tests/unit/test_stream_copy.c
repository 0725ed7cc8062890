// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/stream_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROOM	8192

static __u8 from[ROOM] __attribute__((aligned(64)));
static __u8 to[ROOM] __attribute__((aligned(64))), want[ROOM];

static void check(const struct pt_stream_copy_variant *v, size_t to_off,
		  size_t from_off, size_t sz)
{
	memset(to, 0xee, sizeof(to));
	memset(want, 0xee, sizeof(want));
	memcpy(want + to_off, from + from_off, sz);
	v->copy(to + to_off, from + from_off, sz);
	pt_stream_copy_end();
	assert_memory_equal(to, want, sizeof(to));
}

/* Blocks at any alignment, to unaligned places, with ends that are no block: no
 * other byte is touched. */
static void test_copies(void **state)
{
	unsigned cnt;
	const struct pt_stream_copy_variant *v = pt_stream_copy_variants(&cnt);

	(void)state;
	for (size_t i = 0; i < ROOM; i++)
		from[i] = rand();
	for (unsigned i = 0; i < cnt; i++) {
		if (!v[i].is_supported)
			continue;
		for (size_t at = 0; at <= 64; at++) {
			check(&v[i], 64, at, 4096);
			check(&v[i], at, 3, 640);
			check(&v[i], 128, at, at);
			check(&v[i], 128, 0, 4032 + at);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
