// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rebuild_kit.h"

#include "guard_again.h"

static const __u8 zeroes[PT_PAGE_SZ];
static __u8 page_a[PT_PAGE_SZ], page_b[PT_PAGE_SZ];	/* no zero block */
static __u8 other[PT_PAGE_SZ];

static void fill_pages(void)
{
	__u64 random = 3;

	kit_fill(page_a, sizeof(page_a), &random);
	kit_fill(page_b, sizeof(page_b), &random);
}

/* masked makes other: page's blocks that are in mask, else zero. */
static const __u8 *masked(const __u8 *page, __u64 mask)
{
	for (int b = 0; b < 64; b++)
		if (mask >> b & 1)
			memcpy(other + b * 64, page + b * 64, 64);
		else
			memset(other + b * 64, 0, 64);
	return other;
}

static __u64 region_of(__u64 gfn)
{
	__u64 page_idx;

	assert_true(pt_layout_find(layout, gfn, &page_idx));
	return page_idx / PT_REGION_PAGES;
}

static void assert_region(__u64 gfn, __u64 digest)
{
	assert_int_equal(region_digest(region_of(gfn)), digest);
}

static void assert_counts(__u64 placed, __u64 stale, __u64 blocks)
{
	assert_int_equal(counts.placed, placed);
	assert_int_equal(counts.stale, stale);
	assert_int_equal(counts.bytes, blocks * PT_BLOCK_SZ);
}

/* --- one page -------------------------------------------------------- */

static void test_starts_empty(void **state)
{
	__u64 digests[PT_REGION_PAGES];

	(void)state;
	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++) {
		__u32 cnt = pt_layout_region(layout, r, NULL);

		assert_int_equal(region_digest(r), 0);
		memset(digests, 0xee, sizeof(digests));
		assert_int_equal(pt_rebuild_page_digests(rebuild, r, digests,
							 NULL), cnt);
		for (__u32 i = 0; i < cnt; i++)
			assert_int_equal(digests[i], 0);
	}
	assert_int_equal(scratch_blocks(OUT ".partial"), 0);
	pt_rebuild_destroy(NULL);
}

/* Every place of a block, alone and with all others. */
static void test_masks(void **state)
{
	__u32 generation = 1;
	__u64 random = 5;

	(void)state;
	for (int i = 0; i < 500; i++) {
		__u64 mask = i < 64 ? 1ULL << i : i < 128 ? ~(1ULL << i % 64)
			   : kit_mask(&random);

		place_page(LOW + 7, mask, page_a, generation++);
		assert_content(LOW + 7, masked(page_a, mask));
		assert_region(LOW, true_digest(LOW + 7, other));
	}
	assert_content(LOW + 6, zeroes);
	assert_content(LOW + 8, zeroes);
}

/* First and last page of each segment: where they belong, and nowhere else. */
static void test_segment_ends(void **state)
{
	static const __u64 ends[] = {
		LOW, LOW + LOW_CNT - 1, MID, MID + MID_CNT - 1, HIGH,
		HIGH + 511, HIGH + 512, HIGH + HIGH_CNT - 2,
	};
	__u64 digests[PT_REGION_PAGES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		page_a[0] = i;
		place_page(ends[i], ~0ULL, page_a, 1);
	}
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		page_a[0] = i;
		assert_content(ends[i], page_a);
		pt_rebuild_page_digests(rebuild, region_of(ends[i]), digests,
					NULL);
		assert_int_equal(digests[(ends[i] < MID ? ends[i] - LOW :
					  ends[i] < HIGH ? ends[i] - MID :
					  ends[i] - HIGH) % 512],
				 true_digest(ends[i], page_a));
	}
	assert_int_equal(scratch_blocks(OUT ".partial"),
			 COUNT_OF(ends) * PT_PAGE_SZ);
	/* The last page, of which the memory has only a part. */
	place_page(HIGH + HIGH_CNT - 1, 0x1, page_a, 1);
	assert_content(HIGH + HIGH_CNT - 1, masked(page_a, 0x1));
}

