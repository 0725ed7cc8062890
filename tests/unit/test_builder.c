// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <endian.h>
#include <pagetrim/parse.h>
#include <xxhash.h>

static __u8 page[PT_PAGE_SZ];
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));

#define IPV4 (&kit_links[0].link)

/* A frame of the smallest MTU, byte for byte: three records, three blocks. */
static void test_every_byte(void **state)
{
	static const __u8 header[] = {
		'P', 'T', 'R', 'M', 3, 1, 0, 63,
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
		0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
		0, 0, 0x01, 0x56,
		0, 0, 0, 0, 0, 0, 0, 0,
	}, contents[] = {
		0x99, 0xaa, 0xbb, 0xcc, 3, 0, 0, 150, 0, 3, 0, 0,
	}, records[] = {
		1, 0, 63, 0xfe, 0xdc, 0xba, 0x98, 0x76,
		0x80, 0, 0, 0, 0, 0, 0, 0x05,
		2, 0, 63, 0xfe, 0xdc, 0xba, 0x98, 0x77,
		0, 0, 0, 0, 0, 0, 0, 9,
		4, 0, 63, 0xfe, 0xdc, 0xba, 0x98, 0x80,
		0xa1, 0xb2, 0xc3, 0x12, 0x34, 0x56, 0x78, 0x9a,
	};
	struct pt_builder b = kit_builder(IPV4, 1280);
	__u8 *payload = frame + 42;
	XXH128_canonical_t sum;
	__u8 auth[16];
	__u64 random = 2;

	(void)state;
	kit_fill(page, sizeof(page), &random);
	memset(frame, 0xee, sizeof(frame));
	assert_int_equal(pt_builder_add_page(&b, 0xfedcba9876ULL, 0,
					     0x8000000000000005ULL, page), 64);
	assert_true(pt_builder_add_zeroes(&b, 0xfedcba9877ULL, 9));
	assert_true(pt_builder_add_copy(&b, 0xfedcba9880ULL, 0x123456789aULL,
					0x99a1b2c3));
	assert_int_equal(pt_builder_frame_sz(&b), 42 + 150 + 3 * 64);
	assert_int_equal(pt_builder_close(&b, IPV4, &kit_id, NULL, frame),
			 42 + 150 + 3 * 64);
	assert_true(pt_builder_is_empty(&b));

	assert_memory_equal(payload, header, sizeof(header));
	assert_memory_equal(payload + 52, contents, sizeof(contents));
	assert_memory_equal(payload + 64, records, sizeof(records));
	for (int i = 64 + 48; i < 150; i++)
		assert_int_equal(payload[i], 0);
	assert_memory_equal(payload + 150, page, 64);
	assert_memory_equal(payload + 150 + 64, page + 2 * 64, 64);
	assert_memory_equal(payload + 150 + 128, page + 63 * 64, 64);
	assert_int_equal(payload[150 + 192], 0xee);

	memcpy(auth, payload + 36, 16);
	memset(payload + 36, 0, 16);
	XXH128_canonicalFromHash(&sum, XXH3_128bits(payload, 150 + 192));
	assert_memory_equal(auth, &sum, 16);
}

/* On any link a full frame has no space for one more block, and its blocks
 * start on a 64-byte boundary, but for the tag. */
static void test_full_and_aligned(void **state)
{
	(void)state;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++)
		for (size_t m = 0; m < COUNT_OF(kit_mtus); m++) {
			const struct pt_link *link = &kit_links[l].link;
			struct pt_builder b = kit_builder(link, kit_mtus[m]);
			__u32 max = b.cfg.frame_sz_max, sz;
			struct pt_frame_hdr *hdr;

			for (__u64 gfn = 0; ; gfn++)
				if (pt_builder_add_page(&b, gfn, 0, ~0ULL,
							page) < 64)
					break;
			sz = pt_builder_close(&b, link, &kit_id, NULL, frame);
			assert_true(sz <= max);
			assert_true(sz + PT_BUILDER_CUT_MIN * 64 + 16 > max);
			hdr = (void *)frame + pt_link_sz(link);
			assert_int_equal((pt_link_sz(link) +
					  be16toh(hdr->data_off) -
					  (link->vlan ? 4 : 0)) % 64, 0);
			assert_int_equal(sz, pt_link_sz(link) +
					 be16toh(hdr->data_off) +
					 be16toh(hdr->block_cnt) * 64);
		}
}

