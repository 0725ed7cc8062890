/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Compressed frames at a receive queue, placed by its thread and by placers:
 * placed, or refused as a whole if the blocks are no unit of their records or of a
 * method that was not agreed.  A refused frame that is not sealed leaves its number
 * to the sender's own; one that is sealed ends the transfer. */
#include "rx_queue_kit.h"

#define CNT	4	/* pages of a frame */
#define BOTH	(1 << PT_COMPRESSION_LZ4 | 1 << PT_COMPRESSION_ZSTD)

static __u8 pages[CNT][PT_PAGE_SZ];
static struct pt_seal *tx;

enum unit {
	UNIT,
	DAMAGED,
	LARGER,		/* it decompresses to a block more than the masks name, */
	SMALLER,	/* or to one less */
	UNIT_CNT,
};

/* spoil makes the packed blocks no unit of their records. */
static void spoil(struct pt_builder *b, enum unit what)
{
	if (what == DAMAGED)
		((__u8 *)b->pack.data)[0] ^= 0xff;
	else if (what == LARGER)
		b->records[0].mask &= ~2ULL;
	else if (what == SMALLER)
		b->records[0].mask |= 1;
}

static void fill_pages(__u64 seq)
{
	for (int i = 0; i < CNT; i++)
		for (int k = 0; k < PT_PAGE_SZ; k++)
			pages[i][k] = k % 61 + i + seq;
	memset(pages[0], 0, PT_BLOCK_SZ);
}

/* unit_frame writes a frame of CNT pages, less a block, to frame, and returns its
 * bytes. */
static __u32 unit_frame(__u64 seq, enum pt_compression method, enum unit what)
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
	fill_pages(seq);
	for (int i = 0; i < CNT; i++)
		assert_int_equal(pt_builder_add_page(&b, LOW + CNT * seq + i, 0,
						     ~(i ? 0ULL : 1ULL), pages[i]), 64);
	pt_builder_pack(&b);
	assert_true(pt_builder_take(&b).sz);
	assert_int_equal(pt_builder_take(&b).record_cnt, CNT);
	spoil(&b, what);
	sz = pt_builder_close(&b, &kit_links[0].link, &id, tx, frame);
	pt_compressor_destroy(c);
	return sz;
}

static void put_unit(__u64 seq, enum pt_compression method, enum unit what)
{
	put(0, frame, unit_frame(seq, method, what));
}

static void assert_placed(__u64 seq)
{
	fill_pages(seq);
	for (int i = 0; i < CNT; i++)
		assert_content(LOW + CNT * seq + i, pages[i]);
}

static void assert_untouched(__u64 seq)
{
	static const __u8 zeroes[PT_PAGE_SZ];

	for (int i = 0; i < CNT; i++)
		assert_content(LOW + CNT * seq + i, zeroes);
}

static void test_placed(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	for (__u64 seq = 0; seq < 20; seq++)
		put_unit(seq, seq % 2 ? PT_COMPRESSION_LZ4
				      : PT_COMPRESSION_ZSTD, UNIT);
	ledger = settle();
	assert_int_equal(ledger.accepted, 20);
	/* Each frame is one descriptor, and has CNT pages less a block. */
	all_lock();
	assert_int_equal(lanes[0].freed_desc, 20 * (CNT - 1));
	all_unlock();
	assert_int_equal(ledger.placed, 20 * CNT);
	for (__u64 seq = 0; seq < 20; seq++)
		assert_placed(seq);
}

