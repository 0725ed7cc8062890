// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The parser as the agent compiles it, on each row of frames/rows.h, and its
 * output.  tests/bpf/ has the program's verdicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../frames/judge.h"
#include "../frames/rows.h"

/* A copy on the heap, of no byte more: a sanitizer detects reads past it, and
 * an odd address detects code that assumes alignment. */
static enum pt_verdict judge_bytes(const __u8 *bytes, __u32 linear_sz,
				   __u32 frame_sz, struct pt_packet *p,
				   struct pt_frame *f)
{
	__u8 *copy = malloc(linear_sz + 1);
	enum pt_verdict verdict;

	assert_non_null(copy);
	memcpy(copy + 1, bytes, linear_sz);
	verdict = pt_parse_frame(copy + 1, linear_sz, frame_sz, p, f);
	free(copy);
	return verdict;
}

static void test_row(void **state)
{
	const struct row *row = *state;
	static struct frame frame;
	enum pt_verdict verdict;
	struct pt_packet p;
	struct pt_frame f;

	row_build(row, &frame);
	verdict = judge_bytes(frame.bytes, frame.sz, frame.sz, &p, &f);
	if (verdict != PT_VERDICT_PASSED && !frame_endpoint_is_open(&p.dst))
		verdict = PT_VERDICT_PASSED;
	assert_int_equal(verdict, row->want);
}

static void test_values(void **state)
{
	struct frame frame;
	struct pt_packet p;
	struct pt_frame f;

	(void)state;
	frame_build(&frame, &shape_ipv6_vlan);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, seq, 1ULL << 40 | 3);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, generation, 0x10002);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, lane, 5);
	assert_int_equal(judge_bytes(frame.bytes, frame.sz, frame.sz, &p, &f),
			 PT_VERDICT_STEERED);
	assert_memory_equal(p.dst.addr, frame_ipv6_dst, 16);
	assert_int_equal(p.dst.port, htobe16(FRAME_PORT));
	assert_int_equal(p.dst.unused, 0);
	assert_int_equal(p.udp_off, 18 + 40);
	assert_int_equal(p.frame_sz, frame.sz);
	assert_int_equal(p.ip_end_off, frame.sz);
	assert_int_equal(p.udp_end_off, frame.sz);
	assert_int_equal(f.session_id, FRAME_SESSION_IPV6);
	assert_int_equal(f.seq, 1ULL << 40 | 3);
	assert_int_equal(f.generation, 0x10002);
	assert_int_equal(f.lane, 5);
	assert_int_equal(f.key_epoch, 0);
	assert_int_equal(f.data_off, 64 + 5 * 16 + 50);
	assert_int_equal(f.block_cnt, 6);
	assert_int_equal(f.kind, PT_FRAME_DATA);
	assert_int_equal(f.record_cnt, 5);
}

/* The first descriptor may end anywhere; before the records' end it is too
 * short, and no byte behind it is read. */
static void test_short_linear_part(void **state)
{
	static const struct shape *const shapes[] = {
		&shape_ipv4, &shape_ipv6_vlan, &shape_big, &shape_full,
	};
	static struct frame frame;
	struct pt_packet p;
	struct pt_frame f;

	(void)state;
	for (size_t i = 0; i < SHAPE_CNT_OF(shapes); i++) {
		__u32 records_off, data_off;

		frame_build(&frame, shapes[i]);
		records_off = frame.hdr_off + PT_FRAME_HDR_SZ;
		data_off = records_off + shapes[i]->record_cnt * PT_RECORD_SZ;
		for (__u32 sz = 0; sz <= data_off; sz++) {
			enum pt_verdict want =
				sz < frame.hdr_off ? PT_VERDICT_PASSED :
				sz < data_off ? PT_VERDICT_TRUNCATED :
						PT_VERDICT_STEERED;

			assert_int_equal(judge_bytes(frame.bytes, sz, frame.sz,
						     &p, &f), want);
		}
	}
}

#define COUNT(list)	+ SHAPE_CNT_OF(list)

int main(void)
{
	static struct CMUnitTest tests[2 ROW_LISTS(COUNT)] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_short_linear_part),
	};
	size_t cnt = 2;

#define ADD(list)							\
	for (size_t i = 0; i < SHAPE_CNT_OF(list); i++)			\
		tests[cnt++] = (struct CMUnitTest){			\
			.name = list[i].name,				\
			.test_func = test_row,				\
			.initial_state = (void *)&list[i],		\
		};
	ROW_LISTS(ADD)
	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
