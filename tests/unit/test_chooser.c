/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The chooser of compression, on a simulated lane: a frame takes the path's time,
 * or that of the CPU that builds and compresses it, whichever is longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lane/chooser.h"

#define MB	1000000ULL
#define SECOND	1000000000ULL
#define ALL	(1 << PT_COMPRESSION_LZ4 | 1 << PT_COMPRESSION_ZSTD)
#define RAW_SZ	16384
#define MBIT(n)	((n) * MB / 8)

/* scene: rates in bytes a second, ratios in per cent. */
struct scene {
	__u64 path;			/* of frames */
	__u64 plain;			/* of blocks, by a CPU that compresses
					 * nothing */
	__u64 storage;			/* of blocks; 0: no limit */
	__u64 speed[PT_COMPRESSION_CNT];
	__u32 ratio[PT_COMPRESSION_CNT];
	__u64 unpack;			/* of blocks, by a receiver that decompresses
					 * them; 0: no limit */
};

static const struct scene lan = {
	.path = MBIT(1000), .plain = 1200 * MB,
	.speed = { 0, 400 * MB, 160 * MB }, .ratio = { 101, 54, 40 },
};

static __u64 ns_of(__u64 sz, __u64 per_s)
{
	return per_s ? sz * SECOND / per_s : 0;
}

/* run sends for so long, and returns the bytes of blocks. */
static __u64 run(struct pt_chooser *c, const struct scene *s, __u64 *now_ns,
		 __u64 for_ns)
{
	__u64 end_ns = *now_ns + for_ns, sent = 0;

	while (*now_ns < end_ns) {
		int m = c->method;
		__u32 wire_sz = RAW_SZ * s->ratio[m] / 100;
		__u64 pack_ns = m ? ns_of(RAW_SZ, s->speed[m]) : 0;
		__u64 cpu_ns = pack_ns + ns_of(RAW_SZ, s->plain);
		__u64 took_ns = cpu_ns;

		if (took_ns < ns_of(wire_sz, s->path))
			took_ns = ns_of(wire_sz, s->path);
		if (took_ns < ns_of(RAW_SZ, s->storage))
			took_ns = ns_of(RAW_SZ, s->storage);
		if (m && took_ns < ns_of(RAW_SZ, s->unpack))
			took_ns = ns_of(RAW_SZ, s->unpack);
		*now_ns += took_ns;
		sent += RAW_SZ;
		pt_chooser_frame(c, *now_ns, RAW_SZ, wire_sz, pack_ns,
				 took_ns - cpu_ns);
	}
	return sent;
}

static enum pt_compression chosen(struct scene s, __u8 methods)
{
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	pt_chooser_init(&c, methods, false);
	run(&c, &s, &now_ns, 3 * SECOND);
	return c.best;
}

/* observe sends plain frames for so long, and compresses those that the chooser asks
 * for beside them. */
static void observe(struct pt_chooser *c, const struct scene *s, __u64 *now_ns,
		    __u64 for_ns)
{
	__u64 end_ns = *now_ns + for_ns;

	while (*now_ns < end_ns) {
		int m = c->method;
		__u64 pack_ns = m ? ns_of(RAW_SZ, s->speed[m]) : 0;
		__u64 cpu_ns = pack_ns + ns_of(RAW_SZ, s->plain);
		__u64 took_ns = ns_of(RAW_SZ * s->ratio[0] / 100, s->path);

		took_ns = took_ns < cpu_ns ? cpu_ns : took_ns;
		*now_ns += took_ns;
		pt_chooser_frame(c, *now_ns, RAW_SZ, RAW_SZ * s->ratio[m] / 100,
				 pack_ns, took_ns - cpu_ns);
	}
}

static enum pt_compression observed(struct scene s)
{
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	pt_chooser_init(&c, ALL, true);
	observe(&c, &s, &now_ns, 3 * SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_NONE);	/* that is what was sent */
	return c.choice;
}

/* Without sending a compressed frame it comes to the same, where a trial would not be
 * close. */
