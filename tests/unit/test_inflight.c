// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <errno.h>

#include "lane/inflight.h"

#define FRAMES	8
#define EXTENTS	1024

static struct pt_inflight *make(__u32 frame_cnt, __u32 extent_cnt)
{
	const struct pt_inflight_cfg cfg = { frame_cnt, extent_cnt };
	struct pt_inflight *f = NULL;

	assert_int_equal(pt_inflight_create(&f, &cfg), 0);
	assert_non_null(f);
	return f;
}

/* extent: the content of frame seq at place i, distinct for each. */
static struct pt_extent extent(__u64 seq, __u32 i)
{
	return (struct pt_extent){ seq * 1000 + i, seq + i + 1 };
}

static __u64 push(struct pt_inflight *f, __u32 desc_cnt, __u32 extent_cnt)
{
	struct pt_extent extents[PT_RECORDS_MAX];
	__u64 seq = pt_inflight_next_seq(f);

	for (__u32 i = 0; i < extent_cnt; i++)
		extents[i] = extent(seq, i);
	assert_int_equal(pt_inflight_push(f, 100 + seq, desc_cnt, seq + 1, extents,
					  extent_cnt), seq);
	/* The structure keeps a copy. */
	memset(extents, 0xee, sizeof(extents));
	assert_int_equal(pt_inflight_next_seq(f), seq + 1);
	return seq;
}

static void assert_frame(const struct pt_inflight *f, __u64 seq,
			 __u32 desc_cnt, __u32 extent_cnt)
{
	__u32 got_desc = ~0U, got_extent = ~0U;
	const struct pt_extent *at =
		pt_inflight_extents(f, seq, &got_extent, &got_desc);

	assert_non_null(at);
	assert_int_equal(got_desc, desc_cnt);
	assert_int_equal(got_extent, extent_cnt);
	for (__u32 i = 0; i < extent_cnt; i++) {
		struct pt_extent want = extent(seq, i);

		assert_memory_equal(&at[i], &want, sizeof(want));
	}
}

static void assert_unknown(const struct pt_inflight *f, __u64 seq)
{
	__u32 desc_cnt, extent_cnt;

	assert_null(pt_inflight_extents(f, seq, &extent_cnt, &desc_cnt));
}

static const struct {
	__u32 frame_cnt, extent_cnt;
	int want;
} cfgs[] = {
	{ 0, EXTENTS, -EINVAL },
	{ 3, EXTENTS, -EINVAL },
	{ FRAMES - 1, EXTENTS, -EINVAL },
	{ FRAMES, 0, -EINVAL },
	{ FRAMES, EXTENTS - 1, -EINVAL },
	{ FRAMES, 128, -EINVAL },	/* a frame and the skipped end */
	{ FRAMES, 256, 0 },
	{ 1, 256, 0 },
};

static void test_cfgs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cfgs); i++) {
		const struct pt_inflight_cfg cfg = { cfgs[i].frame_cnt,
						     cfgs[i].extent_cnt };
		struct pt_inflight *f = (void *)7;

		assert_int_equal(pt_inflight_create(&f, &cfg), cfgs[i].want);
		if (cfgs[i].want)
			assert_ptr_equal(f, (void *)7);
		else
			pt_inflight_destroy(f);
	}
	pt_inflight_destroy(NULL);
}

static void test_starts_empty(void **state)
{
	struct pt_inflight *f = make(FRAMES, EXTENTS);

	(void)state;
	assert_true(pt_inflight_is_empty(f));
	assert_true(pt_inflight_has_room(f));
	assert_int_equal(pt_inflight_next_seq(f), 0);
	assert_unknown(f, 0);
	assert_unknown(f, ~0ULL);
	assert_int_equal(pt_inflight_cum_ack(f), 0);
	assert_int_equal(pt_inflight_release(f, 0), 0);
	assert_int_equal(pt_inflight_release(f, 1), -EPROTO);
	pt_inflight_destroy(f);
}

