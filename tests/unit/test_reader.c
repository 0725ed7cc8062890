// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "upper_kit.h"
#include "wire_kit.h"

#include "wire/checksum.h"
#include "wire/reader.h"

#define PAGES	48		/* of the memory that travels in these tests */

static __u8 source[PAGES][PT_PAGE_SZ];
static __u8 copy[PAGES][PT_PAGE_SZ];
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));

/* Places where frames are cut: the first piece, and each other.  The first
 * holds the headers and records of any frame. */
static const struct {
	__u32 first_sz, piece_sz;
} cuts[] = {
	{ FRAME_SZ_MAX, FRAME_SZ_MAX },	/* linear */
	{ 3840, 3840 },			/* as AF_XDP in copy mode */
	{ 3456, 4096 },
	{ 3817, 3853 },			/* blocks straddle, all over */
	{ 1792, 3969 },
	{ FRAME_SZ_MAX - 1, 1 },	/* one byte apart */
};

/* Masks of the source's seven pages; page i is wholly zero if masks[i] is 0.
 * The sixth equals the third. */
static __u64 masks[PAGES];

static bool is_copy(__u64 i) { return i % 7 == 5; }

static void make_source(__u64 *random)
{
	memset(source, 0, sizeof(source));
	for (int i = 0; i < PAGES; i++) {
		masks[i] = i % 5 == 4 ? 0 : kit_mask(random);
		for (int b = 0; b < 64; b++)
			if (masks[i] >> b & 1)
				kit_fill(&source[i][b * 64], 64, random);
		if (is_copy(i))
			memcpy(source[i], source[i - 3], PT_PAGE_SZ);
	}
}

/* place reads one frame, at first some blocks only and then, rewound, all of
 * them, into copy. */
static void place(const struct kit_spans *s, __u64 *random)
{
	struct pt_record_host rec;
	struct pt_reader r;
	unsigned int got;
	__u32 blocks = 0;

	memset(&r, 0xee, sizeof(r));
	assert_int_equal(pt_reader_open(&r, s->spans, s->cnt),
			 PT_VERDICT_STEERED);
	assert_true(pt_reader_auth_ok(&r));
	assert_memory_equal(&r.id, &kit_id, sizeof(kit_id));
	while (pt_reader_next(&r, &rec))
		pt_reader_blocks(&r, kit_random(random) & 63, &got);
	assert_null(pt_reader_blocks(&r, 1, &got));
	assert_false(pt_reader_next(&r, &rec));

	pt_reader_rewind(&r);
	for (int i = 0; i < r.record_cnt; i++) {
		__u64 left;

		assert_true(pt_reader_next(&r, &rec));
		if (rec.kind == PT_RECORD_ZEROES) {
			assert_null(pt_reader_blocks(&r, 64, &got));
			memset(copy[rec.gfn], 0, rec.mask * PT_PAGE_SZ);
			continue;
		}
		if (rec.kind == PT_RECORD_COPY) {
			assert_null(pt_reader_blocks(&r, 64, &got));
			memcpy(copy[rec.gfn],
			       copy[pt_record_original(rec.mask)], PT_PAGE_SZ);
			continue;
		}
		memset(&copy[rec.gfn][rec.first * 64], 0,
		       (rec.last + 1 - rec.first) * 64);
		for (left = rec.mask; left; ) {
			unsigned int want = 1 + (kit_random(random) & 63);
			const __u8 *at = pt_reader_blocks(&r, want, &got);

			assert_non_null(at);
			assert_in_range(got, 1, want);
			for (; got--; at += 64, left &= left - 1, blocks++)
				memcpy(&copy[rec.gfn][__builtin_ctzll(left) *
						      64], at, 64);
		}
		assert_null(pt_reader_blocks(&r, 1, &got));
		assert_int_equal(got, 0);
	}
	assert_false(pt_reader_next(&r, &rec));
	assert_int_equal(blocks, r.block_cnt);
}