static void test_observes(void **state)
{
	static const __u64 paths[] = { 200, 1000, 10000, 40000 };	/* Mbit/s */
	struct scene s = lan, before = lan;
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		s.path = MBIT(paths[i]);
		assert_int_equal(observed(s), chosen(s, ALL));
	}
	pt_chooser_init(&c, ALL, true);
	before.path = MBIT(40000);
	observe(&c, &before, &now_ns, 3 * SECOND);
	assert_int_equal(c.switch_cnt, 0);
	s.path = MBIT(200);
	observe(&c, &s, &now_ns, 3 * SECOND);
	assert_int_equal(c.choice, PT_COMPRESSION_ZSTD);
	observe(&c, &before, &now_ns, 3 * SECOND);
	assert_int_equal(c.choice, PT_COMPRESSION_NONE);
	assert_int_equal(c.switch_cnt, 2);
}

static void test_by_path(void **state)
{
	struct scene s = lan;

	(void)state;
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_LZ4);
	s.path = MBIT(200);
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_ZSTD);
	assert_int_equal(chosen(s, 1 << PT_COMPRESSION_LZ4), PT_COMPRESSION_LZ4);
	assert_int_equal(chosen(s, 0), PT_COMPRESSION_NONE);
	s.path = MBIT(40000);
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_NONE);
}

static void test_content(void **state)
{
	struct scene s = lan;

	(void)state;
	s.ratio[1] = s.ratio[2] = 101;
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_NONE);
	s.ratio[2] = 30;
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_ZSTD);
}

/* Where storage limits, compression makes nothing faster. */
static void test_storage(void **state)
{
	struct scene s = lan;

	(void)state;
	s.storage = 60 * MB;
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_NONE);
}

/* On a fast path the search costs less than 2 %. */
static void test_costs_little(void **state)
{
	struct scene s = lan;
	__u64 now_ns = SECOND, off, on;
	struct pt_chooser c;

	(void)state;
	s.path = MBIT(40000);
	for (__u64 ms = 100; ms <= 5000; ms += 700) {
		pt_chooser_init(&c, 0, false);
		off = run(&c, &s, &now_ns, ms * MB);
		pt_chooser_init(&c, ALL, false);
		on = run(&c, &s, &now_ns, ms * MB);
		assert_true(on >= off * 98 / 100);
	}
}

/* Nor does it where the lane itself is what limits: a method that would be faster
 * alone is not tried. */
static void test_busy_lane(void **state)
{
	struct scene s = lan;
	__u64 now_ns = SECOND, off, on;
	struct pt_chooser c;

	(void)state;
	s.path = MBIT(40000);
	s.plain = 380 * MB;
	s.speed[PT_COMPRESSION_LZ4] = 600 * MB;
	for (__u64 ms = 200; ms <= 5000; ms += 700) {
		pt_chooser_init(&c, 0, false);
		off = run(&c, &s, &now_ns, ms * MB);
		pt_chooser_init(&c, ALL, false);
		on = run(&c, &s, &now_ns, ms * MB);
		assert_true(on >= off * 98 / 100);
	}
	s.path = MBIT(1000);
	assert_int_equal(chosen(s, ALL), PT_COMPRESSION_LZ4);
}

/* A path that changes: from 10 Gbit/s to 100 Mbit/s, and back. */
static void test_path_changes(void **state)
{
	struct scene s = lan;
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	(void)state;
	pt_chooser_init(&c, ALL, false);
	s.path = MBIT(10000);
	run(&c, &s, &now_ns, 2 * SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_NONE);
	s.path = MBIT(100);
	run(&c, &s, &now_ns, 3 * SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_ZSTD);
	s.path = MBIT(10000);
	run(&c, &s, &now_ns, 4 * SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_NONE);
}

/* A path that becomes fast, to a receiver that decompresses slower than it takes
 * plain frames: nothing here limits. */
