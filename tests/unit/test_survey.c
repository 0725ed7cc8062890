// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "survey/survey.h"

#include "scratch.h"
#include "trim/scan.h"
#include "wire/builder.h"

#define PAGE 4096u
#define IMAGE SCRATCH "/image"

/* The frame before its blocks: Ethernet 14, IPv4 20, UDP 8, header 64 and 16
 * a record; where a receive descriptor does not hold all of it (at an MTU of
 * 9000), up to a multiple of 64. */
static __u64 before_blocks(__u32 mtu, unsigned int record_cnt)
{
	__u64 sz = 42 + 64 + 16 * record_cnt;

	return mtu > 3840 ? (sz + 63) / 64 * 64 : sz;
}

static __u8 compressions;		/* that are measured */

static void survey(struct pt_survey *s, __u32 mtu)
{
	static const char *const path = IMAGE;
	const struct pt_segment *segs;
	struct pt_error err = { 0 };
	struct pt_source *src;
	struct pt_layout *l;
	__u32 cnt;

	assert_int_equal(pt_source_open_files(&src, &path, 1, &err), 0);
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&l, segs, cnt, &err), 0);
	if (pt_survey_take(s, src, l, mtu, compressions, NULL, NULL,
			   &err))
		fail_msg("%s", err.text);
	assert_int_equal(s->page_cnt, s->zero_cnt + s->data_cnt);
	assert_int_equal(s->mtu, mtu);
	pt_layout_free(l);
	pt_source_close(src);
}

static void assert_cost(const struct pt_survey *s, enum pt_trim trim,
			__u64 frames, __u64 wire_bytes)
{
	assert_int_equal(s->costs[trim].frames, frames);
	assert_int_equal(s->costs[trim].wire_bytes, wire_bytes);
}

static void test_nothing_but_holes(void **state)
{
	struct pt_survey s;

	(void)state;
	close(scratch_file(IMAGE, 1000 * PAGE));
	survey(&s, 1500);
	assert_int_equal(s.memory_sz, 1000 * PAGE);
	assert_int_equal(s.zero_cnt, 1000);
	assert_int_equal(s.hole_cnt, 1000);
	assert_int_equal(s.copy_cnt, 0);
	/* two runs of at most 512 pages, two records, no block */
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		assert_cost(&s, t, 1, before_blocks(1500, 2));
	assert_int_equal(s.with_copies.frames, 1);
	assert_int_equal(s.with_copies.wire_bytes, before_blocks(1500, 2));
	assert_int_equal(s.region_cnt, 2);
	assert_int_equal(s.regions[0].page_cnt, 512);
	assert_int_equal(s.regions[1].page_cnt, 488);
	assert_int_equal(s.regions[1].zero_cnt, 488);
	pt_survey_free(&s);
}

/* Block b of the only page holds data if bit b of mask is set. */
static void one_page(__u64 mask)
{
	int fd = scratch_file(IMAGE, PAGE);

	for (unsigned int b = 0; b < 64; b++)
		if (mask >> b & 1)
			scratch_write(fd, b * 64 + b, "x", 1);
	if (!mask)
		scratch_write(fd, 0, "", 1);	/* zero, and no hole */
	close(fd);
}

static const struct row {
	const char *name;
	__u64 mask;
	__u64 head, tail, interior;
	__u64 none, ends, blocks;	/* blocks that travel */
} rows[] = {
	{ "written zeroes", 0, 0, 0, 0, 0, 0, 0 },
	{ "full", ~0ULL, 0, 0, 0, 64, 64, 64 },
	{ "first block", 1, 0, 63, 0, 64, 1, 1 },
	{ "last block", 1ULL << 63, 63, 0, 0, 64, 1, 1 },
	{ "both ends", 1ULL << 63 | 1, 0, 0, 62, 64, 64, 2 },
	{ "inside, with a gap", 0xd0, 4, 56, 1, 64, 4, 3 },
};

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_survey s;

	one_page(row->mask);
	survey(&s, 9000);
	assert_int_equal(s.data_cnt, row->mask != 0);
	assert_int_equal(s.hole_cnt, 0);
	assert_int_equal(s.head_cnt, row->head);
	assert_int_equal(s.tail_cnt, row->tail);
	assert_int_equal(s.interior_cnt, row->interior);
	assert_int_equal(s.regions[0].trimmed_cnt,
			 row->head + row->tail + row->interior);
	assert_cost(&s, PT_TRIM_NONE, 1, before_blocks(9000, 1) +
		    64 * row->none);
	assert_cost(&s, PT_TRIM_ENDS, 1, before_blocks(9000, 1) +
		    64 * row->ends);
	assert_cost(&s, PT_TRIM_BLOCKS, 1, before_blocks(9000, 1) +
		    64 * row->blocks);
	pt_survey_free(&s);
}

