// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_kit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include <pagetrim/clock.h>
#include "lane/inbox.h"

#define SECOND	1000000000ULL

static struct pt_inbox *in;
static struct pt_mail mail;
static struct pt_bell bell;

static int open_inbox(void **state)
{
	(void)state;
	memset(&mail, 0, sizeof(mail));
	pt_bell_init(&bell);
	if (pt_inbox_create(&in))
		return -1;
	pt_inbox_tell(in, &bell);
	return 0;
}

static int close_inbox(void **state)
{
	(void)state;
	pt_inbox_destroy(in);
	pt_inbox_destroy(NULL);
	pt_bell_destroy(&bell);
	return 0;
}

/* take waits for mail as a worker does. */
static bool take(__u64 timeout_ns)
{
	__u64 until_ns = pt_clock_ns() + timeout_ns;

	while (!pt_inbox_peek(in) && pt_clock_ns() < until_ns)
		pt_bell_wait(&bell, until_ns);
	return pt_inbox_take(in, &mail);
}

static int post_ack(__u64 cum_ack, const struct pt_seq_range *missing, __u32 cnt)
{
	const struct pt_msg_ack ack = {
		.upto = cum_ack,
		.freed_desc = cum_ack * 2,
		.window = cum_ack + 7,
		.placed_upto = cum_ack - 1,
		.arrived_sz = cum_ack * 3,
		.arrived_ns = cum_ack + 11,
		.top = cum_ack + 2,
		.top_ns = cum_ack + 10,
		.missing_cnt = cnt,
		.missing = missing,
	};

	return pt_inbox_ack(in, &ack);
}

/* --- one thread ------------------------------------------------------ */

static void test_empty(void **state)
{
	static struct pt_mail before;
	__u64 start;

	(void)state;
	memset(&mail, 0xee, sizeof(mail));
	before = mail;
	assert_false(pt_inbox_peek(in));
	assert_false(take(0));
	start = pt_clock_ns();
	assert_false(take(20000000));
	assert_true(pt_clock_ns() - start >= 20000000);
	assert_memory_equal(&mail, &before, sizeof(mail));
}

static void post_one_ack(void)
{
	const struct pt_seq_range missing[] = { { 3, 1 }, { 5, 2 } };

	post_ack(9, missing, 2);
}

static void post_probe(void)
{
	const struct pt_msg_probe_seen seen = { 1, 77, 1500, 3, 0 };

	pt_inbox_probe(in, &seen);
}

static void post_ready(void)
{
	pt_inbox_ready(in, 1536);
}

static void post_reprobe(void)
{
	pt_inbox_reprobe(in);
}

static void post_link(void)
{
	pt_inbox_link(in, &kit_links[2].link);
}

static void post_go(void)
{
	pt_inbox_go(in, 3, 5);
}

/* Each kind of mail arrives once, whole, and alone. */
static const struct row {
	const char *name;
	void (*post)(void);
	bool ack, probe, ready, reprobe, link, go;
} rows[] = {
	{ "ack", post_one_ack, .ack = true },
	{ "probe", post_probe, .probe = true },
	{ "ready", post_ready, .ready = true },
	{ "reprobe", post_reprobe, .reprobe = true },
	{ "link", post_link, .link = true },
	{ "go", post_go, .go = true },
};

static void assert_mail(const struct row *row)
{
	assert_int_equal(mail.has_ack, row->ack);
	assert_int_equal(mail.missing_cnt, row->ack ? 2 : 0);
	assert_int_equal(mail.probe_cnt, row->probe);
	assert_int_equal(mail.is_ready, row->ready);
	assert_int_equal(mail.reprobe, row->reprobe);
	assert_int_equal(mail.has_link, row->link);
	assert_int_equal(mail.go, row->go);
	assert_false(mail.stop);
	if (row->ack) {
		assert_int_equal(mail.cum_ack, 9);
		assert_int_equal(mail.freed_desc, 18);
		assert_int_equal(mail.window, 16);
		assert_int_equal(mail.placed_upto, 8);
		assert_int_equal(mail.arrived_sz, 27);
		assert_int_equal(mail.arrived_ns, 20);
		assert_int_equal(mail.top, 11);
		assert_int_equal(mail.top_ns, 19);
		assert_int_equal(mail.missing[1].first, 5);
		assert_int_equal(mail.missing[1].cnt, 2);
	}
	if (row->probe) {
		assert_int_equal(mail.probes[0].probe, 77);
		assert_int_equal(mail.probes[0].frame_sz, 1500);
		assert_int_equal(mail.probes[0].queue, 3);
	}
	if (row->ready)
		assert_int_equal(mail.window, 1536);
	if (row->link)
		assert_memory_equal(&mail.link, &kit_links[2].link,
				    sizeof(mail.link));
	if (row->go) {
		assert_int_equal(mail.stripe, 3);
		assert_int_equal(mail.stripe_cnt, 5);
	}
}

