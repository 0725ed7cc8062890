// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Writes of another process, as write protection reports them. */
#include "track_child.h"

#include <linux/memfd.h>
#include <sys/uio.h>

static void write_mem(const struct child *c, __u64 page)
{
	char path[64], byte = 7;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", c->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)(c->map + page * PAGE)),
			 1);
	close(fd);
}

static void write_vm(const struct child *c, __u64 page)
{
	char byte = 8;
	struct iovec from = { &byte, 1 }, to = { c->map + page * PAGE, 1 };

	assert_int_equal(process_vm_writev(c->pid, &from, 1, &to, 1, 0), 1);
}

/* Pages are numbered from 512 on. */
static void check_writes(int fd)
{
	struct pt_tracker *t;
	struct child c;

	child_start(&c, fd, NULL);
	t = track_armed(&c);
	expect_seen(t);
	child_obeys(&c, 'w', 0);
	child_obeys(&c, 'w', 511);
	child_obeys(&c, 'w', 512);
	child_obeys(&c, 'w', RAM_PAGES - 1);
	expect_seen(t, 512, 512 + 511, 1024, 512 + RAM_PAGES - 1);
	expect_seen(t);
	child_obeys(&c, 'r', 20);
	expect_seen(t, 532);
	write_mem(&c, 30);
	write_vm(&c, 31);
	expect_seen(t, 542, 543);
	child_obeys(&c, 'w', 40);
	child_obeys(&c, 'd', 40);
	expect_seen(t, 552);
	child_obeys(&c, 'w', 40);
	expect_seen(t, 552);
	if (fd >= 0) {
		child_obeys(&c, 'w', 41);
		child_obeys(&c, 'p', 41);
		expect_seen(t, 553);
		child_obeys(&c, 'w', 41);
		expect_seen(t, 553);
	}
	child_obeys(&c, 's', 0);	/* only read */
	expect_seen(t);
	/* Runs across regions, and every second page. */
	for (__u64 i = 500; i < 530; i++)
		child_obeys(&c, 'w', i);
	for (__u64 i = 1024; i < 1400; i += 2)
		child_obeys(&c, 'w', i);
	{
		struct seen seen;

		collect(t, &seen);
		assert_int_equal(seen.cnt, 30 + 188);
		for (__u64 i = 0; i < RAM_PAGES; i++)
			assert_int_equal(seen.pages[512 + i],
				(i >= 500 && i < 530) ||
				(i >= 1024 && i < 1400 && i % 2 == 0));
	}
	expect_seen(t);
	pt_tracker_close(t);
	assert_int_equal(child_obeys(&c, 'w', 0).odd_cnt, 0);
	child_end(&c);
}

static long page_tables_kb(const struct child *c)
{
	return pt_proc_number(c->pid, "VmPTE:");
}

/* Only pages that are there are protected.  One that comes is reported, one that
 * goes is not. */
static void test_memory_with_holes(void **state)
{
	struct pt_track_range range = { .sz = RAM_SZ, .page_idx = 512,
					.is_loose = true };
	struct pt_error err = { 0 };
	struct pt_tracker *t;
	struct child c;
	long before;

	(void)state;
	child_is_empty = true;
	child_start(&c, -1, NULL);
	child_is_empty = false;
	child_obeys(&c, 'w', 3);
	child_obeys(&c, 'w', 4);
	range.addr = (__u64)c.map;
	before = page_tables_kb(&c);
	if (pt_tracker_open_wp(&t, c.pid, &range, 1, NULL, &err))
		fail_msg("%s", err.text);
	arm(t);
	expect_seen(t);
	assert_int_equal(page_tables_kb(&c), before);
	child_obeys(&c, 'w', 3);
	child_obeys(&c, 'w', 1100);
	expect_seen(t, 512 + 3, 512 + 1100);
	expect_seen(t);
	child_obeys(&c, 'w', 1100);
	expect_seen(t, 512 + 1100);
	child_obeys(&c, 'd', 1100);
	expect_seen(t);
	child_obeys(&c, 'w', 1100);
	expect_seen(t, 512 + 1100);
	pt_tracker_close(t);
	child_end(&c);
}

