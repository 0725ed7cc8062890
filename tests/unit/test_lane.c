// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A lane's thread between a real source and a network of the test's own, which
 * eats what is too large, loses what it is told to, and answers as a receiver
 * does.  All of the network runs in the lane's thread, from within its calls.
 */
#include "guard_again.h"
#include "scratch.h"
#include "wire_kit.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include <pagetrim/check.h>
#include "transfer/clock.h"
#include "transfer/ladder.h"
#include "transfer/lane.h"
#include "transfer/rx_lane.h"
#include "trim/digest.h"
#include "wire/reader.h"

#define SESSION	0x99
#define RAM	SCRATCH "/ram"
#define PAGES	(3 * PT_REGION_PAGES + 5)
#define DESC_SZ	3840
#define SLOTS	32			/* TX buffers */
#define FRAMES_MAX 100000
#define WAIT_NS	20000000000ULL		/* for what must happen */

/* --- the network ------------------------------------------------------ */

struct net {
	const char *name;
	__u32 mtu;		/* larger frames vanish; 0: all do */
	__u32 mtu_max;		/* what both devices say; 0: mtu */
	__u32 loss_pct;		/* of data frames */
	__u32 window;
	__u32 reprobe_at;	/* data frame that makes it say REPROBE */
	__u32 mtu_then;		/* from there on */
	__u32 cut_at;		/* data frame that cuts the source short */
	void (*spoil)(struct pt_msg_ack *ack);
};

static struct net net;
static struct pt_lane *_Atomic lane;
static struct pt_rx_lane rx;
static __u64 random_state, now_ns;

static struct {
	void *buffer;
	__u32 sz;
} queued[SLOTS];
static __u32 queued_cnt;
static void *buffers[SLOTS];
static __u32 buffer_cnt;		/* free ones */

static __u32 data_cnt, probe_cnt, sync_cnt, set_cnt, set_sz;
static __u8 descs[FRAMES_MAX];		/* by sequence number */
static __u64 sent_desc;			/* credit taken, */
static __u64 freed_desc, lost_desc;	/* given back as far as told */

static __u8 ram[PAGES][PT_PAGE_SZ], copy[PAGES][PT_PAGE_SZ];
static __u32 generations[PAGES];

/* inbox: the lane's thread may be here before its start returned. */
static struct pt_inbox *inbox(void)
{
	while (!lane)
		usleep(100);
	return pt_lane_inbox(lane);
}

static void ack(void)
{
	struct pt_message m;

	pt_rx_lane_ack(&rx, &m);
	freed_desc = m.ack.freed_desc;
	for (__u32 i = 0; i < m.ack.missing_cnt; i++)
		for (__u32 n = 0; n < m.ack.missing[i].cnt; n++)
			lost_desc += descs[m.ack.missing[i].first + n];
	if (net.spoil)
		net.spoil(&m.ack);
	pt_inbox_ack(inbox(), &m.ack);
	pt_rx_lane_told(&rx);
}

/* place: what a frame says of its pages, as the receiver must take it. */
static void place(struct pt_reader *r)
{
	struct pt_record_host rec;
	unsigned int got;

	while (pt_reader_next(r, &rec)) {
		for (__u64 i = 0; i < pt_record_page_cnt(&rec); i++) {
			__u64 gfn = rec.gfn + i;

			pt_check(gfn < PAGES);
			if (r->id.generation < generations[gfn])
				continue;
			if (r->id.generation > generations[gfn])
				memset(copy[gfn], 0, PT_PAGE_SZ);
			generations[gfn] = r->id.generation;
		}
		if (rec.kind != PT_RECORD_BLOCKS ||
		    r->id.generation < generations[rec.gfn])
			continue;
		for (__u64 left = rec.mask; left; left &= left - 1)
			memcpy(&copy[rec.gfn][__builtin_ctzll(left) * 64],
			       pt_reader_blocks(r, 1, &got), 64);
	}
}

static void data_arrives(struct pt_reader *r)
{
	enum pt_seq what = pt_rx_lane_take(&rx, r->id.seq,
					   pt_desc_cnt(r->sent_sz, DESC_SZ));

	pt_check(what == PT_SEQ_NEW);
	place(r);
	if (pt_rx_lane_is_urgent(&rx))
		ack();
}

