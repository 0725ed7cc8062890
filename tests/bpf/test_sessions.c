// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The receive program's verdicts by sessions, lanes, queues and sockets.  Every
 * test starts with empty maps. */
#include "../frames/rows.h"
#include "program.h"

static struct program program;
static struct frame frame;

#define A	FRAME_SESSION
#define B	0x8877665544332211ULL

static void forget(struct bpf_map *map, const void *key)
{
	bpf_map_delete_elem(bpf_map__fd(map), key);
}

static int setup(void **state)
{
	const __u64 ids[] = { A, B, FRAME_SESSION_IPV6 };
	struct pt_endpoint e;

	(void)state;
	while (!bpf_map_get_next_key(
			bpf_map__fd(program.skel->maps.pt_endpoints), NULL, &e))
		forget(program.skel->maps.pt_endpoints, &e);
	for (size_t i = 0; i < SHAPE_CNT_OF(ids); i++) {
		forget(program.skel->maps.pt_sessions, &ids[i]);
		forget(program.skel->maps.pt_session_counters, &ids[i]);
	}
	for (int i = 0; i < PT_QUEUES_MAX; i++) {
		if (program.xsks[i])
			close(program.xsks[i]);
		program.xsks[i] = 0;
	}
	frame_build(&frame, &shape_ipv4);
	return 0;
}

static void open_session(__u64 session_id, __u16 lane_cnt)
{
	const struct pt_endpoint e = frame_endpoint_ipv4();

	program_open_session(&program, session_id, &e, lane_cnt);
}

static void set_session(__u64 session_id)
{
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, session_id,
		  session_id);
}

static void set_lane(__u16 lane)
{
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, lane, lane);
}

/* assert_run: the verdict on that queue, and whether the session counted. */
static void assert_run(__u32 queue, enum pt_verdict want, bool session_counted)
{
	struct outcome o = program_run(&program, &frame, queue);

	assert_verdict("frame", o.verdict, want);
	assert_int_equal(o.session_counted, session_counted);
}

static void test_nothing_open(void **state)
{
	(void)state;
	assert_run(0, PT_VERDICT_PASSED, false);
}

static void test_endpoint_closed(void **state)
{
	const struct pt_endpoint e = frame_endpoint_ipv4();

	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	assert_run(0, PT_VERDICT_STEERED, true);
	forget(program.skel->maps.pt_endpoints, &e);
	assert_run(0, PT_VERDICT_PASSED, false);
}

static void test_session_closed(void **state)
{
	const __u64 id = A;

	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	assert_run(0, PT_VERDICT_STEERED, true);
	forget(program.skel->maps.pt_sessions, &id);
	assert_run(0, PT_VERDICT_UNKNOWN_SESSION, false);
}

static void test_no_such_session(void **state)
{
	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	for (int bit = 0; bit < 64; bit++) {
		set_session(A ^ 1ULL << bit);
		assert_run(0, PT_VERDICT_UNKNOWN_SESSION, false);
	}
	set_session(B);		/* A's bytes, the other way round */
	assert_run(0, PT_VERDICT_UNKNOWN_SESSION, false);
}

/* The frame goes to an open endpoint, its session belongs to another, which
 * differs in one byte. */
static void test_session_of_another_endpoint(void **state)
{
	const struct pt_endpoint open = frame_endpoint_ipv4();

	(void)state;
	program_set_socket(&program, 0);
	program_open_session(&program, B, &open, 1);
	for (size_t i = 0; i < offsetof(struct pt_endpoint, unused); i++) {
		struct pt_endpoint other = open;

		((__u8 *)&other)[i] ^= 0x10;
		program_open_session(&program, A, &other, 1);
		assert_run(0, PT_VERDICT_UNKNOWN_SESSION, false);
	}
	program_open_session(&program, A, &open, 1);
	assert_run(0, PT_VERDICT_STEERED, true);
}

static void test_ipv6_frame_of_an_ipv4_session(void **state)
{
	const struct pt_endpoint e = frame_endpoint_ipv6();

	(void)state;
	open_session(A, 1);
	program_open_session(&program, FRAME_SESSION_IPV6, &e, 1);
	program_set_socket(&program, 0);
	frame_build(&frame, &shape_ipv6);
	assert_run(0, PT_VERDICT_STEERED, true);
	set_session(A);
	assert_run(0, PT_VERDICT_UNKNOWN_SESSION, false);
}