struct way {
	const struct pt_link *link;
	__u32 mtu;
	__u32 first_sz, piece_sz;
};

static void send_frame(struct pt_builder *b, const struct way *w,
		       __u64 *random)
{
	__u32 sz = pt_builder_close(b, w->link, &kit_id, NULL, frame);
	struct kit_spans s;

	assert_true(sz <= b->cfg.frame_sz_max);
	kit_cut(&s, frame, sz, w->first_sz == FRAME_SZ_MAX - 1 ? sz - 1 :
		w->first_sz, w->piece_sz);
	place(&s, random);
	kit_free(&s);
}

static void send_all(const struct way *w, __u64 *random)
{
	struct pt_builder_cfg cfg = kit_cfg(w->link, w->mtu);
	struct pt_builder b;

	pt_builder_init(&b, &cfg);
	for (__u64 i = 0; i < PAGES; i++) {
		if (is_copy(i)) {
			while (!pt_builder_add_copy(&b, i, i - 3, 1))
				send_frame(&b, w, random);
			continue;
		}
		if (!masks[i]) {
			while (!pt_builder_add_zeroes(&b, i, 1))
				send_frame(&b, w, random);
			continue;
		}
		for (unsigned int at = 0; at < 64; ) {
			at = pt_builder_add_page(&b, i, at, masks[i],
						 source[i]);
			if (at < 64)
				send_frame(&b, w, random);
		}
	}
	send_frame(&b, w, random);
}

/* On any link, with any MTU and cut: the sent bytes arrive. */
static void test_round_trips(void **state)
{
	__u64 random = 4;

	(void)state;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++)
		for (size_t m = 0; m < COUNT_OF(kit_mtus); m++)
			for (size_t c = 0; c < COUNT_OF(cuts); c++) {
				struct way w = {
					&kit_links[l].link, kit_mtus[m],
					cuts[c].first_sz, cuts[c].piece_sz,
				};

				make_source(&random);
				memset(copy, 0xee, sizeof(copy));
				send_all(&w, &random);
				assert_memory_equal(copy, source,
						    sizeof(copy));
			}
}

/* good_frame writes a frame of two pages, a run, a copy; returns its bytes. */
static __u32 good_frame(const struct pt_link *link)
{
	struct pt_builder_cfg cfg = kit_cfg(link, 1500);
	struct pt_builder b;
	__u64 random = 5;

	kit_fill(source, sizeof(source), &random);
	pt_builder_init(&b, &cfg);
	pt_builder_add_page(&b, 3, 0, 0x80000000000000f1ULL, source[3]);
	pt_builder_add_zeroes(&b, 4, 100);
	pt_builder_add_page(&b, 500, 0, 0x7, source[5]);
	pt_builder_add_copy(&b, 501, 0x123456789a, 7);
	return pt_builder_close(&b, link, &kit_id, NULL, frame);
}

static bool is_taken(const void *bytes, __u32 sz, __u32 first_sz,
		     __u32 piece_sz)
{
	struct kit_spans s;
	struct pt_reader r;
	bool ok;

	kit_cut(&s, bytes, sz, first_sz, piece_sz);
	ok = pt_reader_open(&r, s.spans, s.cnt) == PT_VERDICT_STEERED &&
	     pt_reader_auth_ok(&r);
	kit_free(&s);
	return ok;
}

/* A changed bit of the UDP payload is always detected; bytes behind the
 * datagram, which the link may add, may change. */
static void test_flips(void **state)
{
	(void)state;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++) {
		__u32 payload = kit_links[l].sz;
		__u32 sz = good_frame(&kit_links[l].link);

		memset(frame + sz, 0, 8);
		assert_true(is_taken(frame, sz, sz, 1));
		for (__u32 bit = payload * 8; bit < (sz + 8) * 8; bit++) {
			frame[bit / 8] ^= 1 << bit % 8;
			assert_int_equal(is_taken(frame, sz + 8, sz - 100, 9),
					 bit / 8 >= sz);
			frame[bit / 8] ^= 1 << bit % 8;
		}
	}
}