/* Packed, blocks follow the records at once, and one more may fit. */
static void test_packed(void **state)
{
	__u32 more = 0;

	(void)state;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++)
		for (size_t m = 0; m < COUNT_OF(kit_mtus); m++) {
			const struct pt_link *link = &kit_links[l].link;
			struct pt_builder aligned =
				kit_builder(link, kit_mtus[m]);
			struct pt_builder_cfg cfg = kit_cfg(link, kit_mtus[m]);
			struct pt_builder b;
			struct pt_frame_hdr *hdr;
			__u32 records, sz;

			cfg.packed = true;
			pt_builder_init(&b, &cfg);
			for (__u64 gfn = 0; ; gfn++)
				if (pt_builder_add_page(&b, gfn, 0, ~0ULL,
							page) < 64)
					break;
			for (__u64 gfn = 0; ; gfn++)
				if (pt_builder_add_page(&aligned, gfn, 0, ~0ULL,
							page) < 64)
					break;
			assert_in_range(b.block_cnt, aligned.block_cnt,
					aligned.block_cnt + PT_BUILDER_CUT_MIN);
			more += b.block_cnt > aligned.block_cnt;
			records = b.record_cnt;
			sz = pt_builder_close(&b, link, &kit_id, NULL, frame);
			assert_true(sz <= cfg.frame_sz_max);
			hdr = (void *)frame + pt_link_sz(link);
			assert_int_equal(be16toh(hdr->data_off),
					 64 + 16 * records);
			assert_int_equal(sz, pt_link_sz(link) +
					 be16toh(hdr->data_off) +
					 be16toh(hdr->block_cnt) * 64);
			assert_memory_equal(frame + sz - 64 *
					    be16toh(hdr->block_cnt), page, 64);
		}
	assert_true(more > 0);
}

/* At an MTU of 1500 a record and its blocks: 21 of them, not 20. */
static void test_packed_1500(void **state)
{
	struct pt_builder_cfg cfg = kit_cfg(IPV4, 1500);
	struct pt_builder b;

	(void)state;
	cfg.packed = true;
	pt_builder_init(&b, &cfg);
	assert_int_equal(pt_builder_add_page(&b, 7, 51, ~0ULL, page), 64);
	assert_int_equal(pt_builder_add_page(&b, 8, 0, ~0ULL, page), 8);
	assert_int_equal(pt_builder_frame_sz(&b), 42 + 64 + 32 + 21 * 64);
	cfg.packed = false;
	pt_builder_init(&b, &cfg);
	assert_int_equal(pt_builder_add_page(&b, 7, 51, ~0ULL, page), 64);
	assert_int_equal(pt_builder_add_page(&b, 8, 0, ~0ULL, page), 0);
	assert_int_equal(pt_builder_frame_sz(&b), 128 + 13 * 64);
}

/* A page is cut behind the last data block that fits; the zero blocks after it
 * are included. */
static void test_cut(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 1280);	/* room for 18 blocks */
	__u64 mask = 0x5555555555555555ULL;	/* 32 data blocks: 0, 2, .. */

	(void)state;
	assert_int_equal(pt_builder_add_page(&b, 7, 0, mask, page), 36);
	assert_int_equal(b.records[0].first, 0);
	assert_int_equal(b.records[0].last, 35);
	assert_true(b.records[0].mask == (mask & ((1ULL << 36) - 1)));
	assert_int_equal(b.block_cnt, 18);
	assert_int_equal(pt_builder_frame_sz(&b), 128 + 18 * 64);
	assert_int_equal(pt_builder_add_page(&b, 7, 36, mask, page), 36);

	assert_int_equal(pt_builder_skip(&b), 128 + 18 * 64);
	assert_int_equal(pt_builder_add_page(&b, 7, 36, mask, page), 64);
	assert_int_equal(b.records[0].first, 36);
	assert_int_equal(b.records[0].last, 63);
	assert_true(b.records[0].mask == (mask & (~0ULL << 36)));
}

/* Any mask, cut at any number of blocks: the expected end counts bits one by
 * one. */
static void test_cut_anywhere(void **state)
{
	__u64 random = 3;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct pt_builder b = kit_builder(IPV4, 1280);
		unsigned int first = kit_random(&random) & 63, end = first;
		__u64 mask = kit_mask(&random), want = 0;
		unsigned int cnt = 0;

		while (end < 64 && !(mask >> end & 1 && cnt == 18)) {
			want |= mask & 1ULL << end;
			cnt += mask >> end++ & 1;
		}
		assert_int_equal(pt_builder_add_page(&b, 1, first, mask, page),
				 end);
		assert_int_equal(b.records[0].first, first);
		assert_int_equal(b.records[0].last, end - 1);
		assert_true(b.records[0].mask == want);
		assert_int_equal(b.block_cnt, cnt);
	}
}

/* In a frame with room for left blocks a page of want blocks is staged up to
 * block end. */
static void test_no_slivers(void **state)
{
	static const struct {
		unsigned int left, want, end;
	} rows[] = {
		{ 7, 64, 0 },		/* a sliver: no */
		{ 8, 64, 8 },		/* just large enough */
		{ 7, 8, 0 },
		{ 8, 8, 64 },
		{ 7, 7, 64 },		/* all the rest of it: yes */
		{ 1, 1, 64 },
		{ 0, 1, 0 },
		{ 0, 0, 64 },		/* a record alone */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		/* with two records there is room for 17 blocks */
		struct pt_builder b = kit_builder(IPV4, 1280);
		__u64 mask = rows[i].want == 64 ? ~0ULL :
						  (1ULL << rows[i].want) - 1;

		pt_builder_add_page(&b, 1, 0, (1ULL << (17 - rows[i].left)) - 1,
				    page);
		assert_int_equal(b.block_cnt, 17 - rows[i].left);
		assert_int_equal(pt_builder_add_page(&b, 2, 0, mask, page),
				 rows[i].end);
		assert_int_equal(b.record_cnt, rows[i].end ? 2 : 1);
	}
}

