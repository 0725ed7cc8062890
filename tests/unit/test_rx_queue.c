// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A queue's thread with a socket and a connection of the test's own: its
 * frames, counts and messages.  The ledger must add up for any input. */
#include "rx_queue_kit.h"

#include "rxq/credit.h"

static void test_takes_and_tells(void **state)
{
	struct pt_ledger ledger;
	__u64 deadline = pt_clock_ns() + 50000000000ULL;
	bool done = false;

	(void)state;
	for (__u64 seq = 0; seq < 100; seq++)
		put(1, frame, data_frame(&kit_links[0], 1, seq, LOW + seq,
					 ~0ULL));
	ledger = settle();
	assert_int_equal(ledger.accepted, 100);
	assert_int_equal(ledger.placed, 100);
	for (__u64 seq = 0; seq < 100; seq++)
		assert_content(LOW + seq, page);
	while (!done && pt_clock_ns() < deadline) {
		usleep(1000);
		pthread_mutex_lock(&told_lock);
		done = acked.lane == 1 && acked.upto == 100 &&
		       acked.freed_desc == 200 && acked.window == CREDIT;
		pthread_mutex_unlock(&told_lock);
	}
	assert_true(done);
}

/* A refused frame is counted, by its reason, and not placed. */
static void test_refusals(void **state)
{
	struct kit_link elsewhere = kit_links[0];
	struct pt_ledger ledger;
	__u32 sz;

	(void)state;
	sz = data_frame(&kit_links[0], 0, 0, LOW, 1);
	frame[sz - 1] ^= 1;
	put(0, frame, sz);
	put(0, frame, data_frame(&kit_links[0], 0, 1, LOW - 1, 1));
	elsewhere.link.dst_port++;
	put(0, frame, data_frame(&elsewhere, 0, 2, LOW, 1));
	put(0, frame, data_frame(&kit_links[0], 0, PT_SEQ_AHEAD, LOW, 1));
	put(0, frame, data_frame(&kit_links[0], 0, 3, LOW + 1, 1));
	put(0, frame, data_frame(&kit_links[0], 0, 3, LOW + 1, 1));
	ledger = settle();
	assert_int_equal(ledger.refused_auth, 1);
	assert_int_equal(ledger.refused_record, 2);
	assert_int_equal(ledger.refused_window, 1);
	assert_int_equal(ledger.accepted, 1);
	assert_int_equal(ledger.duplicate, 1);
	assert_true(sink_is_hole(LOW));
}

/* Before the sender knows the held pages, it cannot have frames to send. */
static void test_closed(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	atomic_store(&intake.is_closed, true);
	put(0, frame, data_frame(&kit_links[0], 0, 0, LOW, 1));
	ledger = settle();
	assert_int_equal(ledger.refused_window, 1);
	assert_true(sink_is_hole(LOW));
	atomic_store(&intake.is_closed, false);
	put(0, frame, data_frame(&kit_links[0], 0, 0, LOW, 1));
	ledger = settle();
	assert_int_equal(ledger.accepted, 1);
	assert_false(sink_is_hole(LOW));
}

/* A frame on a queue that its lane has left is refused, and counted. */
static void test_lane_moved(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	put(0, frame, data_frame(&kit_links[0], 0, 0, LOW, 1));
	settle();
	all_lock();
	pt_rx_queue_lane_remove(queues[0], &lanes[0]);
	assert_int_equal(pt_rx_queue_lane_add(queues[1], &lanes[0]), 0);
	all_unlock();
	put(0, frame, data_frame(&kit_links[0], 0, 1, LOW + 1, 1));
	put(1, frame, data_frame(&kit_links[0], 0, 2, LOW + 2, 1));
	ledger = settle();
	assert_int_equal(ledger.accepted, 2);
	assert_int_equal(ledger.refused_window, 1);
	assert_true(sink_is_hole(LOW + 1));
	assert_false(sink_is_hole(LOW + 2));
	assert_int_equal(lanes[0].window, CREDIT / 2);
	assert_int_equal(lanes[1].window, CREDIT / 2);
}