/* pieces: page_a cut for MTU 1280, in generation 2, on top of page_b. */
static void place_pieces(const unsigned int *order, unsigned int cnt)
{
	static __u8 pieces[8][FRAME_SZ_MAX];
	struct pt_builder b = page_builder(1280);
	__u32 sizes[8];
	unsigned int n = 0;

	for (unsigned int at = 0; at < 64; n++) {
		at = pt_builder_add_page(&b, LOW, at, ~0ULL, page_a);
		sizes[n] = frame_close(&b, 2, n);
		memcpy(pieces[n], frame, sizes[n]);
	}
	assert_int_equal(n, 4);
	for (unsigned int i = 0; i < cnt; i++)
		frame_place(pieces[order[i]], sizes[order[i]]);
}

/* A page in four pieces: all 24 orders. */
static void test_pieces(void **state)
{
	(void)state;
	for (unsigned int n = 0; n < 256; n++) {
		unsigned int order[] = {
			n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6,
		};

		if ((1 << order[0] | 1 << order[1] | 1 << order[2] |
		     1 << order[3]) != 15)
			continue;
		place_page(LOW, ~0ULL, page_b, 1);
		place_pieces(order, 4);
		assert_content(LOW, page_a);
		assert_region(LOW, true_digest(LOW, page_a));
		assert_counts(5, 0, 128);
		rebuild_stop(NULL);
		rebuild_start(NULL);
	}
}

/* A piece of a version: where no piece arrived, the former content stays. */
static void test_one_piece(void **state)
{
	__u8 got[PT_PAGE_SZ];

	(void)state;
	place_page(LOW, ~0ULL, page_b, 1);
	place_pieces((unsigned int[]){ 1 }, 1);
	sink_read(LOW, got);
	for (int b = 0; b < 64; b++)
		assert_true(!memcmp(got + b * 64, page_a + b * 64, 64) ||
			    !memcmp(got + b * 64, page_b + b * 64, 64));
	assert_memory_not_equal(got, page_a, PT_PAGE_SZ);
	assert_memory_not_equal(got, page_b, PT_PAGE_SZ);
	assert_region(LOW, true_digest(LOW, got));
	assert_int_not_equal(region_digest(0), 0);
	/* A version without data replaces all of it. */
	place_page(LOW, 0, page_a, 3);
	assert_content(LOW, zeroes);
	assert_region(LOW, 0);
}

/* --- generations ----------------------------------------------------- */

static const struct row {
	const char *name;
	__u32 before, after;	/* generations of page_b, then of page_a */
	bool placed;
} rows[] = {
	{ "first", 0, 1, true },
	{ "next", 1, 2, true },
	{ "much later", 1, ~0U, true },
	{ "older", 2, 1, false },
	{ "oldest over newest", ~0U, 1, false },
	{ "across the sign", 0x7fffffff, 0x80000000, true },
	{ "back across the sign", 0x80000000, 0x7fffffff, false },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	if (row->before)
		place_page(LOW, 0xff, page_b, row->before);
	memset(&counts, 0, sizeof(counts));
	place_page(LOW, 0xf0f0, page_a, row->after);
	if (row->placed) {
		assert_counts(1, 0, 8);
		assert_content(LOW, masked(page_a, 0xf0f0));
	} else {
		assert_counts(0, 1, 0);
		assert_content(LOW, masked(page_b, 0xff));
	}
	assert_region(LOW, true_digest(LOW, other));
}

