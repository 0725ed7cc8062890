/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Many generations of a guest's pages, with data and zeroes in turn; a hole that
 * gets no data stays one.  Guests and memories that a sink refuses. */
#include "sink_guest_kit.h"

#define GENERATIONS	30

static bool was_held[CNT];		/* at the start */

/* regions, as pages. */
static const struct {
	__u32 first, cnt;
} regions[] = {
	{ 0, 512 }, { 512, 512 }, { 1024, FIRST_CNT - 1024 },
	{ FIRST_CNT, 512 }, { FIRST_CNT + 512, SECOND_CNT - 512 },
};

/* fill_some: leftovers of an earlier transfer, in every other stretch of 100 pages;
 * some of it is zero, but no hole. */
static void fill_some(__u64 *random)
{
	memset(was_held, 0, sizeof(was_held));
	for (__u32 page = 0; page < CNT; page++) {
		__u8 bytes[PT_PAGE_SZ] = { 0 };

		if (page / 100 % 2)
			continue;
		if (page % 3)
			kit_fill(bytes, sizeof(bytes), random);
		write_file(page, bytes);
		was_held[page] = true;
	}
	memcpy(had_data, was_held, sizeof(had_data));
	memset(image, 0, sizeof(image));
}

/* send_region sends all of it as zeroes, or each page as data, as zeroes, or,
 * past the first generation, not at all.  Each seventh page never has data. */
static void send_region(__u32 first, __u32 cnt, __u32 generation,
			__u64 *random)
{
	if (kit_random(random) % 4 == 0) {
		send_zeroes(first, cnt, generation);
		return;
	}
	for (__u32 i = 0; i < cnt; i++) {
		__u64 what = kit_random(random) % (generation == 1 ? 2 : 8);
		bool may_have_data = (first + i) % 7;

		if (what == 0 && may_have_data)
			send_data(first + i, generation, random);
		else if (what < 2)
			send_zeroes(first + i, 1, generation);
	}
}

static void assert_all(void)
{
	__u64 sums[COUNT_OF(regions)] = { 0 };
	__u8 bytes[PT_PAGE_SZ];

	for (__u32 i = 0; i < COUNT_OF(regions); i++) {
		for (__u32 n = 0; n < regions[i].cnt; n++) {
			__u32 page = regions[i].first + n;

			read_file(page, bytes);
			if (memcmp(bytes, image[page], PT_PAGE_SZ))
				fail_msg("page %u differs", page);
			sums[i] += true_digest(gfn_of(page), image[page]);
			if (!had_data[page])
				assert_true(is_hole(page));
			if (was_held[page])
				assert_false(is_hole(page));
		}
		assert_int_equal(region_digest(i), sums[i]);
	}
}

static void test_generations(void **state)
{
	__u64 random = 11;

	(void)state;
	start_guest();
	fill_some(&random);
	fill_front();
	start_sink();
	for (__u32 g = 1; g <= GENERATIONS; g++) {
		for (__u32 i = 0; i < COUNT_OF(regions); i++)
			send_region(regions[i].first, regions[i].cnt, g,
				    &random);
		batch_flush();
		assert_all();
	}
	assert_int_equal(counts.stale, 0);
	stop_sink();
	stop_guest();
}

/* ---- the rest ---- */

static void test_commit_runs(void **state)
{
	(void)state;
	start_guest();
	start_sink();
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(run_cnt, 0);
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	assert_int_equal(run_cnt, 1);
	run_ret = -EIO;
	assert_int_equal(pt_sink_commit(sink, &err), -EIO);
	assert_int_equal(run_cnt, 2);
	assert_int_equal(pt_sink_check_files(sink, &err), -EOPNOTSUPP);
	assert_false(pt_sink_is_kept(sink));
	stop_sink();
	stop_guest();
}

static void fit_refused(const struct pt_segment *segs, __u32 cnt,
			const char *why)
{
	const struct pt_sink_guest_cfg cfg = cfg_of();
	struct pt_layout *l;

	assert_int_equal(pt_layout_create(&l, segs, cnt, &err), 0);
	assert_int_equal(pt_sink_open_guest(&sink, &cfg, &err), 0);
	assert_int_equal(pt_sink_fit(sink, l, &err), -EINVAL);
	if (!strstr(err.text, why))
		fail_msg("'%s' lacks '%s'", err.text, why);
	pt_sink_close(sink);
	pt_layout_free(l);
}

static void test_other_memory(void **state)
{
	struct pt_segment segs[3];

	(void)state;
	start_guest();
	memcpy(segs, segments, sizeof(segments));
	fit_refused(segs, 1, "has 1 pieces of memory, the one that waits 2");
	segs[1].sz -= PT_PAGE_SZ;
	fit_refused(segs, 2, "'second' of 2453504 bytes comes, and 'second' of "
		    "2457600");
	segs[1] = segments[1];
	strcpy(segs[0].name, "dimm0");
	fit_refused(segs, 2, "'dimm0' of");
	segs[0] = segments[0];
	segs[2] = (struct pt_segment){ "third", 9000, PT_PAGE_SZ };
	fit_refused(segs, 3, "has 3 pieces");
	stop_guest();
}

static void open_refused(struct pt_sink_guest_cfg cfg, int code)
{
	struct pt_sink *none = NULL;

	assert_int_equal(pt_sink_open_guest(&none, &cfg, &err), code);
	assert_null(none);
}

static void test_refused(void **state)
{
	struct pt_sink_guest_cfg cfg;

	(void)state;
	start_guest();
	cfg = cfg_of();
	cfg.cnt = 0;
	open_refused(cfg, -EINVAL);
	cfg = cfg_of();
	ranges[1].sz -= 1;
	open_refused(cfg, -EINVAL);
	ranges[1].sz = 0;
	open_refused(cfg, -EINVAL);
	ranges[1].sz = segments[1].sz;
	ranges[1].path = "/proc/self/nothing";
	open_refused(cfg, -ENOENT);
	assert_non_null(strstr(err.text, "'second': /proc/self/nothing"));
	ranges[1].path = "/proc";
	open_refused(cfg, -EINVAL);
	ranges[1].path = memories[1].path;
	cfg.pid = 0x7ffffff0;
	open_refused(cfg, -ESRCH);
	stop_guest();
}

/* A guest that ends is an error. */
static void test_guest_gone(void **state)
{
	__u8 page[PT_PAGE_SZ];
	__u64 random = 9;

	(void)state;
	start_guest();
	start_sink();
	send_data(0, 1, &random);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(pt_sink_read(sink, 0, page, sizeof(page), &err), -EIO);
	assert_int_equal(pt_sink_zero(sink, 0, PT_PAGE_SZ, &err), -EIO);
	assert_non_null(strstr(err.text, "process"));
	stop_sink();
	for (int i = 0; i < 2; i++) {
		munmap(memories[i].at, memories[i].sz);
		close(memories[i].fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_commit_runs),
		cmocka_unit_test(test_other_memory),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_guest_gone),
	};

	guard_again();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
