// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages of a source are compared with what was sent of them. */
#include "track_kit.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "memory/dirty.h"
#include "track/compare.h"

#define RAM SCRATCH "/ram"
#define REGIONS 9u
#define PAGES (REGIONS * 512u - 100)	/* the last region is short */
#define DATA_PAGES (6 * 512u + 50)	/* the rest is a hole */
#define KEY 0x5eed
#define WAIT_MS 20000

static int ram;
static struct pt_source *src;
static struct pt_layout *layout;
static struct pt_digests digests;
static struct pt_compare_cfg cfg;
static struct seen seen;
static struct pt_error err;

static void page_write(__u64 page, __u8 byte)
{
	scratch_write(ram, page * PAGE + 33, &byte, 1);
}

static void punch(__u64 page, __u64 cnt)
{
	assert_int_equal(fallocate(ram, FALLOC_FL_PUNCH_HOLE |
				   FALLOC_FL_KEEP_SIZE, page * PAGE,
				   cnt * PAGE), 0);
}

static void open_source(enum pt_files how)
{
	const char *path = RAM;

	assert_int_equal(pt_source_open_files_as(&src, how, &path, 1, &err), 0);
}

/* start: everything was sent as it is. */
static void start(enum pt_files how)
{
	const struct pt_segment *segs;
	__u32 cnt;

	ram = scratch_file(RAM, PAGES * PAGE);
	for (__u64 page = 0; page < DATA_PAGES; page++)
		page_write(page, 1 + page % 100);
	open_source(how);
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	assert_int_equal(pt_digests_init(&digests, REGIONS), 0);
	assert_int_equal(sent_as_now(src, layout, KEY, &digests, &err), 0);
	cfg = (struct pt_compare_cfg){
		.source = src, .layout = layout, .digests = &digests,
		.digest_key = KEY, .wake_fd = -1,
		.to = { .dirty = seen_dirty, .arg = &seen },
	};
}

static void stop(void)
{
	pt_digests_free(&digests);
	pt_layout_free(layout);
	pt_source_close(src);
	close(ram);
}

static void run(void)
{
	memset(&seen, 0, sizeof(seen));
	if (pt_compare_run(&cfg, NULL, &err))
		fail_msg("%s", err.text);
}

/* change writes and punches at the ends of words and regions. */
static const __u32 changed[] = { 0, 63, 64, 511, 512, 1000, 2047, 2048,
				 DATA_PAGES - 1, DATA_PAGES, PAGES - 1 };
#define CHANGED_CNT (sizeof(changed) / sizeof(changed[0]))

static void change(void)
{
	for (__u32 i = 0; i < CHANGED_CNT; i++)
		page_write(changed[i], 200);
	punch(70, 3);
	punch(1500, 1);
}

static bool is_changed(__u64 page)
{
	for (__u32 i = 0; i < CHANGED_CNT; i++)
		if (changed[i] == page)
			return true;
	return (page >= 70 && page < 73) || page == 1500;
}

/* check_seen: exactly the changed pages of those in pages. */
static void check_seen(const __u64 *pages)
{
	for (__u64 page = 0; page < PAGES; page++) {
		bool is_in = !pages || pages[page / 64] >> page % 64 & 1;

		if (seen.pages[page] != (is_in && is_changed(page)))
			fail_msg("page %llu: reported %u times",
				 (unsigned long long)page, seen.pages[page]);
	}
}

static void check_all(enum pt_files how)
{
	start(how);
	run();
	assert_int_equal(seen.cnt, 0);
	change();
	run();
	check_seen(NULL);
	run();				/* nothing is remembered */
	check_seen(NULL);
	assert_int_equal(sent_as_now(src, layout, KEY, &digests, &err), 0);
	run();
	assert_int_equal(seen.cnt, 0);
	stop();
}

static void test_all_pages(void **state)
{
	(void)state;
	check_all(PT_FILES_LIVE);
	check_all(PT_FILES_STILL);
}

