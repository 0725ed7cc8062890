// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Memory that is in use before all of it has come: a lacking page has the digest 0, comes
 * whole, is digested as it came, and nothing of the memory is read any more. */
#include "rebuild_kit.h"

#include "sink/sink_ops.h"
#include "sink/sink_whole.h"

#define CNT	600		/* pages, from FIRST on */
#define FIRST	16
#define LACKING	40		/* pages from FIRST + 500 on: across a region's border */
#define LACKS_AT 500

static __u8 memory[CNT][PT_PAGE_SZ];
static __u8 pages[CNT][PT_PAGE_SZ];	/* of the source */
static bool lacks[CNT];
static unsigned int zero_cnt, lost_cnt, read_cnt;
static bool fills;
static struct pt_sink fake;
static struct pt_error err;

static int fake_fit(struct pt_sink *s, const struct pt_layout *l, struct pt_error *e)
{
	(void)l;
	(void)e;
	s->sz = sizeof(memory);
	return 0;
}

static int fake_place(struct pt_sink *s, __u64 off, struct iovec *pieces, __u32 cnt,
		      __u64 sz, struct pt_error *e)
{
	(void)s;
	(void)sz;
	(void)e;
	assert_false(fills);
	for (__u32 i = 0; i < cnt; off += pieces[i++].iov_len)
		memcpy((__u8 *)memory + off, pieces[i].iov_base, pieces[i].iov_len);
	return 0;
}

static int fake_complete(struct pt_sink *s, __u64 off, const void *page,
			 struct pt_error *e)
{
	(void)s;
	(void)e;
	assert_true(lacks[off / PT_PAGE_SZ]);
	lacks[off / PT_PAGE_SZ] = false;
	memcpy((__u8 *)memory + off, page, PT_PAGE_SZ);
	return 0;
}

static int fake_zero(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *e)
{
	(void)s;
	(void)e;
	for (__u64 page = off / PT_PAGE_SZ; fills && page < (off + sz) / PT_PAGE_SZ; page++)
		lacks[page] = false;
	zero_cnt += sz / PT_PAGE_SZ;
	memset((__u8 *)memory + off, 0, sz);
	return 0;
}

static int fake_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		     struct pt_error *e)
{
	(void)s;
	(void)e;
	assert_false(fills);
	read_cnt++;
	memcpy(to, (__u8 *)memory + off, sz);
	return 0;
}

static int fake_check_marks(const struct pt_sink *s, struct pt_error *e)
{
	(void)s;
	(void)e;
	return 0;
}

static int fake_lack(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *e)
{
	(void)s;
	(void)e;
	for (__u64 page = off / PT_PAGE_SZ; page < (off + sz) / PT_PAGE_SZ; page++)
		lacks[page] = true;
	return 0;
}

static int fake_lose(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *e)
{
	(void)s;
	(void)e;
	lacks[off / PT_PAGE_SZ] = false;
	lost_cnt += sz / PT_PAGE_SZ;
	return 0;
}

static const struct pt_sink_ops whole_ops = {
	.complete = fake_complete, .zero = fake_zero, .read = fake_read,
	.lose = fake_lose, .check_marks = fake_check_marks,
};

static int fake_fill(struct pt_sink *s, struct pt_error *e)
{
	(void)e;
	fills = true;
	s->ops = &whole_ops;
	return pt_sink_whole_create(&s->whole, s->sz);
}

static const struct pt_sink_ops ops = {
	.fit = fake_fit, .place = fake_place, .zero = fake_zero, .read = fake_read,
	.lack = fake_lack, .fill = fake_fill,
};

/* place_cut places page i of the source, in frames that each have a piece of it, in this
 * order, or the last one first. */
static void place_cut(__u32 i, __u32 generation, bool backwards)
{
	static __u8 frames[8][FRAME_SZ_MAX] __attribute__((aligned(64)));
	__u32 sz[8], cnt = 0;

	for (unsigned int at = 0; at < 64; cnt++) {
		struct pt_builder b = page_builder(1280);

		at = pt_builder_add_page(&b, FIRST + i, at, ~0ULL, pages[i]);
		sz[cnt] = frame_close(&b, generation, 0);
		memcpy(frames[cnt], frame, sz[cnt]);
	}
	assert_true(cnt > 2);
	/* The last block of each is in two spans, and flushed by itself. */
	for (__u32 n = 0; n < cnt; n++) {
		__u32 at = backwards ? cnt - 1 - n : n;

		batch_place(frames[at], sz[at], sz[at] - 32);
		batch_flush();
	}
}

