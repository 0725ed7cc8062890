/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Compressed frames: the reader unpacks the units that the builder packs, and
 * refuses others. */
#include "wire_kit.h"

#include "wire/reader.h"

#define PAGES	600
#define IPV4	(&kit_links[0].link)

static __u8 pages[PAGES][PT_PAGE_SZ], placed[PAGES][PT_PAGE_SZ];
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));
static struct pt_decompressor *decompressor;

/* kind: of the pages; an uneven one is random in part. */
enum kind { TEXT, UNEVEN, RANDOM, MIXED, SPARSE, KINDS };

static void fill_text(__u8 *page, __u64 *random)
{
	static const char words[][12] = {
		"memory ", "page ", "block ", "frame ", "lane ", "queue ", "\0\0\0\0",
		"\177ELF", "0123456789", "xyzzy",
	};
	__u32 at = 0;

	while (at < PT_PAGE_SZ) {
		const char *word = words[kit_random(random) %
					 (sizeof(words) / sizeof(words[0]))];
		__u32 sz = 4 + kit_random(random) % 3;

		for (__u32 i = 0; i < sz && at < PT_PAGE_SZ; i++)
			page[at++] = word[i] ^ (kit_random(random) % 16 ? 0 : 3);
	}
}

static void fill(enum kind kind, __u64 *random)
{
	for (int i = 0; i < PAGES; i++) {
		if (kind == RANDOM || (kind == MIXED && i / 50 % 2))
			kit_fill(pages[i], PT_PAGE_SZ, random);
		else
			fill_text(pages[i], random);
		if (kind == UNEVEN)
			kit_fill(pages[i], kit_random(random) % 24 * 64, random);
		for (int b = 0; kind == SPARSE && b < 64; b++)
			if (kit_random(random) % 2)
				memset(pages[i] + b * 64, 0, 64);
	}
}

static __u64 mask_of(const __u8 *page)
{
	static const __u8 zeroes[PT_BLOCK_SZ];
	__u64 mask = 0;

	for (int b = 0; b < PT_PAGE_BLOCKS; b++)
		if (memcmp(page + b * PT_BLOCK_SZ, zeroes, PT_BLOCK_SZ))
			mask |= 1ULL << b;
	return mask;
}

/* totals of all frames. */
static struct {
	__u32 frames, compressed;
	__u64 bytes, room;	/* of the compressed ones */
	__u64 plain_bytes;	/* of the others */
} totals;

/* place does as a receiver, and checks what the frame says. */
static void place(__u32 sz)
{
	struct pt_record_host r;
	struct pt_reader reader;

	assert_int_equal(pt_reader_open(&reader,
			 &(struct pt_span){ frame, sz }, 1),
			 PT_VERDICT_STEERED);
	assert_true(pt_reader_auth_ok(&reader));
	if (reader.is_compressed)
		assert_true(pt_reader_decompress(&reader, decompressor));
	while (pt_reader_next(&reader, &r)) {
		__u64 mask = r.mask;

		if (!pt_record_has_blocks(&r))
			continue;
		for (; mask; mask &= mask - 1) {
			unsigned got;
			const void *block = pt_reader_blocks(&reader, 1, &got);

			assert_int_equal(got, 1);
			memcpy(placed[r.gfn / 2] + __builtin_ctzll(mask) *
			       PT_BLOCK_SZ, block, PT_BLOCK_SZ);
		}
	}
}

static void close_frame(struct pt_builder *b, bool is_last)
{
	const struct pt_frame_id id = { .session_id = 1, .generation = 1 };
	struct pt_pack take;
	__u32 sz;

	pt_builder_pack(b);
	take = pt_builder_take(b);
	assert_true(take.record_cnt);
	sz = pt_builder_frame_sz(b);
	assert_true(sz <= b->cfg.frame_sz_max);
	totals.frames++;
	if (take.sz) {
		totals.compressed++;
		totals.bytes += is_last ? b->cfg.frame_sz_max : sz;
		totals.room += b->cfg.frame_sz_max;
	} else {
		totals.plain_bytes += sz;
	}
	assert_int_equal(pt_builder_close(b, IPV4, &id, NULL, frame), sz);
	place(sz);
}

/* send_delta sends a page as a delta of a zero one, if its blocks are few. */
static bool send_delta(struct pt_builder *b, int i)
{
	__u64 mask = mask_of(pages[i]);

	if (i % 3 || !mask ||
	    (unsigned)__builtin_popcountll(mask) > pt_builder_delta_max(b))
		return false;
	while (!pt_builder_add_delta(b, 2 * i, 1, mask, pages[i]))
		close_frame(b, false);
	return true;
}

