/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Compressed frames at a receive queue, placed by its thread and by placers:
 * placed, refused where the method was not agreed, and the end of a session whose
 * sender makes units that are none. */
#include "rx_queue_kit.h"

#include "wire/checksum.h"

#define CNT	4	/* pages of a frame */

static __u8 pages[CNT][PT_PAGE_SZ];

/* unit_frame writes a frame of CNT pages to frame, and returns its bytes. */
static __u32 unit_frame(__u64 seq, enum pt_compression method)
{
	const struct pt_frame_id id = {
		.session_id = SESSION, .seq = seq, .generation = 1,
	};
	struct pt_builder_cfg cfg = kit_cfg(&kit_links[0].link, 9000);
	struct pt_compressor *c;
	struct pt_builder b;
	__u32 sz;

	assert_int_equal(pt_compressor_create(&c, method, 1), 0);
	data_cnt++;
	pt_builder_init(&b, &cfg);
	pt_builder_use(&b, c);
	for (int i = 0; i < CNT; i++) {
		for (int k = 0; k < PT_PAGE_SZ; k++)
			pages[i][k] = k % 61 + i + seq;
		assert_int_equal(pt_builder_add_page(&b, LOW + CNT * seq + i, 0,
						     ~0ULL, pages[i]), 64);
	}
	pt_builder_pack(&b);
	assert_true(pt_builder_take(&b).sz);
	assert_int_equal(pt_builder_take(&b).record_cnt, CNT);
	sz = pt_builder_close(&b, &kit_links[0].link, &id, NULL, frame);
	pt_compressor_destroy(c);
	return sz;
}

/* damage changes a byte, and makes the checksum right again. */
static void damage(__u32 sz, __u32 off)
{
	__u8 *payload = (__u8 *)frame + pt_link_sz(&kit_links[0].link);
	struct pt_frame_hdr *hdr = (struct pt_frame_hdr *)payload;

	payload[off] ^= 0xff;
	memset(hdr->auth, 0, sizeof(hdr->auth));
	pt_checksum(&(struct pt_span){ payload, sz -
		    pt_link_sz(&kit_links[0].link) }, 1, hdr->auth);
}

static void test_placed(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	for (__u64 seq = 0; seq < 20; seq++) {
		__u32 sz = unit_frame(seq, seq % 2 ? PT_COMPRESSION_LZ4
						   : PT_COMPRESSION_ZSTD);

		put(0, frame, sz);
	}
	ledger = settle();
	assert_int_equal(ledger.accepted, 20);
	assert_int_equal(ledger.placed, 20 * CNT);
	for (__u64 seq = 0; seq < 20; seq++) {
		unit_frame(seq, PT_COMPRESSION_LZ4);
		for (int i = 0; i < CNT; i++)
			assert_content(LOW + CNT * seq + i, pages[i]);
	}
}

static void test_not_agreed(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	put(0, frame, unit_frame(0, PT_COMPRESSION_ZSTD));
	put(0, frame, unit_frame(1, PT_COMPRESSION_LZ4));
	ledger = settle();
	assert_int_equal(ledger.refused_record, 1);
	assert_int_equal(ledger.accepted, 1);
	assert_int_equal(ledger.placed, CNT);
	assert_int_equal(atomic_load(&intake.failed), 0);
}

static void test_no_unit(void **state)
{
	static const __u8 zeroes[PT_PAGE_SZ];
	__u32 sz = unit_frame(0, PT_COMPRESSION_ZSTD);
	__u64 deadline = pt_clock_ns() + 50000000000ULL;

	(void)state;
	/* zstd's magic, behind the records and the pad */
	damage(sz, be16toh(((struct pt_frame_hdr *)((__u8 *)frame + 42))->data_off));
	put(0, frame, sz);
	while (!atomic_load(&intake.failed) && pt_clock_ns() < deadline)
		usleep(500);
	assert_int_equal(atomic_load(&intake.failed), -EPROTO);
	assert_int_equal(intake.error.exit, PT_EXIT_PEER);
	assert_non_null(strstr(intake.error.text, "cannot be decompressed"));
	for (int i = 0; i < CNT; i++)
		assert_content(LOW + i, zeroes);
}

static int start_all(void **state)
{
	kit_compressions = 1 << PT_COMPRESSION_LZ4 | 1 << PT_COMPRESSION_ZSTD;
	return start(state);
}

static int start_apart(void **state)
{
	kit_apart = true;
	return start_all(state);
}

static int start_lz4(void **state)
{
	kit_apart = false;
	kit_compressions = 1 << PT_COMPRESSION_LZ4;
	return start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN(fn, how) cmocka_unit_test_setup_teardown(fn, how, stop)
		IN(test_placed, start_all),
		IN(test_no_unit, start_all),
		IN(test_not_agreed, start_lz4),
		IN(test_placed, start_apart),
		IN(test_no_unit, start_apart),
	};

	return cmocka_run_group_tests_name("rx compressed", tests, group_start,
					   NULL);
}