/* The rows: each kind of no unit, by each method. */
static void test_no_unit(void **state)
{
	struct pt_ledger ledger;
	__u64 seq = 0, cnt = 0;

	(void)state;
	for (int method = 1; method < PT_COMPRESSION_CNT; method++)
		for (int what = DAMAGED; what < UNIT_CNT; what++, seq++) {
			put_unit(seq, method, what);
			ledger = settle();
			assert_int_equal(ledger.refused_unit, ++cnt);
			assert_int_equal(ledger.accepted, seq);
			assert_untouched(seq);

			put_unit(seq, method, UNIT);
			put_unit(seq, method, what);
			ledger = settle();
			assert_int_equal(ledger.accepted, seq + 1);
			assert_int_equal(ledger.duplicate, seq + 1);
			assert_placed(seq);
		}
	assert_int_equal(ledger.refused_unit, cnt);
	assert_int_equal(ledger.placed, seq * CNT);
	assert_int_equal(atomic_load(&intake.failed), 0);
}

static void test_not_agreed(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	put_unit(0, PT_COMPRESSION_ZSTD, UNIT);
	put_unit(1, PT_COMPRESSION_LZ4, UNIT);
	ledger = settle();
	assert_int_equal(ledger.refused_unit, 1);
	assert_int_equal(ledger.accepted, 1);
	assert_int_equal(ledger.placed, CNT);
	assert_int_equal(atomic_load(&intake.failed), 0);
	assert_untouched(0);
}

/* assert_blamed: frame 0, which is sealed, and no other, ended the transfer. */
static void assert_blamed(const char *method)
{
	struct pt_ledger ledger = settle();

	assert_int_equal(ledger.refused_unit, 1);
	assert_int_equal(ledger.accepted, 0);
	assert_int_equal(ledger.records, 0);
	assert_int_equal(atomic_load(&intake.failed), -EPROTO);
	assert_int_equal(intake.error.exit, PT_EXIT_PEER);
	assert_non_null(strstr(intake.error.text, "frame 0, by "));
	assert_non_null(strstr(intake.error.text, method));
	assert_untouched(0);
}

static void test_sealed_damaged(void **state)
{
	(void)state;
	put_unit(0, PT_COMPRESSION_ZSTD, DAMAGED);
	assert_blamed("zstd");
}

static void test_sealed_larger(void **state)
{
	(void)state;
	put_unit(0, PT_COMPRESSION_LZ4, LARGER);
	assert_blamed("lz4");
}

static void test_sealed_not_agreed(void **state)
{
	(void)state;
	put_unit(0, PT_COMPRESSION_ZSTD, UNIT);
	assert_blamed("zstd");
}

static int start_as(void **state, bool apart, bool sealed, __u8 compressions)
{
	kit_apart = apart;
	kit_sealed = sealed;
	kit_compressions = compressions;
	tx = sealed ? kit_seal() : NULL;
	return start(state);
}

static int start_here(void **s) { return start_as(s, false, false, BOTH); }
static int start_apart(void **s) { return start_as(s, true, false, BOTH); }
static int start_sealed(void **s) { return start_as(s, false, true, BOTH); }
static int start_both(void **s) { return start_as(s, true, true, BOTH); }

static int start_lz4(void **s)
{
	return start_as(s, false, false, 1 << PT_COMPRESSION_LZ4);
}

static int start_sealed_lz4(void **s)
{
	return start_as(s, true, true, 1 << PT_COMPRESSION_LZ4);
}

static int stop_all(void **state)
{
	pt_seal_destroy(tx);
	return stop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN(fn, how) cmocka_unit_test_setup_teardown(fn, how, stop_all)
		IN(test_placed, start_here),
		IN(test_no_unit, start_here),
		IN(test_not_agreed, start_lz4),
		IN(test_placed, start_apart),
		IN(test_no_unit, start_apart),
		IN(test_placed, start_sealed),
		IN(test_sealed_damaged, start_sealed),
		IN(test_sealed_larger, start_sealed),
		IN(test_placed, start_both),
		IN(test_sealed_damaged, start_both),
		IN(test_sealed_larger, start_both),
		IN(test_sealed_not_agreed, start_sealed_lz4),
	};

	return cmocka_run_group_tests_name("rx compressed", tests, group_start,
					   NULL);
}