/* The ring of frames: full is full, one released makes room for one. */
static void test_frame_ring(void **state)
{
	struct pt_inflight *f = make(FRAMES, EXTENTS);

	(void)state;
	for (__u64 seq = 0; seq < 5 * FRAMES; seq++) {
		__u64 first = seq + 1 < FRAMES ? 0 : seq + 1 - FRAMES;

		push(f, seq % 18 + 1, seq % 5);
		assert_unknown(f, first - 1);
		for (__u64 s = first; s <= seq; s++)
			assert_frame(f, s, s % 18 + 1, s % 5);
		assert_unknown(f, seq + 1);
		assert_int_equal(pt_inflight_has_room(f), seq + 1 < FRAMES);
		if (seq + 1 >= FRAMES) {
			assert_int_equal(pt_inflight_release(f, first + 1), 0);
			assert_true(pt_inflight_has_room(f));
			assert_unknown(f, first);
		}
	}
	pt_inflight_destroy(f);
}

static void test_release(void **state)
{
	struct pt_inflight *f = make(FRAMES, EXTENTS);

	(void)state;
	for (int i = 0; i < 6; i++)
		push(f, 1, 1);
	assert_int_equal(pt_inflight_release(f, 3), 0);
	assert_int_equal(pt_inflight_release(f, 3), 0);		/* again */
	assert_int_equal(pt_inflight_cum_ack(f), 3);
	assert_int_equal(pt_inflight_release(f, 2), -EPROTO);	/* backwards */
	assert_int_equal(pt_inflight_cum_ack(f), 3);
	assert_int_equal(pt_inflight_release(f, 7), -EPROTO);	/* not sent */
	assert_int_equal(pt_inflight_release(f, ~0ULL), -EPROTO);
	assert_unknown(f, 2);
	assert_frame(f, 3, 1, 1);	/* a refusal changes nothing */
	assert_frame(f, 5, 1, 1);
	assert_false(pt_inflight_is_empty(f));
	assert_int_equal(pt_inflight_release(f, 6), 0);
	assert_true(pt_inflight_is_empty(f));
	assert_unknown(f, 5);
	assert_int_equal(pt_inflight_next_seq(f), 6);
	pt_inflight_destroy(f);
}

/* The ring of extents: frames of every size, many times around.  A frame's
 * extents are never split at the ring's end. */
static void test_extent_ring(void **state)
{
	(void)state;
	for (__u32 cnt = 1; cnt <= PT_RECORDS_MAX; cnt++) {
		struct pt_inflight *f = make(1024, 512);
		__u64 released = 0;

		for (__u64 seq = 0; seq < 3 * 512; seq++) {
			while (!pt_inflight_has_room(f))
				assert_int_equal(pt_inflight_release(f,
						 ++released), 0);
			push(f, 1, cnt);
			assert_frame(f, seq, 1, cnt);
			assert_frame(f, released, 1, cnt);
		}
		/* The capacity is close to the nominal one. */
		assert_true((pt_inflight_next_seq(f) - released) * cnt >=
			    512 - 3 * PT_RECORDS_MAX);
		pt_inflight_destroy(f);
	}
}

/* Extents alone fill it up; space is free again when the last blocking frame
 * was released. */
static void test_extents_full(void **state)
{
	struct pt_inflight *f = make(1024, 256);

	(void)state;
	push(f, 1, 64);
	assert_true(pt_inflight_has_room(f));	/* 64 + 2 * 96 = 256 */
	push(f, 1, 65);
	assert_false(pt_inflight_has_room(f));
	assert_int_equal(pt_inflight_release(f, 1), 0);
	assert_false(pt_inflight_has_room(f));	/* 65 */
	assert_int_equal(pt_inflight_release(f, 2), 0);
	assert_true(pt_inflight_has_room(f));
	push(f, 1, PT_RECORDS_MAX);
	assert_false(pt_inflight_has_room(f));
	assert_frame(f, 2, 1, PT_RECORDS_MAX);
	assert_int_equal(pt_inflight_release(f, 3), 0);
	push(f, 1, PT_RECORDS_MAX);		/* 225: over the ring's end */
	assert_frame(f, 3, 1, PT_RECORDS_MAX);
	pt_inflight_destroy(f);
}

/* A frame whose extents end where the ring does skips nothing. */
static void test_extents_to_the_end(void **state)
{
	struct pt_inflight *f = make(1024, 256);

	(void)state;
	for (int i = 0; i < 4; i++) {
		push(f, 1, 56);
		assert_int_equal(pt_inflight_release(f, i + 1), 0);
	}
	push(f, 1, 32);				/* 224 .. 255 */
	push(f, 1, 32);				/* 0 .. 31 */
	assert_true(pt_inflight_has_room(f));
	assert_frame(f, 4, 1, 32);
	assert_frame(f, 5, 1, 32);
	push(f, 1, 1);
	assert_false(pt_inflight_has_room(f));
	pt_inflight_destroy(f);
}

