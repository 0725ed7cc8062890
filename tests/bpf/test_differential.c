// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program and the same parser in user space judge a corpus of
 * mutated frames; sessions, lanes and queues are modelled here.  No
 * disagreement; and every verdict must have come up, or nothing was shown. */
#include "../frames/random.h"
#include "program.h"

#define SEED		20240611
#define FRAME_CNT	100000

/* Lanes 0, 1: the queue that frames arrive on.  2: another.  3: none. */
#define LANE_CNT	3

static struct program program;

static enum pt_verdict model(const struct frame *frame)
{
	struct pt_cursor c = { frame->bytes, frame->bytes + frame->sz };
	const struct pt_endpoint v6 = frame_endpoint_ipv6();
	enum pt_verdict verdict;
	struct pt_packet p;
	struct pt_frame f;
	bool ipv6, is_sealed;
	const __u8 *hdr;

	if (!pt_parse_packet(&c, frame->sz, &p) ||
	    !frame_endpoint_is_open(&p.dst))
		return PT_VERDICT_PASSED;
	hdr = c.pos;
	verdict = pt_parse_header(&c, &p, &f);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	ipv6 = !memcmp(&p.dst, &v6, sizeof(v6));
	is_sealed = f.session_id == FRAME_SESSION_SEALED;
	if (ipv6 ? f.session_id != FRAME_SESSION_IPV6 :
		   f.session_id != FRAME_SESSION && !is_sealed)
		return PT_VERDICT_UNKNOWN_SESSION;
	if (is_sealed != (f.flags & PT_FLAG_SEALED))
		return PT_VERDICT_BAD_HEADER;
	if (is_sealed && mac_word(hdr + 40, 8) !=
			 mac_of(frame_header_key, hdr, 40))
		return PT_VERDICT_BAD_MAC;
	if (f.lane >= LANE_CNT)
		return PT_VERDICT_BAD_HEADER;
	if (f.kind == PT_FRAME_DATA && f.lane == 2)
		return PT_VERDICT_WRONG_QUEUE;
	return pt_parse_records(&c, &f);
}

static void test_corpus(void **state)
{
	static __u32 cnts[PT_VERDICT_CNT];
	static struct frame f;

	(void)state;
	for (__u32 i = 0; i < FRAME_CNT; i++) {
		struct outcome o;
		char what[64];

		random_corpus_frame(SEED, i, &f);
		o = program_run(&program, &f, 0);
		snprintf(what, sizeof(what), "seed %d frame %u", SEED, i);
		assert_verdict(what, o.verdict, model(&f));
		cnts[o.verdict]++;
	}
	for (int v = 0; v < PT_VERDICT_CNT; v++) {
		print_message("%-16s %u\n", verdict_names[v], cnts[v]);
		if (v != PT_VERDICT_NO_SOCKET)
			assert_true(cnts[v] >= 100);
	}
}

static int group_setup(void **state)
{
	const __u64 ids[] = { FRAME_SESSION, FRAME_SESSION_IPV6,
			      FRAME_SESSION_SEALED };

	(void)state;
	if (program_open_usual(&program))
		return -1;
	for (int i = 0; i < 3; i++) {
		const struct pt_endpoint e = i == 1 ? frame_endpoint_ipv6() :
						      frame_endpoint_ipv4();

		program_open_session(&program, ids[i], &e, LANE_CNT);
		program_set_lane_queue(&program, ids[i], 2, 1);
	}
	return 0;
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
