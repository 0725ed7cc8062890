// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lanes whose placers have threads of their own, and storage that hangs: the
 * test simulates that by the intake's place_lock, held for writing.  The
 * queues, and lanes whose storage is fast, continue. */
#include "rx_queue_kit.h"
#include "rxq/credit.h"
#include "rxq/placer.h"

#define RING		2048	/* of the kit's queues */
#define FRAME_DESC	2	/* of a frame with a page */

static int start_apart(void **state)
{
	kit_apart = true;
	return start(state);
}

static void storage_stop(void)
{
	pthread_rwlock_wrlock(&intake.place_lock);
}

static void storage_go(void)
{
	pthread_rwlock_unlock(&intake.place_lock);
}

/* wait_until waits for a condition, and fails the test if it stays false. */
#define wait_until(condition)						\
do {									\
	__u64 deadline = pt_clock_ns() + 50000000000ULL;		\
									\
	while (!(condition) && pt_clock_ns() < deadline)		\
		usleep(500);						\
	assert_true(condition);						\
} while (0)

static __u64 taken_by(int queue)
{
	__u64 cnt;

	pt_rx_queue_lock(queues[queue]);
	cnt = pt_rx_queue_received(queues[queue]);
	pt_rx_queue_unlock(queues[queue]);
	return cnt;
}

/* wait_taken waits until the queue's thread has taken all frames. */
static void wait_taken(int queue)
{
	wait_until(taken_by(queue) == put_cnt[queue]);
}

static struct pt_msg_ack told(__u16 lane)
{
	struct pt_msg_ack ack;

	pthread_mutex_lock(&told_lock);
	ack = acked;
	pthread_mutex_unlock(&told_lock);
	if (ack.lane != lane)
		ack = (struct pt_msg_ack){ .lane = lane };
	return ack;
}

/* again writes a frame of page LOW, full of the byte that is the generation. */
static __u32 again(__u16 lane, __u64 seq, __u32 generation)
{
	const struct pt_frame_id id = {
		.session_id = SESSION,
		.seq = seq,
		.generation = generation,
		.lane = lane,
	};
	struct pt_builder_cfg cfg = kit_cfg(&kit_links[0].link, 9000);
	static __u8 content[PT_PAGE_SZ];
	struct pt_builder b;

	data_cnt++;
	memset(content, generation, sizeof(content));
	pt_builder_init(&b, &cfg);
	assert_int_equal(pt_builder_add_page(&b, LOW, 0, ~0ULL, content), 64);
	return pt_builder_close(&b, &kit_links[0].link, &id, NULL, frame);
}

/* In order: placed in any other order, some record would be stale. */
static void test_order(void **state)
{
	__u8 want[PT_PAGE_SZ];
	struct pt_ledger ledger;

	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < 100; seq++)
		put(0, frame, again(0, seq, seq + 1));
	wait_taken(0);
	storage_go();
	ledger = settle();
	assert_int_equal(ledger.accepted, 100);
	assert_int_equal(ledger.placed, 100);
	assert_int_equal(ledger.stale, 0);
	memset(want, 100, sizeof(want));
	assert_content(LOW, want);
}

/* A lane moves to another queue while frames of the first one wait. */
static void test_order_across_queues(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < 50; seq++)
		put(0, frame, again(0, seq, seq + 1));
	wait_taken(0);
	all_lock();
	pt_rx_queue_lane_remove(queues[0], &lanes[0]);
	assert_int_equal(pt_rx_queue_lane_add(queues[1], &lanes[0]), 0);
	all_unlock();
	for (__u64 seq = 50; seq < 100; seq++)
		put(1, frame, again(0, seq, seq + 1));
	wait_taken(1);
	assert_int_equal(atomic_load(&xsks[0].recycled), 0);
	storage_go();
	ledger = settle();	/* each queue has its own chunks again */
	assert_int_equal(ledger.placed, 100);
	assert_int_equal(ledger.stale, 0);
}

/* A waiting frame was accepted, keeps its credit, and is not reported as
 * placed. */