static struct pt_inflight *victim;

static void push_full(void)
{
	struct pt_extent one = { 1, 1 };

	pt_inflight_push(victim, 1, 1, 0, &one, 1);
}

static void push_too_many(void)
{
	struct pt_extent many[PT_RECORDS_MAX + 1] = { 0 };

	pt_inflight_push(victim, 1, 1, 0, many, PT_RECORDS_MAX + 1);
}

static void test_misuse(void **state)
{
	(void)state;
	victim = make(1, 256);
	assert_true(kit_aborts(push_too_many));
	assert_false(kit_aborts(push_full));	/* it is not yet */
	push(victim, 1, 1);
	assert_true(kit_aborts(push_full));
	pt_inflight_destroy(victim);
}

/* model: every frame ever pushed, without a ring. */
#define MODEL_FRAMES	400000

static void test_model(void **state)
{
	static __u8 desc_cnts[MODEL_FRAMES], extent_cnts[MODEL_FRAMES];
	struct pt_inflight *f = make(64, EXTENTS);
	__u64 cum_ack = 0, next = 0, random = 11;
	__u64 refused = 0, full = 0;

	(void)state;
	while (next < MODEL_FRAMES) {
		__u64 at = kit_random(&random);
		__u64 seq;

		switch (at % 8) {
		case 0:		/* release, often nonsense */
			at = cum_ack - 3 + kit_random(&random) %
					(next - cum_ack + 6);
			refused += at < cum_ack || at > next;
			assert_int_equal(pt_inflight_release(f, at),
					 at < cum_ack || at > next ? -EPROTO : 0);
			if (at >= cum_ack && at <= next)
				cum_ack = at;
			break;
		case 1:		/* look at one */
		case 2:
			seq = cum_ack - 3 + kit_random(&random) %
					 (next - cum_ack + 6);
			if (seq >= cum_ack && seq < next)
				assert_frame(f, seq, desc_cnts[seq],
					     extent_cnts[seq]);
			else
				assert_unknown(f, seq);
			break;
		default:
			if (!pt_inflight_has_room(f)) {
				full++;
				break;
			}
			assert_true(next - cum_ack < 64);
			desc_cnts[next] = 1 + kit_random(&random) % 37;
			extent_cnts[next] = kit_random(&random) %
					    (PT_RECORDS_MAX + 1);
			push(f, desc_cnts[next], extent_cnts[next]);
			next++;
		}
		assert_int_equal(pt_inflight_next_seq(f), next);
		assert_int_equal(pt_inflight_is_empty(f), next == cum_ack);
	}
	/* All of it happened. */
	assert_true(refused > 1000 && full > 1000);
	pt_inflight_destroy(f);
}

/* Only frames that were not lost have arrived; frames not in flight do not
 * count. */
static void test_lost_and_came(void **state)
{
	struct pt_inflight *f = make(FRAMES, EXTENTS);

	(void)state;
	assert_int_equal(pt_inflight_came(f, 0), 0);
	for (int i = 0; i < 4; i++)
		push(f, 1, 1);
	assert_int_equal(pt_inflight_came(f, 0), 0);
	assert_int_equal(pt_inflight_came(f, 3), 102);
	assert_int_equal(pt_inflight_came(f, ~0ULL), 103);
	assert_int_equal(pt_inflight_lost(f, 2), 102);
	assert_int_equal(pt_inflight_came(f, 3), 101);
	assert_int_equal(pt_inflight_release(f, 2), 0);
	assert_int_equal(pt_inflight_came(f, 3), 0);
	assert_int_equal(pt_inflight_came(f, 4), 103);
	pt_inflight_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_and_came),
		cmocka_unit_test(test_cfgs),
		cmocka_unit_test(test_starts_empty),
		cmocka_unit_test(test_frame_ring),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_extent_ring),
		cmocka_unit_test(test_extents_full),
		cmocka_unit_test(test_extents_to_the_end),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
