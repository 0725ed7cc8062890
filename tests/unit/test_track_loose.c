// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Private memory of a process that maps and unmaps it while it is watched. */
#include "track_child.h"

static struct pt_error err;

static struct pt_track_range range_of(const struct child *c)
{
	return (struct pt_track_range){ .addr = (__u64)c->map, .sz = RAM_SZ,
					.page_idx = 512, .is_loose = true };
}

static struct pt_tracker *loose_armed(const struct child *c)
{
	struct pt_track_range range = range_of(c);
	struct pt_tracker *t = NULL;

	if (pt_tracker_open_wp(&t, c->pid, &range, 1, NULL, &err))
		fail_msg("%s", err.text);
	arm(t);
	return t;
}

/* looked returns how many pages are reported by a look with these ranges. */
static __u32 looked(struct pt_tracker *t, const struct pt_track_range *ranges,
		    __u32 cnt, struct seen *seen)
{
	const struct pt_track_to to = { .dirty = seen_dirty, .arg = seen };

	memset(seen, 0, sizeof(*seen));
	if (pt_tracker_retarget(t, ranges, cnt, &to, &err) ||
	    pt_tracker_collect(t, &to, &err))
		fail_msg("%s", err.text);
	return seen->cnt;
}

static struct seen seen;

/* quiet: nothing is reported but a page that the child writes now. */
static void quiet(struct pt_tracker *t, const struct child *c, __u64 page)
{
	struct pt_track_range range = range_of(c);

	assert_int_equal(looked(t, &range, 1, &seen), 0);
	child_obeys(c, 'w', page);
	assert_int_equal(looked(t, &range, 1, &seen), 1);
	assert_int_equal(seen.pages[512 + page], 1);
}

static void test_pages_that_are_not_mapped(void **state)
{
	struct pt_tracker *t;
	struct child c;

	(void)state;
	child_start(&c, -1, NULL);
	child_obeys(&c, 'u', 5);
	t = loose_armed(&c);
	quiet(t, &c, 4);
	quiet(t, &c, 6);
	pt_tracker_close(t);
	child_end(&c);
}

/* Each 'm' or 'u' takes the record along, so all is reported. */
static void check_change(char order)
{
	struct pt_track_range range;
	struct pt_tracker *t;
	struct child c;

	child_start(&c, -1, NULL);
	range = range_of(&c);
	t = loose_armed(&c);
	quiet(t, &c, 7);
	child_obeys(&c, order, 5);
	assert_int_equal(looked(t, &range, 1, &seen), RAM_PAGES);
	/* Not watched before this look. */
	child_obeys(&c, 'w', 8);
	looked(t, &range, 1, &seen);
	assert_int_not_equal(seen.pages[512 + 8], 0);
	quiet(t, &c, 9);
	pt_tracker_close(t);
	child_end(&c);
}

static void test_mapped_anew(void **state)
{
	(void)state;
	check_change('m');
	check_change('u');
}

/* Memory that is not shown for a while may have been sent as zeroes. */
static void test_ranges_that_go_and_come(void **state)
{
	struct pt_track_range parts[2];
	struct pt_tracker *t;
	struct child c;

	(void)state;
	child_start(&c, -1, NULL);
	parts[0] = parts[1] = range_of(&c);
	parts[0].sz = 512 * PAGE;
	parts[1].addr += 512 * PAGE;
	parts[1].sz -= 512 * PAGE;
	parts[1].page_idx += 512;
	t = loose_armed(&c);
	quiet(t, &c, 7);
	/* Both together have all of it. */
	assert_int_equal(looked(t, parts, 2, &seen), 0);
	assert_int_equal(looked(t, parts, 1, &seen), RAM_PAGES);
	assert_int_equal(looked(t, parts, 1, &seen), 0);
	assert_int_equal(looked(t, parts, 2, &seen), RAM_PAGES - 512);
	quiet(t, &c, 1000);
	pt_tracker_close(t);
	child_end(&c);
}

/* A page that was copied and is dropped shows the file again; one that was not
 * copied changes with the file. */
