// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The memory of a child that is not in its image: counted by kind, and pages that
 * cannot be read. */
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "poison_kit.h"
#include "scratch.h"
#include "source/source.h"

#define PAGE 4096u
#define PAGES 8

static struct made {		/* by the child, in a shared mapping */
	volatile int is_ready;
	__u8 *file;
	int has_poison;
} *made;

enum child {
	PLAIN,
	ALL_KINDS,
	POISONED,	/* plain, and a page that cannot be read */
};

static void *map(int fd, int flags)
{
	void *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* supply_one: a userfaultfd that has supplied one page of its mapping. */
static void supply_one(void)
{
	static __u8 page[PAGE] = { 7 };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = { .api = UFFD_API };
	__u8 *at = map(-1, MAP_PRIVATE);
	struct uffdio_register reg = {
		.range = { (unsigned long)at, PAGES * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_copy copy = {
		.dst = (unsigned long)at + PAGE, .src = (unsigned long)page,
		.len = PAGE,
	};

	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fd, UFFDIO_COPY, &copy))
		_exit(1);
}

/* constant_map: files that cannot be written through their mapping; of tmpfs it is
 * memory that another process may write. */
static void constant_map(void)
{
	int fd = open(SCRATCH "/largest", O_RDONLY);
	int text = open("/proc/self/exe", O_RDONLY);

	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ||
	    mmap(NULL, PAGE, PROT_READ, MAP_SHARED, text, 0) == MAP_FAILED)
		_exit(1);
}

static void child_main(enum child kind)
{
	__u8 *at;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	made->file = map(scratch_file(SCRATCH "/data", 4 * PAGE), MAP_PRIVATE);
	made->file[0] = 1;
	if (kind == POISONED)
		made->has_poison = kit_poison(map(-1, MAP_PRIVATE), PAGE);
	if (kind == ALL_KINDS) {
		at = map(-1, MAP_SHARED);
		at[0] = at[5 * PAGE] = at[6 * PAGE] = 1;
		map(-1, MAP_SHARED);		/* never written */
		at = map(scratch_file(SCRATCH "/largest", PAGES * PAGE),
			 MAP_SHARED);
		memset(at, 1, PAGES * PAGE);
		constant_map();
		/* Written before, and perhaps again. */
		at = map(-1, MAP_SHARED);
		at[0] = 1;
		if (mprotect(at, PAGES * PAGE, PROT_READ))
			_exit(1);
		supply_one();
	}
	made->is_ready = 1;
	for (;;)
		pause();
}

static struct pt_source *src;
static pid_t pid;