static void test_slow_receiver(void **state)
{
	struct scene s = lan;
	__u64 now_ns = SECOND, sent, least;
	struct pt_chooser c;

	(void)state;
	s.path = MBIT(200);
	pt_chooser_init(&c, 1 << PT_COMPRESSION_LZ4, false);
	run(&c, &s, &now_ns, 3 * SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_LZ4);
	sent = run(&c, &s, &now_ns, 20 * SECOND);
	least = s.path * 20 * 100 / s.ratio[PT_COMPRESSION_LZ4];
	assert_true(sent > least * 99 / 100);
	s.path = MBIT(10000);
	s.unpack = 100 * MB;
	run(&c, &s, &now_ns, 12 * SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_NONE);
}

/* Rounds that are shorter than a rest. */
static void test_short_rounds(void **state)
{
	static const __u64 round_ns[] = { SECOND / 5, SECOND / 3, SECOND * 4 / 5 };
	struct scene s = lan;
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	(void)state;
	for (unsigned i = 0; i < sizeof(round_ns) / sizeof(round_ns[0]); i++) {
		pt_chooser_init(&c, ALL, false);
		s.path = MBIT(10000);
		run(&c, &s, &now_ns, SECOND / 5);
		assert_int_equal(c.step, PT_CHOOSER_REST);
		s.path = MBIT(200);
		for (__u64 ns = 0; ns < 4 * SECOND; ns += round_ns[i]) {
			pt_chooser_break(&c);
			pt_chooser_break(&c);
			now_ns += SECOND;
			run(&c, &s, &now_ns, round_ns[i]);
		}
		assert_int_not_equal(c.best, PT_COMPRESSION_NONE);
	}
}

/* Frames without blocks are no sample, either. */
static void test_frames_without_blocks(void **state)
{
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	(void)state;
	pt_chooser_init(&c, ALL, false);
	while (c.step != PT_CHOOSER_SAMPLE)
		run(&c, &lan, &now_ns, 1);
	for (int i = 0; i < 100; i++)
		pt_chooser_frame(&c, now_ns, 0, 1500, 100, 0);
	assert_int_equal(c.step, PT_CHOOSER_SAMPLE);
	run(&c, &lan, &now_ns, SECOND / 2);
	assert_int_equal(c.best, PT_COMPRESSION_LZ4);
}

/* Pauses are no sample, and end no rest. */
static void test_pauses(void **state)
{
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	(void)state;
	pt_chooser_init(&c, ALL, false);
	for (int i = 0; i < 100; i++) {
		run(&c, &lan, &now_ns, SECOND / 50);
		now_ns += SECOND;
		pt_chooser_break(&c);
	}
	assert_int_equal(c.best, PT_COMPRESSION_NONE);
	assert_int_equal(c.switch_cnt, 0);
	run(&c, &lan, &now_ns, SECOND);
	assert_int_equal(c.best, PT_COMPRESSION_LZ4);
}

/* Epochs are longer on a long path. */
static void test_rtt(void **state)
{
	__u64 now_ns = SECOND;
	struct pt_chooser c;

	(void)state;
	pt_chooser_init(&c, ALL, false);
	pt_chooser_set_rtt(&c, SECOND / 2);
	run(&c, &lan, &now_ns, SECOND * 3 / 2);
	assert_int_equal(c.step, PT_CHOOSER_MEASURE);
	pt_chooser_set_rtt(&c, 0);
	run(&c, &lan, &now_ns, SECOND / 2);
	assert_int_equal(c.best, PT_COMPRESSION_LZ4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_path),
		cmocka_unit_test(test_observes),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_storage),
		cmocka_unit_test(test_costs_little),
		cmocka_unit_test(test_busy_lane),
		cmocka_unit_test(test_path_changes),
		cmocka_unit_test(test_slow_receiver),
		cmocka_unit_test(test_short_rounds),
		cmocka_unit_test(test_frames_without_blocks),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_rtt),
	};

	return cmocka_run_group_tests_name("chooser", tests, NULL, NULL);
}