static void test_shared_memory(void **state)
{
	int fd = ram_new(0);

	(void)state;
	check_writes(fd);
	close(fd);
}

static void test_private_memory(void **state)
{
	(void)state;
	check_writes(-1);
}

static void test_what_it_says_of_itself(void **state)
{
	int fd = ram_new(0);
	struct pt_tracker *t;
	struct child c;

	(void)state;
	child_start(&c, fd, NULL);
	t = track_armed(&c);
	assert_string_equal(pt_tracker_name(t), "wp-async");
	assert_true(pt_tracker_odds(t) == 0);
	assert_int_equal(pt_tracker_misses(t) & ~PT_TRACK_MISSES_MAPPERS,
			 PT_TRACK_MISSES_HOLES | PT_TRACK_MISSES_IN_FLIGHT |
			 PT_TRACK_MISSES_FILE_WRITES);
	pt_tracker_close(t);
	/* Nothing is left behind: another one may begin. */
	pt_tracker_close(track_armed(&c));
	child_end(&c);
	close(fd);
}

/* --- what becomes of the target --------------------------------------- */

static void check_gone(char order, int code)
{
	struct pt_error err = { 0 };
	static struct seen seen;
	struct pt_track_to to = { .dirty = seen_dirty, .arg = &seen };
	struct pt_tracker *t;
	struct child c;
	int fd = ram_new(0);
	siginfo_t end;

	child_start(&c, fd, NULL);
	t = track_armed(&c);
	if (order == 'x') {
		child_becomes_sleep(&c);
	} else if (order == 'k') {
		kill(c.pid, SIGKILL);
		waitid(P_PID, c.pid, &end, WEXITED | WNOWAIT);
	} else {
		child_obeys(&c, order, 5);
	}
	/* A reader of /proc keeps the memory of a dead process. */
	while (code == -ESRCH && !pt_tracker_collect(t, &to, &err))
		continue;
	if (pt_tracker_collect(t, &to, &err) != code)
		fail_msg("%c: %s", order, err.text);
	assert_non_null(strstr(err.text, code == -ESRCH ? "ended" : "anew"));
	pt_tracker_close(t);
	child_kill(&c);
	close(fd);
}

static void test_target_that_changes(void **state)
{
	(void)state;
	check_gone('u', -ESTALE);
	check_gone('m', -ESTALE);
	check_gone('x', -ESRCH);
	check_gone('k', -ESRCH);
}

/* --- large pages ------------------------------------------------------- */

static long huge_kb(const struct child *c, const char *key)
{
	char path[64], line[256];
	unsigned long start, end;
	bool is_it = false;
	long kb = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/smaps", c->pid);
	in = fopen(path, "re");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			is_it = start == (unsigned long)c->map;
		if (is_it && !strncmp(line, key, strlen(key)))
			kb = strtol(line + strlen(key), NULL, 10);
	}
	fclose(in);
	return kb;
}

/* large: pages that are reported as coarse, and the others. */
struct large {
	struct seen coarse, fine;
};

static void large_coarse(void *arg, __u64 page_idx, __u32 cnt)
{
	seen_dirty(&((struct large *)arg)->coarse, page_idx, cnt);
}

static void large_fine(void *arg, __u64 page_idx, __u32 cnt)
{
	seen_dirty(&((struct large *)arg)->fine, page_idx, cnt);
}

/* expect_coarse: all pages of the 2 MiB of each page are reported as coarse, and
 * no others. */