static void test_row(void **state)
{
	const struct row *row = *state;
	const struct row *next = row + 1 < rows + COUNT_OF(rows) ? row + 1
								  : rows;

	for (int again = 0; again < 2; again++) {
		row->post();
		assert_true(pt_inbox_peek(in));
		memset(&mail, 0xee, sizeof(mail));
		assert_true(take(again ? SECOND : 0));
		assert_mail(row);
		assert_false(pt_inbox_peek(in));
		assert_false(take(0));
	}
	/* The next mail arrives alone. */
	next->post();
	assert_true(take(0));
	assert_mail(next);
	/* Two kinds do not hide each other. */
	row->post();
	pt_inbox_reprobe(in);
	assert_true(take(0));
	assert_true(mail.reprobe);
	mail.reprobe = row->reprobe;
	assert_mail(row);
}

/* The newest of growing values counts; missing ranges add up, in order. */
static void test_acks_add_up(void **state)
{
	const struct pt_seq_range a[] = { { 1, 1 } };
	const struct pt_seq_range b[] = { { 4, 2 }, { 9, 1 } };

	(void)state;
	post_ack(3, a, 1);
	post_ack(3, a, 0);
	post_ack(10, b, 2);
	assert_true(take(0));
	assert_int_equal(mail.cum_ack, 10);
	assert_int_equal(mail.freed_desc, 20);
	assert_int_equal(mail.window, 17);
	assert_int_equal(mail.missing_cnt, 3);
	assert_int_equal(mail.missing[0].first, 1);
	assert_int_equal(mail.missing[1].first, 4);
	assert_int_equal(mail.missing[2].first, 9);
	/* A window by LANE_READY after that of an ACK: the newest. */
	post_ack(11, a, 0);
	pt_inbox_ready(in, 99);
	assert_true(take(0));
	assert_int_equal(mail.window, 99);
	assert_int_equal(mail.missing_cnt, 0);
}

static void test_probes_bounded(void **state)
{
	struct pt_msg_probe_seen seen = { .frame_sz = 1294 };

	(void)state;
	for (seen.probe = 0; seen.probe < PT_INBOX_PROBES + 5; seen.probe++)
		pt_inbox_probe(in, &seen);
	assert_true(take(0));
	assert_int_equal(mail.probe_cnt, PT_INBOX_PROBES);
	for (__u32 i = 0; i < PT_INBOX_PROBES; i++)
		assert_int_equal(mail.probes[i].probe, i);
}

/* Stop stays, however often it is taken, and no call waits any more. */
static void test_stop(void **state)
{
	static struct pt_seq_range many[PT_MISSING_MAX];
	__u64 start = pt_clock_ns();

	(void)state;
	pt_inbox_stop(in);
	for (int i = 0; i < 3; i++) {
		assert_true(pt_inbox_peek(in));
		assert_true(take(i ? 100 * SECOND : 0));
		assert_true(mail.stop);
		assert_false(mail.has_ack);
	}
	for (int i = 0; i < 10; i++)	/* more than there is room for */
		post_ack(1, many, PT_MISSING_MAX);
	assert_true(pt_clock_ns() - start < 50 * SECOND);
}

/* --- two threads ----------------------------------------------------- */

#define ACKS	20000

/* post_many posts ranges that contain their own number: the n-th is { 2 n, n
 * }. */