static void test_a_set_of_pages(void **state)
{
	static __u64 pages[REGIONS * PT_REGION_WORDS];

	(void)state;
	start(PT_FILES_LIVE);
	change();
	cfg.pages = pages;
	run();				/* none */
	assert_int_equal(seen.cnt, 0);
	for (int stride = 1; stride < 600; stride = stride * 2 + 1) {
		memset(pages, 0, sizeof(pages));
		for (__u64 page = 0; page < PAGES; page += stride)
			pages[page / 64] |= 1ULL << page % 64;
		run();
		check_seen(pages);
	}
	memset(pages, 0xff, sizeof(pages));	/* beyond the end, too */
	run();
	check_seen(NULL);
	stop();
}

/* A whole region that is punched, and one that was never written. */
static void test_holes(void **state)
{
	(void)state;
	start(PT_FILES_LIVE);
	punch(512, 512);
	punch(100, 3);
	for (int i = 0; i < 2; i++) {
		run();
		assert_int_equal(seen.cnt, 515);
		for (__u64 page = 512; page < 1024; page++)
			assert_int_equal(seen.pages[page], 1);
		/* A source that never saw their data takes them as holes. */
		pt_source_close(src);
		open_source(PT_FILES_LIVE);
		cfg.source = src;
	}
	assert_int_equal(sent_as_now(src, layout, KEY, &digests, &err), 0);
	run();
	assert_int_equal(seen.cnt, 0);
	stop();
}

/* Only pages of the set are read. */
static void test_reads_no_more(void **state)
{
	static __u64 pages[REGIONS * PT_REGION_WORDS];
	struct pollfd fd = { .events = POLLIN };
	struct pt_compare *c;

	(void)state;
	start(PT_FILES_LIVE);
	memset(pages, 0, sizeof(pages));
	for (__u64 page = 3; page < PAGES; page += 100)
		pages[page / 64] |= 1ULL << page % 64;
	cfg.pages = pages;
	cfg.wake_fd = fd.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(pt_compare_start(&c, &cfg, &err), 0);
	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	assert_int_equal(pt_compare_result(c, &err), 1);
	assert_int_equal(pt_compare_read_sz(c), (DATA_PAGES + 96) / 100 * PAGE);
	pt_compare_stop(c);
	pt_compare_stop(NULL);
	close(fd.fd);
	stop();
}

static void test_the_first_only(void **state)
{
	(void)state;
	start(PT_FILES_LIVE);
	change();
	cfg.is_first_only = true;
	run();
	assert_in_range(seen.cnt, 1, 3);	/* one call */
	for (__u64 page = 0, calls = 0; page < PAGES; page++) {
		calls += seen.pages[page] && !(page && seen.pages[page - 1]);
		assert_true(calls <= 1);
		assert_true(!seen.pages[page] || is_changed(page));
	}
	stop();
}

static atomic_bool cancelled;

static void cancel_dirty(void *arg, __u64 page_idx, __u32 cnt)
{
	atomic_store(&cancelled, true);
	seen_dirty(arg, page_idx, cnt);
}

static void test_cancelled(void **state)
{
	(void)state;
	start(PT_FILES_LIVE);
	for (__u64 page = 0; page < DATA_PAGES; page++)
		page_write(page, 222);
	memset(&seen, 0, sizeof(seen));
	cfg.to.dirty = cancel_dirty;
	assert_int_equal(pt_compare_run(&cfg, &cancelled, &err), -ECANCELED);
	assert_true(seen.cnt > 0);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(pt_compare_run(&cfg, &cancelled, &err), -ECANCELED);
	assert_int_equal(seen.cnt, 0);
	stop();
}

static void test_cut_short(void **state)
{
	(void)state;
	start(PT_FILES_LIVE);
	assert_int_equal(ftruncate(ram, 100 * PAGE), 0);
	assert_int_equal(pt_compare_run(&cfg, NULL, &err), -EIO);
	assert_non_null(strstr(err.text, "cut short"));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_pages),
		cmocka_unit_test(test_a_set_of_pages),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_reads_no_more),
		cmocka_unit_test(test_the_first_only),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_cut_short),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