/* A switch may add a tag: sizes do not include it. */
static void test_tagged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(kit_links); i++) {
		const struct kit_link *link = &kit_links[i];
		__u32 tag_sz = link->link.vlan ? PT_VLAN_SZ : 0;

		/* and a few bytes of the link's own behind it */
		memset(frame, 0, sizeof(frame));
		probe_frame(link, 0, i, 1500 + tag_sz);
		put(0, frame, 1500 + tag_sz + i);
		settle();
		assert_int_equal(seen.probe, i);
		assert_int_equal(seen.frame_sz, 1500);
	}
	/* 128 bytes and 58 blocks: one descriptor, but for the tag. */
	for (int i = 0; i < 2; i++) {
		__u32 sz = data_frame(&kit_links[i], 0, i, LOW + i, ~0ULL >> 6);

		assert_int_equal(sz, DESC_SZ + i * PT_VLAN_SZ);
		put(0, frame, sz);
	}
	settle();
	assert_int_equal(lanes[0].freed_desc, 2);
}

/* flood gives a queue's socket one frame over and over, so that it is never
 * empty; sz 0: no more. */
static void flood(int queue, const void *bytes, __u32 sz)
{
	struct pt_xsk *x = &xsks[queue];

	pthread_mutex_lock(&x->lock);
	x->flood = (struct pt_span){ bytes, sz };
	if (!sz) {
		put_cnt[queue] += x->flooded;
		data_cnt += x->flooded;
	}
	pthread_mutex_unlock(&x->lock);
	eventfd_write(x->event_fd, 1);
}

/* A sender that repeats a frame without end delays no other's ACK. */
static void test_flooded(void **state)
{
	__u64 deadline = pt_clock_ns() + 20000000000ULL;
	static __u8 again[2 * PT_PAGE_SZ];
	struct pt_ledger ledger;
	bool told = false;
	__u32 sz;

	(void)state;
	sz = data_frame(&kit_links[0], 0, 0, LOW, 1);
	memcpy(again, frame, sz);
	put(0, frame, sz);
	flood(0, again, sz);
	for (__u64 seq = 1; seq < 10; seq++)	/* 3 is lost on the way */
		if (seq != 3)
			put(0, frame, data_frame(&kit_links[0], 0, seq,
						 LOW + seq, 1));
	while (!told && pt_clock_ns() < deadline) {
		usleep(1000);
		pthread_mutex_lock(&told_lock);
		told = acked.lane == 0 && acked.upto == 10;
		pthread_mutex_unlock(&told_lock);
	}
	flood(0, NULL, 0);
	ledger = settle();
	assert_true(told);
	assert_int_equal(ledger.accepted, 9);
	assert_int_equal(ledger.missing, 1);
	assert_true(ledger.duplicate > 0);
}

/* However long a pass through the ring takes, a waiting frame is not lost. */
static void test_slow(void **state)
{
	struct pt_ledger ledger;

	(void)state;
	pt_rx_queue_lock(queues[0]);
	for (__u64 seq = 0; seq < HELD; seq++)
		put(0, frame, data_frame(&kit_links[0], 0, seq, LOW + seq, 1));
	pt_rx_lane_sync(&lanes[0], HELD, pt_clock_ns());
	for (int i = 0; i < 2 * HELD / 64; i++) {
		usleep(60000);
		pt_rx_queue_unlock(queues[0]);	/* for a batch: its turn */
		pt_rx_queue_lock(queues[0]);
	}
	pt_rx_queue_unlock(queues[0]);
	ledger = settle();
	assert_int_equal(ledger.accepted, HELD);
	assert_int_equal(ledger.late, 0);
	assert_int_equal(ledger.missing, 0);
}

/* Frames that come one by one, the ring empty in between, wake no thread; when
 * no more come the thread waits. */
static void test_naps(void **state)
{
	struct pt_xsk *x = &xsks[0];
	unsigned int waits, left = 400;
	__u64 deadline = pt_clock_ns() + 20000000000ULL;

	(void)state;
	pthread_mutex_lock(&x->lock);
	x->drop.base = frame;
	x->drop.sz = data_frame(&kit_links[0], 0, 0, LOW, 1);
	x->dripping = left;
	pthread_mutex_unlock(&x->lock);
	data_cnt = left;
	put_cnt[0] = left;
	eventfd_write(x->event_fd, 1);
	settle();
	/* Late ones are due: a thread off the CPU for a while finds that none
	 * flow. */
	assert_int_equal(atomic_load(&x->early), 0);
	waits = atomic_load(&x->waits);
	while (atomic_load(&x->waits) == waits && pt_clock_ns() < deadline)
		usleep(1000);
	assert_true(atomic_load(&x->waits) > waits);
}

/* bring_until gives queue 0 frames of a lane until that is told this window last. */
static void bring_until(__u16 lane, __u32 window)
{
	__u64 deadline = pt_clock_ns() + 50000000000ULL;
	bool is = false;

	for (__u64 seq = 0; !is && pt_clock_ns() < deadline; seq++) {
		put(0, frame, data_frame(&kit_links[0], lane, seq, LOW, 1));
		usleep(2000);
		pthread_mutex_lock(&told_lock);
		is = acked.lane == lane && acked.window == window;
		pthread_mutex_unlock(&told_lock);
	}
	assert_true(is);
}