static void test_told(void **state)
{
	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < 100; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW + seq,
					 ~0ULL));
	wait_until(told(0).upto == 100);
	assert_int_equal(told(0).placed_upto, 0);
	assert_int_equal(told(0).freed_desc, 0);
	wait_until(pt_intake_since_ns(&intake) > 0);	/* once its thread runs */
	assert_false(pt_intake_is_placed(&intake));
	assert_int_equal(atomic_load(&xsks[0].recycled), 0);
	storage_go();
	settle();
	wait_until(told(0).placed_upto == 100 &&
		   told(0).freed_desc == 100 * FRAME_DESC);
	assert_int_equal(pt_intake_since_ns(&intake), 0);
	for (__u64 seq = 0; seq < 100; seq++)
		assert_content(LOW + seq, page);
}

/* A sender that ignores credit leaves a fifth of the queue free: frames above
 * that are refused, so the ring never stays empty. */
static void test_bound(void **state)
{
	const __u32 most = RING * PT_HOLD_TIMES / (PT_HOLD_TIMES + 1);
	struct pt_ledger ledger;

	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < RING + 100; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW + seq % 500,
					 1));
	wait_taken(0);
	assert_int_equal(pt_placer_held_cnt(lanes[0].placer), most);
	assert_int_equal(atomic_load(&xsks[0].recycled), RING + 100 - most);
	storage_go();
	ledger = settle();
	assert_int_equal(pt_placer_held_cnt(lanes[0].placer), 0);
	assert_int_equal(ledger.accepted, most);
	assert_int_equal(ledger.refused_window, RING + 100 - most);
}

/* other: a session of another storage, whose one lane joins queue 0. */
static struct pt_intake other;

static void other_join(void)
{
	other = (struct pt_intake){
		.session_id = SESSION + 2,
		.endpoint = intake.endpoint,
		.rebuild = rebuild,
		.lane_cnt = 1,
		.reorder_min_ns = PT_REORDER_MIN_NS,
		.wake_fd = -1,
		.places_apart = true,
	};
	assert_int_equal(pt_intake_lanes_make(&other), 0);
	pt_rx_queue_lock(queues[0]);
	assert_int_equal(pt_rx_queue_session_add(queues[0], &other), 0);
	assert_int_equal(pt_rx_queue_lane_add(queues[0], &other.lanes[0]), 0);
	pt_rx_queue_unlock(queues[0]);
}

static void other_leave(void)
{
	pt_rx_queue_lock(queues[0]);
	pt_rx_queue_lane_remove(queues[0], &other.lanes[0]);
	pt_rx_queue_session_remove(queues[0], &other);
	pt_rx_queue_unlock(queues[0]);
	pt_intake_free(&other);
}

static __u32 other_frame(__u64 seq)
{
	const struct pt_frame_id id = {
		.session_id = SESSION + 2, .seq = seq, .generation = 1,
	};
	struct pt_builder_cfg cfg = kit_cfg(&kit_links[0].link, 9000);
	struct pt_builder b;

	pt_builder_init(&b, &cfg);
	assert_int_equal(pt_builder_add_page(&b, HIGH + seq % 500, 0, ~0ULL,
					     page), 64);
	return pt_builder_close(&b, &kit_links[0].link, &id, NULL, frame);
}

/* One transfer's storage hangs: another on the queue continues, with more
 * frames than the ring has chunks. */
static void test_others_go_on(void **state)
{
	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < RING; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW + seq % 500,
					 1));
	wait_taken(0);
	other_join();
	for (__u64 seq = 0; seq < RING + 500; seq++) {
		put(0, frame, other_frame(seq));
		if (seq % 100 == 99)
			wait_until(atomic_load(&other.lanes[0].placed.placed) ==
				   seq + 1);
	}
	assert_true(atomic_load(&lanes[0].placed.placed) == 0);
	other_leave();
	storage_go();
	settle();
}

/* A session that ends drops waiting frames, and does not wait itself; its
 * frames are the socket's again but for the batch that is being written. */
