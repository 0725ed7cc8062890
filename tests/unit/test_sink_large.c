/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Large pages of an image, and of a guest's memory, here a child with a memfd: wanted
 * units are large, before and after their pages turn zero. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "memory/large.h"
#include "paused_child.h"
#include "scratch.h"
#include "sink/image.h"
#include "sink/sink_guest.h"
#include "sink/sink_large.h"
#include "sink/sink_run.h"
#include "vmm/collapse.h"

#define UNIT	PT_LARGE_SZ
#define UNITS	6u
#define SZ	(UNITS * (__u64)UNIT)

static const struct pt_segment segment = { "ram", 0, SZ };
static struct pt_layout *layout;
static struct pt_large want;
static struct pt_sink *sink;
static struct pt_error err;
static char path[64];
static __u8 bytes[PT_PAGE_SZ], seen[PT_PAGE_SZ], none[PT_PAGE_SZ];

/* want_some: units 0, 2 and 3. */
static void want_some(void)
{
	assert_int_equal(pt_layout_create(&layout, &segment, 1, &err), 0);
	assert_int_equal(pt_large_init(&want, layout), 0);
	for (__u64 i = 0; i < 3; i += 2)
		assert_int_equal(pt_large_want(&want, layout,
			&(struct pt_large_run){ i, i ? 2 : 1 }), 0);
	memset(bytes, 0x5a, sizeof(bytes));
}

static void begin(void)
{
	if (pt_sink_large_begin(sink, &want, &err))
		fail_msg("%s", err.text);
}

static void end(void)
{
	pt_sink_close(sink);
	pt_large_free(&want);
	pt_layout_free(layout);
}

static void place(__u64 off)
{
	static struct pt_sink_run run;

	memset(&run, 0, sizeof(run));
	assert_int_equal(pt_sink_run_add(&run, sink, off, bytes, PT_PAGE_SZ,
					 &err), 0);
	assert_int_equal(pt_sink_run_flush(&run, &err), 0);
}

static void holds(__u64 off, const __u8 *page)
{
	assert_int_equal(pt_sink_read(sink, off, seen, PT_PAGE_SZ, &err), 0);
	assert_memory_equal(seen, page, PT_PAGE_SZ);
}

/* counted: so many units are large; returns the rest. */
static struct pt_sink_large_count counted(__u64 cnt)
{
	struct pt_sink_large_count count;

	pt_sink_large_finish(sink);
	pt_sink_large_count(sink, &count);
	assert_true(count.is_counted);
	assert_int_equal(count.large_cnt, cnt);
	return count;
}

/* turn: data in all units; then much of three of them is zero again. */
static void turn(void)
{
	for (__u64 unit = 0; unit < UNITS - 1; unit++)
		for (__u64 page = 3; page < 40; page++)
			place(unit * UNIT + page * PT_PAGE_SZ);
	for (__u64 unit = 0; unit < 3; unit++)
		assert_int_equal(pt_sink_zero(sink, unit * UNIT, UNIT / 2, &err),
				 0);
	for (__u64 unit = 0; unit < UNITS; unit++) {
		holds(unit * UNIT, none);
		holds(unit * UNIT + 5 * PT_PAGE_SZ,
		      unit < 3 || unit == UNITS - 1 ? none : bytes);
	}
}

static void open_image(void)
{
	want_some();
	snprintf(path, sizeof(path), "/dev/shm/test_sink_large.%d", getpid());
	if (pt_image_create(&sink, path, layout, &err))
		fail_msg("%s", err.text);
}

static void test_image(void **state)
{
	struct stat st;

	(void)state;
	open_image();
	begin();
	turn();
	assert_int_equal(counted(3).failure, 0);
	/* The other units have holes. */
	strcat(path, ".partial");
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_blocks * 512, 3 * UNIT, 3 * UNIT + 256 * 1024);
	end();
}

/* A unit that no page comes to is a large page, too. */
static void test_image_zero(void **state)
{
	(void)state;
	open_image();
	begin();
	counted(3);
	for (__u64 unit = 0; unit < UNITS; unit++)
		holds(unit * UNIT, none);
	end();
}

