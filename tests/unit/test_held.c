// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Held data, from both ends: a receiver's thread reads a kept sink, imports it
 * and reports it over a real connection; a sender compares it with its source.
 */
#include "conn_kit.h"
#include "scratch.h"
#include "wire_kit.h"

#include "receive/rx_held.h"
#include "send/held.h"
#include "sink/image.h"
#include "trim/digest.h"

#define KEY	0x1f2e3d4c5b6a7988ULL
#define PAGE	PT_PAGE_SZ
#define OUT	SCRATCH "/held"
#define LOW	(PT_REGION_PAGES * 10)	/* pages of the first file */
#define HIGH	700			/* of the second, the last cut short */
#define HIGH_SZ	(HIGH * PAGE - 96)	/* so that its last block ends whole */
#define PAGES	(LOW + HIGH)

static const char *const paths[] = { SCRATCH "/low", SCRATCH "/high" };
static struct pt_source *source;
static struct pt_layout *layout;
static struct pt_sink *sink;
static struct pt_rebuild *rebuild;
static struct pt_conn *sender, *receiver;
static struct pt_intake intake;		/* on no queue */
static struct pt_send_job job;
static struct pt_digests known;
static struct pt_held held;
static struct pt_rx_held rx_held;

static __u64 index_of(__u32 page)
{
	return page < LOW ? page : page + (LOW % PT_REGION_PAGES
		? PT_REGION_PAGES - LOW % PT_REGION_PAGES : 0);
}

/* content of a page: kind 0 is a hole; 1: zeroes written; others: data, a few
 * blocks of it. */
static void content(__u8 *page, __u32 number, __u32 kind)
{
	memset(page, 0, PAGE);
	for (__u32 i = 0; kind > 1 && i < PAGE - 96; i += 64 * kind)
		memcpy(page + i, &(__u32[]){ number, kind, i }, 12);
}

/* fill writes pages by kinds, one for each, into the files by their names or,
 * with one name, the image. */
static void fill(const char *low, const char *high, const __u8 *kinds)
{
	int fds[2] = { scratch_file(low, 0), -1 };
	__u8 page[PAGE];

	fds[1] = high ? scratch_file(high, 0) : fds[0];
	assert_int_equal(ftruncate(fds[0], LOW * PAGE), 0);
	assert_int_equal(ftruncate(fds[1], high ? HIGH_SZ
						: LOW * PAGE + HIGH_SZ), 0);
	for (__u32 i = 0; i < PAGES; i++) {
		__u32 at = high && i >= LOW ? i - LOW : i;

		if (!kinds[i])
			continue;
		content(page, i, kinds[i]);
		scratch_write(fds[i >= LOW], (__u64)at * PAGE, page,
			      i == PAGES - 1 ? PAGE - 96 : PAGE);
	}
	close(fds[0]);
	if (high)
		close(fds[1]);
}