static void send_cnt(struct pt_builder *b, int cnt)
{
	for (int i = 0; i < cnt; i++) {
		unsigned first = 0;

		if (send_delta(b, i))
			continue;
		while (!mask_of(pages[i]) &&
		       !pt_builder_add_zeroes(b, 2 * i, 1))
			close_frame(b, false);
		while (mask_of(pages[i]) && first < PT_PAGE_BLOCKS) {
			first = pt_builder_add_page(b, 2 * i, first,
						    mask_of(pages[i]), pages[i]);
			if (first < PT_PAGE_BLOCKS)
				close_frame(b, false);
		}
	}
	while (!pt_builder_is_empty(b))
		close_frame(b, true);
}

static void check(enum pt_compression method, enum kind kind, __u32 mtu)
{
	struct pt_builder b = kit_builder(IPV4, mtu);
	__u64 random = mtu + kind;
	struct pt_compressor *c;

	fill(kind, &random);
	memset(placed, 0, sizeof(placed));
	memset(&totals, 0, sizeof(totals));
	assert_int_equal(pt_compressor_create(&c, method, 1), 0);
	pt_builder_use(&b, c);
	send_cnt(&b, PAGES);
	for (int i = 0; i < PAGES; i++)
		assert_memory_equal(placed[i], pages[i], PT_PAGE_SZ);
	pt_compressor_destroy(c);
	if (kind == RANDOM)
		assert_true(totals.compressed == 0);
	if (kind == TEXT || kind == UNEVEN)
		assert_true(totals.compressed > totals.frames * 8 / 10);
	if (kind == TEXT || (kind == UNEVEN && mtu >= 3506))
		assert_true(totals.bytes > totals.room * 87 / 100);
}

/* fill_unlike makes pages of so many blocks that compress well, but for the first,
 * of which random_cnt blocks do not compress at all. */
static void fill_unlike(int cnt, unsigned block_cnt, unsigned random_cnt)
{
	__u64 random = random_cnt + 1;

	memset(pages, 0, sizeof(pages));
	for (int i = 0; i < cnt; i++)
		memset(pages[i], 'b', (i ? block_cnt : PT_PAGE_BLOCKS) *
				      PT_BLOCK_SZ);
	kit_fill(pages[0], random_cnt * PT_BLOCK_SZ, &random);
}

/* As many records as a frame may have, whose first page is cut, and cut again,
 * where frames before compressed far better: still no frame has more, and each
 * takes some. */
static void test_cut_of_the_most_records(void **state)
{
	static const __u32 mtus[] = { 3000, 3506, 3750, 5750 };

	(void)state;
	for (unsigned m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++)
		for (unsigned i = 0; i < 4 * 3; i++) {
			struct pt_builder b = kit_builder(IPV4, mtus[m]);
			struct pt_compressor *c;

			fill_unlike(PT_RECORDS_MAX, i % 3, 64 - i / 3 * 4);
			memset(placed, 0, sizeof(placed));
			assert_int_equal(pt_compressor_create(&c,
					 PT_COMPRESSION_LZ4, 1), 0);
			pt_builder_use(&b, c);
			b.ratio[PT_COMPRESSION_LZ4] = PT_PACK_ONE / 10;
			send_cnt(&b, PT_RECORDS_MAX);
			assert_memory_equal(placed, pages, sizeof(pages));
			pt_compressor_destroy(c);
		}
}

/* Frames before compressed so well that a unit comes to more than two frames: it is
 * cut by what it came to, and teaches that. */
static void test_unit_of_many_frames(void **state)
{
	__u64 random = 5;

	(void)state;
	fill(TEXT, &random);
	for (int m = PT_COMPRESSION_LZ4; m < PT_COMPRESSION_CNT; m++) {
		struct pt_builder b = kit_builder(IPV4, 65535);
		struct pt_compressor *c;

		memset(&totals, 0, sizeof(totals));
		assert_int_equal(pt_compressor_create(&c, m, 1), 0);
		pt_builder_use(&b, c);
		b.ratio[m] = PT_PACK_ONE / 8;
		send_cnt(&b, PT_RECORDS_MAX);
		assert_int_equal(totals.compressed, totals.frames);
		pt_compressor_destroy(c);
	}
}

/* Behind a few pages that do not compress, few frames go plain, whatever their
 * size. */