static void *post_many(void *arg)
{
	struct pt_seq_range ranges[PT_MISSING_MAX];
	__u64 random = 5;
	__u64 n = 1;

	(void)arg;
	for (__u32 ack = 1; ack <= ACKS; ack++) {
		__u32 cnt = ack % 100 ? kit_random(&random) % 4
				      : PT_MISSING_MAX;

		for (__u32 i = 0; i < cnt; i++, n++)
			ranges[i] = (struct pt_seq_range){ 2 * n, n };
		while (post_ack(ack, ranges, cnt))
			sched_yield();
		if (ack % 64 == 0)
			post_probe();
	}
	return (void *)(n - 1);
}

/* No mail is lost or reordered at any speed: the lane sleeps now and then, and
 * control meets a full box. */
static void test_two_threads(void **state)
{
	__u64 taken = 0, cum_ack = 0, deadline = pt_clock_ns() + 60 * SECOND;
	__u64 random = 6;
	__u32 full = 0;
	pthread_t poster;
	void *posted;

	(void)state;
	assert_int_equal(pthread_create(&poster, NULL, post_many, NULL), 0);
	while (cum_ack < ACKS && pt_clock_ns() < deadline) {
		if (kit_random(&random) % 64 == 0)
			usleep(2000);
		if (!take(kit_random(&random) % 2 * SECOND))
			continue;
		assert_true(mail.missing_cnt <= PT_INBOX_RANGES);
		full += mail.missing_cnt > PT_INBOX_RANGES - PT_MISSING_MAX;
		for (__u32 i = 0; i < mail.missing_cnt; i++) {
			taken++;
			assert_int_equal(mail.missing[i].first, 2 * taken);
			assert_int_equal(mail.missing[i].cnt, (__u32)taken);
		}
		if (!mail.has_ack) {
			assert_int_equal(mail.missing_cnt, 0);
			continue;
		}
		assert_true(mail.cum_ack > cum_ack);
		assert_int_equal(mail.freed_desc, 2 * mail.cum_ack);
		cum_ack = mail.cum_ack;
	}
	assert_int_equal(cum_ack, ACKS);
	pthread_join(poster, &posted);
	assert_int_equal(taken, (__u64)posted);
	assert_true(full > 0);
}

/* Any kind of mail wakes a waiting lane at once. */
static void *post_later(void *arg)
{
	const struct row *row = arg;

	usleep(20000);
	row->post();
	return NULL;
}

static void test_wakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		__u64 start = pt_clock_ns();
		pthread_t poster;

		assert_int_equal(pthread_create(&poster, NULL, post_later,
						(void *)&rows[i]), 0);
		assert_true(take(100 * SECOND));
		assert_true(pt_clock_ns() - start < 50 * SECOND);
		assert_mail(&rows[i]);
		pthread_join(poster, NULL);
	}
}

/* A full box does not block control: it is reported as full. */
static void test_full(void **state)
{
	static struct pt_seq_range many[PT_MISSING_MAX];
	const int fits = PT_INBOX_RANGES / PT_MISSING_MAX;

	(void)state;
	for (int i = 0; i < fits; i++)
		assert_int_equal(post_ack(i + 1, many, PT_MISSING_MAX), 0);
	assert_int_equal(post_ack(1000, many, 1), -ENOBUFS);
	assert_int_equal(post_ack(1001, many, 0), 0);
	assert_true(take(0));
	assert_int_equal(mail.missing_cnt, PT_INBOX_RANGES);
	assert_int_equal(mail.cum_ack, 1001);
	assert_int_equal(post_ack(1002, many, 1), 0);
	assert_true(take(0));
	assert_int_equal(mail.missing_cnt, 1);
	assert_int_equal(mail.cum_ack, 1002);
}

static void test_full_then_stopped(void **state)
{
	static struct pt_seq_range many[PT_MISSING_MAX];

	(void)state;
	while (!post_ack(1, many, PT_MISSING_MAX))
		;
	pt_inbox_stop(in);
	assert_int_equal(post_ack(2, many, PT_MISSING_MAX), 0);
	assert_true(take(0));
	assert_true(mail.stop);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_inbox, close_inbox)
#define FIXED	8

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(rows)] = {
		TEST(test_empty),
		TEST(test_acks_add_up),
		TEST(test_probes_bounded),
		TEST(test_stop),
		TEST(test_two_threads),
		TEST(test_wakes),
		TEST(test_full),
		TEST(test_full_then_stopped),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			rows[i].name, test_row, open_inbox, close_inbox,
			(void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
