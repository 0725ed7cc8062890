// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages that are marked as unreadable in each process that maps them, and what a
 * pagemap tells of them. */
#include "ioctl_filter.h"
#include "memory/pagemap.h"
#include "memory/mappings.h"
#include "track/poison.h"
#include "track_child.h"

static struct pt_error err;

static int poison_of(const struct child *c, const struct pt_poison_range *ranges,
		     __u32 cnt)
{
	int maps = pt_mappings_open(c->pid), code;

	assert_true(maps >= 0);
	code = pt_poison(c->pid, maps, ranges, cnt, &err);
	close(maps);
	return code;
}

static int poison(const struct child *c, __u64 page, __u64 cnt)
{
	const struct pt_poison_range range = {
		(__u64)(unsigned long)c->map + page * PAGE, cnt * PAGE,
	};

	return poison_of(c, &range, 1);
}

static void punch(int fd, __u64 page, __u64 cnt)
{
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   page * PAGE, cnt * PAGE), 0);
}

/* reads: as a system call does; a program would get SIGBUS. */
static bool reads_at(pid_t pid, __u64 addr)
{
	char path[64];
	__u8 byte;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	got = pread(fd, &byte, 1, addr);
	close(fd);
	return got == 1;
}

static bool reads(const struct child *c, __u64 page)
{
	return reads_at(c->pid, (__u64)(unsigned long)c->map + page * PAGE);
}

static void test_all_that_map_it(void **state)
{
	const __u64 ends[] = { 4, 7, 10 };
	int fd = ram_new(0);
	struct child a, b;
	__u64 alias;

	(void)state;
	child_start(&a, fd, NULL);
	child_start(&b, fd, NULL);
	alias = child_obeys(&b, 'a', 0).sum;
	child_obeys(&a, 's', 0);	/* all of it is mapped */
	child_obeys(&b, 's', 0);
	punch(fd, 5, 2);
	punch(fd, 600, 1);
	{
		const struct pt_poison_range ranges[] = {
			{ (__u64)(unsigned long)a.map + 5 * PAGE, 2 * PAGE },
			{ (__u64)(unsigned long)a.map + 600 * PAGE, PAGE },
		};

		if (poison_of(&a, ranges, 2))
			fail_msg("%s", err.text);
		/* Once more: nothing is to be done. */
		assert_int_equal(poison_of(&a, ranges, 2), 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_true(reads(&a, ends[i]));
		assert_true(reads(&b, ends[i]));
	}
	for (__u64 page = 5; page < 7; page++) {
		assert_false(reads(&a, page));
		assert_false(reads(&b, page));
		assert_false(reads_at(b.pid, alias + page * PAGE));
	}
	assert_false(reads(&b, 600));
	/* Both go on, though their calls were exchanged. */
	assert_int_equal(child_obeys(&a, 'w', 9).odd_cnt, 0);
	assert_int_equal(child_obeys(&b, 'w', 9).odd_cnt, 0);
	child_end(&a);
	child_end(&b);
	close(fd);
}

static void dies(void)
{
	signal(SIGBUS, SIG_DFL);	/* not cmocka's */
}

/* A program that touches such a page gets SIGBUS. */
static void test_sigbus(void **state)
{
	struct order o = { .what = 'w', .page = 5 };
	int fd = ram_new(0), status;
	struct child c;

	(void)state;
	child_start(&c, fd, dies);
	punch(fd, 5, 1);
	assert_int_equal(poison(&c, 5, 1), 0);
	assert_int_equal(write(c.to, &o, sizeof(o)), sizeof(o));
	assert_int_equal(waitpid(c.pid, &status, __WALL), c.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	close(c.to);
	close(c.from);
	close(fd);
}

static void said(int code, pid_t pid, const char *text)
{
	char number[32];

	snprintf(number, sizeof(number), "rocess %d", pid);
	if (!code || !strstr(err.text, number) || !strstr(err.text, text))
		fail_msg("%d: '%s' lacks '%s' or '%s'", code, err.text, number, text);
}

static void filter_any(void)
{
	filter_one(0xffffffff, SECCOMP_RET_ALLOW);
}

static __u8 *read_only;

/* map_read_only: a descriptor that cannot write. */
static void map_read_only(int fd)
{
	char path[64];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDONLY | O_CLOEXEC);
	read_only = mmap(NULL, RAM_SZ, PROT_READ, MAP_SHARED, other, 0);
	assert_ptr_not_equal(read_only, MAP_FAILED);
	close(other);
}

static void test_refused(void **state)
{
	struct child a, b;
	int fd = ram_new(0), private;

	(void)state;
	child_start(&a, fd, NULL);
	child_obeys(&a, 's', 0);
	said(poison(&a, 5, 1), a.pid, "it uses one of them");
	assert_true(reads(&a, 5));

	/* A mapper that must not be entered, or has the memory to read only. */
	punch(fd, 5, 1);
	child_start(&b, fd, filter_any);
	said(poison(&a, 5, 1), b.pid, "seccomp");
	child_end(&b);
	map_read_only(fd);
	said(poison(&a, 5, 1), getpid(), "must not write there");
	munmap(read_only, RAM_SZ);

	/* Private memory, and a process that ended. */
	child_start(&b, -1, NULL);
	private = poison(&b, RAM_PAGES - 1, 1);
	said(private, b.pid, "cannot be marked");
	assert_int_equal(private, -EOPNOTSUPP);
	child_end(&b);
	{
		const struct pt_poison_range range = {
			(__u64)(unsigned long)a.map + 5 * PAGE, PAGE,
		};
		int maps = pt_mappings_open(a.pid);

		child_end(&a);
		assert_int_equal(pt_poison(a.pid, maps, &range, 1, &err), -ESRCH);
		close(maps);
	}
	close(fd);
}

/* A tracker's look leaves the marks, and does not hide them. */
static void test_found(void **state)
{
	char path[64];
	__u64 bits[8];
	struct child c;
	struct pt_tracker *t = NULL;
	int fd = ram_new(0), pagemap;
	__u64 start;

	(void)state;
	child_start(&c, fd, NULL);
	start = (__u64)(unsigned long)c.map;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", c.pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	punch(fd, 60, 70);
	assert_int_equal(poison(&c, 63, 2), 0);
	child_obeys(&c, 'w', 66);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pt_pagemap_poisoned(pagemap, -1, start,
						     start + 512 * PAGE, bits), 0);
		assert_int_equal(bits[0], 1ULL << 63);
		assert_int_equal(bits[1], 1);
		assert_int_equal(bits[7], 0);
		assert_true(pt_pagemap_is_marked(pagemap, start + 63 * PAGE,
						 start + 65 * PAGE));
		assert_false(pt_pagemap_is_marked(pagemap, start + 64 * PAGE,
						  start + 67 * PAGE));
		if (i == 2)
			break;
		/* Marks of its own lie between, and then all is looked at. */
		if (!i)
			t = track_armed(&c);
		else
			expect_seen(t);
	}
	pt_tracker_close(t);
	assert_false(reads(&c, 63));
	close(pagemap);
	child_end(&c);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_that_map_it),
		cmocka_unit_test(test_sigbus),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_found),
	};

	if (tests_end_early())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
