/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* worker_kit: two transfers on one TX queue, stepped by one worker's thread, and the
 * device and receivers that they have. */
#ifndef TEST_WORKER_KIT_H
#define TEST_WORKER_KIT_H

#include "wire_kit.h"

#include <sys/eventfd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "lane/inbox.h"
#include "lane/lane.h"
#include "lane/worker.h"
#include "wire/descriptors.h"
#include "wire/reader.h"

#define PAGES	(PT_REGION_PAGES + 40)
#define DESC_SZ	3840
#define SLOTS	256
#define WAIT_NS	20000000000ULL

/* transfer: a sender of one lane, and its receiver, which is called by the worker. */
static struct transfer {
	_Atomic __u64 session_id;
	struct pt_source *source;
	struct pt_layout *layout;
	struct pt_digests digests;
	struct pt_send_job job;
	struct pt_lane *_Atomic lane;
	_Atomic __u32 window;
	_Atomic __u32 window_at_sync;	/* of both transfers; 0: as before */
	struct transfer *_Atomic go_at_sync;	/* begins with it, unlimited, too */
	_Atomic __u64 frames;
	__u64 freed_desc;
	__u8 ram[PAGES][PT_PAGE_SZ] __attribute__((aligned(4096)));
	__u8 copy[PAGES][PT_PAGE_SZ];
} transfers[2];

static struct pt_worker *worker;
static void *buffers[SLOTS];
static __u32 buffer_cnt;
static pthread_t stepper;	/* the one thread that uses the device */
static _Atomic bool has_stepper;
static _Atomic bool is_gone;	/* nobody may use the device any more */
static __u32 takes_max;		/* frames of a kick */
static bool is_shared;		/* frames of others are always queued behind ours */
static __u32 run_cnt;		/* times that frames of the other transfer came */
static const struct transfer *run_of;

static struct pt_inbox *inbox(struct transfer *t)
{
	while (!t->lane)
		usleep(100);
	return pt_lane_inbox(t->lane);
}

/* ---- the receiver ---- */

static void place(struct transfer *t, struct pt_reader *r)
{
	struct pt_record_host rec;
	unsigned int got;

	while (pt_reader_next(r, &rec)) {
		pt_check(rec.kind == PT_RECORD_BLOCKS ||
			 rec.kind == PT_RECORD_ZEROES);
		if (rec.kind == PT_RECORD_ZEROES)
			continue;
		pt_check(rec.gfn < PAGES);
		for (__u64 left = rec.kind == PT_RECORD_BLOCKS ? rec.mask : 0; left;
		     left &= left - 1)
			memcpy(&t->copy[rec.gfn][__builtin_ctzll(left) * 64],
			       pt_reader_blocks(r, 1, &got), 64);
	}
}

static struct pt_seq_range none[1];

static void give_window(struct transfer *t)
{
	const struct pt_msg_ack ack = {
		.upto = t->frames, .freed_desc = t->freed_desc, .missing = none,
		.window = t->window,
	};

	pt_check(!pt_inbox_ack(inbox(t), &ack));
}

static void note_run(const struct transfer *t)
{
	run_cnt += run_of != t;
	run_of = t;
}

/* arrives drops frames that a transfer left in the device when it ended. */
static void arrives(const void *bytes, __u32 sz)
{
	const struct pt_span span = { bytes, sz };
	struct transfer *t = transfers;
	struct pt_reader r;

	pt_check(pt_reader_open(&r, &span, 1) == PT_VERDICT_STEERED);
	while (t < transfers + 2 && t->session_id != r.id.session_id)
		t++;
	if (t == transfers + 2)
		return;
	if (r.kind == PT_FRAME_PROBE) {
		pt_inbox_probe(inbox(t), &(struct pt_msg_probe_seen){
				.probe = r.id.seq, .frame_sz = r.sent_sz });
		return;
	}
	pt_check(r.id.seq == t->frames);
	note_run(t);
	place(t, &r);
	t->freed_desc += pt_desc_cnt(sz, DESC_SZ);
	t->frames++;
	give_window(t);
}

/* ---- the device ---- */

static void *queued[SLOTS];
static __u32 queued_sz[SLOTS], queued_cnt;
static __u64 submitted_cnt;

void *pt_xsk_tx_frame(struct pt_xsk *x)
{
	(void)x;
	pt_check(!is_gone);
	if (!has_stepper)
		stepper = pthread_self();
	has_stepper = true;
	pt_check(pthread_equal(stepper, pthread_self()));
	return buffer_cnt ? buffers[--buffer_cnt] : NULL;
}

void pt_xsk_tx_give_back(struct pt_xsk *x, void *buffer)
{
	(void)x;
	buffers[buffer_cnt++] = buffer;
}

void pt_xsk_tx_submit(struct pt_xsk *x, void *buffer, __u32 sz)
{
	(void)x;
	queued[queued_cnt] = buffer;
	queued_sz[queued_cnt++] = sz;
	submitted_cnt++;
}

int pt_xsk_tx_kick(struct pt_xsk *x)
{
	pt_check(!is_gone);
	for (__u32 i = 0; i < takes_max && queued_cnt; i++) {
		void *buffer = queued[0];
		__u32 sz = queued_sz[0];

		memmove(queued, queued + 1, --queued_cnt * sizeof(queued[0]));
		memmove(queued_sz, queued_sz + 1, queued_cnt * sizeof(queued_sz[0]));
		arrives(buffer, sz);
		pt_xsk_tx_give_back(x, buffer);
	}
	return queued_cnt || is_shared;
}

__u64 pt_xsk_tx_mark(const struct pt_xsk *x)
{
	(void)x;
	return submitted_cnt;
}

