// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A queue's thread with a socket and a connection of the test's own: what it
 * takes, counts and tells.  Whatever arrives, the ledger must add up. */
#include "rebuild_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "transfer/clock.h"
#include "transfer/rx_queue.h"

#define SESSION	0x1122334455667788ULL
#define QUEUES	2
#define LANES	2
#define DESC_SZ	3840
#define CREDIT	1536
#define HELD	64		/* frames in a socket at once */

/* --- the socket ------------------------------------------------------ */

struct pt_xsk {
	pthread_mutex_t lock;
	int event_fd;
	unsigned int cnt;
	struct pt_span held[HELD];
	struct pt_span flood;	/* fills what is asked for and not held */
	unsigned int flooded;	/* frames */
	atomic_uint recycled;
};

/* pour fills rx with copies of the flood's frame. */
static void pour(struct pt_xsk *x, struct pt_rx_frame *rx, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++) {
		struct pt_span span = { malloc(x->flood.sz), x->flood.sz };

		memcpy((void *)span.base, x->flood.base, span.sz);
		rx[i] = (struct pt_rx_frame){
			.spans = { span }, .span_cnt = 1, .sz = span.sz,
		};
	}
	x->flooded += cnt;
}

__u32 pt_xsk_recv(struct pt_xsk *x, struct pt_rx_frame *rx, __u32 max)
{
	__u32 cnt;

	pthread_mutex_lock(&x->lock);
	cnt = x->cnt < max ? x->cnt : max;
	for (__u32 i = 0; i < cnt; i++)
		rx[i] = (struct pt_rx_frame){
			.spans = { x->held[i] },
			.span_cnt = 1,
			.sz = x->held[i].sz,
		};
	x->cnt -= cnt;
	memmove(x->held, x->held + cnt, x->cnt * sizeof(x->held[0]));
	if (x->flood.sz) {
		pour(x, rx + cnt, max - cnt);
		cnt = max;
	}
	pthread_mutex_unlock(&x->lock);
	return cnt;
}

void pt_xsk_recycle(struct pt_xsk *x, const struct pt_rx_frame *rx, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++)
		free((void *)rx[i].spans[0].base);
	atomic_fetch_add(&x->recycled, cnt);
}

int pt_xsk_wait(struct pt_xsk *x, int timeout_ms, int extra_fd)
{
	struct pollfd fds[] = {
		{ .fd = x->event_fd, .events = POLLIN },
		{ .fd = extra_fd, .events = POLLIN },
	};
	eventfd_t value;

	poll(fds, 2, timeout_ms);
	if (fds[0].revents)
		eventfd_read(x->event_fd, &value);
	return (fds[0].revents ? 1 : 0) | (fds[1].revents ? 2 : 0);
}

/* --- the connection -------------------------------------------------- */

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pt_msg_probe_seen seen;	/* the last */
static struct pt_msg_ack acked;		/* the last, without its ranges */
static __u32 seen_cnt;

int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err)
{
	(void)c;
	(void)err;
	pthread_mutex_lock(&told_lock);
	if (m->type == PT_MSG_ACK)
		acked = m->ack;
	if (m->type == PT_MSG_PROBE_SEEN) {
		seen = m->probe_seen;
		seen_cnt++;
	}
	pthread_mutex_unlock(&told_lock);
	return 0;
}

/* --- a receiver of two queues, a session of two lanes ------------------ */

static struct pt_xsk xsks[QUEUES];
static struct pt_rx_queue *queues[QUEUES];
static struct pt_intake intake;
static struct pt_rx_lane *lanes;
static unsigned int put_cnt[QUEUES];
static __u64 data_cnt, probe_cnt;	/* frames put */

static void all_lock(void)
{
	for (int i = 0; i < QUEUES; i++)
		pt_rx_queue_lock(queues[i]);
}

static void all_unlock(void)
{
	for (int i = 0; i < QUEUES; i++)
		pt_rx_queue_unlock(queues[i]);
}