static void data_sent(struct pt_reader *r, __u32 sz)
{
	pt_check(r->id.seq == data_cnt++);
	pt_check(data_cnt < FRAMES_MAX);
	pt_check(sz <= set_sz);
	descs[r->id.seq] = pt_desc_cnt(sz, DESC_SZ);
	sent_desc += descs[r->id.seq];
	pt_check(sent_desc - freed_desc - lost_desc <= net.window);
	if (data_cnt == net.cut_at)
		pt_check(!truncate(RAM, PT_PAGE_SZ));
	if (data_cnt == net.reprobe_at) {
		net.mtu = net.mtu_then;
		pt_inbox_reprobe(inbox());
	}
}

static void probe_arrives(const struct pt_reader *r)
{
	const struct pt_msg_probe_seen seen = {
		.probe = r->id.seq,
		.frame_sz = r->sent_sz,
		.queue = 3,
	};

	pt_inbox_probe(inbox(), &seen);
}

static void carry(const void *bytes, __u32 sz)
{
	const struct pt_span span = { bytes, sz };
	struct pt_reader r;

	pt_check(pt_reader_open(&r, &span, 1) == PT_VERDICT_STEERED);
	pt_check(pt_reader_auth_ok(&r));
	if (r.kind == PT_FRAME_PROBE)
		probe_cnt++;
	else
		data_sent(&r, sz);
	if (sz > net.mtu + PT_ETH_SZ)
		return;
	if (r.kind == PT_FRAME_PROBE)
		probe_arrives(&r);
	else if (kit_random(&random_state) % 100 >= net.loss_pct)
		data_arrives(&r);
}

void *pt_xsk_tx_frame(struct pt_xsk *x)
{
	(void)x;
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
	pt_check(queued_cnt < SLOTS);
	queued[queued_cnt].buffer = buffer;
	queued[queued_cnt++].sz = sz;
}

/* A device that takes ten frames at a time. */
int pt_xsk_tx_kick(struct pt_xsk *x)
{
	__u32 cnt = queued_cnt < 10 ? queued_cnt : 10;

	for (__u32 i = 0; i < cnt; i++) {
		carry(queued[i].buffer, queued[i].sz);
		pt_xsk_tx_give_back(x, queued[i].buffer);
	}
	queued_cnt -= cnt;
	memmove(queued, queued + cnt, queued_cnt * sizeof(queued[0]));
	return queued_cnt > 0;
}

int pt_xsk_tx_wait(struct pt_xsk *x, int timeout_ms)
{
	(void)timeout_ms;
	while (pt_xsk_tx_kick(x))
		;
	return 1;
}

/* SYNC: what is not there by now is lost. */
int pt_conn_send(struct pt_conn *c, const struct pt_message *m,
		 struct pt_error *err)
{
	(void)c;
	(void)err;
	pt_check(m->type == PT_MSG_SYNC);
	pt_check(m->sync.seq_end == data_cnt);
	sync_cnt++;
	pt_seqmap_raise(&rx.seqs, m->sync.seq_end);
	pt_rx_lane_tick(&rx, now_ns, PT_GRACE_MIN_NS);
	now_ns += PT_GRACE_MIN_NS;
	pt_rx_lane_tick(&rx, now_ns, PT_GRACE_MIN_NS);
	ack();
	return 0;
}

int pt_conn_send_wait(struct pt_conn *c, const struct pt_message *m,
		      int timeout_ms, struct pt_error *err)
{
	(void)c;
	(void)timeout_ms;
	(void)err;
	pt_check(m->type == PT_MSG_LANE_SET);
	pt_check(m->lane_set.queue == 3);
	set_cnt++;
	set_sz = m->lane_set.frame_sz;
	rx.window = net.window;
	pt_inbox_ready(inbox(), net.window);
	return 0;
}

/* --- the lane --------------------------------------------------------- */

static struct pt_source *source;
static struct pt_layout *layout;
static struct pt_send_job job;
static __u64 digests[4 * PT_REGION_PAGES];
static void *slabs[SLOTS];

static void make_ram(void)
{
	int fd = scratch_file(RAM, sizeof(ram));
	__u64 random = 8;

	memset(ram, 0, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++) {
		__u64 mask = kit_random(&random) % 3 ? kit_mask(&random) : 0;

		for (__u64 left = mask; left; left &= left - 1)
			kit_fill(&ram[i][__builtin_ctzll(left) * 64], 64,
				 &random);
	}
	scratch_write(fd, 0, ram, sizeof(ram));
	close(fd);
}

