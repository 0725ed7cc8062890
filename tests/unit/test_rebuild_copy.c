// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Copies of pages: they hold the original's content at that moment, if it was
 * whole, and in the named version. */
#include "rebuild_kit.h"

static __u8 zeroes[PT_PAGE_SZ];
static __u8 page_a[PT_PAGE_SZ], page_b[PT_PAGE_SZ];	/* no zero block */
static __u8 page_c[PT_PAGE_SZ];		/* page_a as LAST can hold it */
static __u8 page_head[PT_PAGE_SZ], page_tail[PT_PAGE_SZ];	/* of page_a, the
							 * rest of page_b */

#define A page_a
#define B page_b
#define C page_c
#define HEAD page_head
#define TAIL page_tail
#define Z zeroes
#define LAST (HIGH + HIGH_CNT - 1)	/* of which 100 bytes are missing */

/* step: the content of one record. */
struct step {
	enum { END, PAGE, ZERO_RUN, COPY_OF } what;
	__u64 gfn;
	__u32 generation;
	unsigned first, last;	/* blocks, of PAGE */
	__u64 mask;		/* of PAGE */
	__u32 cnt;		/* pages of ZERO_RUN; 0: one */
	const __u8 *content;	/* of PAGE */
	__u64 original;		/* of COPY_OF */
	__u32 version;		/* of COPY_OF; 0: that of the last step */
	bool is_stale;
	bool is_refused;
};

#define STEP(kind, page, g, ...) \
	{ .what = kind, .gfn = page, .generation = g, __VA_ARGS__ }
#define DATA(gfn, g, bytes) \
	STEP(PAGE, gfn, g, .last = 63, .mask = ~0ULL, .content = bytes)
#define PIECE(gfn, g, bytes) \
	STEP(PAGE, gfn, g, .last = 19, .mask = 0xfffff, .content = bytes)
#define REST(gfn, g, bytes) \
	STEP(PAGE, gfn, g, .first = 20, .last = 63, .mask = ~0xfffffULL, \
	     .content = bytes)
#define NO_DATA(gfn, g)		STEP(PAGE, gfn, g, .last = 63)
#define ZEROES(gfn, g)		STEP(ZERO_RUN, gfn, g, .last = 63)
#define COPY(gfn, g, of)	STEP(COPY_OF, gfn, g, .original = of)
#define STALE_COPY(gfn, g, of) \
	STEP(COPY_OF, gfn, g, .original = of, .is_stale = true)
#define COPY_V(gfn, g, of, v)	STEP(COPY_OF, gfn, g, .original = of, .version = v)
#define NO_COPY(gfn, g, of, v)	STEP(COPY_OF, gfn, g, .original = of, \
				     .version = v, .is_refused = true)

