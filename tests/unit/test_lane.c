// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A lane, with a worker of its own, between a real source and a network of the test's own. */
#include "lane_kit.h"

#include "net/plpmtud.h"

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
	{ "the connection has no room for a while", .mtu = 1500,
	  .window = WINDOW, .full_cnt = 5 },
	{ "the way eats large frames", .mtu = 4000, .mtu_max = 65535,
	  .window = WINDOW },
};

/* On any path: all pages arrive unchanged, digests of all exist, credit adds
 * up, and the frame size is within a block of the largest. */
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
				 pt_digest_page(KEY, i, ram[i]));
	assert_int_equal(atomic_load(&c->frames), data_cnt);
	assert_int_equal(atomic_load(&c->probes), probe_cnt);
	assert_int_equal(atomic_load(&c->dirty_pages), 0);
	assert_int_equal(atomic_load(&c->queue), 3);
	assert_int_equal(atomic_load(&c->frames_lost), rx.missing);
	assert_int_equal(rx.accepted + rx.missing, data_cnt);
	assert_int_equal(set_cnt, changes ? 2 : 1);
	assert_in_range(set_sz, mtu + PT_ETH_SZ - PT_PLPMTUD_STEP_SZ + 1,
			mtu + PT_ETH_SZ);
	if (!with->loss_pct && !changes) {
		assert_int_equal(rx.missing, 0);
		assert_int_equal(atomic_load(&c->generation), 1);
	}
	stop();
}

/* shape_alike makes each page's blocks compress well. */
static void shape_alike(void)
{
	for (__u32 i = 0; i < PAGES; i++)
		for (__u32 k = 0; k < PT_PAGE_SZ; k++)
			ram[i][k] = k % 61 + i;
}

/* Compressed frames take the window for their pages; frames of more pages than it
 * is go one at a time. */
static void test_compressed(void **state)
{
	static const __u32 windows[] = { WINDOW, 150, 20 };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(windows); i++) {
		start(&(struct net){
			.mtu = 9000, .window = windows[i], .is_lazy = true,
			.loss_pct = 5, .shape = shape_alike,
			.method = PT_COMPRESSION_LZ4,
		});
		run_to_clean();
		assert_memory_equal(copy, ram, sizeof(ram));
		assert_int_equal(sent_desc, freed_desc + lost_desc);
		assert_in_range(cost_max, 30, PT_RECORDS_MAX);
		assert_int_equal(!cost_cnt, windows[i] >= PT_RECORDS_MAX);
		stop();
	}
}

/* A clean lane sends nothing on a new path; then the receiver would not
 * answer. */
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

/* A receiver that reads nothing is not waited for. */
static void test_connection_full(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	start(&(struct net){ .mtu = 1500, .window = WINDOW, .full_cnt = ~0U });
	reach(PT_LANE_FAILED);
	assert_int_equal(pt_lane_error(lane, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "has read nothing for 1000 ms"));
	assert_int_equal(set_cnt, 0);
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

static void place_what_is_not_decided(struct pt_msg_ack *a)
{
	a->placed_upto = a->upto + 1;
}

static void take_back_what_is_placed(struct pt_msg_ack *a)
{
	if (a->upto > 100)
		a->placed_upto = 1;
}

static const struct net spoilt[] = {
	{ "more credit than taken", .mtu = 1500, .window = WINDOW,
	  .spoil = free_too_much },
	{ "upto past the end", .mtu = 1500, .window = WINDOW,
	  .spoil = pass_the_end },
	{ "missing, but never sent", .mtu = 1500, .window = WINDOW,
	  .spoil = miss_what_was_not_sent },
	{ "placed past upto", .mtu = 1500, .window = WINDOW, .arrivals = true,
	  .spoil = place_what_is_not_decided },
	{ "placed goes backwards", .mtu = 1500, .window = 40,
	  .arrivals = true, .spoil = take_back_what_is_placed },
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

/* spent: the lane ends since its numbers do, those of probes before it is ready.
 * The caller stops it. */
static void spent(const struct net *with, const char *what)
{
	struct pt_error err;

	start(with);
	if (!with->probe_max) {
		reach(PT_LANE_READY);
		pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	}
	reach(PT_LANE_FAILED);
	assert_int_equal(pt_lane_error(lane, &err), -EOVERFLOW);
	assert_int_equal(err.exit, PT_EXIT_FAILED);
	assert_non_null(strstr(err.text, what));
}

/* The last number is used, and no number after it. */
static void test_numbers_end(void **state)
{
	(void)state;
	spent(&(struct net){ .mtu = 9000, .window = WINDOW, .seq_max = 9 },
	      "frame numbers are used up");
	assert_int_equal(atomic_load(&pt_lane_counts(lane)->frames), 10);
	stop();
}

static void test_probes_end(void **state)
{
	(void)state;
	spent(&(struct net){ .mtu = 1500, .mtu_max = 9000, .probe_max = 1 },
	      "probe numbers are used up");
	assert_int_equal(atomic_load(&pt_lane_counts(lane)->probes), 2);
	stop();
}

static void test_generations_end(void **state)
{
	struct net with = { .mtu = 9000, .window = WINDOW, .generation_max = 1 };

	(void)state;
	start(&with);
	run_to_clean();
	stop();
	with.loss_pct = 50;
	spent(&with, "generation numbers are used up");
	stop();
}

/* Probes pass, data does not: the lane ends, though the receiver answers. */
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

/* Nor does a receiver that answers but grants nothing hold up a sender. */
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

/* If the receiver is silent altogether, control reports that. */
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

/* Nor does the time of a clean lane count, or that of a slow path. */
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

/* A lane that may send a frame every 75 ms waits, and that is no stall.  The
 * number of its frames follows from the time it had, on any CPU. */
static void test_slow_rate(void **state)
{
	__u64 start_ns, sent = 0, most;

	(void)state;
	start(&(struct net){ .mtu = 1500, .window = WINDOW,
			     .bytes_per_s = 20000, .progress_ms = 30 });
	reach(PT_LANE_READY);
	start_ns = pt_clock_ns();
	pt_inbox_go(pt_lane_inbox(lane), 0, 1);
	reach(PT_LANE_SENDING);
	while (sent < 14 && pt_clock_ns() - start_ns < WAIT_NS) {
		usleep(1000);
		sent = atomic_load(&pt_lane_counts(lane)->frames);
	}
	most = (pt_clock_ns() - start_ns) / 75000000 + 3;
	assert_in_range(sent, 14, most);
	assert_int_equal(pt_lane_state(lane), PT_LANE_SENDING);
	stop();
}

/* Stopped while it probes, waits, is out of credit, or is clean. */
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

#define FIXED	13

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(nets) + COUNT_OF(spoilt)] = {
		cmocka_unit_test(test_reprobe_when_clean),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_unreached),
		cmocka_unit_test(test_connection_full),
		cmocka_unit_test(test_source_cut),
		cmocka_unit_test(test_numbers_end),
		cmocka_unit_test(test_probes_end),
		cmocka_unit_test(test_generations_end),
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
	if (lane_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
