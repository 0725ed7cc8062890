// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A lane's thread between a real source and a network of the test's own. */
#include "lane_net.h"

#include <sys/eventfd.h>

#include <pagetrim/clock.h>
#include "guard_again.h"
#include "transfer/ladder.h"
#include "trim/digest.h"

#define SESSION	0x99
#define WAIT_NS	20000000000ULL		/* for what must happen */

/* --- the lane --------------------------------------------------------- */

static struct pt_source *source;
static struct pt_layout *layout;
static struct pt_send_job job;
static struct pt_pacer pacer;
static struct pt_digests digests;
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
	queued_cnt = 0;
	buffer_cnt = SLOTS;
	memcpy(buffers, slabs, sizeof(buffers));

	assert_int_equal(pt_source_open_files(&source, &path, 1, &err), 0);
	segs = pt_source_segments(source, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	job = (struct pt_send_job){
		.source = source, .layout = layout, .digests = &digests,
		.digest_key = 5, .trim = PT_TRIM_BLOCKS,
		.session_id = SESSION, .desc_sz = DESC_SZ,
		.frame_sz_max = PT_ETH_SZ + (net.mtu_max ? net.mtu_max
							  : net.mtu),
		.wake_fd = eventfd(0, EFD_NONBLOCK),
		.progress_ns = net.progress_ms ? net.progress_ms * 1000000ULL
					       : WAIT_NS,
	};
	assert_int_equal(pt_dirty_create(&job.dirty,
					 pt_layout_region_cnt(layout)), 0);
	assert_int_equal(pt_digests_init(&digests,
					 pt_layout_region_cnt(layout)), 0);
	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++)
		pt_dirty_set(job.dirty, r * PT_REGION_PAGES,
			     pt_layout_region(layout, r, NULL));
	pacer = (struct pt_pacer){ .bytes_per_s = net.bytes_per_s };
	job.pacer = net.bytes_per_s ? &pacer : NULL;
	lane = NULL;
	assert_int_equal(pt_lane_start(&l, &cfg, &err), 0);
	lane = l;
}

static void stop(void)
{
	pt_lane_stop(lane);
	pt_dirty_destroy(job.dirty);
	pt_digests_free(&digests);
	pt_layout_free(layout);
	pt_source_close(source);
	close(job.wake_fd);
}

static void reach(enum pt_lane_state want)
{
	__u64 deadline = pt_clock_ns() + WAIT_NS;

	while (pt_lane_state(lane) != want && pt_clock_ns() < deadline)
		usleep(200);
	if (pt_lane_state(lane) == PT_LANE_FAILED && want != PT_LANE_FAILED) {
		struct pt_error err;

		pt_lane_error(lane, &err);
		fail_msg("failed: %s", err.text);
	}
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
	{ "the way gets smaller, nobody says so", .mtu = 9000, .window = 64,
	  .narrow_at = 50, .mtu_then = 1400, .loss_pct = 5 },
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
	bool changes = with->reprobe_at || with->narrow_at;
	__u32 mtu = changes ? with->mtu_then : with->mtu;
	const struct pt_lane_counts *c;

	start(with);
	run_to_clean();
	c = pt_lane_counts(lane);
	assert_memory_equal(copy, ram, sizeof(ram));
	for (__u32 i = 0; i < PAGES; i++)
		assert_int_equal(pt_digests_get(&digests, i),
				 pt_digest_page(5, i, ram[i]));
	assert_int_equal(atomic_load(&c->frames), data_cnt);
	assert_int_equal(atomic_load(&c->probes), probe_cnt);
	assert_int_equal(atomic_load(&c->dirty_pages), 0);
	assert_int_equal(atomic_load(&c->queue), 3);
	assert_int_equal(atomic_load(&c->frames_lost), rx.missing);
	assert_int_equal(rx.accepted + rx.missing, data_cnt);
	assert_int_equal(set_cnt, changes ? 2 : 1);
	assert_in_range(set_sz, mtu + PT_ETH_SZ - PT_LADDER_STEP_SZ + 1,
			mtu + PT_ETH_SZ);
	if (!with->loss_pct && !changes) {
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

/* Probes pass, data does not: it ends, though the receiver answers. */
static void test_no_progress(void **state)
{
	struct pt_error err;
	__u64 start_ns;

	(void)state;
	start(&(struct net){ .mtu = 1500, .window = 64, .loss_pct = 100,
			     .progress_ms = 300 });
	reach(PT_LANE_READY);
	start_ns = pt_clock_ns();
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_FAILED);
	assert_true(pt_clock_ns() - start_ns >= 300000000);
	assert_int_equal(pt_lane_error(lane, &err), -ETIMEDOUT);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	stop();
}

/* Nor is a sender held by a receiver that answers, and grants nothing. */
static void test_no_credit(void **state)
{
	struct pt_error err;
	__u64 start_ns;

	(void)state;
	start(&(struct net){ .mtu = 1500, .window = 0, .progress_ms = 300 });
	reach(PT_LANE_READY);
	start_ns = pt_clock_ns();
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_FAILED);
	assert_true(pt_clock_ns() - start_ns >= 300000000);
	assert_int_equal(pt_lane_error(lane, &err), -ETIMEDOUT);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	assert_non_null(strstr(err.text, "has let no frame go"));
	assert_int_equal(data_cnt, 0);
	stop();
}

/* If the receiver is silent altogether, that is for control to say. */
static void test_no_progress_of_the_mute(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 1500, .window = 64, .loss_pct = 100,
			     .progress_ms = 100, .is_mute = true });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_SENDING);
	usleep(400000);
	assert_int_equal(pt_lane_state(lane), PT_LANE_SENDING);
	stop();
}

/* Nor does time that a clean lane spends count, or that of a slow path. */
static void test_slow_progress(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 1500, .window = 20, .loss_pct = 40,
			     .progress_ms = 1000 });
	run_to_clean();
	usleep(1300000);
	assert_int_equal(pt_lane_state(lane), PT_LANE_CLEAN);
	assert_memory_equal(copy, ram, sizeof(ram));
	stop();
}

/* A lane that may send a frame every 75 ms waits, and nobody is to blame. */
static void test_slow_rate(void **state)
{
	(void)state;
	start(&(struct net){ .mtu = 1500, .window = WINDOW,
			     .bytes_per_s = 20000, .progress_ms = 30 });
	reach(PT_LANE_READY);
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_SENDING);
	usleep(1000000);
	assert_int_equal(pt_lane_state(lane), PT_LANE_SENDING);
	stop();
	assert_in_range(data_cnt, 8, 18);
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

#define FIXED	7

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(nets) + COUNT_OF(spoilt)] = {
		cmocka_unit_test(test_reprobe_when_clean),
		cmocka_unit_test(test_unreached),
		cmocka_unit_test(test_source_cut),
		cmocka_unit_test(test_no_progress),
		cmocka_unit_test(test_no_credit),
		cmocka_unit_test(test_no_progress_of_the_mute),
		cmocka_unit_test(test_slow_progress),
		cmocka_unit_test(test_slow_rate),
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