/* One frame, some of whose pages are stale: each is judged alone. */
static void test_mixed_frame(void **state)
{
	struct pt_builder b = page_builder(9000);

	(void)state;
	place_page(LOW + 1, ~0ULL, page_b, 5);
	place_zero_run(LOW + 2, 1, 4);
	place_page(LOW + 3, ~0ULL, page_b, 3);
	memset(&counts, 0, sizeof(counts));
	for (__u64 i = 0; i < 4; i++)
		pt_builder_add_page(&b, LOW + i, 0, 3ULL << i, page_a);
	frame_place(frame, frame_close(&b, 4, 0));
	assert_counts(3, 1, 6);
	assert_content(LOW, masked(page_a, 3));
	assert_content(LOW + 1, page_b);
	assert_content(LOW + 2, masked(page_a, 3ULL << 2));
	assert_content(LOW + 3, masked(page_a, 3ULL << 3));
}

/* --- zero runs ------------------------------------------------------- */

static void test_zero_runs_stay_holes(void **state)
{
	(void)state;
	place_zero_run(LOW, LOW_CNT + MID_CNT, 1);
	place_zero_run(HIGH, HIGH_CNT, 1);
	assert_int_equal(scratch_blocks(OUT ".partial"), 0);
	place_zero_run(LOW, LOW_CNT, 2);	/* again */
	place_page(LOW + 100, 0, NULL, 3);	/* a page of no blocks */
	place_page(LOW + 100, 0, NULL, 4);
	assert_int_equal(scratch_blocks(OUT ".partial"), 0);
	place_page(LOW + 100, 1, page_a, 5);
	assert_int_equal(scratch_blocks(OUT ".partial"), PT_PAGE_SZ);
	for (__u32 i = 0; i < PAGES; i++)
		assert_int_equal(sink_is_hole(kit_gfn(i)),
				 kit_gfn(i) != LOW + 100);
	assert_counts(9, 0, 1);		/* each run was two records */
}

/* A run over written pages of two segments clears them; newer content stays. */
static void test_zero_run_over_pages(void **state)
{
	(void)state;
	place_page(LOW + LOW_CNT - 2, ~0ULL, page_a, 1);
	place_page(LOW + LOW_CNT - 1, ~0ULL, page_a, 3);
	place_page(MID, ~0ULL, page_a, 1);
	place_page(MID + 1, ~0ULL, page_a, 2);
	place_page(MID + 2, ~0ULL, page_b, 1);
	memset(&counts, 0, sizeof(counts));
	place_zero_run(LOW + LOW_CNT - 2, 4, 2);
	assert_counts(1, 0, 0);
	assert_content(LOW + LOW_CNT - 2, zeroes);
	assert_content(LOW + LOW_CNT - 1, page_a);
	assert_content(MID, zeroes);
	assert_content(MID + 1, zeroes);	/* same version */
	assert_content(MID + 2, page_b);	/* behind the run */
	assert_region(LOW + 512, true_digest(LOW + LOW_CNT - 1, page_a));
	assert_region(MID, true_digest(MID + 2, page_b));
	/* A cleared page stays clear: older content does not come back. */
	place_page(MID, ~0ULL, page_b, 1);
	assert_content(MID, zeroes);
	assert_counts(1, 1, 0);
}

/* A run is stale when all its pages are, and not before. */
static void test_stale_run(void **state)
{
	(void)state;
	place_zero_run(LOW, 10, 2);
	place_zero_run(LOW, 10, 1);
	assert_counts(1, 1, 0);
	place_zero_run(LOW, 11, 1);
	assert_counts(2, 1, 0);
	place_zero_run(LOW + 11, 1, 1);
	place_zero_run(LOW + 9, 3, 1);	/* the last two are of 1 */
	assert_counts(4, 1, 0);
	place_page(LOW + 10, 1, page_a, 1);
	assert_content(LOW + 10, masked(page_a, 1));
}

/* Runs of whole regions, for which no state is kept per page: content and
 * staleness are the same as with it. */