/* Each row: steps, and the pages' content after them. */
static const struct row {
	const char *name;
	struct step steps[6];
	struct {
		__u64 gfn;
		const __u8 *content;	/* NULL: it is a hole, too */
	} want[4];
} rows[] = {
	{ "a page", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
	}, { { LOW, A }, { LOW + 1, A }, { LOW + 2, NULL } } },
	{ "of one behind it", {
		DATA(LOW + 9, 1, A), COPY(LOW, 1, LOW + 9),
	}, { { LOW, A }, { LOW + 9, A } } },
	{ "of another segment", {
		DATA(HIGH + 512, 1, A),
		COPY(LOW + 512, 1, HIGH + 512),
	}, { { LOW + 512, A }, { MID, NULL }, { LOW + 511, NULL } } },
	{ "of a newer one", {
		DATA(LOW, 7, A), COPY(LOW + 1, 1, LOW),
	}, { { LOW + 1, A } } },
	{ "of one that was never spoken of", {
		NO_COPY(LOW + 1, 1, LOW, 1),
	}, { { LOW, NULL }, { LOW + 1, NULL } } },
	{ "of one that was never spoken of, as of version 2^24", {
		NO_COPY(LOW + 1, 1, LOW, 1 << 24),
	}, { { LOW, NULL }, { LOW + 1, NULL } } },
	{ "of an older version than there is", {
		DATA(LOW, 2, A), DATA(LOW + 1, 1, B), NO_COPY(LOW + 1, 2, LOW, 1),
	}, { { LOW, A }, { LOW + 1, B } } },
	{ "of a newer version than there is", {
		DATA(LOW, 2, A), DATA(LOW + 1, 1, B), NO_COPY(LOW + 1, 3, LOW, 3),
	}, { { LOW, A }, { LOW + 1, B } } },
	{ "of a version that differs in its 24th bit", {
		DATA(LOW, 2, A), NO_COPY(LOW + 1, 2, LOW, 2 | 1 << 23),
	}, { { LOW, A }, { LOW + 1, NULL } } },
	{ "of a version of more than 24 bits", {
		DATA(LOW, 5 | 1 << 25, A), COPY_V(LOW + 1, 1 << 26, LOW, 5),
	}, { { LOW, A }, { LOW + 1, A } } },
	{ "refused, and then of the right version", {
		DATA(LOW, 2, A), NO_COPY(LOW + 1, 2, LOW, 1), COPY(LOW + 1, 2, LOW),
	}, { { LOW, A }, { LOW + 1, A } } },
	{ "refused under a newer page: stale", {
		DATA(LOW, 1, A), DATA(LOW + 1, 3, B),
		STEP(COPY_OF, LOW + 1, 2, .original = LOW, .version = 9,
		     .is_stale = true),
	}, { { LOW + 1, B } } },
	{ "of a zero run of the region", {
		STEP(ZERO_RUN, MID, 1, .cnt = MID_CNT), DATA(LOW, 1, A),
		COPY(LOW, 2, MID + 3),
	}, { { LOW, Z }, { MID + 3, NULL } } },
	{ "of a zero run of the region, of another version", {
		STEP(ZERO_RUN, MID, 2, .cnt = MID_CNT), DATA(LOW, 1, A),
		NO_COPY(LOW, 2, MID + 3, 1),
	}, { { LOW, A }, { MID + 3, NULL } } },
	{ "of a zero run", {
		ZEROES(LOW, 1), COPY(LOW + 1, 1, LOW),
	}, { { LOW, NULL }, { LOW + 1, NULL } } },
	{ "of a page without blocks", {
		NO_DATA(LOW, 1), COPY(LOW + 1, 1, LOW),
	}, { { LOW, NULL }, { LOW + 1, NULL } } },
	{ "of one that was cleared", {
		DATA(LOW, 1, A), ZEROES(LOW, 2),
		COPY(LOW + 1, 1, LOW),
	}, { { LOW, Z }, { LOW + 1, NULL } } },
	{ "of zero bytes sent as data", {
		DATA(LOW, 1, Z), COPY(LOW + 1, 1, LOW),
	}, { { LOW, Z }, { LOW + 1, Z } } },
	{ "over an older page", {
		DATA(LOW, 1, A), DATA(LOW + 1, 1, B),
		COPY(LOW + 1, 2, LOW),
	}, { { LOW + 1, A } } },
	{ "over an older page, of a hole", {
		ZEROES(LOW, 1), DATA(LOW + 1, 1, B), COPY(LOW + 1, 2, LOW),
	}, { { LOW + 1, Z }, { LOW, NULL } } },
	{ "under a newer page", {
		DATA(LOW, 1, A), DATA(LOW + 1, 3, B),
		STALE_COPY(LOW + 1, 2, LOW),
	}, { { LOW + 1, B } } },
	{ "under a newer zero run", {
		DATA(LOW, 1, A), ZEROES(LOW + 1, 3),
		STALE_COPY(LOW + 1, 2, LOW),
	}, { { LOW + 1, NULL } } },
	{ "over a page as old", {
		DATA(LOW, 1, A), DATA(LOW + 1, 1, B),
		COPY(LOW + 1, 1, LOW),
	}, { { LOW + 1, A } } },
	{ "over a page as old, of a hole", {
		ZEROES(LOW, 1), DATA(LOW + 1, 1, B), COPY(LOW + 1, 1, LOW),
	}, { { LOW + 1, Z } } },
	{ "over pieces as old", {
		DATA(LOW, 1, A), PIECE(LOW + 1, 1, B),
		COPY(LOW + 1, 1, LOW),
	}, { { LOW + 1, A } } },
	{ "over pieces as old, of a hole, and more of them", {
		ZEROES(LOW, 1), PIECE(LOW + 1, 1, B), COPY(LOW + 1, 1, LOW),
		REST(LOW + 1, 1, C), REST(LOW + 1, 1, Z),
	}, { { LOW + 1, Z } } },
	{ "over pieces as old, and more of them", {
		DATA(LOW, 1, A), PIECE(LOW + 1, 1, B), COPY(LOW + 1, 1, LOW),
		REST(LOW + 1, 1, A),
	}, { { LOW + 1, A } } },
	{ "under newer data", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
		DATA(LOW + 1, 2, B),
	}, { { LOW, A }, { LOW + 1, B } } },
	{ "under a newer zero run, later", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
		ZEROES(LOW + 1, 2),
	}, { { LOW, A }, { LOW + 1, Z } } },
	{ "of what is older by then", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
		DATA(LOW, 2, B),
	}, { { LOW, B }, { LOW + 1, A } } },
	{ "of what is other data as old by then", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
		DATA(LOW, 1, B),
	}, { { LOW, B }, { LOW + 1, A } } },
	{ "of what was replaced", {
		DATA(LOW, 1, A), DATA(LOW, 2, B),
		COPY(LOW + 1, 2, LOW),
	}, { { LOW + 1, B } } },
	{ "of the head of a page", {
		DATA(LOW, 1, B), PIECE(LOW, 2, A), NO_COPY(LOW + 1, 2, LOW, 2),
	}, { { LOW, HEAD }, { LOW + 1, NULL } } },
	{ "of the tail of a page", {
		DATA(LOW, 1, B), REST(LOW, 2, A), NO_COPY(LOW + 1, 2, LOW, 2),
	}, { { LOW, TAIL }, { LOW + 1, NULL } } },
	{ "of what the head of a page was", {
		DATA(LOW, 1, B), PIECE(LOW, 2, A), NO_COPY(LOW + 1, 2, LOW, 1),
	}, { { LOW, HEAD }, { LOW + 1, NULL } } },
	{ "of pieces that came the other way round", {
		DATA(LOW, 1, B), REST(LOW, 2, A), PIECE(LOW, 2, A),
		COPY(LOW + 1, 2, LOW),
	}, { { LOW, A }, { LOW + 1, A } } },
	{ "of a copy of a copy", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
		COPY(LOW + 2, 1, LOW + 1),
		COPY(LOW + 3, 1, LOW + 2),
	}, { { LOW + 1, A }, { LOW + 2, A }, { LOW + 3, A } } },
	{ "two of each other", {
		DATA(LOW, 1, A), DATA(LOW + 1, 1, B),
		COPY(LOW, 2, LOW + 1),
		COPY(LOW + 1, 2, LOW),
	}, { { LOW, B }, { LOW + 1, B } } },
	{ "again", {
		DATA(LOW, 1, A), COPY(LOW + 1, 1, LOW),
		DATA(LOW, 2, B), COPY(LOW + 1, 1, LOW),
	}, { { LOW + 1, B } } },
	{ "a page that memory has a part of", {
		DATA(LOW, 1, A), COPY(LAST, 1, LOW),
	}, { { LAST, C } } },
	{ "of a page that memory has a part of", {
		DATA(LAST, 1, C), COPY(LAST - 1, 1, LAST),
	}, { { LAST, C }, { LAST - 1, C } } }
};

