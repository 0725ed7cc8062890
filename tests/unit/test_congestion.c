// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The controller in simulated time: alone, beside one of its kind, beside
 * CUBIC, on paths that lose, change, or report late; and without data. */
#include "bottleneck_kit.h"

#define COUNT_OF(a)	(sizeof(a) / sizeof((a)[0]))
#define SECOND		(1000 * MS)

/* A path, whose queue has 60 frames if queue_ms is 0. */
struct row {
	const char *name;
	double mbit, queue_ms, rtt_ms;
	__u32 frame_sz, loss_ppm;
	__u32 busy_us;		/* threads wake late; credit and burst, too */
};

static struct path path_of(const struct row *r)
{
	__u64 rtt_ns = r->rtt_ms * MS;
	struct path p = {
		.rate = r->mbit / 8e3,
		.frame_sz = r->frame_sz,
		.one_way_ns = rtt_ns / 2,
		.back_ns = rtt_ns / 2,
		.tick_ns = MS,
		.reorder_ns = 4 * rtt_ns,
		.loss_ppm = r->loss_ppm,
		.busy_ns = r->busy_us * 1000ULL,
	};

	if (r->busy_us) {
		/* 1536 descriptors of a queue, and 200 us of tokens. */
		p.credit = 1536.0 * (r->frame_sz > 4096 ? 3005 : r->frame_sz);
		p.burst = p.rate * 200000 > 3 * r->frame_sz
			? p.rate * 200000 : 3 * r->frame_sz;
	}

	p.room = r->queue_ms ? r->queue_ms * 1e6 * p.rate
			     : 60.0 * r->frame_sz;
	if (p.reorder_ns < 5 * MS)
		p.reorder_ns = 5 * MS;
	if (p.reorder_ns > 200 * MS)
		p.reorder_ns = 200 * MS;
	return p;
}

static void begin(const struct row *r)
{
	const struct path p = path_of(r);

	sim_begin(&p);
}

static struct flow *ours(__u64 start_ns)
{
	return flow_add(&(struct flow){ .kind = OURS, .start_ns = start_ns });
}

static void more_than(double value, double limit, const char *what)
{
	if (value < limit)
		fail_msg("%s: %.3f, want %.3f at least", what, value, limit);
}

static void less_than(double value, double limit, const char *what)
{
	if (value > limit)
		fail_msg("%s: %.4f, want %.4f at most", what, value, limit);
}

/* for_sz runs until about 256 MiB have passed, or 20 s at the path's rate. */
static __u64 time_of_image(void)
{
	__u64 ns = (256 << 20) / path.rate;

	return ns < 22 * SECOND ? ns : 22 * SECOND;
}

/* --- alone ------------------------------------------------------------- */

