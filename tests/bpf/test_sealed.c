// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program's verdict on frames that claim a sealed session: only an
 * owner of its header key gets past the check. */
#include "../frames/rows.h"
#include "program.h"

static struct program program;
static struct frame frame;

static int setup(void **state)
{
	const struct pt_endpoint e = frame_endpoint_ipv4();

	(void)state;
	program_open_session(&program, FRAME_SESSION, &e, 2);
	program_open_session(&program, FRAME_SESSION_SEALED, &e, 2);
	program_set_lane_queue(&program, FRAME_SESSION_SEALED, 1, 1);
	frame_build(&frame, &shape_sealed);
	return 0;
}

static void assert_run(enum pt_verdict want, bool session_counted)
{
	struct outcome o = program_run(&program, &frame, 0);

	assert_verdict("frame", o.verdict, want);
	assert_int_equal(o.session_counted, session_counted);
}

static void flip(__u32 off, int bit)
{
	frame.bytes[frame.hdr_off + off] ^= 1 << bit;
}

/* Each bit of the fields that the structure check ignores. */
static void test_each_bit_counts(void **state)
{
	static const struct {
		__u32	off, sz;
	} fields[] = {
		{ offsetof(struct pt_frame_hdr, seq), 8 },
		{ offsetof(struct pt_frame_hdr, key_epoch), 2 },
		{ offsetof(struct pt_frame_hdr, header_mac), 8 },
	};

	(void)state;
	assert_run(PT_VERDICT_STEERED, true);
	for (size_t i = 0; i < SHAPE_CNT_OF(fields); i++)
		for (__u32 at = 0; at < fields[i].sz; at++)
			for (int bit = 0; bit < 8; bit++) {
				flip(fields[i].off + at, bit);
				assert_run(PT_VERDICT_BAD_MAC, false);
				flip(fields[i].off + at, bit);
			}
	assert_run(PT_VERDICT_STEERED, true);
}

/* Each changed bit of the header is detected, up to the tag; none behind it. */
static void test_no_bit_is_free(void **state)
{
	(void)state;
	for (__u32 at = 0; at < offsetof(struct pt_frame_hdr, auth); at++)
		for (int bit = 0; bit < 8; bit++) {
			flip(at, bit);
			assert_int_not_equal(program_run(&program, &frame,
							 0).verdict,
					     PT_VERDICT_STEERED);
			flip(at, bit);
		}
	for (__u32 at = frame.hdr_off + offsetof(struct pt_frame_hdr, auth);
	     at < frame.sz; at++) {
		frame.bytes[at] ^= 0xff;
		assert_run(PT_VERDICT_STEERED, true);
		frame.bytes[at] ^= 0xff;
	}
}

static void test_each_bit_of_the_key_counts(void **state)
{
	const __u64 id = FRAME_SESSION_SEALED;
	int fd = bpf_map__fd(program.skel->maps.pt_sessions);
	struct pt_session s;

	(void)state;
	assert_int_equal(bpf_map_lookup_elem(fd, &id, &s), 0);
	for (int bit = 0; bit < 128; bit++) {
		s.header_key[bit / 64] ^= 1ULL << bit % 64;
		assert_int_equal(bpf_map_update_elem(fd, &id, &s, 0), 0);
		assert_run(PT_VERDICT_BAD_MAC, false);
		s.header_key[bit / 64] ^= 1ULL << bit % 64;
	}
	assert_int_equal(bpf_map_update_elem(fd, &id, &s, 0), 0);
	assert_run(PT_VERDICT_STEERED, true);
}

static void test_flag_against_session(void **state)
{
	(void)state;
	frame_build(&frame, &shape_ipv4);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, session_id,
		  FRAME_SESSION_SEALED);
	assert_run(PT_VERDICT_BAD_HEADER, false);
	frame_build(&frame, &shape_sealed);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, session_id,
		  FRAME_SESSION);
	frame_set_mac(&frame);
	assert_run(PT_VERDICT_BAD_HEADER, false);
}

/* A forged frame proves nothing about a lane, nor does it count as a stray. */
static void test_mac_comes_first(void **state)
{
	(void)state;
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, lane, 1);
	assert_run(PT_VERDICT_BAD_MAC, false);
	frame_set_mac(&frame);
	assert_run(PT_VERDICT_WRONG_QUEUE, true);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, lane, 2);
	assert_run(PT_VERDICT_BAD_MAC, false);
	frame_set_mac(&frame);
	assert_run(PT_VERDICT_BAD_HEADER, true);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, lane, 0);
	assert_run(PT_VERDICT_BAD_MAC, false);
	frame_set_mac(&frame);
	assert_run(PT_VERDICT_STEERED, true);
}

static void test_forged_probe(void **state)
{
	(void)state;
	frame_build(&frame, &shape_sealed_probe);
	assert_run(PT_VERDICT_STEERED, true);
	flip(offsetof(struct pt_frame_hdr, seq), 0);
	assert_run(PT_VERDICT_BAD_MAC, false);
}

static int group_setup(void **state)
{
	(void)state;
	return program_open_usual(&program);
}

static int group_teardown(void **state)
{
	(void)state;
	program_close(&program);
	return 0;
}

#define TEST(name)	cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_bit_counts),
		TEST(test_no_bit_is_free),
		TEST(test_each_bit_of_the_key_counts),
		TEST(test_flag_against_session),
		TEST(test_mac_comes_first),
		TEST(test_forged_probe),
	};

	return cmocka_run_group_tests_name("sealed", tests, group_setup,
					   group_teardown);
}