/* --- placing --------------------------------------------------------- */

static void stage(struct pt_builder *b, const struct step *s, __u32 version)
{
	switch (s->what) {
	case PAGE:
		assert_int_equal(pt_builder_add_page(b, s->gfn, s->first,
						     s->mask, s->content), 64);
		b->records[b->record_cnt - 1].last = s->last;
		break;
	case ZERO_RUN:
		assert_true(pt_builder_add_zeroes(b, s->gfn,
						  s->cnt ? s->cnt : 1));
		break;
	case COPY_OF:
		assert_true(pt_builder_add_copy(b, s->gfn, s->original,
						version));
		break;
	case END:
		fail();
	}
}

/* version_of returns the version of a step's original after the earlier
 * steps. */
static __u32 version_of(const struct row *row, const struct step *s)
{
	__u32 version = 0;

	for (const struct step *at = row->steps; at < s; at++)
		if (at->gfn <= s->original && !at->is_stale &&
		    s->original < at->gfn + (at->cnt ? at->cnt : 1))
			version = at->generation;
	return s->version ? s->version : version;
}

static void place(const struct row *row, const struct step *s)
{
	struct pt_builder b = page_builder(9000);
	__u64 stale = counts.stale, placed = counts.placed;
	__u64 refused = counts.refused;

	stage(&b, s, version_of(row, s));
	batch_place(frame, frame_close(&b, s->generation, 0), 3840);
	assert_int_equal(counts.stale, stale + s->is_stale);
	assert_int_equal(counts.placed, placed + !(s->is_stale || s->is_refused));
	assert_int_equal(counts.refused, refused + s->is_refused);
	assert_int_equal(refusals.cnt, s->is_refused);
	if (s->is_refused)
		assert_true(refusals.pages[0] ==
			    pt_record_copy_of(s->gfn, s->generation));
}