static int start(void **state)
{
	struct pt_error err;

	rebuild_start(state);
	data_cnt = probe_cnt = seen_cnt = 0;
	memset(&acked, 0, sizeof(acked));
	lanes = calloc(LANES, sizeof(*lanes));
	intake = (struct pt_intake){
		.session_id = SESSION,
		.rebuild = rebuild,
		.lanes = lanes,
		.lane_cnt = LANES,
		.grace_ns = PT_GRACE_MIN_NS,
		.wake_fd = -1,
	};
	memcpy(intake.endpoint.addr, kit_links[0].link.dst_addr, 16);
	intake.endpoint.port = htobe16(kit_links[0].link.dst_port);
	for (int i = 0; i < QUEUES; i++) {
		const struct pt_rx_queue_cfg cfg = {
			&xsks[i], i, DESC_SZ, CREDIT,
		};

		xsks[i] = (struct pt_xsk){
			.lock = PTHREAD_MUTEX_INITIALIZER,
			.event_fd = eventfd(0, EFD_NONBLOCK),
		};
		put_cnt[i] = 0;
		assert_int_equal(pt_rx_queue_start(&queues[i], &cfg, &err), 0);
	}
	all_lock();
	for (int i = 0; i < QUEUES; i++)
		assert_int_equal(pt_rx_queue_session_add(queues[i], &intake),
				 0);
	for (int i = 0; i < LANES; i++) {
		lanes[i].intake = &intake;
		lanes[i].lane_idx = i;
		assert_int_equal(pt_rx_queue_lane_add(queues[i], &lanes[i]),
				 0);
	}
	all_unlock();
	return 0;
}

static int stop(void **state)
{
	for (int i = 0; i < QUEUES; i++) {
		pt_rx_queue_stop(queues[i]);
		close(xsks[i].event_fd);
	}
	free(lanes);
	return rebuild_stop(state);
}

/* put gives a queue's socket a frame. */
static void put(int queue, const void *bytes, __u32 sz)
{
	struct pt_xsk *x = &xsks[queue];
	struct pt_span span = { malloc(sz), sz };

	assert_non_null(span.base);
	memcpy((void *)span.base, bytes, sz);
	pthread_mutex_lock(&x->lock);
	while (x->cnt == HELD) {
		pthread_mutex_unlock(&x->lock);
		usleep(100);
		pthread_mutex_lock(&x->lock);
	}
	x->held[x->cnt++] = span;
	pthread_mutex_unlock(&x->lock);
	put_cnt[queue]++;
	eventfd_write(x->event_fd, 1);
}

/* settle waits until the queues have taken all; returns the ledger. */
static struct pt_ledger settle(void)
{
	__u64 deadline = pt_clock_ns() + 50000000000ULL;
	struct pt_ledger ledger;

	for (int i = 0; i < QUEUES; i++) {
		while (atomic_load(&xsks[i].recycled) != put_cnt[i] &&
		       pt_clock_ns() < deadline)
			usleep(500);
		assert_int_equal(atomic_load(&xsks[i].recycled), put_cnt[i]);
	}
	all_lock();
	pt_intake_ledger(&intake, &ledger);
	for (int i = 0; i < QUEUES; i++)
		assert_int_equal(pt_rx_queue_received(queues[i]), put_cnt[i]);
	all_unlock();
	/* What XDP would have steered, and what the agent says it took. */
	assert_int_equal(ledger.received, data_cnt);
	assert_int_equal(ledger.probes, probe_cnt);
	assert_int_equal(ledger.received, ledger.accepted + ledger.duplicate +
			 ledger.refused_auth + ledger.refused_record +
			 ledger.refused_window);
	assert_int_equal(ledger.records, ledger.placed + ledger.stale);
	return ledger;
}

/* --- frames ---------------------------------------------------------- */

static __u8 page[PT_PAGE_SZ];