static void test_two_sessions_of_an_endpoint(void **state)
{
	struct pt_counters b_was;

	(void)state;
	open_session(A, 1);
	open_session(B, 1);
	program_set_socket(&program, 0);
	b_was = session_counters(&program, B);
	assert_run(0, PT_VERDICT_STEERED, true);
	frame.bytes[frame.hdr_off + PT_FRAME_HDR_SZ] = 0;	/* kind */
	assert_run(0, PT_VERDICT_BAD_RECORD, true);
	assert_int_equal(session_counters(&program, A).seen, 2);
	assert_int_equal(session_counters(&program, A).seen_bytes,
			 2 * frame.sz);
	assert_int_equal(session_counters(&program, A).steered, 1);
	assert_int_equal(session_counters(&program, A).bad_record, 1);
	assert_int_equal(session_counters(&program, B).seen, b_was.seen);
	set_session(B);
	assert_run(0, PT_VERDICT_BAD_RECORD, true);
	assert_int_equal(session_counters(&program, A).seen, 2);
}

static void test_session_without_counters(void **state)
{
	const __u64 id = A;

	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	forget(program.skel->maps.pt_session_counters, &id);
	assert_run(0, PT_VERDICT_STEERED, false);
}

static void test_lane_count(void **state)
{
	static const __u16 cnts[] = { 1, 2, 3, 63, 64 };

	(void)state;
	program_set_socket(&program, 0);
	for (size_t i = 0; i < SHAPE_CNT_OF(cnts); i++) {
		open_session(A, cnts[i]);
		set_lane(cnts[i] - 1);
		assert_run(0, PT_VERDICT_STEERED, true);
		set_lane(cnts[i]);
		/* 64 is no lane of any session: the program does not even look
		 * up A */
		assert_run(0, PT_VERDICT_BAD_HEADER, cnts[i] < 64);
	}
	open_session(A, 0);
	set_lane(0);
	assert_run(0, PT_VERDICT_BAD_HEADER, true);
}

static void test_probe_of_no_lane(void **state)
{
	(void)state;
	open_session(A, 2);
	program_set_socket(&program, 0);
	frame_build(&frame, &shape_probe);
	set_lane(1);
	assert_run(0, PT_VERDICT_STEERED, true);
	set_lane(2);
	assert_run(0, PT_VERDICT_BAD_HEADER, true);
}

static void test_lane_on_its_queue(void **state)
{
	(void)state;
	open_session(A, 3);
	for (__u32 queue = 0; queue < 4; queue++)
		program_set_socket(&program, queue);
	program_set_lane_queue(&program, A, 0, 2);
	program_set_lane_queue(&program, A, 1, 0);
	program_set_lane_queue(&program, A, 2, 3);
	for (__u16 lane = 0; lane < 3; lane++) {
		static const __u32 queues[] = { 2, 0, 3 };

		set_lane(lane);
		for (__u32 queue = 0; queue < 4; queue++)
			assert_run(queue, queue == queues[lane] ?
				   PT_VERDICT_STEERED : PT_VERDICT_WRONG_QUEUE,
				   true);
	}
}

static void test_lane_not_agreed(void **state)
{
	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	program_set_socket(&program, 3);
	program_set_lane_queue(&program, A, 0, PT_QUEUE_ANY);
	assert_run(0, PT_VERDICT_WRONG_QUEUE, true);
	assert_run(3, PT_VERDICT_WRONG_QUEUE, true);
	frame_build(&frame, &shape_probe);
	assert_run(0, PT_VERDICT_STEERED, true);
	assert_run(3, PT_VERDICT_STEERED, true);
}

/* A lane keeps its queue, and is probed again: probes still pass on any
 * queue. */
static void test_probe_on_any_queue(void **state)
{
	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	program_set_socket(&program, 1);
	frame_build(&frame, &shape_probe);
	assert_run(0, PT_VERDICT_STEERED, true);
	assert_run(1, PT_VERDICT_STEERED, true);
}

static void test_no_socket(void **state)
{
	(void)state;
	open_session(A, 2);
	program_set_socket(&program, 0);
	program_set_lane_queue(&program, A, 1, 1);
	set_lane(1);
	assert_run(1, PT_VERDICT_NO_SOCKET, true);
	frame_build(&frame, &shape_probe);
	assert_run(1, PT_VERDICT_NO_SOCKET, true);
	assert_run(0, PT_VERDICT_STEERED, true);
}

/* Where the kernel would lose a frame in pieces, the program drops and counts
 * it; the next one, in one piece, is steered. */
static void test_in_pieces(void **state)
{
	struct outcome o;

	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	frame_build(&frame, &shape_big);
	set_session(A);
	o = program_run(&program, &frame, 0);
	assert_verdict("big frame", o.verdict, PT_VERDICT_STEERED);
	assert_int_equal(o.in_pieces, !program.takes_pieces);
	frame_build(&frame, &shape_ipv4);
	set_session(A);
	o = program_run(&program, &frame, 0);
	assert_verdict("small frame", o.verdict, PT_VERDICT_STEERED);
	assert_false(o.in_pieces);
}