/* --- judging --------------------------------------------------------- */

/* assert_digests: each region's digest is that of its pages. */
static void assert_digests(void)
{
	__u64 digests[PT_REGION_PAGES];

	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++) {
		int cnt = pt_rebuild_page_digests(rebuild, r, digests, NULL);
		__u64 want = 0;

		assert_true(cnt > 0);
		while (cnt)
			want += digests[--cnt];
		assert_int_equal(region_digest(r), want);
	}
}

static void assert_want(const struct row *row)
{
	for (size_t i = 0; i < COUNT_OF(row->want) && row->want[i].gfn; i++) {
		const __u8 *content = row->want[i].content;

		assert_int_equal(sink_is_hole(row->want[i].gfn), !content);
		assert_content(row->want[i].gfn, content ? content : zeroes);
	}
	assert_digests();
}

/* Flushed after each record, and once at the end: staged data counts. */
static void test_row(void **state)
{
	const struct row *row = *state;

	for (int at_once = 0; at_once < 2; at_once++) {
		for (size_t i = 0; row->steps[i].what; i++) {
			place(row, &row->steps[i]);
			if (!at_once)
				batch_flush();
		}
		batch_flush();
		assert_want(row);
		rebuild_stop(NULL);
		rebuild_start(NULL);
	}
}

/* --- many ------------------------------------------------------------ */

#define MANY	(PT_SINK_RUN_COPIES * 2 + 10)

static __u8 many[2 * MANY][PT_PAGE_SZ];	/* the content of LOW and later pages */

/* More than a run keeps, in one frame; with data between them, too: their
 * originals lie behind them, and some are copies of that frame. */
static void test_many(void **state)
{
	__u64 random = 9;

	(void)state;
	for (__u32 i = 0; i < MANY; i++) {
		kit_fill(many[MANY + i], PT_PAGE_SZ, &random);
		place_page(LOW + MANY + i, ~0ULL, many[MANY + i], 1);
	}
	for (__u32 step = MANY; step; step /= 3) {
		struct pt_builder b = page_builder(65535);

		for (__u32 i = 0; i < MANY; i++) {
			bool is_own = step < MANY && i >= MANY / 2;
			__u32 original = is_own ? i - step
						: MANY + i * 7 % MANY;

			if (step < MANY && i % 16 == 5) {
				pt_builder_add_page(&b, LOW + i, 0, ~0ULL, A);
				memcpy(many[i], A, PT_PAGE_SZ);
				continue;
			}
			assert_true(pt_builder_add_copy(&b, LOW + i,
							LOW + original,
							is_own ? 100 - step : 1));
			memcpy(many[i], many[original], PT_PAGE_SZ);
		}
		frame_place(frame, frame_close(&b, 100 - step, 0));
		for (__u32 i = 0; i < 2 * MANY; i++)
			assert_content(LOW + i, many[i]);
		assert_digests();
	}
}