/* Blocks that change places, with all else unchanged, are detected too. */
static void test_swapped_blocks(void **state)
{
	__u32 sz = good_frame(&kit_links[0].link);
	__u8 block[64];

	(void)state;
	memcpy(block, frame + sz - 64, 64);
	memcpy(frame + sz - 64, frame + sz - 128, 64);
	memcpy(frame + sz - 128, block, 64);
	assert_false(is_taken(frame, sz, sz, 1));
}

static void test_cut_short(void **state)
{
	struct pt_reader r;

	(void)state;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++) {
		__u32 sz = good_frame(&kit_links[l].link);

		for (__u32 len = 0; len < sz; len++) {
			struct kit_spans s = { .cnt = 0 };
			enum pt_verdict got;

			kit_cut(&s, frame, len, len, 1);
			if (!len)
				s = (struct kit_spans){
					{ { malloc(1), 0 } }, 1 };
			got = pt_reader_open(&r, s.spans, s.cnt);
			assert_int_equal(got, len < kit_links[l].sz ?
					 PT_VERDICT_PASSED :
					 PT_VERDICT_TRUNCATED);
			kit_free(&s);
		}
	}
}

/* Headers and records must lie in the first span, with the rest anywhere. */
static void test_first_span(void **state)
{
	struct pt_reader r;

	(void)state;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++) {
		__u32 sz = good_frame(&kit_links[l].link);
		__u32 records_end = kit_links[l].sz + 64 + 4 * 16;

		for (__u32 first = 1; first < sz; first++) {
			struct kit_spans s;
			enum pt_verdict want = PT_VERDICT_STEERED;

			if (first < kit_links[l].sz)
				want = PT_VERDICT_PASSED;
			else if (first < records_end)
				want = PT_VERDICT_TRUNCATED;
			kit_cut(&s, frame, sz, first, 100);
			assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
					 want);
			if (want == PT_VERDICT_STEERED)
				assert_true(pt_reader_auth_ok(&r));
			kit_free(&s);
		}
	}
}

static void test_empty_spans(void **state)
{
	__u32 sz = good_frame(&kit_links[0].link);
	struct pt_span spans[] = {
		{ frame, 300 }, { frame, 0 }, { frame + 300, 30 },
		{ frame, 0 }, { frame, 0 }, { frame + 330, sz - 330 },
		{ frame, 0 },
	};
	struct pt_record_host rec;
	struct pt_reader r;
	unsigned int got;
	const __u8 *at;

	(void)state;
	assert_int_equal(pt_reader_open(&r, spans, COUNT_OF(spans)),
			 PT_VERDICT_STEERED);
	assert_true(pt_reader_auth_ok(&r));
	for (int i = 0; i < 3; i++)
		assert_true(pt_reader_next(&r, &rec));
	for (int i = 0; i < 3; i++) {
		at = pt_reader_blocks(&r, 1, &got);
		assert_memory_equal(at, source[5] + 64 * i, 64);
	}
}