static void test_private_memory_of_a_file(void **state)
{
	struct pt_track_range ranges[2] = { { .is_loose = true } };
	int fd = ram_new(0);
	struct pt_tracker *t = NULL;
	__u8 *map;

	(void)state;
	map = mmap(NULL, 2 * 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS, -1, 0);
	assert_ptr_equal(mmap(map + 16 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_FIXED, fd, 0), map + 16 * PAGE);
	memset(map, 1, 20 * PAGE);
	ranges[0].addr = (__u64)map;
	ranges[0].sz = 2 * 16 * PAGE;
	if (pt_tracker_open_wp(&t, getpid(), ranges, 1, NULL, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_tracker_misses(t) & PT_TRACK_MISSES_FILE_WRITES, 0);
	arm(t);
	looked(t, ranges, 1, &seen);
	madvise(map + 19 * PAGE, PAGE, MADV_DONTNEED);
	assert_int_equal(map[19 * PAGE], 3);
	assert_int_equal(pwrite(fd, "x", 1, 5 * PAGE), 1);
	assert_int_equal(map[21 * PAGE], 'x');
	map[7 * PAGE]++;
	looked(t, ranges, 1, &seen);
	assert_int_equal(seen.pages[19], 1);
	assert_int_equal(seen.pages[21], 1);
	/* The other half is watched. */
	assert_int_equal(seen.pages[7], 1);
	assert_int_equal(seen.cnt, 16 + 1);
	pt_tracker_close(t);
	munmap(map, 2 * 16 * PAGE);
	close(fd);
}

static void expect_looked(struct pt_tracker *t, const struct pt_track_range *r,
			  __u64 page_idx, __u32 cnt)
{
	assert_int_equal(looked(t, r, 1, &seen), cnt);
	for (__u32 i = 0; i < cnt; i++)
		assert_int_equal(seen.pages[page_idx + i], 1);
}

/* Pieces and mappings are walked together, in the order of their addresses. */
static void test_mappings_that_come_between(void **state)
{
	struct pt_track_range range = { .sz = 48 * PAGE, .is_loose = true };
	struct pt_tracker *t = NULL;
	__u8 *map;

	(void)state;
	map = mmap(NULL, 48 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS, -1, 0);
	memset(map, 1, 48 * PAGE);
	munmap(map + 16 * PAGE, 16 * PAGE);
	range.addr = (__u64)map;
	if (pt_tracker_open_wp(&t, getpid(), &range, 1, NULL, &err))
		fail_msg("%s", err.text);
	arm(t);
	expect_looked(t, &range, 0, 0);
	assert_ptr_equal(mmap(map + 16 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 map + 16 * PAGE);
	memset(map + 16 * PAGE, 2, 16 * PAGE);
	expect_looked(t, &range, 16, 16);
	expect_looked(t, &range, 0, 0);
	/* It is two mappings from now on, and one piece. */
	madvise(map + 40 * PAGE, 8 * PAGE, MADV_DONTFORK);
	expect_looked(t, &range, 0, 0);
	map[20 * PAGE]++;
	expect_looked(t, &range, 20, 1);
	map[45 * PAGE]++;
	expect_looked(t, &range, 45, 1);
	pt_tracker_close(t);
	munmap(map, 48 * PAGE);
}

static void test_one_that_ends(void **state)
{
	const struct pt_track_to to = { .dirty = seen_dirty, .arg = &seen };
	struct pt_track_range range;
	struct pt_tracker *t;
	struct child c;

	(void)state;
	child_start(&c, -1, NULL);
	range = range_of(&c);
	t = loose_armed(&c);
	child_kill(&c);
	assert_int_equal(pt_tracker_retarget(t, &range, 1, &to, &err), -ESRCH);
	pt_tracker_close(t);
}

static void test_memory_of_another_tracker(void **state)
{
	struct pt_track_range range;
	struct pt_tracker *t, *other = NULL;
	struct child c;

	(void)state;
	child_start(&c, -1, NULL);
	range = range_of(&c);
	t = loose_armed(&c);
	err.exit = PT_EXIT_OK;
	assert_int_equal(pt_tracker_open_wp(&other, c.pid, &range, 1, NULL,
					    &err), -EBUSY);
	assert_null(other);
	child_obeys(&c, 'u', 5);
	range.addr += 5 * PAGE;
	range.sz = PAGE;
	assert_int_equal(pt_tracker_open_wp(&other, c.pid, &range, 1, NULL,
					    &err), -EINVAL);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	pt_tracker_close(t);
	child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_that_are_not_mapped),
		cmocka_unit_test(test_mapped_anew),
		cmocka_unit_test(test_ranges_that_go_and_come),
		cmocka_unit_test(test_private_memory_of_a_file),
		cmocka_unit_test(test_mappings_that_come_between),
		cmocka_unit_test(test_one_that_ends),
		cmocka_unit_test(test_memory_of_another_tracker),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