static void test_positions_ascend(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 9000);

	(void)state;
	assert_int_equal(pt_builder_add_page(&b, 10, 5, 1ULL << 5, page), 64);
	assert_int_equal(pt_builder_add_page(&b, 10, 63, 0, page), 63);
	assert_int_equal(pt_builder_add_page(&b, 9, 0, 1, page), 0);
	assert_false(pt_builder_add_zeroes(&b, 10, 1));
	assert_true(pt_builder_add_zeroes(&b, 11, 1));
	assert_int_equal(pt_builder_add_page(&b, 11, 2, 4, page), 2);
	assert_int_equal(b.record_cnt, 2);
	pt_builder_discard(&b);
	assert_int_equal(pt_builder_add_page(&b, 9, 0, 1, page), 64);
}

static void test_mask_below_first_is_ignored(void **state)
{
	struct pt_builder b = kit_builder(IPV4, 9000);

	(void)state;
	assert_int_equal(pt_builder_add_page(&b, 10, 60, ~0ULL, page), 64);
	assert_true(b.records[0].mask == ~0ULL << 60);
	assert_int_equal(b.block_cnt, 4);
}

static void test_probe_sizes(void **state)
{
	struct pt_frame_id id = kit_id;

	(void)state;
	id.generation = 0;
	for (size_t l = 0; l < COUNT_OF(kit_links); l++) {
		const struct pt_link *link = &kit_links[l].link;
		__u32 min = pt_link_sz(link) + 64;

		for (__u32 sz = min; sz <= FRAME_SZ_MAX - 4; ) {
			struct pt_packet p;
			struct pt_frame f = { 0 };

			memset(frame, 0xee, sizeof(frame));
			pt_probe_write(link, &id, sz, NULL, frame);
			assert_int_equal(frame[sz], 0xee);
			for (__u32 at = min; at < sz; at++)
				assert_int_equal(frame[at], 0);
			assert_int_equal(pt_parse_frame(frame, sz, sz, &p, &f),
					 PT_VERDICT_STEERED);
			assert_int_equal(f.kind, PT_FRAME_PROBE);
			assert_true(f.seq == kit_id.seq);
			sz += sz < 1800 ? 1 : 641;
		}
	}
}

static struct pt_builder one_page(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_add_page(&b, 1, 0, 1, page);
	return b;
}

static void close_good(void)
{
	struct pt_builder b = one_page();

	pt_builder_close(&b, IPV4, &kit_id, NULL, frame);
}

static void close_empty(void)
{
	struct pt_builder b = kit_builder(IPV4, 1280);

	pt_builder_close(&b, IPV4, &kit_id, NULL, frame);
}

static void close_other_link(void)
{
	struct pt_builder b = one_page();

	pt_builder_close(&b, &kit_links[1].link, &kit_id, NULL, frame);
}

static void close_no_session(void)
{
	struct pt_builder b = one_page();
	struct pt_frame_id id = kit_id;

	id.session_id = 0;
	pt_builder_close(&b, IPV4, &id, NULL, frame);
}

static void close_no_generation(void)
{
	struct pt_builder b = one_page();
	struct pt_frame_id id = kit_id;

	id.generation = 0;
	pt_builder_close(&b, IPV4, &id, NULL, frame);
}

static void close_lane_64(void)
{
	struct pt_builder b = one_page();
	struct pt_frame_id id = kit_id;

	id.lane = 64;
	pt_builder_close(&b, IPV4, &id, NULL, frame);
}

static void mtu_1279(void)
{
	kit_builder(IPV4, 1279);
}

static void probe_too_small(void)
{
	struct pt_frame_id id = kit_id;

	id.generation = 0;
	pt_probe_write(IPV4, &id, 42 + 63, NULL, frame);
}

static void test_checks(void **state)
{
	(void)state;
	assert_false(kit_aborts(close_good));
	assert_true(kit_aborts(close_empty));
	assert_true(kit_aborts(close_other_link));
	assert_true(kit_aborts(close_no_session));
	assert_true(kit_aborts(close_no_generation));
	assert_true(kit_aborts(close_lane_64));
	assert_true(kit_aborts(mtu_1279));
	assert_true(kit_aborts(probe_too_small));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_full_and_aligned),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_1500),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_no_slivers),
		cmocka_unit_test(test_positions_ascend),
		cmocka_unit_test(test_mask_below_first_is_ignored),
		cmocka_unit_test(test_probe_sizes),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests_name("builder", tests, NULL, NULL);
}