static void test_text_behind_random(void **state)
{
	static const __u32 mtus[] = { 1500, 9000, 65535 };
	__u64 random = 9;

	(void)state;
	fill(TEXT, &random);
	kit_fill(pages[0], 32 * PT_PAGE_SZ, &random);
	for (unsigned m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++) {
		struct pt_builder b = kit_builder(IPV4, mtus[m]);
		struct pt_compressor *c;

		memset(&totals, 0, sizeof(totals));
		assert_int_equal(pt_compressor_create(&c, PT_COMPRESSION_ZSTD, 1),
				 0);
		pt_builder_use(&b, c);
		b.ratio[PT_COMPRESSION_ZSTD] = PT_PACK_ONE;
		send_cnt(&b, PAGES);
		assert_in_range(totals.plain_bytes, 24 * PT_PAGE_SZ,
				48 * PT_PAGE_SZ + 3 * (mtus[m] + 14) +
					(32 << 10));
		pt_compressor_destroy(c);
	}
}

static void test_there_and_back(void **state)
{
	static const __u32 mtus[] = { 1280, 1500, 3506, 9000, 65535 };

	(void)state;
	for (unsigned m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++)
		for (int kind = 0; kind < KINDS; kind++) {
			check(PT_COMPRESSION_LZ4, kind, mtus[m]);
			check(PT_COMPRESSION_ZSTD, kind, mtus[m]);
		}
}

/* make_unit compresses raw_sz bytes of text, and returns its size. */
static __u32 make_unit(enum pt_compression method, __u32 raw_sz, __u8 *to)
{
	struct pt_compressor *c;
	const __u8 *data;
	__u64 random = 3;
	__u32 sz;

	assert_int_equal(pt_compressor_create(&c, method, 1), 0);
	for (__u32 at = 0; at < raw_sz; at += PT_PAGE_SZ)
		fill_text(pt_compressor_raw(c) + at, &random);
	sz = pt_compressor_run(c, raw_sz, &data);
	assert_true(sz && sz < raw_sz);
	memcpy(to, data, sz);
	pt_compressor_destroy(c);
	return sz;
}

/* A unit of any other size than the expected is refused; one that is damaged is
 * refused, or has the expected size. */
static void test_other_sizes(void **state)
{
	static __u8 unit[PT_COMPRESS_RAW_MAX];

	(void)state;
	for (int m = PT_COMPRESSION_LZ4; m < PT_COMPRESSION_CNT; m++) {
		__u32 raw_sz = 5 * PT_PAGE_SZ;
		__u32 sz = make_unit(m, raw_sz, unit);

		assert_non_null(pt_decompressor_run(decompressor, m, unit, sz,
						    raw_sz));
		for (__u32 other = PT_BLOCK_SZ; other <= PT_COMPRESS_RAW_MAX;
		     other += PT_BLOCK_SZ)
			if (other != raw_sz)
				assert_null(pt_decompressor_run(decompressor, m,
						unit, sz, other));
		for (__u32 cut = 1; cut < sz; cut++)
			assert_null(pt_decompressor_run(decompressor, m, unit,
							cut, raw_sz));
		for (__u32 at = 0; at < sz; at++) {
			unit[at] ^= 0x55;
			pt_decompressor_run(decompressor, m, unit, sz, raw_sz);
			unit[at] ^= 0x55;
		}
	}
	assert_null(pt_decompressor_run(decompressor, PT_COMPRESSION_NONE, unit,
					64, 64));
	assert_null(pt_decompressor_run(decompressor, PT_COMPRESSION_CNT, unit,
					64, 64));
}

/* A frame of zstd 0.7, from before RFC 8878, whose header has the same form: a page
 * as one block, and the end.  Libraries still read it. */
static void test_old_zstd(void **state)
{
	static const __u8 head[] = { 0x27, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0x0f,
				     0x40, 0x10, 0x00 };
	static const __u8 end[] = { 0xc0, 0x00, 0x00 };
	static __u8 unit[sizeof(head) + PT_PAGE_SZ + sizeof(end)];

	(void)state;
	memcpy(unit, head, sizeof(head));
	memcpy(unit + sizeof(head) + PT_PAGE_SZ, end, sizeof(end));
	assert_null(pt_decompressor_run(decompressor, PT_COMPRESSION_ZSTD, unit,
					sizeof(unit), PT_PAGE_SZ));
}

static int open_decompressor(void **state)
{
	(void)state;
	return pt_decompressor_create(&decompressor);
}

static int close_decompressor(void **state)
{
	(void)state;
	pt_decompressor_destroy(decompressor);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_unit_of_many_frames),
		cmocka_unit_test(test_text_behind_random),
		cmocka_unit_test(test_cut_of_the_most_records),
		cmocka_unit_test(test_other_sizes),
		cmocka_unit_test(test_old_zstd),
	};

	return cmocka_run_group_tests_name("pack", tests, open_decompressor,
					   close_decompressor);
}
