/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Pages of a guest's memory, here a child with a memfd, that could not be read at the
 * source: marked in the guest's process and in another that maps them; the rest of the
 * memory stays as it was, and mapped. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "scratch.h"

#include "memory/large.h"
#include "sink/sink_guest.h"
#include "sink/sink_large.h"
#include "sink/sink_run.h"
#include "track/poison.h"
#include "vmm/collapse.h"
#include "vmm/marker.h"

#define UNIT	PT_LARGE_SZ
#define UNITS	6u
#define SZ	(UNITS * (__u64)UNIT)
#define PAGE	((__u64)PT_PAGE_SZ)
#define LATE_NS	1000000ULL
#define LATE_CNT 300		/* looks of a collapse that is late, 1 ms each */

static const struct pt_segment segment = { "ram", 0, SZ };
static struct pt_layout *layout;
static struct pt_large want;
static struct pt_sink *sink;
static struct pt_collapser *collapser;
static struct pt_marker *marker;
static struct pt_error err;
static char path[64];
static pid_t child, other, late;
static int memfd;
static __u8 *memory;

static atomic_uint collapsed_cnt;	/* units */
static atomic_bool has_marked, is_late;
static bool is_marked_early;		/* once the memory is known to have no marks */
static bool is_huge;			/* the memory is of hugetlbfs */
static __u32 marked_cnt;		/* calls */
static __u32 before_cnt;		/* units collapsed before the first */
static __u32 touched_cnt;		/* of which so many find a page in use */
static __u32 unmarked_cnt;		/* calls */

/* collapse: with is_late it waits for marks, which must not come. */
static int collapse(void *arg, __u64 addr, __u64 sz)
{
	int ret;

	(void)arg;
	for (int i = 0; i < LATE_CNT && is_late && !has_marked; i++)
		nanosleep(&(struct timespec){ .tv_nsec = LATE_NS }, NULL);
	ret = pt_collapser_do(collapser, addr, sz);
	collapsed_cnt += sz / UNIT;
	return ret;
}

static int poison(void *arg, const struct pt_sink_guest_mark *marks, __u32 cnt,
		  struct pt_error *error)
{
	struct pt_marker_range ranges[8];

	(void)arg;
	assert_in_range(cnt, 1, 8);
	if (!marked_cnt++)
		before_cnt = collapsed_cnt;
	has_marked = true;
	if (marked_cnt <= touched_cnt)
		return pt_error_set(error, PT_EXIT_HOST, -EEXIST, "in use");
	for (__u32 i = 0; i < cnt; i++)
		ranges[i] = (struct pt_marker_range){ marks[i].addr, marks[i].sz };
	return pt_marker_do(marker, ranges, cnt, error);
}

static void map_memory(void)
{
	assert_ptr_equal(mmap(memory, SZ, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, memfd, 0), memory);
}