static void test_dropped(void **state)
{
	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < 600; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW + seq % 500,
					 1));
	wait_taken(0);
	wait_until(pt_intake_since_ns(&intake) > 0);	/* once its thread runs */
	pt_rx_queue_lock(queues[0]);
	pt_rx_queue_lane_remove(queues[0], &lanes[0]);
	pt_rx_queue_unlock(queues[0]);
	pt_intake_stop(&intake);
	wait_until(atomic_load(&xsks[0].recycled) >= 600 - 256);
	assert_true(atomic_load(&xsks[0].recycled) < 600);
	assert_false(pt_intake_is_placed(&intake));
	storage_go();
	wait_until(atomic_load(&xsks[0].recycled) == 600);
	wait_until(pt_intake_is_placed(&intake));
	assert_true(atomic_load(&lanes[0].placed.placed) < 256);
}

/* A failure ends the transfer once, and waiting frames are not placed any
 * more. */
static void test_failed(void **state)
{
	const struct pt_error err = { .text = "as if full" };

	(void)state;
	storage_stop();
	for (__u64 seq = 0; seq < 300; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW + seq, 1));
	wait_taken(0);
	pt_intake_fail(&intake, -ENOSPC, &err);
	storage_go();
	wait_until(atomic_load(&xsks[0].recycled) == 300);
	wait_until(pt_intake_is_placed(&intake));
	assert_int_equal(atomic_load(&lanes[0].placed.placed), 0);
}

#define APART(fn) cmocka_unit_test_setup_teardown(fn, start_apart, stop)

/* A lane with more frames in flight than the ring holds gets no more of the
 * chunks for it, when storage hangs; and is granted its share at once. */
static void test_stretched(void **state)
{
	const __u32 share = 1536 / 2, more = 100;
	struct pt_ledger ledger;

	(void)state;
	all_lock();
	pt_rx_queue_lane_remove(queues[1], &lanes[1]);
	assert_int_equal(pt_rx_queue_lane_add(queues[0], &lanes[1]), 0);
	atomic_store(&intake.rtt_ns, 3600000000000);	/* no round ends */
	lanes[0].stretch.window = 2 * RING;
	lanes[0].stretch.is_used = true;
	lanes[0].wanted_ns = pt_clock_ns();
	all_unlock();
	wait_until(told(0).window == 2 * RING);
	storage_stop();
	for (__u64 seq = 0; seq < share + more; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW, 1));
	wait_taken(0);
	wait_until(told(0).window == share);
	storage_go();
	ledger = settle();
	assert_int_equal(ledger.refused_window, more);
	assert_int_equal(ledger.accepted, share);
}

/* A queue's thread that looks between the return of a parcel and the counts of the
 * placer would sleep on with old counts, so it is told after them. */
static void test_told_again(void **state)
{
	struct pt_reader reader;
	struct pt_depot depot;
	struct kit_spans spans;
	struct pt_rx_frame f = { .span_cnt = 1 };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t value;

	(void)state;
	assert_int_equal(pt_depot_init(&depot, 4, fd), 0);
	f.sz = again(0, 0, 1);
	frame_open(&reader, &spans, frame, f.sz, 16384);
	f.spans[0] = spans.spans[0];
	all_lock();
	assert_true(pt_placer_take(lanes[0].placer, &depot, &f, &reader, 1));
	pt_placer_push(lanes[0].placer, 1);
	all_unlock();
	wait_until(atomic_load(&depot.has_news));
	assert_true(pt_placer_is_idle(lanes[0].placer));
	assert_int_equal(pt_placer_placed_upto(lanes[0].placer), 1);
	assert_int_equal(pt_depot_collect(&depot, &f, 1), 1);
	assert_false(pt_depot_sleep(&depot));	/* a look is due, ... */
	pt_depot_wake(&depot);
	assert_true(pt_depot_sleep(&depot));	/* ... but one is enough */
	assert_true(eventfd_read(fd, &value));
	pt_depot_tell(&depot);
	assert_int_equal(eventfd_read(fd, &value), 0);
	pt_depot_free(&depot);
	kit_free(&spans);
	close(fd);
	data_cnt = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		APART(test_order),
		APART(test_order_across_queues),
		APART(test_told),
		APART(test_bound),
		APART(test_others_go_on),
		APART(test_dropped),
		APART(test_failed),
		APART(test_stretched),
		APART(test_told_again),
	};

	return cmocka_run_group_tests(tests, group_start, NULL);
}