static int start(void **state)
{
	const struct pt_segment segment = { "ram", FIRST, sizeof(memory) };
	__u64 random = 5;

	(void)state;
	fake = (struct pt_sink){ .ops = &ops, .starts_zero = true };
	fills = false;
	zero_cnt = lost_cnt = read_cnt = 0;
	memset(memory, 0, sizeof(memory));
	memset(lacks, 0, sizeof(lacks));
	memset(&sum, 0, sizeof(sum));
	assert_int_equal(pt_layout_create(&layout, &segment, 1, &err), 0);
	assert_int_equal(pt_sink_fit(&fake, layout, &err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, &fake, KEY), 0);
	for (__u32 i = 0; i < CNT; i++) {
		kit_fill(pages[i], PT_PAGE_SZ, &random);
		place_page(FIRST + i, ~0ULL, pages[i], 1);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	pt_rebuild_destroy(rebuild);
	pt_sink_whole_free(fake.whole);
	pt_layout_free(layout);
	return 0;
}

/* sums compares both regions' digests with those of the source, in which the pages that
 * lack count as zero. */
static void sums(void)
{
	for (__u32 r = 0; r < 2; r++) {
		__u64 want = 0;

		for (__u32 i = r * PT_REGION_PAGES;
		     i < (r + 1) * PT_REGION_PAGES && i < CNT; i++)
			if (!lacks[i])
				want += true_digest(FIRST + i, pages[i]);
		assert_int_equal(region_digest(r), want);
	}
}

/* hand_over has the pages lack, and the memory be in use from then on. */
static void hand_over(void)
{
	assert_int_equal(pt_rebuild_lack(rebuild, LACKS_AT, LACKING, &err), 0);
	for (__u32 r = 0; r < 2; r++)
		assert_int_equal(pt_rebuild_settle(rebuild, r, &err), 0);
	sums();
	assert_int_equal(pt_rebuild_fill(rebuild, &err), 0);
	memset(memory, 0x77, sizeof(memory));	/* its owner changes all of it */
	sums();
}

static void test_comes(void **state)
{
	(void)state;
	place_cut(7, 2, true);		/* read once it is whole, not later */
	assert_int_equal(read_cnt, 1);
	hand_over();
	assert_int_equal(read_cnt, 1);
	for (__u32 i = LACKS_AT; i < LACKS_AT + LACKING; i++)
		place_cut(i, 3, i % 2);
	for (__u32 i = 0; i < CNT; i++)
		assert_false(lacks[i]);
	assert_memory_equal(memory[LACKS_AT], pages[LACKS_AT], LACKING * PT_PAGE_SZ);
	sums();
	assert_int_equal(read_cnt, 1);
	assert_int_equal(counts.refused, 0);
}

static void test_zero_and_lost(void **state)
{
	struct pt_builder b = page_builder(9000);
	__u64 want;

	(void)state;
	hand_over();
	want = region_digest(0);
	place_zero_run(FIRST + LACKS_AT, 2, 3);
	assert_int_equal(zero_cnt, 2);
	assert_int_equal(region_digest(0), want);
	assert_true(pt_builder_add_unreadable(&b, FIRST + LACKS_AT + 2, 1));
	frame_place(frame, frame_close(&b, 3, 0));
	assert_int_equal(lost_cnt, 1);
	assert_false(lacks[LACKS_AT + 2]);
	assert_int_equal(region_digest(0),
			 want + pt_digest_unreadable(FIRST + LACKS_AT + 2));
}

/* A copy's original, or a delta's base, may be other by now. */
static void test_refuses(void **state)
{
	struct pt_builder b = page_builder(9000);

	(void)state;
	hand_over();
	assert_true(pt_builder_add_copy(&b, FIRST + LACKS_AT, FIRST, 1));
	frame_place(frame, frame_close(&b, 2, 0));
	b = page_builder(9000);
	assert_true(pt_builder_add_delta(&b, FIRST + 1, 1, 1, pages[2]));
	frame_place(frame, frame_close(&b, 2, 1));
	assert_int_equal(counts.refused, 2);
	assert_true(lacks[LACKS_AT]);
	sums();
}

/* A page that never came, and one of other bytes, are found by what was digested. */
static void test_differs(void **state)
{
	__u64 digests[PT_REGION_PAGES];

	(void)state;
	hand_over();
	place_page(FIRST + LACKS_AT, ~0ULL, pages[0], 2);
	assert_int_equal(pt_rebuild_page_digests(rebuild, 0, digests, &err),
			 PT_REGION_PAGES);
	assert_int_equal(digests[3], true_digest(FIRST + 3, pages[3]));
	assert_int_equal(digests[LACKS_AT], true_digest(FIRST + LACKS_AT, pages[0]));
	assert_int_equal(digests[LACKS_AT + 1], 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes),
		TEST(test_zero_and_lost),
		TEST(test_refuses),
		TEST(test_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