/* Full pages at an MTU of 1500: a frame of 1514 bytes has room for 21 blocks
 * beside three records: 42 + 64 + 3 * 16 + 21 * 64 = 1498. */
static void test_pages_are_cut_over_frames(void **state)
{
	struct pt_survey s;
	__u8 page[PAGE];
	int fd = scratch_file(IMAGE, 512 * PAGE);
	__u64 blocks = 512 * 64;

	(void)state;
	memset(page, 1, PAGE);
	for (int i = 0; i < 512; i++)
		scratch_write(fd, i * PAGE, page, PAGE);
	close(fd);
	survey(&s, 1500);
	assert_int_equal(s.copy_cnt, 511);
	/* 88 records fill a frame; one page in three frames and a part */
	assert_in_range(s.with_copies.frames, 3 + 511 / 88, 4 + 511 / 88 + 1);
	assert_in_range(s.with_copies.wire_bytes, 64 * 64 + 512 * 16,
			64 * 64 + 515 * 16 + s.with_copies.frames * 106);
	/* No page is cut for less than 8 blocks: some frames have fewer. */
	assert_in_range(s.costs[0].frames, blocks / 21, blocks / 20 + 1);
	assert_in_range(s.costs[0].wire_bytes,
			blocks * 64 + s.costs[0].frames *
				before_blocks(1500, 1),
			blocks * 64 + s.costs[0].frames *
				before_blocks(1500, 3));
	for (enum pt_trim t = 1; t < PT_TRIM_CNT; t++)
		assert_cost(&s, t, s.costs[0].frames, s.costs[0].wire_bytes);
	pt_survey_free(&s);
}

static void test_copies(void **state)
{
	int fd = scratch_file(IMAGE, 6 * PAGE);
	struct pt_survey s;

	(void)state;
	scratch_write(fd, 0 * PAGE + 5, "a", 1);
	scratch_write(fd, 1 * PAGE + 5, "b", 1);
	scratch_write(fd, 2 * PAGE + 5, "a", 1);
	scratch_write(fd, 4 * PAGE + 6, "a", 1);	/* another place */
	scratch_write(fd, 5 * PAGE + 5, "a", 1);
	close(fd);
	survey(&s, 1500);
	assert_int_equal(s.data_cnt, 5);
	assert_int_equal(s.copy_cnt, 2);
	assert_int_equal(s.copy_sample, 1);
	/* six pages, six records; the two copies have no block */
	assert_cost(&s, PT_TRIM_BLOCKS, 1, before_blocks(1500, 6) + 5 * 64);
	assert_int_equal(s.with_copies.frames, 1);
	assert_int_equal(s.with_copies.wire_bytes,
			 before_blocks(1500, 6) + 3 * 64);
	pt_survey_free(&s);
}

#define TEXTS	1500		/* pages, of three regions */

static void close_frame(struct pt_builder *b, struct pt_survey_cost *cost,
			__u64 seq)
{
	static const struct pt_link link = { .src_port = 1, .dst_port = 2 };
	const struct pt_frame_id id = {
		.session_id = 1, .seq = seq, .generation = 1,
	};
	static __u8 frame[PT_MTU_MAX + 18] __attribute__((aligned(64)));

	pt_builder_pack(b);
	cost->wire_bytes += pt_builder_close(b, &link, &id, NULL, frame);
	cost->frames++;
}