static const struct row alone[] = {
	{ "100 Mbit/s, 43 ms of queue, 0.1 ms", 100, 0, 0.1, 9014, 0, 0 },
	{ "100 Mbit/s, 43 ms of queue, 10 ms", 100, 0, 10, 9014, 0, 0 },
	{ "100 Mbit/s, 43 ms of queue, 100 ms", 100, 0, 100, 9014, 0, 0 },
	{ "100 Mbit/s, 20 ms of queue, 1 ms", 100, 20, 1, 9014, 0, 0 },
	{ "100 Mbit/s, 100 ms of queue, 10 ms", 100, 100, 10, 1514, 0, 0 },
	{ "100 Mbit/s, 7 ms of queue, 1 ms", 100, 0, 1, 1514, 0, 0 },
	{ "100 Mbit/s, 5 ms of queue, 20 ms", 100, 5, 20, 1514, 0, 0 },
	{ "1 Gbit/s, 4 ms of queue, 0.1 ms", 1000, 0, 0.1, 9014, 0, 0 },
	{ "1 Gbit/s, 4 ms of queue, 1 ms", 1000, 0, 1, 9014, 0, 0 },
	{ "1 Gbit/s, 4 ms of queue, 10 ms", 1000, 0, 10, 9014, 0, 0 },
	{ "1 Gbit/s, 20 ms of queue, 1 ms", 1000, 20, 1, 9014, 0, 0 },
	{ "1 Gbit/s, 50 ms of queue, 10 ms", 1000, 50, 10, 9014, 0, 0 },
	{ "10 Gbit/s, 10 ms of queue, 1 ms", 10000, 10, 1, 9014, 0, 0 },
	{ "1 Gbit/s, 20 ms of queue, 1 % lost", 1000, 20, 1, 9014, 10000, 0 },
	{ "100 Mbit/s, 43 ms of queue, 1 % lost", 100, 0, 10, 9014, 10000, 0 },
	{ "busy: 100 Mbit/s, 20 ms, 0.2 ms", 100, 20, 0.2, 1514, 0, 300 },
	{ "busy: 100 Mbit/s, 20 ms, 10 ms", 100, 20, 10, 1514, 0, 300 },
	{ "busy: 100 Mbit/s, 20 ms, 100 ms", 100, 20, 100, 1514, 0, 300 },
	{ "busy: 100 Mbit/s, 20 ms, 20 ms, 1 % lost", 100, 20, 20, 1514,
	  10000, 300 },
	{ "busy: 1 Gbit/s, 20 ms, 0.2 ms", 1000, 20, 0.2, 9014, 0, 300 },
	{ "busy: 1 Gbit/s, 20 ms, 20 ms", 1000, 20, 20, 9014, 0, 300 },
};

/* The path is used, few frames are lost from the first on, and the queue stays
 * short. */
static void test_alone(void **state)
{
	const struct row *r = *state;
	double own = r->loss_ppm / 1e6, queue_ns;
	struct flow *f;

	begin(r);
	f = ours(0);
	sim_mark();
	sim_run(time_of_image());
	more_than(share(f), 0.9 * (1 - own), "share");
	less_than(lost_share(f), 0.02 + own, "lost");
	queue_ns = path.room / path.rate;
	if (queue_ns > 19 * MS)
		less_than(queue_mean_ns() / queue_ns, 1.0 / 3, "queue");
	sim_mark();
	sim_run(2 * SECOND);
	more_than(share(f), 0.9 * (1 - own), "share, later");
	less_than(lost_share(f), 0.011 + own, "lost, later");
}

/* --- beside others ------------------------------------------------------ */

static const struct row shared[] = {
	{ "two, 100 Mbit/s, 43 ms of queue, 0.1 ms", 100, 0, 0.1, 9014, 0, 0 },
	{ "two, 100 Mbit/s, 43 ms of queue, 10 ms", 100, 0, 10, 9014, 0, 0 },
	{ "two, 100 Mbit/s, 100 ms of queue, 10 ms", 100, 100, 10, 1514, 0, 0 },
	{ "two, 100 Mbit/s, 7 ms of queue, 1 ms", 100, 0, 1, 1514, 0, 0 },
	{ "two, 1 Gbit/s, 4 ms of queue, 1 ms", 1000, 0, 1, 9014, 0, 0 },
	{ "two, 1 Gbit/s, 4 ms of queue, 10 ms", 1000, 0, 10, 9014, 0, 0 },
	{ "two, 2.5 Gbit/s, 1.7 ms of queue, 1 ms", 2500, 0, 1, 9014, 0, 0 },
};

static void test_two(void **state)
{
	struct flow *a, *b;

	begin(*state);
	a = ours(0);
	b = ours(SECOND);
	sim_run(5 * SECOND);
	sim_mark();
	sim_run(10 * SECOND);
	more_than(jain(a, b), 0.9, "Jain's index");
	more_than(share(a) + share(b), 0.9, "share of both");
	less_than(lost_share(a), 0.02, "lost");
}