static void test_region_run(void **state)
{
	(void)state;
	place_zero_run(HIGH, HIGH_CNT, 3);	/* a region, and the rest */
	assert_counts(2, 0, 0);
	place_zero_run(HIGH, 512, 2);		/* older */
	place_zero_run(HIGH + 1, 511, 2);
	place_page(HIGH + 5, ~0ULL, page_a, 2);
	assert_counts(2, 3, 0);
	assert_content(HIGH + 5, zeroes);
	place_page(HIGH + 5, 1, page_a, 3);	/* as old */
	place_page(HIGH + 6, 1, page_a, 5);
	place_zero_run(HIGH, 512, 4);		/* over one and under one */
	assert_counts(5, 3, 2);
	assert_content(HIGH + 5, zeroes);
	assert_content(HIGH + 6, masked(page_a, 1));
	assert_region(HIGH, true_digest(HIGH + 6, other));
	place_page(HIGH + 7, 1, page_a, 3);
	assert_counts(5, 4, 2);
	place_zero_run(HIGH + 512, HIGH_CNT - 512, 2);
	assert_counts(5, 5, 2);
	place_zero_run(HIGH + 512, HIGH_CNT - 512 - 1, 4); /* not all of it */
	place_zero_run(HIGH + 512, HIGH_CNT - 512, 3);
	assert_counts(7, 5, 2);			/* the last page was of 3 */
}

/* --- pages that do not exist ----------------------------------------- */

static const struct outside {
	const char *name;
	__u64 gfn, zeroes;	/* pages of a zero run; 0: a page */
	bool ok;
} outsides[] = {
	{ "page below the first", LOW - 1, 0, false },
	{ "page 0", 0, 0, false },
	{ "first page", LOW, 0, true },
	{ "last page of the middle", MID + MID_CNT - 1, 0, true },
	{ "first page of the gap", MID + MID_CNT, 0, false },
	{ "last page of the gap", HIGH - 1, 0, false },
	{ "first page behind the gap", HIGH, 0, true },
	{ "last page", HIGH + HIGH_CNT - 1, 0, true },
	{ "page behind the last", HIGH + HIGH_CNT, 0, false },
	{ "page of padding in the region", HIGH + 1023, 0, false },
	{ "highest page there can be", PT_GFN_MAX, 0, false },
	{ "run from below the first", LOW - 1, 2, false },
	{ "run over two segments", LOW + 100, LOW_CNT + MID_CNT - 100, true },
	{ "run one too far", LOW + 100, LOW_CNT + MID_CNT - 99, false },
	{ "run of one too far", MID + MID_CNT - 1, 2, false },
	{ "run into the last segment", HIGH - 1, 2, false },
	{ "run to the end", HIGH + HIGH_CNT - 512, 512, true },
	{ "run past the end", HIGH + HIGH_CNT - 511, 512, false },
	{ "highest run there can be", PT_GFN_MAX - 511, 512, false },
};

static void add_outside(struct pt_builder *b, const struct outside *row)
{
	if (row->zeroes)
		assert_true(pt_builder_add_zeroes(b, row->gfn, row->zeroes));
	else
		assert_int_equal(pt_builder_add_page(b, row->gfn, 0, 3, page_a),
				 64);
}

/* Alone, and behind and before existing pages: the frame is refused whole. */
static void test_outside(void **state)
{
	const struct outside *row = *state;

	for (int with = 0; with < 3; with++) {
		struct pt_builder b = page_builder(9000);
		struct pt_record_host first;
		struct kit_spans s;
		struct pt_reader r;

		if (with == 1 && row->gfn > LOW)
			pt_builder_add_page(&b, LOW, 0, 1, page_a);
		add_outside(&b, row);
		if (with == 2 && row->gfn + row->zeroes < HIGH + 5)
			pt_builder_add_page(&b, HIGH + 5, 0, 1, page_a);
		frame_open(&r, &s, frame, frame_close(&b, 1, 0), 9999);
		assert_int_equal(pt_rebuild_check(rebuild, &r), row->ok);
		/* and the reader is where it was */
		assert_true(pt_reader_next(&r, &first));
		assert_int_equal(first.gfn, with == 1 && row->gfn > LOW
					    ? LOW : row->gfn);
		kit_free(&s);
	}
	assert_int_equal(scratch_blocks(OUT ".partial"), 0);
}