/* start: a source of one content, and a sink that was left with another. */
static void start(const __u8 *ours, const __u8 *theirs)
{
	const struct pt_segment *segs;
	__u64 region_cnt;
	__u32 cnt;

	fill(paths[0], paths[1], ours);
	assert_int_equal(pt_source_open_files(&source, paths, 2, &err), 0);
	segs = pt_source_segments(source, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	region_cnt = pt_layout_region_cnt(layout);
	fill(OUT ".partial", NULL, theirs);
	assert_int_equal(pt_image_reopen(&sink, OUT, layout, &err), 0);
	assert_int_equal(pt_image_resume(sink, &err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	make_pair(&sender, &receiver, "127.0.0.1");

	job = (struct pt_send_job){
		.source = source, .layout = layout, .digest_key = KEY,
		.trim = PT_TRIM_BLOCKS, .progress_ns = 60000000000ULL,
		.digests = &known,
	};
	assert_int_equal(pt_digests_init(&known, region_cnt), 0);
	assert_int_equal(pt_dirty_create(&job.dirty, region_cnt), 0);
	pt_held_init(&held, &job);
	rx_held = (struct pt_rx_held){
		.intake = &intake, .conn = receiver, .layout = layout,
		.sink = sink, .rebuild = rebuild, .wake_fd = -1,
	};
}

static void stop(void)
{
	pt_rx_held_stop(&rx_held);
	pt_rx_held_stop(&rx_held);
	pt_held_free(&held);
	pt_dirty_destroy(job.dirty);
	pt_digests_free(&known);
	pt_conn_close(sender);
	pt_conn_close(receiver);
	pt_rebuild_destroy(rebuild);
	pt_sink_invalidate(sink);
	pt_sink_close(sink);
	pt_layout_free(layout);
	pt_source_close(source);
}

/* talk runs both ends until the sender knows the pages to send. */
static void talk(void)
{
	struct pollfd fd = { .fd = pt_conn_fd(receiver), .events = POLLIN };
	struct pt_message m;
	int ret = 0;

	assert_int_equal(pt_rx_held_start(&rx_held, &err), 0);
	for (int i = 0; !ret; i++) {
		assert_true(i < 10000);
		if (pt_held_is_waiting(&held) && !held.is_told) {
			poll(&fd, 1, 0);	/* it writes what is queued */
			pt_conn_recv(receiver, &m, &err);
			if (recv_wait(sender, &m, 5, &err) != 1)
				continue;
			assert_int_equal(m.type, PT_MSG_HELD);
			assert_int_equal(pt_held_take(&held, &m.held, &err),
					 0);
		}
		ret = pt_held_step(&held, &err);
	}
	assert_int_equal(ret, 1);
	assert_true(pt_rx_held_is_told(&rx_held));
	assert_int_equal(atomic_load(&rx_held.failed), 0);
}

/* A row gives each page a kind, at both ends. */
static __u32 same(__u32 i)	{ return i % 5; }
static __u32 nothing(__u32 i)	{ (void)i; return 0; }
static __u32 zeroes(__u32 i)	{ (void)i; return 1; }
static __u32 first_half(__u32 i) { return i < PAGES / 2 ? i % 5 : 0; }
static __u32 last_page(__u32 i)	{ return i == PAGES - 1 ? 2 : 0; }
static __u32 some_regions(__u32 i)
{
	return i / PT_REGION_PAGES % 3 ? 0 : i % 5;
}
static __u32 a_few_differ(__u32 i) { return i % 701 ? i % 5 : 3; }
static __u32 full(__u32 i)	{ (void)i; return 2; }

static const struct row {
	const char *name;
	__u32 (*ours)(__u32), (*theirs)(__u32);
} rows[] = {
	{ "all is held", same, same },
	{ "nothing is held", same, nothing },
	{ "nothing is there", nothing, nothing },
	{ "zeroes are held for holes", nothing, zeroes },
	{ "holes are held for zeroes", zeroes, nothing },
	{ "half of it", same, first_half },
	{ "more than there is now", first_half, same },
	{ "regions here and there", same, some_regions },
	{ "the last page, cut short", last_page, last_page },
	{ "the last page is missing", last_page, nothing },
	{ "a few pages differ", same, a_few_differ },
	{ "every page", full, full },
	{ "all differs", full, same },
};

/* region_has_data: its row of kinds has data. */
static bool region_has_data(const __u8 *kinds, __u32 page)
{
	__u32 first = page < LOW ? page - page % PT_REGION_PAGES
		: LOW + (page - LOW) - (page - LOW) % PT_REGION_PAGES;
	__u32 end = page < LOW ? first + PT_REGION_PAGES
		: first + PT_REGION_PAGES < PAGES ? first + PT_REGION_PAGES
						  : PAGES;

	for (__u32 i = first; i < end; i++)
		if (kinds[i])
			return true;
	return false;
}

/* Exactly the different pages, and those in regions without held data, are to
 * be sent; for all others both ends have the same, true digests.
 */
static void test_row(void **state)
{
	static __u8 ours[PAGES], theirs[PAGES];
	const struct row *row = *state;
	__u64 sums[PAGES / PT_REGION_PAGES + 3] = { 0 }, bits[PT_REGION_WORDS];
	__u64 held_cnt = 0, data_cnt = 0;
	__u8 page[PAGE];

	for (__u32 i = 0; i < PAGES; i++) {
		ours[i] = row->ours(i);
		theirs[i] = row->theirs(i);
	}
	start(ours, theirs);
	talk();
	for (__u32 i = 0; i < PAGES; i++) {
		bool is_same = ours[i] == theirs[i] ||
			       (ours[i] < 2 && theirs[i] < 2);
		bool clean = is_same && region_has_data(theirs, i);
		__u64 idx = index_of(i), digest;

		/* Read as the lanes will: each region is taken once. */
		if (idx % PT_REGION_PAGES == 0)
			pt_dirty_take(job.dirty, idx / PT_REGION_PAGES, bits);
		if (clean == (bits[idx % PT_REGION_PAGES / 64] >> idx % 64 & 1))
			fail_msg("page %u: held %u, source %u, to be sent %d",
				 i, theirs[i], ours[i], clean);
		content(page, i, theirs[i]);
		digest = pt_digest_page(KEY, pt_layout_gfn(layout, idx), page);
		sums[idx / PT_REGION_PAGES] += digest;
		data_cnt += theirs[i] > 1;
		held_cnt += clean && ours[i] > 1;
		if (clean)
			assert_int_equal(pt_digests_get(&known, idx), digest);
	}
	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++) {
		__u64 digest;

		assert_int_equal(pt_rebuild_region_digest(rebuild, r, &digest,
							  NULL), 0);
		assert_int_equal(digest, sums[r]);
	}
	assert_int_equal(held.page_cnt, held_cnt);
	assert_int_equal(atomic_load(&rx_held.page_cnt), data_cnt);
	stop();
}

/* Digests are of this transfer's key: those of another prove nothing. */
static void test_another_key(void **state)
{
	static __u8 kinds[PAGES];

	(void)state;
	for (__u32 i = 0; i < PAGES; i++)
		kinds[i] = 2;
	start(kinds, kinds);
	job.digest_key++;
	talk();
	assert_int_equal(held.page_cnt, 0);
	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++)
		assert_int_equal(pt_dirty_cnt(job.dirty, r),
				 pt_layout_region(layout, r, NULL));
	stop();
}

/* --- invalid messages -------------------------------------------------- */

static void test_wrong_messages(void **state)
{
	static __u8 kinds[PAGES];
	static __u64 digests[PT_DIGESTS_MAX];
	const __u64 region_cnt = 12;
	struct pt_msg_held m = { 3, 2 * PT_REGION_PAGES, digests };

	(void)state;
	start(kinds, kinds);
	assert_int_equal(pt_layout_region_cnt(layout), region_cnt);
	/* Bits behind the last page of a region do not count. */
	memset(digests, 0xee, sizeof(digests));
	assert_int_equal(pt_held_take(&held, &m, &err), 0);
	m.region_first = 4;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	m.region_first = 6;
	m.digest_cnt++;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	m.digest_cnt--;
	m.region_first = region_cnt - 1;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	m.region_first = region_cnt + 1;
	m.digest_cnt = PT_REGION_PAGES;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	m.digest_cnt = 0;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	m.region_first = region_cnt - 1;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	m.digest_cnt = PT_REGION_PAGES;
	assert_int_equal(pt_held_take(&held, &m, &err), 0);
	assert_int_equal(pt_digests_get(&known, (region_cnt - 1) *
						PT_REGION_PAGES),
			 0xeeeeeeeeeeeeeeeeULL);
	for (__u32 i = HIGH - PT_REGION_PAGES; i < PT_REGION_PAGES; i++)
		assert_int_equal(pt_digests_get(&known, (region_cnt - 1) *
						PT_REGION_PAGES + i), 0);
	/* All regions are covered, but the end is missing. */
	while (!pt_held_is_waiting(&held))
		assert_int_equal(pt_held_step(&held, &err), 0);
	m = (struct pt_msg_held){ region_cnt, 0, digests };
	assert_int_equal(pt_held_take(&held, &m, &err), 0);
	assert_int_equal(pt_held_step(&held, &err), 1);
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	stop();
}

/* A peer that sends no more, and lives. */
static void test_silence(void **state)
{
	static __u8 kinds[PAGES];
	static __u64 digests[PT_REGION_PAGES];
	struct pt_msg_held m = { 3, PT_REGION_PAGES, digests };
	__u64 started_ns;

	(void)state;
	start(kinds, kinds);
	started_ns = held.heard_ns;
	assert_int_equal(pt_held_step(&held, &err), 0);
	held.heard_ns -= job.progress_ns;
	/* Input may have come while the process was stopped: control reads it
	 * first. */
	assert_int_equal(pt_held_step(&held, &err), 0);
	held.doubt_ns -= 1000000001;
	assert_int_equal(pt_held_step(&held, &err), -ETIMEDOUT);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	/* A refused message does not count, */
	m.digest_cnt--;
	assert_int_equal(pt_held_take(&held, &m, &err), -EPROTO);
	assert_int_equal(pt_held_step(&held, &err), -ETIMEDOUT);
	/* an accepted one does, */
	m.digest_cnt++;
	assert_int_equal(pt_held_take(&held, &m, &err), 0);
	assert_true(held.heard_ns >= started_ns);
	assert_int_equal(pt_held_step(&held, &err), 0);
	/* and after the last one there is nothing to wait for. */
	m = (struct pt_msg_held){ pt_layout_region_cnt(layout), 0, digests };
	assert_int_equal(pt_held_take(&held, &m, &err), 0);
	held.heard_ns -= job.progress_ns;
	assert_int_equal(pt_held_step(&held, &err), 1);
	stop();
}

static void test_skip(void **state)
{
	static __u8 kinds[PAGES];

	(void)state;
	start(kinds, kinds);
	assert_int_equal(pt_held_step(&held, &err), 0);
	pt_held_skip(&held);
	assert_int_equal(pt_held_step(&held, &err), 1);
	for (__u64 r = 0; r < pt_layout_region_cnt(layout); r++)
		assert_int_equal(pt_dirty_cnt(job.dirty, r),
				 pt_layout_region(layout, r, NULL));
	stop();
}

/* --- a sender that does not read -------------------------------------- */

/* The receiver waits, others can still send, and it can be stopped. */
static void test_deaf_sender(void **state)
{
	const __u64 region_cnt = 3000;
	const struct pt_segment seg = { "ram", 0, region_cnt << 21 };
	int fd = scratch_file(OUT ".partial", seg.sz);
	struct pt_message ping = { .type = PT_MSG_PING };
	__u64 told = 0, deadline = pt_clock_ns() + 50000000000ULL;

	(void)state;
	for (__u64 r = 0; r < region_cnt; r++)
		scratch_write(fd, r << 21, "x", 1);
	close(fd);
	assert_int_equal(pt_layout_create(&layout, &seg, 1, &err), 0);
	assert_int_equal(pt_image_reopen(&sink, OUT, layout, &err), 0);
	assert_int_equal(pt_image_resume(sink, &err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	make_pair(&sender, &receiver, "127.0.0.1");
	rx_held = (struct pt_rx_held){
		.intake = &intake, .conn = receiver, .layout = layout,
		.sink = sink, .rebuild = rebuild, .wake_fd = -1,
	};
	assert_int_equal(pt_rx_held_start(&rx_held, &err), 0);
	assert_false(pt_rx_held_is_told(&rx_held));
	/* The peer first sends much, and then is silent for a while. */
	do {
		told = atomic_load(&rx_held.page_cnt);
		usleep(300000);
	} while (told != atomic_load(&rx_held.page_cnt) ||
		 (pt_conn_queued_sz(receiver) <= PT_CONN_OUT_SZ / 8 &&
		  pt_clock_ns() < deadline));
	assert_true(told < region_cnt);
	assert_true(pt_conn_queued_sz(receiver) > PT_CONN_OUT_SZ / 8);
	assert_true(pt_conn_queued_sz(receiver) < PT_CONN_OUT_SZ / 2);
	assert_int_equal(pt_conn_send(receiver, &ping, &err), 0);
	pt_rx_held_stop(&rx_held);
	assert_true(pt_rx_held_is_told(&rx_held));	/* there is no thread */
	assert_int_equal(atomic_load(&rx_held.failed), 0);
	pt_conn_close(sender);
	pt_conn_close(receiver);
	pt_rebuild_destroy(rebuild);
	pt_sink_invalidate(sink);
	pt_sink_close(sink);
	pt_layout_free(layout);
}

#define FIXED	5

int main(void)
{
	struct CMUnitTest tests[FIXED + COUNT_OF(rows)] = {
		cmocka_unit_test(test_another_key),
		cmocka_unit_test(test_wrong_messages),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_deaf_sender),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[FIXED + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