static void child_open(enum child kind, bool is_live)
{
	struct pt_error err = { 0 };
	int ret;

	made->is_ready = 0;
	pid = fork();
	if (!pid)
		child_main(kind);
	for (int ms = 0; !made->is_ready; ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
	ret = is_live ? pt_source_open_live(&src, pid, 0, &err)
		      : pt_source_open_pid(&src, pid, false, &err);
	if (ret)
		fail_msg("%s", err.text);
}

static void child_close(void)
{
	pt_source_close(src);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
}

static void left(struct pt_source_left *out)
{
	struct pt_error err = { 0 };

	if (pt_source_find_left(src, out, &err))
		fail_msg("%s", err.text);
}

/* The test's own shared mapping is one of the child's, too: the two plain ones
 * are the base. */
static void test_kinds(void **state)
{
	struct pt_source_left plain, all;

	(void)state;
	child_open(PLAIN, false);
	left(&plain);
	child_close();
	assert_int_equal(plain.userfault_sz, 0);
	assert_int_equal(plain.beyond_sz, 4 * PAGE);
	assert_true(plain.files_sz > 100000);	/* libc's text */
	child_open(ALL_KINDS, false);
	left(&all);
	assert_int_equal(all.shared_cnt, plain.shared_cnt + 4);
	assert_int_equal(all.shared_sz, plain.shared_sz +
			 (3 + 1 + 1 + PAGES) * PAGE);
	assert_int_equal(all.files_sz, plain.files_sz + PAGE);
	assert_string_equal(all.shared_name, "largest");
	assert_int_equal(all.userfault_cnt, 1);
	assert_int_equal(all.userfault_sz, (PAGES - 1) * PAGE);
	child_close();
}

static __u64 marked;	/* bytes that read_all found to be unreadable */

/* count_marked: such a page is no hole.  A sanitizer's terabytes of holes are not
 * looked at page by page. */
static void count_marked(const struct pt_view *v)
{
	for (__u32 w = 0; w < (v->page_cnt + 63) / 64; w++) {
		assert_int_equal(v->unreadable[w] & v->holes[w], 0);
		marked += (__u64)__builtin_popcountll(v->unreadable[w]) * PAGE;
	}
}

/* read_all views every region. */
static int read_all(struct pt_error *err)
{
	const struct pt_segment *segs;
	struct pt_layout *l;
	struct pt_view v;
	__u32 cnt;
	int ret;

	marked = 0;
	segs = pt_source_segments(src, &cnt);
	assert_int_equal(pt_layout_create(&l, segs, cnt, err), 0);
	pt_view_init(&v);
	ret = 0;
	for (__u64 r = 0; !ret && r < pt_layout_region_cnt(l); r++) {
		ret = pt_source_view(src, &v, l, r, err);
		for (__u32 at = 0; !ret && at < v.page_cnt; at += 64)
			ret = pt_view_load(src, &v, at, pt_view_word(&v, at),
					   err);
		count_marked(&v);
	}
	pt_view_free(&v);
	pt_layout_free(l);
	return ret;
}

/* cannot_read: some pages cannot be read, and are zeroes if that is wanted. */
static void cannot_read(__u32 page_cnt)
{
	struct pt_error err = { 0 };

	assert_int_equal(read_all(&err), -EIO);
	if (!strstr(err.text, "on_unreadable"))
		fail_msg("%s", err.text);
	assert_int_equal(pt_source_zeroed_cnt(src), 0);
	pt_source_on_unreadable(src, PT_UNREADABLE_ZERO);
	assert_int_equal(read_all(&err), 0);
	assert_int_equal(pt_source_zeroed_cnt(src), page_cnt);
	assert_int_equal(marked, 0);
	pt_source_on_unreadable(src, PT_UNREADABLE_MARK);
	assert_int_equal(read_all(&err), 0);
	assert_int_equal(marked, page_cnt * PAGE);
	assert_int_equal(pt_source_zeroed_cnt(src), page_cnt);
}

/* A file that is cut short while the process is read. */
static void test_unreadable(void **state)
{
	(void)state;
	child_open(PLAIN, false);
	assert_int_equal(truncate(SCRATCH "/data", 2 * PAGE), 0);
	cannot_read(2);
	child_close();
}

/* While it runs, a page that is not there any more has no content.  At the stop it
 * should have been a hole. */
static void test_unreadable_of_a_live_one(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	child_open(PLAIN, true);
	assert_int_equal(truncate(SCRATCH "/data", 2 * PAGE), 0);
	assert_int_equal(read_all(&err), 0);
	assert_int_equal(pt_source_stop(src, &err), 0);
	cannot_read(2);
	child_close();
}

/* A page that is there is not taken for one that is not. */
static void test_broken_of_a_live_one(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	child_open(POISONED, true);
	if (!made->has_poison) {
		child_close();
		print_message("skipped: userfaultfd has no poison (Linux 6.6)\n");
		skip();
	}
	cannot_read(1);
	assert_int_equal(pt_source_stop(src, &err), 0);
	assert_int_equal(read_all(&err), 0);
	child_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_unreadable_of_a_live_one),
		cmocka_unit_test(test_broken_of_a_live_one),
	};

	made = map(-1, MAP_SHARED);
	return !made || scratch_mount()
		? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