static void start(const struct net *with)
{
	const char *path = RAM;
	struct pt_lane_cfg cfg = {
		.job = &job, .link = kit_links[0].link, .tx_queue = 3,
	};
	const struct pt_segment *segs;
	struct pt_error err = { 0 };
	struct pt_lane *l;
	__u32 cnt;

	guard_again();
	make_ram();
	net = *with;
	data_cnt = probe_cnt = sync_cnt = set_cnt = set_sz = 0;
	sent_desc = freed_desc = lost_desc = 0;
	random_state = 12;
	now_ns = 1000 * PT_GRACE_MIN_NS;
	memset(&rx, 0, sizeof(rx));
	memset(copy, 0xee, sizeof(copy));
	memset(generations, 0, sizeof(generations));
	memset(digests, 0, sizeof(digests));
	queued_cnt = 0;
	buffer_cnt = SLOTS;
	memcpy(buffers, slabs, sizeof(buffers));

	assert_int_equal(pt_source_open_files(&source, &path, 1, &err), 0);
	segs = pt_source_segments(source, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	job = (struct pt_send_job){
		.source = source, .layout = layout, .digests = digests,
		.digest_key = 5, .trim = PT_TRIM_BLOCKS,
		.session_id = SESSION, .desc_sz = DESC_SZ,
		.frame_sz_max = PT_ETH_SZ + (net.mtu_max ? net.mtu_max
							  : net.mtu),
		.wake_fd = eventfd(0, EFD_NONBLOCK),
	};
	assert_int_equal(pt_dirty_create(&job.dirty,
					 pt_layout_region_cnt(layout)), 0);
	lane = NULL;
	assert_int_equal(pt_lane_start(&l, &cfg, &err), 0);
	lane = l;
}

static void stop(void)
{
	pt_lane_stop(lane);
	pt_dirty_destroy(job.dirty);
	pt_layout_free(layout);
	pt_source_close(source);
	close(job.wake_fd);
}

static void reach(enum pt_lane_state want)
{
	__u64 deadline = pt_clock_ns() + WAIT_NS;

	while (pt_lane_state(lane) != want && pt_clock_ns() < deadline)
		usleep(200);
	assert_int_equal(pt_lane_state(lane), want);
}

static void run_to_clean(void)
{
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_CLEAN);
}

/* --- tests ------------------------------------------------------------ */

#define WINDOW	1536

static const struct net nets[] = {
	{ "MTU 1280", .mtu = 1280, .window = WINDOW },
	{ "MTU 9000", .mtu = 9000, .window = WINDOW },
	{ "MTU 65535", .mtu = 65535, .window = WINDOW },
	{ "smallest window", .mtu = 65535, .window = PT_SPANS_MAX },
	{ "1 of 100 lost", .mtu = 1500, .window = WINDOW, .loss_pct = 1 },
	{ "1 of 10 lost", .mtu = 9000, .window = WINDOW, .loss_pct = 10 },
	{ "half lost, small window", .mtu = 3000, .window = 20,
	  .loss_pct = 50 },
	{ "probes again, same way", .mtu = 1500, .window = WINDOW,
	  .reprobe_at = 100, .mtu_then = 1500 },
	{ "the way gets smaller", .mtu = 9000, .window = 64,
	  .reprobe_at = 50, .mtu_then = 1400, .loss_pct = 5 },
	{ "the way gets larger", .mtu = 1400, .mtu_max = 9000, .window = 64,
	  .reprobe_at = 50, .mtu_then = 9000 },
	{ "the way eats large frames", .mtu = 4000, .mtu_max = 65535,
	  .window = WINDOW },
};

/* Whatever the way: all pages arrive as they are, digests of all are there,
 * credit adds up, and the size is within a block of the largest. */
static void test_net(void **state)
{
	const struct net *with = *state;
	__u32 mtu = with->reprobe_at ? with->mtu_then : with->mtu;
	const struct pt_lane_counts *c;

	start(with);
	run_to_clean();
	c = pt_lane_counts(lane);
	assert_memory_equal(copy, ram, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++)
		assert_int_equal(digests[i], pt_digest_page(5, i, ~0ULL,
							    ram[i]));
	assert_int_equal(atomic_load(&c->frames), data_cnt);
	assert_int_equal(atomic_load(&c->probes), probe_cnt);
	assert_int_equal(atomic_load(&c->dirty_pages), 0);
	assert_int_equal(atomic_load(&c->queue), 3);
	assert_int_equal(atomic_load(&c->frames_lost), rx.missing);
	assert_int_equal(rx.accepted + rx.missing, data_cnt);
	assert_int_equal(set_cnt, with->reprobe_at ? 2 : 1);
	assert_in_range(set_sz, mtu + PT_ETH_SZ - PT_LADDER_STEP_SZ + 1,
			mtu + PT_ETH_SZ);
	if (!with->loss_pct && !with->reprobe_at) {
		assert_int_equal(rx.missing, 0);
		assert_int_equal(atomic_load(&c->generation), 1);
	}
	stop();
}