/* is_copy: text made page i equal to page i - 2. */
static bool is_copy(__u32 i)
{
	return i % 7 == 5;
}

/* sent returns the cost of frames that are written. */
static struct pt_survey_cost sent(const __u8 *pages, __u32 mtu,
				  enum pt_compression method)
{
	struct pt_builder_cfg cfg = {
		.l2l3l4_sz = 42, .frame_sz_max = 14 + mtu, .packed = mtu < 3000,
	};
	struct pt_survey_cost cost = { 0 };
	struct pt_builder b;

	assert_int_equal(pt_compressor_create(&cfg.compressor, method, 1), 0);
	pt_builder_init(&b, &cfg);
	for (__u32 i = 0; i < TEXTS; i++) {
		const __u8 *page = pages + (size_t)i * PAGE;
		__u64 mask = pt_scan(page);

		while (mask && is_copy(i) &&
		       !pt_builder_add_copy(&b, i, i - 2, 1))
			close_frame(&b, &cost, cost.frames);
		for (unsigned at = is_copy(i) ? 64 : 0; mask && at < 64; )
			if ((at = pt_builder_add_page(&b, i, at, mask,
						      page)) < 64)
				close_frame(&b, &cost, cost.frames);
		while (!mask && !pt_builder_add_zeroes(&b, i, 1))
			close_frame(&b, &cost, cost.frames);
	}
	while (!pt_builder_is_empty(&b))
		close_frame(&b, &cost, cost.frames);
	pt_compressor_destroy(cfg.compressor);
	return cost;
}

/* text fills pages that compress to a third or so; some are random, some zero, some
 * equal another. */
static void text(__u8 *pages)
{
	__u64 random = 5;

	for (__u32 i = 0; i < TEXTS; i++) {
		__u8 *page = pages + (size_t)i * PAGE;

		for (__u32 k = 0; k < PAGE; k++) {
			random = random * 6364136223846793005ULL + 1;
			page[k] = i % 17 == 3 ? 0 :
				i % 5 == 1 ? (char)(random >> 40) :
				"page trim"[random >> 40 & 7];
		}
		if (is_copy(i))
			memcpy(page, page - 2 * PAGE, PAGE);
	}
}

/* The frames are those that a builder of the sender's writes. */
static void test_compressed(void **state)
{
	static const __u32 mtus[] = { 1500, 9000, 65535 };
	__u8 *pages = malloc((size_t)TEXTS * PAGE);
	int fd = scratch_file(IMAGE, (__u64)TEXTS * PAGE);
	struct pt_survey s;

	(void)state;
	text(pages);
	scratch_write(fd, 0, pages, (size_t)TEXTS * PAGE);
	close(fd);
	compressions = 1 << PT_COMPRESSION_LZ4 | 1 << PT_COMPRESSION_ZSTD;
	for (int i = 0; i < 3; i++) {
		survey(&s, mtus[i]);
		for (int m = 1; m < PT_COMPRESSION_CNT; m++) {
			struct pt_survey_cost want = sent(pages, mtus[i], m);

			assert_int_equal(s.compressed[m].frames, want.frames);
			assert_int_equal(s.compressed[m].wire_bytes,
					 want.wire_bytes);
			assert_true(want.wire_bytes <
				    s.costs[PT_TRIM_BLOCKS].wire_bytes);
			assert_true(s.compressed[m].compress_ns);
		}
		pt_survey_free(&s);
	}
	compressions = 0;
	survey(&s, 1500);
	assert_int_equal(s.compressed[PT_COMPRESSION_LZ4].frames, 0);
	pt_survey_free(&s);
	free(pages);
}

