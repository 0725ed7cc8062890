// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program and the same parser in user space judge a corpus of
 * mutated frames; sessions, lanes and queues are modelled.  Both must agree;
 * and every verdict, and every kind of record in steered clear frames, must have
 * occurred, or the test has shown nothing. */
#include "../frames/random.h"
#include "model.h"

#define SEED		20240611
#define FRAME_CNT	100000

static struct program program;

/* count_kinds counts the kinds of records of a data frame. */
static void count_kinds(struct frame *f, __u32 cnts[PT_RECORD_UNREADABLE + 1])
{
	const __u8 *record = frame_part(f, PART_RECORDS);

	for (__u32 left = random_record_cnt(f); left--; ) {
		pt_check(*record <= PT_RECORD_UNREADABLE);
		cnts[*record]++;
		record += PT_RECORD_SZ;
	}
}

static void test_corpus(void **state)
{
	static __u32 cnts[PT_VERDICT_CNT], kinds[PT_RECORD_UNREADABLE + 1];
	static struct frame f;

	(void)state;
	for (__u32 i = 0; i < FRAME_CNT; i++) {
		struct outcome o;
		char what[64];

		random_corpus_frame(SEED, i, &f);
		o = program_run(&program, &f, 0);
		snprintf(what, sizeof(what), "seed %d frame %u", SEED, i);
		assert_verdict(what, o.verdict, model_verdict(&f));
		cnts[o.verdict]++;
		if (o.verdict == PT_VERDICT_STEERED && !frame_is_sealed(&f))
			count_kinds(&f, kinds);
	}
	for (int v = 0; v < PT_VERDICT_CNT; v++) {
		print_message("%-16s %u\n", verdict_names[v], cnts[v]);
		if (v != PT_VERDICT_NO_SOCKET && v != PT_VERDICT_IN_PIECES)
			assert_true(cnts[v] >= 100);
	}
	for (int k = 0; k <= PT_RECORD_UNREADABLE; k++) {
		const bool is_known = k >= PT_RECORD_BLOCKS;

		print_message("records of kind %d %u\n", k, kinds[k]);
		assert_int_equal(kinds[k] >= 100, is_known);
	}
}

static int group_setup(void **state)
{
	(void)state;
	return model_open(&program);
}

static int group_teardown(void **state)
{
	(void)state;
	program_close(&program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests_name("differential", tests, group_setup,
					   group_teardown);
}