static void test_fields(void **state)
{
	__u32 sz = good_frame(&kit_links[2].link);
	struct pt_span span = { frame, sz + 4 };
	struct pt_record_host rec;
	struct pt_reader r;

	(void)state;
	assert_int_equal(pt_reader_open(&r, &span, 1), PT_VERDICT_STEERED);
	assert_int_equal(r.kind, PT_FRAME_DATA);
	assert_int_equal(r.frame_sz, sz + 4);
	assert_int_equal(r.record_cnt, 4);
	assert_int_equal(r.block_cnt, 9);
	assert_memory_equal(r.dst.addr, kit_links[2].link.dst_addr, 16);
	assert_memory_equal(&r.id, &kit_id, sizeof(kit_id));
	assert_true(pt_reader_next(&r, &rec));
	assert_int_equal(rec.kind, PT_RECORD_BLOCKS);
	assert_int_equal(rec.gfn, 3);
	assert_true(rec.mask == 0x80000000000000f1ULL);
	assert_true(pt_reader_next(&r, &rec));
	assert_int_equal(rec.kind, PT_RECORD_ZEROES);
	assert_int_equal(pt_record_page_cnt(&rec), 100);
	assert_int_equal(pt_record_block_cnt(&rec), 0);
	assert_true(pt_reader_next(&r, &rec));
	assert_true(pt_reader_next(&r, &rec));
	assert_int_equal(rec.kind, PT_RECORD_COPY);
	assert_int_equal(rec.first, 0);
	assert_int_equal(rec.last, 63);
	assert_int_equal(rec.gfn, 501);
	assert_true(pt_record_original(rec.mask) == 0x123456789aULL);
	assert_int_equal(pt_record_version(rec.mask), 7);
	assert_int_equal(pt_record_page_cnt(&rec), 1);
	assert_int_equal(pt_record_block_cnt(&rec), 0);
	assert_false(pt_reader_next(&r, &rec));
}

static void test_probe(void **state)
{
	struct pt_frame_id id = kit_id;
	struct pt_record_host rec;
	struct pt_reader r;
	struct kit_spans s;

	(void)state;
	id.generation = 0;
	pt_probe_write(&kit_links[1].link, &id, 9018, NULL, frame);
	kit_cut(&s, frame, 9018, 3840, 3840);
	assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
			 PT_VERDICT_STEERED);
	assert_true(pt_reader_auth_ok(&r));
	assert_int_equal(r.kind, PT_FRAME_PROBE);
	assert_int_equal(r.frame_sz, 9018);
	assert_false(pt_reader_next(&r, &rec));
	kit_free(&s);
}

/* The variants agree with each other and with the pieces put together. */
static void test_checksum_variants(void **state)
{
	const struct pt_checksum_variant *v;
	unsigned int cnt, tried = 0;
	__u64 random = 6;
	__u8 want[16], got[16];

	(void)state;
	v = pt_checksum_variants(&cnt);
	kit_fill(frame, sizeof(frame), &random);
	for (__u32 sz = 0; sz < 9000; sz += sz < 600 ? 1 : 97) {
		struct pt_span whole = { frame + 42, sz };

		v[0].checksum(&whole, 1, want);
		for (unsigned int i = 0; i < cnt; i++) {
			__u32 cut = sz ? kit_random(&random) % sz : 0;
			struct pt_span spans[] = {
				{ frame + 42, cut }, { frame, 0 },
				{ frame + 42 + cut, sz - cut },
			};

			if (!v[i].is_supported)
				continue;
			v[i].checksum(&whole, 1, got);
			assert_memory_equal(got, want, 16);
			v[i].checksum(spans, 3, got);
			assert_memory_equal(got, want, 16);
			tried++;
		}
	}
	assert_true(tried);
}

/* Else each later change to SSE instructions and back is slow. */
static void test_checksum_upper_halves(void **state)
{
	static const __u32 sizes[] = { 100, 200, 1400, 4000 };
	const struct pt_checksum_variant *v;
	unsigned int cnt;
	__u64 random = 7;
	__u8 got[16];

	(void)state;
	v = pt_checksum_variants(&cnt);
	kit_fill(frame, sizeof(frame), &random);
	for (unsigned int i = 0; i < 4 * cnt; i++) {
		struct pt_span spans[] = {
			{ frame, sizes[i % 4] }, { frame + 4000, sizes[i % 4] },
		};

		if (!v[i / 4].is_supported || strcmp(v[i / 4].name, "avx2"))
			continue;
		v[i / 4].checksum(spans, 1, got);
		assert_true(kit_upper_is_zero());
		v[i / 4].checksum(spans, 2, got);
		assert_true(kit_upper_is_zero());
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_swapped_blocks),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_first_span),
		cmocka_unit_test(test_empty_spans),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_checksum_variants),
		cmocka_unit_test(test_checksum_upper_halves),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