/* --- another queue's pages, by a faulty sender -------------------------- */

/* The digested bytes are the written ones, whatever the other queue writes
 * before that. */
static void test_of_another_queue(void **state)
{
	struct pt_builder b = page_builder(9000);
	static struct pt_sink_run other;
	struct kit_spans s;
	struct pt_reader r;

	(void)state;
	place_page(LOW, ~0ULL, A, 1);
	assert_true(pt_builder_add_copy(&b, HIGH, LOW, 1));
	frame_open(&r, &s, frame, frame_close(&b, 1, 0), 9999);
	assert_int_equal(pt_rebuild_place(rebuild, &other, &sum, &refusals, &r, &counts,
					  NULL), 0);
	place_page(LOW, ~0ULL, B, 2);
	assert_int_equal(pt_rebuild_flush(rebuild, &other, &sum, NULL), 0);
	kit_free(&s);
	assert_content(LOW, B);
	assert_content(HIGH, A);
	assert_digests();
}

/* --- originals that do not exist -------------------------------------- */

static const struct original {
	const char *name;
	__u64 gfn;
	bool ok;
} originals[] = {
	{ "original: first page", LOW, true },
	{ "original: below the first", LOW - 1, false },
	{ "original: page 0", 0, false },
	{ "original: last page before the gap", MID + MID_CNT - 1, true },
	{ "original: first page of the gap", MID + MID_CNT, false },
	{ "original: last page of the gap", HIGH - 1, false },
	{ "original: first page behind the gap", HIGH, true },
	{ "original: last page", LAST, true },
	{ "original: behind the last", LAST + 1, false },
	{ "original: padding in the last region", HIGH + 1023, false },
	{ "original: highest page there can be", PT_GFN_MAX, false },
};

/* The frame is refused whole, whatever its other records. */
static void test_original(void **state)
{
	const struct original *row = *state;
	struct pt_builder b = page_builder(9000);
	struct kit_spans s;
	struct pt_reader r;

	assert_int_equal(pt_builder_add_page(&b, LOW + 1, 0, ~0ULL, A), 64);
	assert_true(pt_builder_add_copy(&b, LOW + 2, row->gfn, 1));
	assert_int_equal(pt_builder_add_page(&b, LOW + 3, 0, ~0ULL, A), 64);
	frame_open(&r, &s, frame, frame_close(&b, 1, 0), 9999);
	assert_int_equal(pt_rebuild_check(rebuild, &r), row->ok);
	assert_int_equal(scratch_blocks(OUT ".partial"), 0);
	kit_free(&s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rebuild_start, \
						 rebuild_stop)
#define FIXED	2

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(originals) + FIXED] = {
		TEST(test_many),
		TEST(test_of_another_queue),
	};
	__u64 random = 3;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			rows[i].name, test_row, rebuild_start, rebuild_stop,
			(void *)&rows[i],
		};
	for (size_t i = 0; i < COUNT_OF(originals); i++)
		tests[FIXED + COUNT_OF(rows) + i] = (struct CMUnitTest){
			originals[i].name, test_original, rebuild_start,
			rebuild_stop, (void *)&originals[i],
		};
	if (scratch_mount())
		return 1;
	kit_fill(page_a, sizeof(page_a), &random);
	kit_fill(page_b, sizeof(page_b), &random);
	memcpy(page_c, page_a, PT_PAGE_SZ - 100);
	memcpy(page_head, page_b, PT_PAGE_SZ);
	memcpy(page_head, page_a, 20 * PT_BLOCK_SZ);
	memcpy(page_tail, page_b, PT_PAGE_SZ);
	memcpy(page_tail + 20 * PT_BLOCK_SZ, page_a + 20 * PT_BLOCK_SZ,
	       44 * PT_BLOCK_SZ);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