/* polling_child maps the memory, and waits in poll(2). */
static pid_t polling_child(void)
{
	pid_t parent = getpid(), pid;
	int ready[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid) {
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	map_memory();
	if (write(ready[1], "", 1) != 1)
		_exit(1);
	while (getppid() == parent)
		poll(NULL, 0, -1);
	_exit(0);
}

static int run(void *arg, struct pt_error *error);

static void unmarked(void *arg, const struct pt_error *error)
{
	(void)arg;
	assert_int_not_equal(error->text[0], 0);
	unmarked_cnt++;
}

static void start_guest(void)
{
	__u8 *room = mmap(NULL, SZ + 2 * UNIT, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memory = room + (-(uintptr_t)room & (UNIT - 1));
	memfd = memfd_create("ram", MFD_CLOEXEC | (is_huge ? MFD_HUGETLB : 0));
	assert_int_equal(ftruncate(memfd, SZ), 0);
	child = polling_child();
	other = polling_child();
	assert_int_equal(pt_collapser_open(&collapser, child, &err), 0);
	assert_int_equal(pt_marker_open(&marker, child, &err), 0);
	assert_non_null(marker);
	collapsed_cnt = marked_cnt = touched_cnt = unmarked_cnt = 0;
	has_marked = is_late = false;
}

static int mark_one(void)
{
	const struct pt_marker_range one = {
		(uintptr_t)memory + 2 * UNIT + 9 * PAGE, PAGE,
	};

	return pt_marker_do(marker, &one, 1, &err);
}

/* open_sink wants units 0, 2 and 3 to be large. */
static void open_sink(bool can_mark)
{
	struct pt_sink_guest_range range = {
		.name = segment.name, .sz = SZ, .addr = (uintptr_t)memory,
		.path = path,
	};
	const struct pt_sink_guest_cfg cfg = {
		.pid = child, .ranges = &range, .cnt = 1, .collapse = collapse,
		.poison = can_mark ? poison : NULL, .unmarked = unmarked,
		.run = run,
	};

	assert_int_equal(pt_layout_create(&layout, &segment, 1, &err), 0);
	assert_int_equal(pt_large_init(&want, layout), 0);
	for (__u64 i = 0; i < 3; i += 2)
		assert_int_equal(pt_large_want(&want, layout,
			&(struct pt_large_run){ i, i ? 2 : 1 }), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	if (pt_sink_open_guest(&sink, &cfg, &err) ||
	    pt_sink_fit(sink, layout, &err) ||
	    (is_marked_early && mark_one()) ||
	    pt_sink_large_begin(sink, &want, &err))
		fail_msg("%s", err.text);
}

static void child_end(pid_t *pid)
{
	if (*pid)
		kill(*pid, SIGKILL);
	if (*pid)
		waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void stop_guest(void)
{
	child_end(&late);	/* it has the marker's socket */
	pt_sink_close(sink);
	pt_large_free(&want);
	pt_layout_free(layout);
	pt_collapser_close(collapser);
	pt_marker_close(marker);
	child_end(&child);
	child_end(&other);
	munmap(memory, SZ);
	close(memfd);
}

/* fill: each page of units 0..4 has its own number in it. */
static void fill(void)
{
	static struct pt_sink_run run;
	static __u8 bytes[PT_PAGE_SZ];

	for (__u64 page = 0; page < 5 * UNIT / PAGE; page++) {
		memset(&run, 0, sizeof(run));
		memset(bytes, page % 255 + 1, sizeof(bytes));
		assert_int_equal(pt_sink_run_add(&run, sink, page * PAGE, bytes,
						 PAGE, &err), 0);
		assert_int_equal(pt_sink_run_flush(&run, &err), 0);
	}
}

/* lose: as a receiver does with pages that come as unreadable. */
static void lose(__u64 page, __u64 cnt)
{
	assert_int_equal(pt_sink_check_marks(sink, &err), 0);
	assert_int_equal(pt_sink_zero(sink, page * PAGE, cnt * PAGE, &err), 0);
	assert_int_equal(pt_sink_mark(sink, page * PAGE, cnt * PAGE, &err), 0);
}

/* byte_of returns a byte of the page as a process of that memory has it; -1: it
 * cannot be read. */
static int byte_of(pid_t pid, __u64 page)
{
	__u8 byte;
	struct iovec to = { &byte, 1 }, from = { memory + page * PAGE, 1 };

	return process_vm_readv(pid, &to, 1, &from, 1, 0) == 1 ? byte : -1;
}

static void is_marked(__u64 page)
{
	assert_int_equal(byte_of(child, page), -1);
	assert_int_equal(byte_of(other, page), -1);
}

/* All but these pages of unit 2 and these of unit 4 are as they were filled. */
static void test_marked(void **state)
{
	struct pt_sink_large_count count;

	(void)state;
	start_guest();
	open_sink(true);
	fill();
	lose(2 * 512 + 7, 2);
	lose(4 * 512 + 511, 2);		/* the next unit is a hole */
	if (pt_sink_sync(sink, &err))
		fail_msg("%s", err.text);
	pt_sink_large_count(sink, &count);
	assert_int_equal(count.large_cnt, 2);	/* one was taken apart */
	assert_int_equal(count.unmapped_cnt, 0);
	is_marked(2 * 512 + 7);
	is_marked(2 * 512 + 8);
	is_marked(4 * 512 + 511);
	is_marked(5 * 512);
	for (__u64 page = 0; page < 5 * 512 - 1; page++) {
		if (page == 2 * 512 + 7 || page == 2 * 512 + 8)
			continue;
		assert_int_equal(byte_of(child, page), page % 255 + 1);
		assert_int_equal(byte_of(other, page), page % 255 + 1);
	}
	assert_int_equal(byte_of(child, 5 * 512 + 1), 0);
	stop_guest();
}

/* All units are built before the first mark: a collapse would remove it. */
static void test_after_all_collapses(void **state)
{
	(void)state;
	start_guest();
	is_late = true;
	open_sink(true);
	lose(3 * 512 + 5, 1);
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(before_cnt, 3);
	is_marked(3 * 512 + 5);
	stop_guest();
}

/* A unit in which there are marks, of an earlier transfer, is not collapsed. */
static void test_no_collapse_over_marks(void **state)
{
	struct pt_sink_large_count count;

	(void)state;
	start_guest();
	is_marked_early = true;
	open_sink(true);
	is_marked_early = false;
	pt_sink_large_finish(sink);
	pt_sink_large_count(sink, &count);
	is_marked(2 * 512 + 9);
	assert_int_equal(count.failure, -EHWPOISON);
	/* Another transfer into it would leave the mark where it has content. */
	assert_int_equal(pt_sink_fit(sink, layout, &err), -EBUSY);
	stop_guest();
}

/* Neither khugepaged nor anybody else makes a large page of a unit with a mark, which
 * would take it out; of any other it is possible. */
static void test_no_collapse_ever(void **state)
{
	(void)state;
	start_guest();
	open_sink(true);
	fill();
	lose(3 * 512 + 5, 1);
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_not_equal(pt_collapser_do(collapser, (uintptr_t)memory + 3 * UNIT,
					     UNIT), 0);
	is_marked(3 * 512 + 5);
	assert_int_equal(pt_collapser_do(collapser, (uintptr_t)memory + UNIT, UNIT),
			 0);
	assert_int_equal(byte_of(child, 512 + 7), (512 + 7) % 255 + 1);
	stop_guest();
}

static void test_touched(void **state)
{
	(void)state;
	start_guest();
	open_sink(true);
	fill();
	touched_cnt = 3;
	lose(512 + 1, 1);
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(marked_cnt, 4);
	is_marked(512 + 1);
	/* It is in use for ever. */
	touched_cnt = ~0u;
	assert_int_equal(pt_sink_sync(sink, &err), -EEXIST);
	stop_guest();
}

/* run: a back-end maps the memory when the guest begins to run, and touches pages. */
static int run(void *arg, struct pt_error *error)
{
	(void)arg;
	(void)error;
	late = polling_child();
	assert_int_equal(byte_of(late, 512 + 1), 0);
	assert_int_equal(byte_of(late, 512 + 3), (512 + 3) % 255 + 1);
	return 0;
}

static void test_mapped_late(void **state)
{
	(void)state;
	start_guest();
	open_sink(true);
	fill();
	lose(512 + 1, 2);
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	for (__u64 page = 512 + 1; page < 512 + 3; page++) {
		is_marked(page);
		assert_int_equal(byte_of(late, page), -1);
	}
	assert_int_equal(byte_of(late, 512 + 3), (512 + 3) % 255 + 1);
	assert_int_equal(unmarked_cnt, 0);
	child_end(&late);
	/* It goes on running, and somebody is told, where that fails. */
	touched_cnt = ~0u;
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	assert_int_equal(unmarked_cnt, 1);
	stop_guest();
}

static void test_refused(void **state)
{
	(void)state;
	start_guest();
	open_sink(false);
	assert_int_equal(pt_sink_check_marks(sink, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "memory 'ram': pages that could not be "
			       "read at the source cannot be marked: this kernel"));
	/* The guest's process ends. */
	child_end(&child);
	assert_int_equal(pt_marker_do(marker, &(struct pt_marker_range){
		(uintptr_t)memory, PAGE }, 1, &err), -ESRCH);
	stop_guest();
}

/* A hole there is 2 MiB: the pages beside the one would be lost, too. */
static void test_hugetlb(void **state)
{
	(void)state;
	if (!scratch_huge(UNITS))
		skip();		/* the machine has too few */
	is_huge = true;
	start_guest();
	is_huge = false;
	open_sink(true);
	assert_int_equal(pt_sink_check_marks(sink, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "it is not on a tmpfs"));
	stop_guest();
	scratch_huge(-(int)UNITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marked),
		cmocka_unit_test(test_after_all_collapses),
		cmocka_unit_test(test_no_collapse_over_marks),
		cmocka_unit_test(test_no_collapse_ever),
		cmocka_unit_test(test_touched),
		cmocka_unit_test(test_mapped_late),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hugetlb),
	};

	if (!pt_poison_is_offered()) {
		printf("skipped: needs Linux 6.7\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
