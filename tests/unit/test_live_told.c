// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A program that tells which pages it wrote: a look finds those, and the stop what it
 * did not tell of. */
#include "track_kit.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "live/live.h"

#define REGIONS	16u	/* more than a look compares to measure */
#define PAGES	(REGIONS * PT_REGION_PAGES)
#define FIRST	0x1000	/* page number of the first */
#define TOLD	(10 * PT_REGION_PAGES + 7)
#define UNTOLD	(11 * PT_REGION_PAGES + 8)
#define KEY	0x5eed
#define WAIT_MS	20000

static __u64 told_gfn, told_cnt;
static int told_ret;
static char *memory;
static struct pt_source *src;
static struct pt_layout *layout;
static struct pt_digests digests;
static struct pt_live *live;
static struct pt_live_cfg cfg;
static struct pt_error err;

static int changed(void *arg, void (*dirty)(void *to, __u64 gfn, __u64 cnt),
		   void *to, struct pt_error *why)
{
	(void)arg;
	if (told_ret)
		return pt_error_set(why, PT_EXIT_HOST, told_ret, "no report");
	dirty(to, told_gfn, told_cnt);
	return 0;
}

/* job returns the result of a job. */
static int job(enum pt_live_job what)
{
	struct pollfd p = { .fd = cfg.wake_fd, .events = POLLIN };
	int ret;

	pt_live_do(live, what, 0);
	while (!(ret = pt_live_result(live, &err))) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		eventfd_read(cfg.wake_fd, &(eventfd_t){ 0 });
	}
	return ret;
}

static int start(void **state)
{
	struct pt_region region = { .gfn = FIRST, .sz = PAGES * PAGE };
	const struct pt_segment *segs;
	__u32 cnt;

	(void)state;
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, PAGES * PAGE);
	region.addr = memory;
	assert_int_equal(pt_source_open_regions(&src, &region, 1, &err), 0);
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	assert_int_equal(pt_digests_init(&digests, REGIONS), 0);
	cfg = (struct pt_live_cfg){
		.source = src, .layout = layout, .digests = &digests,
		.digest_key = KEY, .guest = { .changed = changed },
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	told_gfn = FIRST;
	told_cnt = told_ret = 0;
	assert_int_equal(pt_live_start(&live, &cfg, &err), 0);
	assert_int_equal(job(PT_LIVE_ARM), 1);
	assert_string_equal(pt_live_report(live)->tracker, "told");
	assert_int_equal(sent_as_now(src, layout, KEY, &digests, &err), 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	pt_live_abandon(live, false);
	pt_live_free(live);
	close(cfg.wake_fd);
	pt_digests_free(&digests);
	pt_layout_free(layout);
	pt_source_close(src);
	munmap(memory, PAGES * PAGE);
	return 0;
}

static __u32 found_in(__u32 page)
{
	return pt_dirty_cnt(pt_live_found(live), page / PT_REGION_PAGES);
}

static void test_told(void **state)
{
	__u64 bits[PT_REGION_WORDS];

	(void)state;
	memory[TOLD * PAGE] = memory[UNTOLD * PAGE] = 2;
	told_gfn = FIRST + TOLD - 3;
	told_cnt = 10;
	assert_int_equal(job(PT_LIVE_LOOK), 1);
	assert_int_equal(found_in(TOLD), 1);	/* the others are as before */
	assert_int_equal(found_in(UNTOLD), 0);
	assert_int_equal(pt_dirty_take(pt_live_found(live),
				       TOLD / PT_REGION_PAGES, bits), 1);
	told_cnt = 0;
	assert_int_equal(job(PT_LIVE_STOP), 1);
	assert_int_equal(found_in(UNTOLD), 1);
}

/* A page that is in no segment is a mistake, and ends it. */
static void test_stranger(void **state)
{
	(void)state;
	told_gfn = FIRST + PAGES - 2;
	told_cnt = ~0ULL;
	assert_int_equal(job(PT_LIVE_LOOK), -EINVAL);
	assert_non_null(strstr(err.text, "page 12288 was reported"));
}

static void test_fails(void **state)
{
	(void)state;
	told_ret = -EIO;
	assert_int_equal(job(PT_LIVE_LOOK), -EIO);
	assert_string_equal(err.text, "no report");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told, start, stop),
		cmocka_unit_test_setup_teardown(test_stranger, start, stop),
		cmocka_unit_test_setup_teardown(test_fails, start, stop),
	};

	return cmocka_run_group_tests_name("live, told", tests, NULL, NULL);
}
