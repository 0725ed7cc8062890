/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_queue_kit: two queues' threads with sockets and a connection of the test's
 * own, and a session of two lanes.  settle() compares the ledger with the
 * frames put. */
#ifndef RX_QUEUE_KIT_H
#define RX_QUEUE_KIT_H

#include "rebuild_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "rxq/rx_queue.h"

#define SESSION	0x1122334455667788ULL
#define QUEUES	2
#define LANES	2
#define DESC_SZ	3840
#define CREDIT	1536
#define HELD	256		/* frames in a socket at once */
#define FLOWS_NS 2000000	/* after a frame the thread does not wait yet */

/* --- the socket ------------------------------------------------------ */

struct pt_xsk {
	pthread_mutex_t lock;
	int event_fd;
	unsigned int cnt;
	struct pt_span held[HELD];
	struct pt_span flood;	/* fills requested and not held */
	unsigned int flooded;	/* frames */
	struct pt_span drop;	/* handed out every second time, ... */
	unsigned int dripping;	/* ... so often */
	bool was_empty;
	__u64 looked_ns;	/* it was asked for frames last, ... */
	__u64 before_ns;	/* ... and before it gave one last */
	atomic_uint waits;
	atomic_uint early;	/* waits within FLOWS_NS of a frame */
	atomic_uint recycled;
	atomic_uint fill;	/* the ring's reported fill level */
};

/* pour fills rx with copies of a frame. */
static void pour(const struct pt_span *from, struct pt_rx_frame *rx, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++) {
		struct pt_span span = { malloc(from->sz), from->sz };

		memcpy((void *)span.base, from->base, span.sz);
		rx[i] = (struct pt_rx_frame){
			.spans = { span }, .span_cnt = 1, .sz = span.sz,
		};
	}
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
		pour(&x->flood, rx + cnt, max - cnt);
		x->flooded += max - cnt;
		cnt = max;
	}
	x->was_empty = !x->was_empty;
	if (!cnt && x->dripping && x->was_empty) {
		pour(&x->drop, rx, ++cnt);
		x->dripping--;
	}
	if (cnt)
		x->before_ns = x->looked_ns;
	x->looked_ns = pt_clock_ns();
	pthread_mutex_unlock(&x->lock);
	return cnt;
}

__u32 pt_xsk_rx_fill(const struct pt_xsk *x)
{
	return atomic_load(&x->fill);
}

void pt_xsk_recycle(struct pt_xsk *x, const struct pt_rx_frame *rx, __u32 cnt)
{
	for (__u32 i = 0; i < cnt; i++) {
		if (!rx[i].span_cnt)	/* a placer keeps it */
			continue;
		free((void *)rx[i].spans[0].base);
		atomic_fetch_add(&x->recycled, 1);
	}
}

