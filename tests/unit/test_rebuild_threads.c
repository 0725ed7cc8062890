// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Two queues place at once, each in its own regions: with originals of its own,
 * then with those of the other, which no sender should name. */
#include "rebuild_kit.h"

#include <pthread.h>

#include <pagetrim/check.h>

#define FRAMES		4000
#define RECORDS		8
#define OWN		64	/* pages of a queue's region that it speaks of */

/* queue: as in rxq/rx_queue, for one lane. */
static struct queue {
	pthread_t thread;
	__u64 gfn;		/* its first page, and the other's */
	__u64 other_gfn;
	__u64 random;
	bool is_wrong;		/* names originals of the other */
	__u64 sent;		/* records */
	struct pt_sink_run run;
	struct pt_page_sum sum;
	struct pt_reader reader;
	struct pt_rebuild_counts counts;
	__u8 frames[BATCH][(FRAME_SZ_MAX + 63) / 64 * 64]
		__attribute__((aligned(64)));
	__u8 data[BATCH * RECORDS][PT_PAGE_SZ];
	__u8 model[OWN][PT_PAGE_SZ];
	__u32 versions[OWN];
	struct pt_refusals refusals;
} queues[2];

/* stage adds a record of page i to frame n of the batch: new data, a zero page,
 * or a copy. */
static void stage(struct queue *q, struct pt_builder *b, __u32 n, __u32 i,
		  __u32 version)
{
	__u8 *data = q->data[n * RECORDS + b->record_cnt];
	__u32 original = (i + 1 + kit_random(&q->random) % (OWN - 1)) % OWN;
	__u32 what = kit_random(&q->random) % 4;
	bool ok = true;

	/* A page that was never sent has no version. */
	switch (what > 1 && !q->versions[original] && !q->is_wrong ? 0 : what) {
	case 0:
		memset(data, kit_random(&q->random) >> 56 | 1, PT_PAGE_SZ);
		ok = pt_builder_add_page(b, q->gfn + i, 0, ~0ULL, data) == 64;
		memcpy(q->model[i], data, PT_PAGE_SZ);
		break;
	case 1:
		ok = pt_builder_add_zeroes(b, q->gfn + i, 1);
		memset(q->model[i], 0, PT_PAGE_SZ);
		break;
	default:
		ok = pt_builder_add_copy(b, q->gfn + i, original +
					 (q->is_wrong ? q->other_gfn
						      : q->gfn),
					 q->is_wrong ? version
						     : q->versions[original]);
		memcpy(q->model[i], q->model[original], PT_PAGE_SZ);
		break;
	}
	q->versions[i] = version;
	pt_check(ok);
}

static void place(struct queue *q, __u32 seq)
{
	struct pt_builder b = page_builder(65535);
	const struct pt_frame_id id = {
		.session_id = 1, .seq = seq, .generation = 1 + seq,
	};
	__u32 n = seq % BATCH, first = kit_random(&q->random) % (OWN - RECORDS);
	struct pt_span span = { q->frames[n], 0 };

	for (__u32 i = first; i < first + RECORDS; i++)
		stage(q, &b, n, i, 1 + seq);
	q->sent += b.record_cnt;
	span.sz = pt_builder_close(&b, &kit_links[0].link, &id, NULL,
				   q->frames[n]);
	pt_check(pt_reader_open(&q->reader, &span, 1) == PT_VERDICT_STEERED);
	pt_check(pt_rebuild_check(rebuild, &q->reader));
	q->refusals.cnt = 0;
	pt_check(!pt_rebuild_place(rebuild, &q->run, &q->sum, &q->refusals,
				   &q->reader, &q->counts, NULL));
	if (n == BATCH - 1)
		pt_check(!pt_rebuild_flush(rebuild, &q->run, &q->sum, NULL));
}

static void *queue_main(void *arg)
{
	struct queue *q = arg;

	for (__u32 seq = 0; seq < FRAMES; seq++)
		place(q, seq);
	pt_check(!pt_rebuild_flush(rebuild, &q->run, &q->sum, NULL));
	return NULL;
}

static void run_both(bool is_wrong)
{
	const __u64 gfns[2] = { LOW, HIGH };

	memset(queues, 0, sizeof(queues));
	for (int i = 0; i < 2; i++) {
		queues[i].gfn = gfns[i];
		queues[i].other_gfn = gfns[!i];
		queues[i].random = 7 + i;
		queues[i].is_wrong = is_wrong;
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&queues[i].thread, NULL,
						queue_main, &queues[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(queues[i].thread, NULL);
}

/* assert_accounted: each record was placed, and the digests match the content,
 * whatever it is. */
static void assert_accounted(const struct queue *q)
{
	__u8 page[PT_PAGE_SZ];
	__u64 page_idx, want = 0;

	assert_true(q->sent > FRAMES);	/* zero pages make runs */
	assert_int_equal(q->counts.placed + q->counts.refused, q->sent);
	if (!q->is_wrong)
		assert_int_equal(q->counts.refused, 0);
	assert_int_equal(q->counts.stale, 0);
	for (__u32 i = 0; i < OWN; i++) {
		sink_read(q->gfn + i, page);
		want += true_digest(q->gfn + i, page);
	}
	assert_true(pt_layout_find(layout, q->gfn, &page_idx));
	assert_int_equal(region_digest(page_idx / PT_REGION_PAGES), want);
}

static void test_own(void **state)
{
	(void)state;
	run_both(false);
	for (int n = 0; n < 2; n++) {
		for (__u32 i = 0; i < OWN; i++)
			assert_content(queues[n].gfn + i, queues[n].model[i]);
		assert_accounted(&queues[n]);
	}
}

/* This is a data race by design; only this result is guaranteed. */
static void test_of_the_other(void **state)
{
	(void)state;
	run_both(true);
	for (int n = 0; n < 2; n++)
		assert_accounted(&queues[n]);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rebuild_start, \
						 rebuild_stop)
	const struct CMUnitTest tests[] = {
		TEST(test_own),
		TEST(test_of_the_other),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