static void test_odd_size(void **state)
{
	int fd = scratch_file(IMAGE, 513 * PAGE + 1);
	struct pt_survey s;

	(void)state;
	scratch_write(fd, 513 * PAGE, "z", 1);
	close(fd);
	survey(&s, 1500);
	assert_int_equal(s.memory_sz, 513 * PAGE + 1);
	assert_int_equal(s.page_cnt, 514);
	assert_int_equal(s.data_cnt, 1);
	assert_int_equal(s.tail_cnt, 63);
	/* one frame: runs of 512 pages and of one, a piece, and one block */
	assert_cost(&s, PT_TRIM_BLOCKS, 1, before_blocks(1500, 3) + 64);
	pt_survey_free(&s);
}

static void test_seconds(void **state)
{
	/* 1500 frames of 976 bytes are 1000 a piece on the cable. */
	struct pt_survey_cost cost = { 1500, 1500 * 976, 0 };

	(void)state;
	assert_true(pt_survey_seconds(&cost, 12) > 0.9999999);
	assert_true(pt_survey_seconds(&cost, 12) < 1.0000001);
	cost.compress_ns = 999999999;
	assert_true(pt_survey_seconds(&cost, 12) > 0.9999999);
	cost.compress_ns = 2500000000;
	assert_true(pt_survey_seconds(&cost, 12) > 2.4999999);
}

static void cut_short(void *arg, __u64 done, __u64 cnt)
{
	(void)done;
	(void)cnt;
	assert_int_equal(ftruncate(*(int *)arg, PAGE), 0);
}

static void test_source_cut_short(void **state)
{
	static const char *const path = IMAGE;
	int fd = scratch_file(IMAGE, 1024 * PAGE);
	const struct pt_segment *segs;
	struct pt_error err = { 0 };
	struct pt_survey s;
	struct pt_source *src;
	struct pt_layout *l;
	__u32 cnt;

	(void)state;
	assert_int_equal(pt_source_open_files(&src, &path, 1, &err), 0);
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&l, segs, cnt, &err), 0);
	assert_int_equal(pt_survey_take(&s, src, l, 1500,
					1 << PT_COMPRESSION_LZ4, cut_short,
					&fd, &err), -EIO);
	assert_non_null(strstr(err.text, "cut short"));
	pt_layout_free(l);
	pt_source_close(src);
	close(fd);
}

/* A sample's saving is scaled to all; never more than there is. */
static void test_stretch(void **state)
{
	static const struct {
		double times;
		struct pt_survey_cost want;
	} stretches[] = {
		{ 1, { .frames = 90, .wire_bytes = 70000 } },
		{ 2, { .frames = 80, .wire_bytes = 40000 } },
		{ 3.5, { .frames = 65, .wire_bytes = 0 } },
		{ 1000, { .frames = 0, .wire_bytes = 0 } },
	};
	const struct pt_survey_cost all = { 100, 100000, 0 };
	const struct pt_survey_cost three_quarters = { 75, 75000, 0 };
	struct pt_survey_cost whole;

	(void)state;
	whole = pt_survey_all(&three_quarters, 4000, 1000);
	assert_int_equal(whole.frames, 100);
	assert_int_equal(whole.wire_bytes, 100000);
	whole = pt_survey_all(&three_quarters, 4000, 4000);
	assert_int_equal(whole.wire_bytes, 75000);
	for (size_t i = 0; i < sizeof(stretches) / sizeof(stretches[0]); i++) {
		struct pt_survey_cost with = { 90, 70000, 0 };

		pt_survey_stretch(&with, &all, stretches[i].times);
		assert_int_equal(with.frames, stretches[i].want.frames);
		assert_int_equal(with.wire_bytes, stretches[i].want.wire_bytes);
	}
}

#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	struct CMUnitTest tests[8 + ROW_CNT] = {
		cmocka_unit_test(test_nothing_but_holes),
		cmocka_unit_test(test_pages_are_cut_over_frames),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_odd_size),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_source_cut_short),
		cmocka_unit_test(test_stretch),
	};

	if (scratch_mount())
		return 1;
	for (size_t i = 0; i < ROW_CNT; i++)
		tests[8 + i] = (struct CMUnitTest){ rows[i].name, test_row,
						    NULL, NULL,
						    (void *)&rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