static const struct row cubic[] = {
	{ "CUBIC, 100 Mbit/s, 43 ms of queue, 0.1 ms", 100, 0, 0.1, 9014, 0, 0 },
	{ "CUBIC, 100 Mbit/s, 43 ms of queue, 10 ms", 100, 0, 10, 9014, 0, 0 },
	{ "CUBIC, 100 Mbit/s, 20 ms of queue, 1 ms", 100, 20, 1, 9014, 0, 0 },
	{ "CUBIC, 1 Gbit/s, 4 ms of queue, 1 ms", 1000, 0, 1, 9014, 0, 0 },
	{ "CUBIC, 1 Gbit/s, 4 ms of queue, 10 ms", 1000, 0, 10, 9014, 0, 0 },
	{ "CUBIC, 1 Gbit/s, 20 ms of queue, 1 ms", 1000, 20, 1, 9014, 0, 0 },
	{ "CUBIC, 100 Mbit/s, 100 ms of queue, 20 ms", 100, 100, 20, 1514, 0, 0 },
	{ "CUBIC, busy: 100 Mbit/s, 20 ms, 20 ms", 100, 20, 20, 1514, 0, 300 },
};

/* Each keeps at least a quarter, whichever began first. */
static void test_cubic(void **state)
{
	struct flow *us, *tcp;

	for (int first = 0; first < 2; first++) {
		begin(*state);
		us = ours(first ? SECOND : 0);
		tcp = flow_add(&(struct flow){
			.kind = CUBIC, .start_ns = first ? 0 : SECOND });
		sim_run(5 * SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		more_than(share(us), 0.25, "our share");
		more_than(share(tcp), 0.25, "TCP's share");
	}
}

/* --- behaviour of paths and senders ------------------------------------- */

static const struct row lan = { "lan", 1000, 20, 1, 9014, 0, 0 };
static const struct row slow = { "slow", 100, 0, 10, 9014, 0, 0 };

/* The path becomes ten times as fast, and then ten times slower. */
static void test_rate_changes(void **state)
{
	struct flow *f;

	(void)state;
	begin(&slow);
	f = ours(0);
	sim_run(5 * SECOND);
	path.rate *= 10;
	path.room *= 10;
	sim_run(3 * SECOND);
	sim_mark();
	sim_run(2 * SECOND);
	more_than(share(f), 0.9, "share of ten times as much");
	path.rate /= 10;
	path.room /= 10;
	sim_run(2 * SECOND);
	sim_mark();
	sim_run(2 * SECOND);
	more_than(share(f), 0.9, "share of a tenth");
	less_than(lost_share(f), 0.02, "lost of a tenth");
	less_than(queue_mean_ns(), 15 * MS, "queue of a tenth");
}

/* A tenth of all frames is lost at any rate, as on a bad radio link: a smaller
 * window helps no flow.  Once the path is good again, a short queue counts as
 * before. */
static void test_much_loss(void **state)
{
	struct flow *f;

	(void)state;
	begin(&lan);
	path.loss_ppm = 100000;
	f = ours(0);
	sim_run(2 * SECOND);
	sim_mark();
	sim_run(3 * SECOND);
	more_than(share(f), 0.75, "share of a tenth lost");
	path.loss_ppm = 0;
	path.room = path.rate * MS / 2;
	sim_run(3 * SECOND);
	sim_mark();
	sim_run(3 * SECOND);
	more_than(share(f), 0.7, "share of a short queue");
	less_than(lost_share(f), 0.03, "lost in a short queue");
}

/* Frames that overtake others are neither loss nor a queue. */
static void test_reordering(void **state)
{
	struct flow *f;

	(void)state;
	begin(&lan);
	path.late_ppm = 100000;
	path.late_ns = 3 * MS;
	f = ours(0);
	sim_run(SECOND);
	sim_mark();
	sim_run(2 * SECOND);
	more_than(share(f), 0.9, "share");

	/* Any order at all: up to 100 ms late, each of them. */
	begin(&slow);
	path.late_ppm = 1000000;
	path.late_ns = 100 * MS;
	path.reorder_ns = 120 * MS;
	f = ours(0);
	sim_run(2 * SECOND);
	sim_mark();
	sim_run(4 * SECOND);
	more_than(share(f), 0.8, "share in any order");
}

/* ACKs take 50 ms, and come every 20: only the forward path counts. */
static void test_slow_acks(void **state)
{
	struct flow *f;

	(void)state;
	begin(&lan);
	path.rate /= 5;
	path.room /= 5;
	path.back_ns = 50 * MS;
	path.tick_ns = 20 * MS;
	f = ours(0);
	sim_run(3 * SECOND);
	sim_mark();
	sim_run(3 * SECOND);
	more_than(share(f), 0.85, "share");
	less_than(lost_share(f), 0.02, "lost");
}

/* A pause changes nothing: the rate is as before, and the idle time is not made
 * up for at once. */
static void test_idle(void **state)
{
	__u64 window;
	struct flow *f;

	(void)state;
	begin(&lan);
	f = flow_add(&(struct flow){ .kind = OURS,
				     .idle_from_ns = 3 * SECOND,
				     .idle_to_ns = 8 * SECOND });
	sim_run(3 * SECOND);
	window = f->cc.window;
	sim_run(5 * SECOND);
	assert_in_range(f->cc.window, window / 2, 2 * window);
	sim_mark();
	sim_run(SECOND / 4);
	more_than(share(f), 0.9, "share");
	less_than(lost_share(f), 0.001, "lost");
}

/* A source of a tenth of the path's rate: the window does not grow by it, and
 * the source's faster data may go at once later. */
static void test_source_limited(void **state)
{
	struct flow *f;

	(void)state;
	begin(&lan);
	f = flow_add(&(struct flow){ .kind = OURS, .source = 0.0125 });
	sim_run(5 * SECOND);
	less_than(f->cc.window, 2.0 * PT_CC_START_SZ, "window");
	f->source = 0;
	sim_mark();
	sim_run(SECOND);
	more_than(share(f), 0.9, "share");
	less_than(lost_share(f), 0.005, "lost");
}

/* The flow with more weight gets more than the other. */
static void test_weight(void **state)
{
	struct flow *a, *b;

	(void)state;
	begin(&slow);
	a = flow_add(&(struct flow){ .kind = OURS,
				     .weight = 4 * PT_CC_WEIGHT_ONE });
	b = ours(SECOND);
	sim_run(5 * SECOND);
	sim_mark();
	sim_run(10 * SECOND);
	more_than(share(a) / share(b), 1.5, "ratio");
	more_than(share(b), 0.05, "the other's share");
}

/* The rate that probes measured is the start rate after them. */
static void test_start(void **state)
{
	struct flow *f;

	(void)state;
	begin(&slow);
	f = ours(0);
	pt_congestion_init(&f->cc, f->frame_sz, PT_CC_WEIGHT_ONE, 10 * MS,
			   12500000);
	sim_mark();
	sim_run(SECOND / 2);
	more_than(share(f), 0.85, "share");
	assert_int_equal(f->missing_sz, 0);
	less_than(queue_max_ns, 20 * MS, "queue");
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_rate_changes),
		cmocka_unit_test(test_much_loss),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_slow_acks),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_source_limited),
		cmocka_unit_test(test_weight),
		cmocka_unit_test(test_start),
	};
	struct CMUnitTest tests[64];
	size_t cnt = 0;

	for (size_t i = 0; i < COUNT_OF(alone); i++)
		tests[cnt++] = (struct CMUnitTest){ alone[i].name, test_alone,
			NULL, NULL, (void *)&alone[i] };
	for (size_t i = 0; i < COUNT_OF(shared); i++)
		tests[cnt++] = (struct CMUnitTest){ shared[i].name, test_two,
			NULL, NULL, (void *)&shared[i] };
	for (size_t i = 0; i < COUNT_OF(cubic); i++)
		tests[cnt++] = (struct CMUnitTest){ cubic[i].name, test_cubic,
			NULL, NULL, (void *)&cubic[i] };
	for (size_t i = 0; i < COUNT_OF(single); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("congestion", tests, cnt, NULL, NULL);
}