/* data_frame writes a frame of one page to frame; returns its bytes. */
static __u32 data_frame(const struct kit_link *link, __u16 lane, __u64 seq,
			__u64 gfn, __u64 mask)
{
	const struct pt_frame_id id = {
		.session_id = SESSION,
		.seq = seq,
		.generation = 1,
		.lane = lane,
	};
	struct pt_builder_cfg cfg = kit_cfg(&link->link, 9000);
	struct pt_builder b;

	data_cnt++;
	pt_builder_init(&b, &cfg);
	assert_int_equal(pt_builder_add_page(&b, gfn, 0, mask, page), 64);
	return pt_builder_close(&b, &link->link, &id, NULL, frame);
}

static __u32 probe_frame(const struct kit_link *link, __u16 lane, __u64 number,
			 __u32 sz)
{
	const struct pt_frame_id id = {
		.session_id = SESSION,
		.seq = number,
		.lane = lane,
	};

	probe_cnt++;
	pt_probe_write(&link->link, &id, sz, NULL, frame);
	return sz;
}

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

static void test_probes(void **state)
{
	(void)state;
	put(1, frame, probe_frame(&kit_links[0], 0, 77, 1500));
	settle();
	assert_int_equal(seen_cnt, 1);
	assert_int_equal(seen.lane, 0);
	assert_int_equal(seen.probe, 77);
	assert_int_equal(seen.frame_sz, 1500);
	assert_int_equal(seen.queue, 1);
	/* Damaged on the way: it says nothing, but XDP steered it. */
	probe_frame(&kit_links[0], 0, 78, 1500);
	frame[1499] ^= 1;
	put(1, frame, 1500);
	settle();
	assert_int_equal(seen_cnt, 1);
}

/* A probe that somebody repeats is counted, and not answered again: on
 * whatever queue. */
static void test_probes_repeated(void **state)
{
	const struct pt_seal_cfg cfg = {
		.cipher = PT_CIPHER_AES_128_GCM,
		.rekey_log2 = PT_REKEY_LOG2_MIN,
	};
	struct pt_frame_id id = { .session_id = SESSION, .seq = 7 };
	struct pt_seal *tx;

	(void)state;
	assert_int_equal(pt_seal_create(&tx, &cfg), 0);
	assert_int_equal(pt_seal_create(&lanes[0].probe_seal, &cfg), 0);
	intake.is_sealed = true;
	for (; id.seq < 9; id.seq++) {
		pt_probe_write(&kit_links[0].link, &id, 1500, tx, frame);
		for (int i = 0; i < 10; i++)
			put(i % QUEUES, frame, 1500);
	}
	probe_cnt = 20;
	settle();
	assert_int_equal(seen_cnt, 2);
	pt_seal_destroy(lanes[0].probe_seal);
	pt_seal_destroy(tx);
}

/* What is refused is counted, by its reason, and places nothing. */
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

/* A frame met on a queue that its lane has left is refused, and counted. */
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

/* A tag that a switch put on is not the sender's doing: sizes are without. */
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

/* Probes of one lane on two queues at once: none is lost to the count. */
static void *put_probes(void *arg)
{
	const int queue = (intptr_t)arg;
	__u8 bytes[256];
	const struct pt_frame_id id = { .session_id = SESSION, .lane = 0 };

	pt_probe_write(&kit_links[0].link, &id, sizeof(bytes), NULL, bytes);
	for (int i = 0; i < 100000; i++)
		put(queue, bytes, sizeof(bytes));
	return NULL;
}

static void test_probes_on_two_queues(void **state)
{
	pthread_t other;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, put_probes, (void *)1),
			 0);
	put_probes((void *)0);
	pthread_join(other, NULL);
	probe_cnt = 200000;
	settle();
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

/* Who repeats a frame without end keeps no sender waiting for news. */
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_takes_and_tells),
		TEST(test_probes),
		TEST(test_probes_repeated),
		TEST(test_refusals),
		TEST(test_lane_moved),
		TEST(test_tagged),
		TEST(test_probes_on_two_queues),
		TEST(test_flooded),
	};
	__u64 random = 2;

	if (scratch_mount())
		return 1;
	kit_fill(page, sizeof(page), &random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