static void expect_coarse(struct pt_tracker *t, const __u64 *pages, __u32 cnt)
{
	static struct large l;
	struct pt_error err = { 0 };

	memset(&l, 0, sizeof(l));
	if (pt_tracker_collect(t, &(struct pt_track_to){ .dirty = large_fine,
			.coarse = large_coarse, .arg = &l }, &err))
		fail_msg("%s", err.text);
	assert_int_equal(l.fine.cnt, 0);
	assert_int_equal(l.coarse.cnt, cnt * 512);
	for (__u32 i = 0; i < cnt; i++)
		for (__u64 page = 0; page < 512; page++)
			assert_int_equal(l.coarse.pages[pages[i] / 512 * 512 +
							page], 1);
}

/* check_large: the grain is the large page, which stays one.  Returns whether
 * there was one. */
static bool check_large(int fd, const char *key)
{
	struct pt_tracker *t;
	struct child c;
	long kb;

	child_is_large = true;
	child_start(&c, fd, NULL);
	child_is_large = false;
	for (__u64 i = 0; i < RAM_PAGES; i += 512)
		child_obeys(&c, 'w', i);
	kb = huge_kb(&c, key);
	if (kb < (long)RAM_SZ / 1024) {
		child_end(&c);
		close(fd);
		return false;
	}
	t = track_armed(&c);
	assert_int_equal(huge_kb(&c, key), kb);
	expect_coarse(t, NULL, 0);
	child_obeys(&c, 'w', 512 + 77);
	expect_coarse(t, (__u64[]){ 1024 }, 1);
	child_obeys(&c, 'w', 512 + 78);
	child_obeys(&c, 'w', 2);
	expect_coarse(t, (__u64[]){ 512, 1024 }, 2);
	expect_coarse(t, NULL, 0);
	assert_int_equal(huge_kb(&c, key), kb);
	/* The record of the write goes with the large page. */
	child_obeys(&c, 'w', 3);
	child_obeys(&c, 'D', 0);
	expect_coarse(t, (__u64[]){ 512 }, 1);
	expect_coarse(t, NULL, 0);
	pt_tracker_close(t);
	child_end(&c);
	close(fd);
	return true;
}

/* A page table that goes takes the record of writes along. */
static void test_page_table_that_goes(void **state)
{
	struct pt_tracker *t;
	struct child c;

	(void)state;
	child_start(&c, -1, NULL);
	t = track_armed(&c);
	child_obeys(&c, 'w', 512 + 3);
	child_obeys(&c, 'D', 512);
	expect_coarse(t, (__u64[]){ 1024 }, 1);
	expect_coarse(t, NULL, 0);
	child_obeys(&c, 'w', 512 + 3);
	child_obeys(&c, 'D', 512);
	child_obeys(&c, 'w', 512 + 4);	/* it has one again */
	{
		static struct seen seen;

		collect(t, &seen);
		assert_int_equal(seen.cnt, 512);
	}
	expect_coarse(t, NULL, 0);
	pt_tracker_close(t);
	child_end(&c);
}

static void test_thp(void **state)
{
	int fd;

	(void)state;
	scratch_fs("thp", "tmpfs", 0, "size=64m,huge=always");
	fd = scratch_file(SCRATCH "/thp/ram", RAM_SZ);
	if (!check_large(fd, "ShmemPmdMapped:"))
		skip();		/* no memory in a row */
}

static void test_hugetlb(void **state)
{
	int fd;

	(void)state;
	if (!scratch_huge(3))
		skip();		/* the machine has too few */
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
			  MFD_HUGE_2MB);
	assert_int_equal(fallocate(fd, 0, 0, RAM_SZ), 0);
	assert_true(check_large(fd, "Private_Hugetlb:"));
	scratch_huge(-3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_private_memory),
		cmocka_unit_test(test_memory_with_holes),
		cmocka_unit_test(test_what_it_says_of_itself),
		cmocka_unit_test(test_target_that_changes),
		cmocka_unit_test(test_page_table_that_goes),
		cmocka_unit_test(test_thp),
		cmocka_unit_test(test_hugetlb),
	};

	if (tests_end_early())
		return SKIPPED;
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
