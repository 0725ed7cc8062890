// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A region's digest is that of its pages, for any pieces, in any order, and
 * whether they were digested on arrival or later. */
#include "rebuild_kit.h"

#include "rebuild/rebuild_impl.h"
#include "sink/sink_ops.h"

#define ROUNDS	300
#define STEPS	40

static __u8 page_a[PT_PAGE_SZ], page_b[PT_PAGE_SZ];	/* no zero block */
static struct pt_page_sum lanes[2];

static int start(void **state)
{
	__u64 random = 11;

	kit_fill(page_a, sizeof(page_a), &random);
	kit_fill(page_b, sizeof(page_b), &random);
	memset(lanes, 0, sizeof(lanes));
	return rebuild_start(state);
}

/* place_piece places a frame of a lane with the blocks first to last of a page,
 * of which those in mask are the content's. */
static void place_piece(unsigned lane, __u64 gfn, __u32 generation,
			unsigned first, unsigned last, __u64 mask,
			const __u8 *content)
{
	struct pt_builder b = page_builder(9000);

	mask &= ~0ULL << first & ~0ULL >> (63 - last);
	assert_int_equal(pt_builder_add_page(&b, gfn, first, mask, content),
			 64);
	b.records[0].last = last;
	sum = lanes[lane];
	batch_place(frame, frame_close(&b, generation, 0), 3840);
	lanes[lane] = sum;
}

/* assert_digest: the first region's digest is right; only pages LOW and LOW + 1
 * hold data. */
static void assert_digest(void)
{
	__u8 page[PT_PAGE_SZ];
	__u64 want = 0;

	batch_flush();
	for (__u64 gfn = LOW; gfn < LOW + 2; gfn++) {
		sink_read(gfn, page);
		want += true_digest(gfn, page);
	}
	assert_int_equal(region_digest(0), want);
}

#define ALL ~0ULL

/* The first piece of a generation is lost, and the second continues where the
 * last of the generation before ended. */
static void test_next_generation_goes_on(void **state)
{
	(void)state;
	place_piece(0, LOW, 1, 0, 19, ALL, page_a);
	place_piece(0, LOW, 2, 20, 63, ALL, page_b);
	assert_digest();
	place_piece(0, LOW, 2, 0, 19, ALL, page_b);
	assert_digest();
	assert_content(LOW, page_b);
}

/* The last piece comes late, when the page is of a newer generation. */
static void test_late_piece(void **state)
{
	(void)state;
	place_piece(0, LOW, 1, 0, 19, ALL, page_a);
	place_piece(1, LOW, 2, 0, 63, ALL, page_b);
	place_piece(0, LOW, 1, 20, 63, ALL, page_a);
	assert_digest();
	assert_content(LOW, page_b);
}

/* Each lane has a page in progress. */
static void test_two_lanes(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 64; at += 16) {
		place_piece(0, LOW, 1, at, at + 15, ALL, page_a);
		place_piece(1, LOW + 1, 1, at, at + 15, ALL, page_b);
	}
	assert_digest();
}

/* The digest is read before all pieces came, and again after them. */
static void test_asked_in_between(void **state)
{
	(void)state;
	place_piece(0, LOW, 1, 0, 19, ALL, page_a);
	assert_digest();
	place_piece(0, LOW, 1, 20, 63, ALL, page_a);
	assert_digest();
	assert_content(LOW, page_a);
}

static void test_zero_pieces(void **state)
{
	(void)state;
	place_piece(0, LOW, 1, 0, 19, 0, page_a);
	place_piece(0, LOW, 1, 20, 39, ALL, page_a);
	place_piece(0, LOW, 1, 40, 63, 0, page_a);
	assert_digest();
	for (unsigned at = 0; at < 64; at += 32)	/* nothing but zeroes */
		place_piece(0, LOW, 2, at, at + 31, 0, page_a);
	assert_digest();
	assert_int_equal(region_digest(0), 0);
}

static unsigned int read_cnt;

static int counted_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
			struct pt_error *error)
{
	(void)s;
	(void)off;
	(void)error;
	memset(to, 0, sz);
	read_cnt++;
	return 0;
}

/* Pages whose pieces come in any order are digested when they are whole, and none of
 * them is read when the region is compared, since a guest may stand still then. */
static void test_nothing_is_left(void **state)
{
	const struct pt_sink_ops *real = sink->ops;
	struct pt_sink_ops counting = *real;
	__u64 want = 0;

	(void)state;
	for (__u64 i = 0; i < 200; i++) {
		__u64 gfn = LOW + i % 100, mask = gfn % 5 ? ALL : 0;
		const __u8 *page = i < 100 ? page_a : page_b;

		place_piece(0, gfn, 1 + i / 100, 40, 63, mask, page);
		place_piece(0, gfn, 1 + i / 100, 0, 19, mask, page);
		place_piece(0, gfn, 1 + i / 100, 20, 39, mask, page);
		if (i >= 100 && mask)
			want += true_digest(gfn, page);
	}
	batch_flush();
	counting.read = counted_read;
	sink->ops = &counting;
	assert_true(region_digest(0) == want);
	sink->ops = real;
	assert_int_equal(read_cnt, 0);
}

/* The newer version begins before the bytes of the older one are flushed. */
static void test_newer_before_flush(void **state)
{
	(void)state;
	place_piece(0, LOW, 1, 20, 63, ALL, page_a);
	place_piece(0, LOW, 1, 0, 19, ALL, page_a);
	place_piece(0, LOW, 2, 20, 63, ALL, page_b);
	batch_flush();
	assert_false(bit_is_set(rebuild->summed, 0));
	place_piece(0, LOW, 2, 0, 19, ALL, page_b);
	batch_flush();
	assert_true(bit_is_set(rebuild->summed, 0));
	assert_digest();
	assert_content(LOW, page_b);
}

/* Pieces of a page cut anywhere, placed in any order, more than once, and again
 * in later generations, mixed with those of another page. */
static void test_any(void **state)
{
	__u64 random = 5;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		__u32 generation = 1;
		unsigned next = 0;

		for (int step = 0; step < STEPS; step++) {
			unsigned first = kit_random(&random) % 8
				? next : kit_random(&random) % 64;
			unsigned last = first + kit_random(&random) % 32;
			__u64 gfn = LOW + !(kit_random(&random) % 8);

			last = last < 63 ? last : 63;
			generation += !(kit_random(&random) % 16);
			place_piece(0, gfn, generation, first, last,
				    kit_random(&random) % 4
				    ? kit_mask(&random) : 0,
				    kit_random(&random) % 2 ? page_a : page_b);
			next = (last + 1) % 64;
			if (kit_random(&random) % 32 == 0)
				assert_digest();
		}
		assert_digest();
		rebuild_stop(NULL);
		start(NULL);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, rebuild_stop)
	const struct CMUnitTest tests[] = {
		TEST(test_next_generation_goes_on),
		TEST(test_late_piece),
		TEST(test_two_lanes),
		TEST(test_asked_in_between),
		TEST(test_zero_pieces),
		TEST(test_nothing_is_left),
		TEST(test_newer_before_flush),
		TEST(test_any),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