int pt_xsk_wait(struct pt_xsk *x, int timeout_ms, int extra_fd)
{
	struct pollfd fds[] = {
		{ .fd = x->event_fd, .events = POLLIN },
		{ .fd = extra_fd, .events = POLLIN },
	};
	eventfd_t value;

	atomic_fetch_add(&x->waits, 1);
	if (x->before_ns && x->looked_ns - x->before_ns < FLOWS_NS)
		atomic_fetch_add(&x->early, 1);
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
static __u64 refused;			/* the last page refused, and ... */
static __u64 refused_upto;		/* placed_upto as reported before */

int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err)
{
	(void)c;
	(void)err;
	pthread_mutex_lock(&told_lock);
	if (m->type == PT_MSG_ACK)
		acked = m->ack;
	if (m->type == PT_MSG_REFUSED) {
		refused = m->refused.page[m->refused.page_cnt - 1];
		refused_upto = acked.placed_upto;
	}
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
static __u64 kit_idle_ns = ~0ULL;	/* lanes never idle */
static bool kit_apart;			/* lanes' placers have threads */
static bool kit_sealed;			/* data frames are, by kit_seal's key */
static __u8 kit_compressions;	/* of the session, see struct pt_intake */
static unsigned int put_cnt[QUEUES];
static __u64 data_cnt, probe_cnt;	/* frames put */

static inline void all_lock(void)
{
	for (int i = 0; i < QUEUES; i++)
		pt_rx_queue_lock(queues[i]);
}

static inline void all_unlock(void)
{
	for (int i = 0; i < QUEUES; i++)
		pt_rx_queue_unlock(queues[i]);
}

/* kit_seal makes a lane's seal, of either end. */
static inline struct pt_seal *kit_seal(void)
{
	const struct pt_seal_cfg cfg = {
		.cipher = PT_CIPHER_AES_128_GCM,
		.rekey_log2 = PT_REKEY_LOG2_MIN,
		.secret = { 0x11 }, .header_key = { 0x22 },
	};
	struct pt_seal *seal = NULL;

	assert_int_equal(pt_seal_create(&seal, &cfg), 0);
	return seal;
}

static inline int start(void **state)
{
	struct pt_error err;

	rebuild_start(state);
	data_cnt = probe_cnt = seen_cnt = 0;
	memset(&acked, 0, sizeof(acked));
	intake = (struct pt_intake){
		.session_id = SESSION,
		.rebuild = rebuild,
		.lane_cnt = LANES,
		.reorder_min_ns = PT_REORDER_MIN_NS,
		.wake_fd = -1,
		.is_sealed = kit_sealed,
		.places_apart = kit_apart,
		.compressions = kit_compressions,
	};
	assert_int_equal(pt_intake_lanes_make(&intake), 0);
	lanes = intake.lanes;
	for (int i = 0; kit_sealed && i < LANES; i++)
		lanes[i].seal = kit_seal();
	memcpy(intake.endpoint.addr, kit_links[0].link.dst_addr, 16);
	intake.endpoint.port = htobe16(kit_links[0].link.dst_port);
	for (int i = 0; i < QUEUES; i++) {
		const struct pt_rx_queue_cfg cfg = {
			.xsk = &xsks[i],
			.queue = i,
			.desc_sz = DESC_SZ,
			.credit = CREDIT,
			.idle_ns = kit_idle_ns,
			.ring_cnt = 2048,
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
	for (int i = 0; i < LANES; i++)
		assert_int_equal(pt_rx_queue_lane_add(queues[i], &lanes[i]),
				 0);
	all_unlock();
	return 0;
}

static inline int stop(void **state)
{
	for (int i = 0; i < QUEUES; i++)
		pt_rx_queue_stop(queues[i]);
	pt_intake_free(&intake);
	for (int i = 0; i < QUEUES; i++) {
		pt_rx_queue_free(queues[i]);
		close(xsks[i].event_fd);
	}
	return rebuild_stop(state);
}

/* put gives a queue's socket a frame. */
static inline void put(int queue, const void *bytes, __u32 sz)
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
static inline struct pt_ledger settle(void)
{
	__u64 deadline = pt_clock_ns() + 50000000000ULL;
	struct pt_ledger ledger;

	for (int i = 0; i < QUEUES; i++) {
		while (atomic_load(&xsks[i].recycled) != put_cnt[i] &&
		       pt_clock_ns() < deadline)
			usleep(500);
		assert_int_equal(atomic_load(&xsks[i].recycled), put_cnt[i]);
	}
	while (!pt_intake_is_placed(&intake) && pt_clock_ns() < deadline)
		usleep(500);
	assert_true(pt_intake_is_placed(&intake));
	all_lock();
	pt_intake_ledger(&intake, &ledger);
	for (int i = 0; i < QUEUES; i++)
		assert_int_equal(pt_rx_queue_received(queues[i]), put_cnt[i]);
	all_unlock();
	/* Frames that XDP would have steered, and frames that the agent
	 * took. */
	assert_int_equal(ledger.received, data_cnt);
	assert_int_equal(ledger.probes, probe_cnt);
	assert_int_equal(ledger.received, ledger.accepted + ledger.duplicate +
			 ledger.refused_auth + ledger.refused_record +
			 ledger.refused_window + ledger.refused_unit);
	assert_int_equal(ledger.records, ledger.placed + ledger.stale +
			 ledger.refused_version);
	return ledger;
}

/* --- frames ---------------------------------------------------------- */

static __u8 page[PT_PAGE_SZ];

/* data_frame writes a frame of one page to frame; returns its bytes. */
static inline __u32 data_frame(const struct kit_link *link, __u16 lane,
			       __u64 seq, __u64 gfn, __u64 mask)
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

static inline __u32 probe_frame(const struct kit_link *link, __u16 lane,
				__u64 number, __u32 sz)
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

static inline int group_start(void **state)
{
	__u64 random = 2;

	(void)state;
	kit_fill(page, sizeof(page), &random);
	return scratch_mount();
}

#endif