/* On a disk there is nothing to be made. */
static void test_image_disk(void **state)
{
	struct pt_sink_large_count count;

	(void)state;
	want_some();
	snprintf(path, sizeof(path), "./test_sink_large.%d", getpid());
	assert_int_equal(pt_image_create(&sink, path, layout, &err), 0);
	if (!pt_sink_may_wait(sink)) {	/* the folder is on a tmpfs */
		end();
		skip();
	}
	begin();
	turn();
	pt_sink_large_finish(sink);
	pt_sink_large_count(sink, &count);
	assert_int_equal(count.large_cnt, 0);
	assert_int_equal(count.failure, -EOPNOTSUPP);
	end();
}

/* ---- a guest ---- */

static struct pt_collapser *collapser;
static pid_t child;
static int memfd;
static __u8 *memory;

static int collapse(void *arg, __u64 addr, __u64 sz)
{
	assert_null(arg);
	return pt_collapser_do(collapser, addr, sz);
}

static int run_guest(void *arg, struct pt_error *error)
{
	(void)arg;
	(void)error;
	return 0;
}

/* start_guest_as: its memory begins apart bytes behind a multiple of 2 MiB; flags of
 * memfd_create(2). */
static void start_guest_as(__u64 apart, unsigned int flags)
{
	__u8 *room = mmap(NULL, SZ + 2 * UNIT, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memory = room + (-(uintptr_t)room & (UNIT - 1)) + apart;
	memfd = memfd_create("ram", MFD_CLOEXEC | flags);
	assert_int_equal(ftruncate(memfd, SZ), 0);
	assert_ptr_equal(mmap(memory, SZ, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, memfd, 0), memory);
	child = paused_child();
	assert_int_equal(pt_collapser_open(&collapser, child, &err), 0);
}

static void start_guest(__u64 apart)
{
	start_guest_as(apart, 0);
}

static void open_guest(bool can_collapse)
{
	struct pt_sink_guest_range range = {
		.name = segment.name, .sz = SZ, .addr = (uintptr_t)memory,
		.path = path,
	};
	const struct pt_sink_guest_cfg cfg = {
		.pid = child, .ranges = &range, .cnt = 1, .run = run_guest,
		.collapse = can_collapse ? collapse : NULL,
	};

	want_some();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	if (pt_sink_open_guest(&sink, &cfg, &err) ||
	    pt_sink_fit(sink, layout, &err))
		fail_msg("%s", err.text);
	begin();
}

static void stop_guest(void)
{
	end();
	pt_collapser_close(collapser);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	munmap(memory, SZ);
	close(memfd);
}

/* All that holds data is mapped in the guest's process: nothing faults later. */
static void test_guest(void **state)
{
	struct pt_sink_large_count count;

	(void)state;
	start_guest(0);
	open_guest(true);
	turn();
	count = counted(3);
	assert_int_equal(count.failure, 0);
	assert_int_equal(count.unmapped_cnt, 0);
	/* All of a unit turns zero: one that was not wanted is a hole again. */
	for (__u64 off = UNIT; off < 3 * UNIT; off += PT_PAGE_SZ)
		place(off);
	for (__u64 unit = 1; unit < 3; unit++)
		assert_int_equal(pt_sink_zero(sink, unit * UNIT, UNIT, &err), 0);
	counted(3);
	assert_int_equal(lseek(memfd, UNIT, SEEK_DATA), 2 * UNIT);
	assert_int_equal(lseek(memfd, 5 * UNIT, SEEK_DATA), -1);
	stop_guest();
}

/* A page that the process lost is seen. */
static void test_unmapped(void **state)
{
	(void)state;
	start_guest(0);
	open_guest(true);
	turn();
	assert_int_equal(counted(3).unmapped_cnt, 0);
	assert_int_equal(fallocate(memfd, FALLOC_FL_PUNCH_HOLE |
				   FALLOC_FL_KEEP_SIZE,
				   4 * UNIT + 3 * PT_PAGE_SZ, 2 * PT_PAGE_SZ), 0);
	assert_int_equal(counted(3).unmapped_cnt, 2);
	stop_guest();
}

static void test_guest_small(void **state)
{
	(void)state;
	start_guest(0);
	open_guest(false);
	turn();
	assert_int_equal(counted(0).failure, -EOPNOTSUPP);
	stop_guest();
}

/* has_huge: this machine gives that many huge pages, which are to be given back. */
static bool has_huge(int cnt)
{
	if (scratch_huge(cnt))
		return true;
	print_message("hugetlbfs: this machine gives no huge pages: skipped\n");
	return false;
}

/* Memory on a hugetlbfs is large by itself; no hole is punched in it, and what is zero
 * again is zero. */
static void test_guest_hugetlb(void **state)
{
	struct pt_sink_large_count count;
	struct stat st;

	(void)state;
	if (!has_huge(UNITS))
		return;
	start_guest_as(0, MFD_HUGETLB | MFD_HUGE_2MB);
	open_guest(false);
	turn();
	count = counted(3);
	assert_int_equal(count.failure, 0);
	assert_int_equal(count.unmapped_cnt, 0);
	for (__u64 off = UNIT; off < 3 * UNIT; off += PT_PAGE_SZ)
		place(off);
	for (__u64 unit = 1; unit < 3; unit++)
		assert_int_equal(pt_sink_zero(sink, unit * UNIT, UNIT, &err), 0);
	counted(3);
	holds(UNIT + 5 * PT_PAGE_SZ, none);
	holds(2 * UNIT + 5 * PT_PAGE_SZ, none);
	holds(3 * UNIT + 5 * PT_PAGE_SZ, bytes);
	assert_int_equal(pt_sink_check_marks(sink, &err), -EOPNOTSUPP);
	assert_int_equal(fstat(memfd, &st), 0);
	assert_int_equal(st.st_blocks * 512, 5 * UNIT);
	stop_guest();
	scratch_huge(-(int)UNITS);
}

/* An image on a hugetlbfs: all of it is large. */
static void test_image_hugetlb(void **state)
{
	struct pt_sink_large_count count;

	(void)state;
	if (!has_huge(UNITS))
		return;
	assert_int_equal(mkdir(SCRATCH "/huge", 0700), 0);
	assert_int_equal(mount("none", SCRATCH "/huge", "hugetlbfs", 0,
			       "pagesize=2M"), 0);
	want_some();
	if (pt_image_create(&sink, SCRATCH "/huge/image", layout, &err))
		fail_msg("%s", err.text);
	begin();
	turn();
	count = counted(3);
	assert_int_equal(count.failure, 0);
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	end();
	assert_int_equal(umount(SCRATCH "/huge"), 0);
	scratch_huge(-(int)UNITS);
}

static void test_guest_apart(void **state)
{
	(void)state;
	start_guest(PT_PAGE_SZ);
	open_guest(true);
	turn();
	assert_int_equal(counted(0).failure, -EXDEV);
	stop_guest();
}

/* The other process ends: the memory is filled all the same. */
static void test_collapser_ends(void **state)
{
	(void)state;
	start_guest(0);
	assert_int_equal(pt_collapser_do(collapser, 0, UNIT), -ENOMEM);
	pt_collapser_close(collapser);
	assert_int_equal(pt_collapser_open(&collapser, 1 << 22, &err), -ESRCH);
	assert_int_equal(pt_collapser_open(&collapser, child, &err), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(pt_collapser_do(collapser, (uintptr_t)memory, UNIT),
			 -ESRCH);
	pt_collapser_close(collapser);
	munmap(memory, SZ);
	close(memfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_image_zero),
		cmocka_unit_test(test_image_disk),
		cmocka_unit_test(test_guest),
		cmocka_unit_test(test_unmapped),
		cmocka_unit_test(test_guest_small),
		cmocka_unit_test(test_guest_apart),
		cmocka_unit_test(test_guest_hugetlb),
		cmocka_unit_test(test_image_hugetlb),
		cmocka_unit_test(test_collapser_ends),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
