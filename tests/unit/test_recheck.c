// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A source is read a second time, by several threads: every change is found, at
 * any place, and nothing else. */
#include "guard_again.h"
#include "track_kit.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "send/recheck.h"

#define KEY	0x5eed
#define IMAGE	SCRATCH "/image"
#define REGIONS	12
#define PAGES	(REGIONS * PT_REGION_PAGES - 5)	/* the last: cut short, too */
#define SZ	((__u64)PAGES * PAGE - 96)
#define WAIT_MS	20000

static struct pt_source *source;
static struct pt_layout *layout;
static struct pt_digests digests;
static struct pt_recheck_cfg cfg;
static struct pt_error err;
static int image;

/* start: an image with data, zeroes and holes, and its digests. */
static void start(void)
{
	const char *path = IMAGE;
	const struct pt_segment *segs;
	__u8 page[PAGE] = { 0 };
	__u32 cnt;

	guard_again();
	image = scratch_file(IMAGE, SZ);
	for (__u32 i = 0; i < PAGES; i++) {
		memcpy(page + i % 60 * 64, &i, sizeof(i));
		if (i % 7 && i / PT_REGION_PAGES != 3)	/* the rest: holes */
			scratch_write(image, (__u64)i * PAGE, page,
				      i == PAGES - 1 ? PAGE - 96 : PAGE);
	}
	assert_int_equal(pt_source_open_files(&source, &path, 1, &err), 0);
	segs = pt_source_segments(source, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	assert_int_equal(pt_layout_region_cnt(layout), REGIONS);
	cfg = (struct pt_recheck_cfg){
		.source = source, .layout = layout, .digests = &digests,
		.digest_key = KEY, .wake_fd = eventfd(0, EFD_NONBLOCK),
	};
	assert_int_equal(pt_digests_init(&digests, REGIONS), 0);
	assert_int_equal(sent_as_now(source, layout, KEY, &digests, &err), 0);
}

static void stop(void)
{
	pt_digests_free(&digests);
	pt_layout_free(layout);
	pt_source_close(source);
	close(cfg.wake_fd);
	close(image);
}

/* run waits for the wake-up, then there must be a result. */
static int run(__u64 *read_sz)
{
	struct pollfd fd = { .fd = cfg.wake_fd, .events = POLLIN };
	struct pt_recheck *r;
	eventfd_t value;
	int ret;

	assert_int_equal(pt_recheck_start(&r, &cfg, &err), 0);
	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	eventfd_read(cfg.wake_fd, &value);
	ret = pt_recheck_result(r, &err);
	assert_int_not_equal(ret, 0);
	assert_int_equal(pt_recheck_result(r, &err), ret);
	if (read_sz)
		*read_sz = pt_recheck_read_sz(r);
	pt_recheck_stop(r);
	return ret;
}

static void test_as_it_was(void **state)
{
	__u64 read_sz, holes = 0;

	(void)state;
	start();
	for (__u32 i = 0; i < PAGES; i++)
		holes += i % 7 == 0 || i / PT_REGION_PAGES == 3;
	assert_int_equal(run(&read_sz), 1);
	assert_int_equal(read_sz, (PAGES - holes) * PAGE);
	stop();
}

/* change: one byte, in a page of each kind. */
static const struct change {
	const char *name;
	__u32 page, at;
} changes[] = {
	{ "the first byte", 0, 0 },
	{ "the last byte", PAGES - 1, PAGE - 97 },
	{ "a page of data", 5, 4095 },
	{ "a block that was zero", 5, 63 * 64 },
	{ "a hole among data", 14, 77 },
	{ "in a region of holes", 3 * PT_REGION_PAGES + 100, 0 },
	{ "in the last region", (REGIONS - 1) * PT_REGION_PAGES, 1000 },
};

static void test_change(void **state)
{
	const struct change *c = *state;
	__u64 at = (__u64)c->page * PAGE + c->at;
	char want[64];
	__u8 byte;

	start();
	assert_int_equal(pread(image, &byte, 1, at), 1);
	byte ^= 0x10;
	scratch_write(image, at, &byte, 1);
	assert_int_equal(run(NULL), -ESTALE);
	assert_int_equal(err.exit, PT_EXIT_MISMATCH);
	snprintf(want, sizeof(want), "page %u changed", c->page);
	if (!strstr(err.text, want))
		fail_msg("'%s' not in: %s", want, err.text);
	/* and back: it is found again as it was */
	byte ^= 0x10;
	scratch_write(image, at, &byte, 1);
	assert_int_equal(run(NULL), 1);
	stop();
}

/* All threads find a change at once; one of them is reported. */
static void test_all_changed(void **state)
{
	(void)state;
	start();
	for (__u32 i = 0; i < PAGES; i++)
		pt_digests_set(&digests, i, pt_digests_get(&digests, i) + 1);
	assert_int_equal(run(NULL), -ESTALE);
	assert_non_null(strstr(err.text, "changed after it was sent"));
	stop();
}

static void test_cut_short(void **state)
{
	(void)state;
	start();
	assert_int_equal(ftruncate(image, 4096), 0);
	assert_int_equal(run(NULL), -EIO);
	assert_non_null(strstr(err.text, "cut short"));
	stop();
}

/* Stop ends it at any progress, and it wakes no thread later. */
static void test_stopped(void **state)
{
	struct pt_recheck *r;

	(void)state;
	start();
	for (int i = 0; i < 50; i++) {
		assert_int_equal(pt_recheck_start(&r, &cfg, &err), 0);
		usleep(i * 10);
		pt_recheck_stop(r);
	}
	pt_recheck_stop(NULL);
	stop();
}

int main(void)
{
	enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };
	struct CMUnitTest tests[CHANGES + 4] = {
		cmocka_unit_test(test_as_it_was),
		cmocka_unit_test(test_all_changed),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_stopped),
	};

	for (int i = 0; i < CHANGES; i++)
		tests[4 + i] = (struct CMUnitTest){
			.name = changes[i].name,
			.test_func = test_change,
			.initial_state = (void *)&changes[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests_name("recheck", tests, NULL, NULL);
}
