// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Copies from a hostile sender, taken by queues' threads: for any original,
 * each frame has one count, and the digests match the placed bytes. */
#include "rx_queue_kit.h"

static const __u8 zeroes[PT_PAGE_SZ];

/* copy_frame writes a frame of lane: new data for page gfn, and the page behind
 * it a copy of original. */
static __u32 copy_frame(__u16 lane, __u64 seq, __u32 generation, __u64 gfn,
			__u64 original)
{
	const struct pt_link *link = &kit_links[0].link;
	const struct pt_frame_id id = {
		.session_id = SESSION, .seq = seq, .generation = generation,
		.lane = lane,
	};
	struct pt_builder b = page_builder(9000);

	data_cnt++;
	assert_int_equal(pt_builder_add_page(&b, gfn, 0, ~0ULL, page), 64);
	assert_true(pt_builder_add_copy(&b, gfn + 1, 0, 1));
	b.records[1].mask = original;	/* the builder would refuse some
					 * values */
	return pt_builder_close(&b, link, &id, NULL, frame);
}

#define V1	(1ULL << PT_GFN_BITS)

static const struct row {
	const char *name;
	__u64 original;		/* of a copy at LOW + 1 */
	enum { PLACED, VERSION, REFUSED, UNSOUND } what;
} rows[] = {
	{ "of the frame's own page", LOW | V1, PLACED },
	{ "of another version of it", LOW | 2 * V1, VERSION },
	{ "of no version of it", LOW, VERSION },
	{ "of a page that was never sent", (LOW + 9) | V1, VERSION },
	{ "of a page of another lane that was never sent", HIGH | V1, VERSION },
	{ "of a page below the memory", LOW - 1, REFUSED },
	{ "of a page in a gap of the memory", HIGH - 1, REFUSED },
	{ "of a page behind the memory", HIGH + HIGH_CNT, REFUSED },
	{ "of the highest page there can be", PT_GFN_MAX, REFUSED },
	{ "of itself", LOW + 1, UNSOUND },
	{ "of itself, of a version", (LOW + 1) | V1, UNSOUND },
};

/* Frames that XDP would drop are not even the session's. */
static void test_row(void **state)
{
	const struct row *row = *state;
	bool is_placed = row->what == PLACED || row->what == VERSION;
	struct pt_ledger ledger;

	put(0, frame, copy_frame(0, 0, 1, LOW, row->original));
	if (row->what == UNSOUND)
		data_cnt--;
	ledger = settle();
	assert_int_equal(ledger.accepted, is_placed);
	assert_int_equal(ledger.placed, is_placed + (row->what == PLACED));
	assert_int_equal(ledger.refused_version, row->what == VERSION);
	if (row->what == VERSION) {	/* told, and before the ACK covers it */
		assert_true(refused == ((LOW + 1) | V1));
		assert_int_equal(refused_upto, 0);
	}
	assert_int_equal(ledger.refused_record, row->what == REFUSED);
	assert_content(LOW, is_placed ? page : zeroes);
	assert_content(LOW + 1, row->what == PLACED ? page : zeroes);
	assert_int_equal(sink_is_hole(LOW), !is_placed);
	assert_int_equal(sink_is_hole(LOW + 1), row->what != PLACED);
	/* It took no number: the number remains valid for a sound frame. */
	put(0, frame, copy_frame(0, 0, 1, LOW, LOW | V1));
	ledger = settle();
	assert_int_equal(ledger.accepted, 1);
	assert_int_equal(ledger.duplicate, is_placed);
}

/* A repeated or late frame, when the page has another content: it stays so. */
static void test_again(void **state)
{
	static __u8 first[2 * PT_PAGE_SZ];
	struct pt_ledger ledger;
	__u32 sz;

	(void)state;
	sz = copy_frame(0, 0, 1, LOW, LOW | V1);
	memcpy(first, frame, sz);
	put(0, first, sz);
	page[77] ^= 1;
	put(0, frame, copy_frame(0, 5, 2, LOW, (LOW + 9) | V1));	/* 1 to 4: late */
	put(0, first, sz);
	data_cnt++;
	put(0, frame, copy_frame(0, 3, 1, LOW, LOW | V1));
	ledger = settle();
	assert_int_equal(ledger.accepted, 3);
	assert_int_equal(ledger.duplicate, 1);
	assert_int_equal(ledger.stale, 1);
	assert_int_equal(ledger.refused_version, 2);
	assert_content(LOW, page);
	page[77] ^= 1;
	assert_content(LOW + 1, page);
}

/* region_is_as_digested: of the region of page gfn. */
static bool region_is_as_digested(__u64 gfn)
{
	__u64 digests[PT_REGION_PAGES], page_idx, sum_of = 0;
	int cnt;

	assert_true(pt_layout_find(layout, gfn, &page_idx));
	cnt = pt_rebuild_page_digests(rebuild, page_idx / PT_REGION_PAGES,
				      digests, NULL);
	assert_true(cnt > 0);
	while (cnt)
		sum_of += digests[--cnt];
	return region_digest(page_idx / PT_REGION_PAGES) == sum_of;
}

/* Two lanes that copy each other's pages while those are written. */
static void test_of_each_other(void **state)
{
	static const __u64 firsts[LANES] = { LOW, HIGH };
	struct pt_ledger ledger;

	(void)state;
	for (__u64 seq = 0; seq < 2000; seq++)
		for (int i = 0; i < LANES; i++)
			put(i, frame, copy_frame(i, seq, 1 + seq / 8,
						 firsts[i] + seq % 8 * 2,
						 (firsts[!i] + seq % 7) |
						 (1 + seq / 8) * V1));
	ledger = settle();
	assert_int_equal(ledger.accepted, LANES * 2000);
	assert_int_equal(ledger.placed + ledger.refused_version, LANES * 4000);
	for (int i = 0; i < LANES; i++)
		assert_true(region_is_as_digested(firsts[i]));
}

int main(void)
{
	struct CMUnitTest tests[2 + COUNT_OF(rows)] = {
		TEST(test_again),
		TEST(test_of_each_other),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[2 + i] = (struct CMUnitTest){
			rows[i].name, test_row, start, stop, (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, group_start, NULL);
}