bool pt_xsk_tx_is_taken(struct pt_xsk *x, __u64 mark)
{
	(void)x;
	return mark + queued_cnt <= submitted_cnt;
}

bool pt_xsk_tx_has_buffer(struct pt_xsk *x)
{
	(void)x;
	return buffer_cnt;
}

bool pt_xsk_tx_is_idle(struct pt_xsk *x)
{
	(void)x;
	return !queued_cnt;
}

bool pt_xsk_tx_waits(struct pt_xsk *x)
{
	(void)x;
	return false;
}

int pt_xsk_tx_wait(struct pt_xsk *x, int timeout_ms)
{
	(void)timeout_ms;
	while (pt_xsk_tx_kick(x) && queued_cnt)
		;
	if (is_shared)
		usleep(100);
	return !is_shared;
}

__u64 pt_conn_last_recv_ns(const struct pt_conn *c)
{
	(void)c;
	return pt_clock_ns();
}

/* The connection of a transfer is its struct. */
int pt_conn_send(struct pt_conn *c, const struct pt_message *m, struct pt_error *err)
{
	struct transfer *t = (struct transfer *)c;

	(void)err;
	if (m->type == PT_MSG_LANE_SET) {
		pt_inbox_ready(inbox(t), t->window);
		return 0;
	}
	pt_check(m->type == PT_MSG_SYNC);
	if (t->go_at_sync) {
		pt_inbox_go(inbox(t->go_at_sync), 0, 1);
		t->go_at_sync->window = t->window = 4096;
		give_window(t->go_at_sync);
		give_window(t);
		t->go_at_sync = NULL;
	}
	if (!t->window_at_sync)
		return 0;
	for (t = transfers; t < transfers + 2; t++) {
		t->window = transfers[0].window_at_sync;
		give_window(t);
	}
	transfers[0].window_at_sync = transfers[1].window_at_sync = 0;
	return 0;
}

/* ---- transfers ---- */

static void begin_with(struct transfer *t, __u32 window, void *ram, __u64 ram_sz)
{
	const struct pt_region region = { .addr = ram, .sz = ram_sz };
	static __u64 session_id;	/* of the last transfer */
	struct pt_lane_cfg cfg = {
		.job = &t->job, .worker = worker, .link = kit_links[0].link,
	};
	const struct pt_segment *segs;
	struct pt_error err;
	struct pt_lane *l;
	__u64 random = 5 + ++session_id;
	__u32 cnt;

	__u64 page_cnt = ram_sz / PT_PAGE_SZ;

	memset(t->copy, 0, sizeof(t->copy));
	t->lane = NULL;
	t->frames = t->freed_desc = 0;
	t->session_id = session_id;
	for (int i = 0; ram == t->ram && i < PAGES; i++)
		if (i % 3)
			kit_fill(t->ram[i], 1000, &random);
	t->window = window;
	assert_int_equal(pt_source_open_regions(&t->source, &region, 1, &err), 0);
	segs = pt_source_segments(t->source, &cnt);
	assert_int_equal(pt_layout_create(&t->layout, segs, cnt, &err), 0);
	t->job = (struct pt_send_job){
		.source = t->source, .layout = t->layout, .digests = &t->digests,
		.trim = PT_TRIM_BLOCKS, .session_id = session_id,
		.desc_sz = DESC_SZ, .frame_sz_max = PT_ETH_SZ + 1500,
		.progress_ns = WAIT_NS, .conn = (struct pt_conn *)t,
		.wake_fd = eventfd(0, EFD_NONBLOCK),
	};
	assert_int_equal(pt_dirty_create(&t->job.dirty,
					 pt_layout_region_cnt(t->layout)), 0);
	assert_int_equal(pt_digests_init(&t->digests,
					 pt_layout_region_cnt(t->layout)), 0);
	for (__u64 at = 0; at < page_cnt; at += PT_REGION_PAGES)
		pt_dirty_set(t->job.dirty, at, page_cnt - at < PT_REGION_PAGES
			     ? page_cnt - at : PT_REGION_PAGES);
	assert_int_equal(pt_lane_start(&l, &cfg, &err), 0);
	t->lane = l;
}

static void begin(struct transfer *t, __u32 window)
{
	begin_with(t, window, t->ram, sizeof(t->ram));
}

static void end(struct transfer *t)
{
	pt_lane_stop(t->lane);
	t->session_id = 0;
	pt_dirty_destroy(t->job.dirty);
	pt_digests_free(&t->digests);
	pt_layout_free(t->layout);
	pt_source_close(t->source);
	close(t->job.wake_fd);
}

static void reach(struct transfer *t, enum pt_lane_state want)
{
	__u64 deadline_ns = pt_clock_ns() + WAIT_NS;

	while (pt_lane_state(t->lane) != want && pt_clock_ns() < deadline_ns)
		usleep(200);
	assert_int_equal(pt_lane_state(t->lane), want);
}

static void open_worker(void)
{
	buffer_cnt = queued_cnt = 0;
	has_stepper = is_gone = false;
	takes_max = 10;	/* as a card may take */
	is_shared = false;
	for (int i = 0; i < SLOTS; i++)
		buffers[buffer_cnt++] = aligned_alloc(4096, 4096);
	assert_int_equal(pt_worker_open(&worker, &(struct pt_worker_cfg){ 0 }), 0);
}

static void close_worker(void)
{
	pt_worker_close(worker);
	assert_int_equal(buffer_cnt, SLOTS);
	while (buffer_cnt)
		free(buffers[--buffer_cnt]);
}

#endif