/* --- a sink that fails ----------------------------------------------- */

/* A failure ends that memory's transfer, and the next memory of the same run
 * gets its own data. */
static void test_full_disk(void **state)
{
	const struct pt_segment ram = { "ram", 0, 1u << 20 };
	struct pt_error err = { 0 };
	struct kit_spans s;
	struct pt_reader r;
	int ret = 0;

	(void)state;
	guard_again();
	scratch_fs("small", "tmpfs", 0, "size=256k");
	assert_int_equal(pt_layout_create(&layout, &ram, 1, &err), 0);
	assert_int_equal(pt_image_create(&sink, SCRATCH "/small/ram", layout,
					&err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	for (__u64 gfn = 0; !ret && gfn < 256; gfn++) {
		struct pt_builder b = page_builder(9000);

		pt_builder_add_page(&b, gfn, 0, ~0ULL, page_a);
		frame_open(&r, &s, frame, frame_close(&b, 1, gfn), 3840);
		assert_true(pt_rebuild_check(rebuild, &r));
		ret = pt_rebuild_place(rebuild, &run, &sum, &refusals, &r, &counts,
				       &err);
		if (!ret)
			ret = pt_rebuild_flush(rebuild, &run, &sum, &err);
		if (!ret)
			kit_free(&s);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_non_null(strstr(err.text, SCRATCH "/small/ram"));
	assert_int_equal(err.exit, PT_EXIT_HOST);
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
	assert_int_equal(umount(SCRATCH "/small"), 0);

	rebuild_start(state);
	place_page(LOW, ~0ULL, page_b, 1);
	assert_content(LOW, page_b);
	rebuild_stop(state);
	kit_free(&s);	/* not before: nobody may mistake other bytes for it */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rebuild_start, \
						 rebuild_stop)
#define FIXED	13

/* A file that is cut short, or a bad disk, would raise SIGBUS through the
 * mapping, outside of any guard. */
static void test_digests_of_a_cut_file(void **state)
{
	__u64 digests[PT_REGION_PAGES];
	struct stat st;

	(void)state;
	place_page(HIGH + 3, ~0ULL, page_a, 1);
	assert_int_equal(stat(OUT ".partial", &st), 0);
	assert_int_equal(truncate(OUT ".partial", 0), 0);
	assert_true(pt_rebuild_page_digests(rebuild, region_of(HIGH), digests,
					    NULL) > 0);
	assert_int_equal(digests[3], 0);
	assert_int_equal(truncate(OUT ".partial", st.st_size), 0);
}

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(rows) + COUNT_OF(outsides)] = {
		TEST(test_starts_empty),
		TEST(test_masks),
		TEST(test_segment_ends),
		TEST(test_digests_of_a_cut_file),
		TEST(test_one_piece),
		TEST(test_mixed_frame),
		TEST(test_zero_runs_stay_holes),
		TEST(test_zero_run_over_pages),
		TEST(test_stale_run),
		TEST(test_region_run),
		TEST(test_pieces),
		cmocka_unit_test(test_full_disk),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			rows[i].name, test_row, rebuild_start, rebuild_stop,
			(void *)&rows[i],
		};
	for (size_t i = 0; i < COUNT_OF(outsides); i++)
		tests[FIXED + COUNT_OF(rows) + i] = (struct CMUnitTest){
			outsides[i].name, test_outside, rebuild_start,
			rebuild_stop, (void *)&outsides[i],
		};
	if (scratch_mount())
		return 1;
	guard_again();	/* while SIGBUS is still the guard's */
	fill_pages();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