/* The kernel removes a closed socket from the map, even one closed by exit. */
static void test_socket_closed(void **state)
{
	(void)state;
	open_session(A, 1);
	program_set_socket(&program, 0);
	assert_run(0, PT_VERDICT_STEERED, true);
	close(program.xsks[0]);
	program.xsks[0] = 0;
	assert_run(0, PT_VERDICT_NO_SOCKET, true);
}

/* The first fault decides the verdict. */
static void test_order(void **state)
{
	(void)state;
	open_session(A, 2);
	program_set_lane_queue(&program, A, 1, 1);
	frame.bytes[frame.hdr_off + PT_FRAME_HDR_SZ] = 0;	/* kind */
	assert_run(0, PT_VERDICT_BAD_RECORD, true);	/* nor a socket */
	set_lane(1);
	assert_run(0, PT_VERDICT_WRONG_QUEUE, true);
	set_lane(2);
	assert_run(0, PT_VERDICT_BAD_HEADER, true);
	set_session(B);
	assert_run(0, PT_VERDICT_UNKNOWN_SESSION, false);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, block_cnt, 9);
	assert_run(0, PT_VERDICT_BAD_HEADER, false);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, payload_sz, 9999);
	assert_run(0, PT_VERDICT_TRUNCATED, false);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, kind, 0);
	assert_run(0, PT_VERDICT_BAD_HEADER, false);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, version, 0);
	assert_run(0, PT_VERDICT_BAD_VERSION, false);
	FRAME_SET(&frame, PART_HDR, struct pt_frame_hdr, magic, 0);
	assert_run(0, PT_VERDICT_BAD_MAGIC, false);
	FRAME_SET(&frame, PART_UDP, struct pt_udp_hdr, sz, 9);
	assert_run(0, PT_VERDICT_TRUNCATED, false);
	FRAME_SET(&frame, PART_UDP, struct pt_udp_hdr, dst_port, 53);
	assert_run(0, PT_VERDICT_PASSED, false);
}

static void test_last_queue(void **state)
{
	const __u32 last = PT_QUEUES_MAX - 1;

	(void)state;
	open_session(A, 1);
	program_set_socket(&program, last);
	program_set_lane_queue(&program, A, 0, last);
	assert_run(last, PT_VERDICT_STEERED, true);
	frame_build(&frame, &shape_ipv6);
	assert_run(last, PT_VERDICT_PASSED, false);
}

/* A queue past the maps has no counters and no socket: the session's frames
 * drop, foreign ones still pass. */
static void test_queue_past_the_maps(void **state)
{
	const __u32 queue = PT_QUEUES_MAX;

	(void)state;
	open_session(A, 1);
	program_set_lane_queue(&program, A, 0, queue);
	assert_int_equal(program_raw_run(&program, &frame, queue, 0), XDP_DROP);
	assert_int_equal(session_counters(&program, A).no_socket, 1);
	frame_build(&frame, &shape_ipv6);
	assert_int_equal(program_raw_run(&program, &frame, queue, 0), XDP_PASS);
}

/* Every row's frame passes to the kernel while no session is open. */
static void test_rows_without_a_session(void **state)
{
	(void)state;
#define PASS_ALL(list)							\
	for (size_t i = 0; i < SHAPE_CNT_OF(list); i++) {		\
		row_build(&list[i], &frame);				\
		assert_run(0, PT_VERDICT_PASSED, false);		\
	}
	ROW_LISTS(PASS_ALL)
}

static int group_setup(void **state)
{
	(void)state;
	return program_open(&program);
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
		TEST(test_nothing_open),
		TEST(test_endpoint_closed),
		TEST(test_session_closed),
		TEST(test_no_such_session),
		TEST(test_session_of_another_endpoint),
		TEST(test_ipv6_frame_of_an_ipv4_session),
		TEST(test_two_sessions_of_an_endpoint),
		TEST(test_session_without_counters),
		TEST(test_lane_count),
		TEST(test_probe_of_no_lane),
		TEST(test_lane_on_its_queue),
		TEST(test_lane_not_agreed),
		TEST(test_probe_on_any_queue),
		TEST(test_no_socket),
		TEST(test_in_pieces),
		TEST(test_socket_closed),
		TEST(test_order),
		TEST(test_last_queue),
		TEST(test_queue_past_the_maps),
		TEST(test_rows_without_a_session),
	};

	return cmocka_run_group_tests_name("sessions", tests, group_setup,
					   group_teardown);
}