/* A clean lane has nothing to say on a new way; when all is said the receiver
 * would not answer. */
static void test_reprobe_when_clean(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 9000, .window = WINDOW });
	run_to_clean();
	net.mtu = 0;
	probe_cnt = 0;
	pt_inbox_reprobe(pt_lane_inbox(lane));
	for (int i = 0; i < 50; i++) {
		usleep(10000);
		assert_int_equal(pt_lane_state(lane), PT_LANE_CLEAN);
	}
	assert_int_equal(probe_cnt, 0);
	assert_int_equal(set_cnt, 1);
	stop();
}

static void test_unreached(void **state)
{
	struct pt_error err;

	(void)state;
	start(&(struct net){ .mtu_max = 1500, .window = WINDOW });
	reach(PT_LANE_UNREACHED);
	assert_int_equal(pt_lane_error(lane, &err), -EHOSTUNREACH);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	assert_non_null(strstr(err.text, "queue 3"));
	assert_int_equal(data_cnt, 0);
	stop();
}

static const struct pt_seq_range not_sent = { 1u << 20, 1 };

static void free_too_much(struct pt_msg_ack *a)
{
	a->freed_desc = sent_desc + 1;
}

static void pass_the_end(struct pt_msg_ack *a)
{
	a->upto = data_cnt + 1000;
}

static void miss_what_was_not_sent(struct pt_msg_ack *a)
{
	a->missing_cnt = 1;
	a->missing = &not_sent;
}

static const struct net spoilt[] = {
	{ "more credit than taken", .mtu = 1500, .window = WINDOW,
	  .spoil = free_too_much },
	{ "upto past the end", .mtu = 1500, .window = WINDOW,
	  .spoil = pass_the_end },
	{ "missing, but never sent", .mtu = 1500, .window = WINDOW,
	  .spoil = miss_what_was_not_sent },
};

static void test_spoilt_ack(void **state)
{
	struct pt_error err;

	start(*state);
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_FAILED);
	assert_int_equal(pt_lane_error(lane, &err), -EPROTO);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	stop();
}

static void test_source_cut(void **state)
{
	struct pt_error err;

	(void)state;
	start(&(struct net){ .mtu = 1500, .window = WINDOW, .cut_at = 40 });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_FAILED);
	assert_int_equal(pt_lane_error(lane, &err), -EIO);
	assert_int_equal(err.exit, PT_EXIT_FAILED);
	assert_non_null(strstr(err.text, RAM));
	stop();
}

/* Stopped while it probes, waits, is out of credit, has done all. */
static void test_stop(void **state)
{
	(void)state;
	start(&(struct net){ .mtu_max = 1500, .window = WINDOW });
	stop();
	start(&(struct net){ .mtu = 1500, .window = WINDOW });
	reach(PT_LANE_READY);
	stop();
	start(&(struct net){ .mtu = 1500, .window = 0 });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_SENDING);
	usleep(20000);
	assert_int_equal(data_cnt, 0);
	stop();
	start(&(struct net){ .mtu = 1500, .window = WINDOW });
	run_to_clean();
	stop();
}

#define FIXED	4

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(nets) + COUNT_OF(spoilt)] = {
		cmocka_unit_test(test_reprobe_when_clean),
		cmocka_unit_test(test_unreached),
		cmocka_unit_test(test_source_cut),
		cmocka_unit_test(test_stop),
	};

	for (size_t i = 0; i < COUNT_OF(nets); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			nets[i].name, test_net, NULL, NULL, (void *)&nets[i],
		};
	for (size_t i = 0; i < COUNT_OF(spoilt); i++)
		tests[FIXED + COUNT_OF(nets) + i] = (struct CMUnitTest){
			spoilt[i].name, test_spoilt_ack, NULL, NULL,
			(void *)&spoilt[i],
		};
	if (scratch_mount())
		return 1;
	for (int i = 0; i < SLOTS; i++)
		assert_non_null(slabs[i] = aligned_alloc(4096, 69632));
	guard_again();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