/* A guest waits for pages: few frames are ahead of one. */
static void test_waited_for(void **state)
{
	(void)state;
	assert_int_equal(lanes[0].window, CREDIT);
	atomic_store(&intake.is_waited_for, true);
	bring_until(0, CREDIT / PT_CREDIT_FEW);
	atomic_store(&intake.is_waited_for, false);
	settle();
}

static int start_idling(void **state)
{
	kit_idle_ns = 100000000;
	return start(state);
}

static int stop_idling(void **state)
{
	kit_idle_ns = ~0ULL;
	return stop(state);
}

/* An idle lane keeps a part; it gets an equal share again as soon as it sends,
 * and an ACK reports it. */
static void test_credit_by_demand(void **state)
{
	(void)state;
	all_lock();
	pt_rx_queue_lane_remove(queues[1], &lanes[1]);
	assert_int_equal(pt_rx_queue_lane_add(queues[0], &lanes[1]), 0);
	assert_int_equal(lanes[1].window, CREDIT / 2);
	all_unlock();
	bring_until(0, CREDIT * 3 / 4);
	bring_until(1, CREDIT * 3 / 4);
	settle();
}

/* The maximum of idle lanes keeps out only the one too many, and leaves half of
 * the credit to the one that sends. */
static void test_many_idle(void **state)
{
	static struct pt_rx_lane idle[PT_QUEUE_LANES_MAX];
	__u32 cnt = 0;

	(void)state;
	all_lock();
	memset(idle, 0, sizeof(idle));
	for (; cnt < PT_QUEUE_LANES_MAX; cnt++) {
		idle[cnt].intake = &intake;
		idle[cnt].lane_idx = LANES + cnt;
		if (pt_rx_queue_lane_add(queues[0], &idle[cnt]))
			break;
	}
	assert_int_equal(cnt, PT_QUEUE_LANES_MAX - 1);
	all_unlock();
	bring_until(0, CREDIT / 2);
	settle();
	all_lock();
	while (cnt)
		pt_rx_queue_lane_remove(queues[0], &idle[--cnt]);
	all_unlock();
}

/* told_window returns the lane's last reported window; 0: the report was
 * another lane's. */
static __u32 told_window(__u16 lane)
{
	__u32 window;

	pthread_mutex_lock(&told_lock);
	window = acked.lane == lane ? acked.window : 0;
	pthread_mutex_unlock(&told_lock);
	return window;
}

static bool is_warned(const struct pt_rx_lane *l)
{
	bool is;

	pt_rx_queue_lock(queues[l->queue]);
	is = l->stretch.warned_ns;
	pt_rx_queue_unlock(queues[l->queue]);
	return is;
}

/* A long path is granted more than the ring holds, until that fills. */
static void test_stretched(void **state)
{
	__u64 deadline = pt_clock_ns() + 50000000000ULL, seq = 0;
	__u32 window;

	(void)state;
	atomic_store(&intake.rtt_ns, 500000000);
	do
		put(0, frame, data_frame(&kit_links[0], 0, seq++, LOW, ~0ULL));
	while ((window = told_window(0)) <= CREDIT && pt_clock_ns() < deadline);
	assert_true(window > CREDIT);
	assert_false(is_warned(&lanes[0]));
	atomic_store(&xsks[0].fill, 2048);
	while ((!is_warned(&lanes[0]) || told_window(0) != CREDIT) &&
	       pt_clock_ns() < deadline)
		put(0, frame, data_frame(&kit_links[0], 0, seq++, LOW, ~0ULL));
	assert_true(is_warned(&lanes[0]));
	assert_int_equal(told_window(0), CREDIT);
	assert_false(is_warned(&lanes[1]));
	settle();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_takes_and_tells),
		TEST(test_refusals),
		TEST(test_closed),
		TEST(test_lane_moved),
		TEST(test_slow),
		TEST(test_naps),
		TEST(test_tagged),
		TEST(test_flooded),
		cmocka_unit_test_setup_teardown(test_credit_by_demand,
						start_idling, stop_idling),
		cmocka_unit_test_setup_teardown(test_many_idle, start_idling,
						stop_idling),
		TEST(test_stretched),
		TEST(test_waited_for),
	};

	return cmocka_run_group_tests(tests, group_start, NULL);
}
