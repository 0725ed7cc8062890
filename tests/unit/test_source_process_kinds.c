// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Mappings of a child, judged by what they are: a file under /dev that is no
 * device, /dev/zero, pages beyond a file's end, address space that was never
 * touched, memory that cannot be written any more, and many mappings. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include "scratch.h"
#include "source/source.h"

#define PAGE 4096u
#define SPARSE_SZ (1ULL << 40)

static struct made {		/* by the child, in a shared mapping */
	volatile int is_ready;
	__u8 *of_dev, *of_zero, *beyond, *sparse;
	__u8 *jit, *locked, *reserved, *nameless;
} *made;

static void *private_map(const char *path, __u64 sz)
{
	int fd = path ? open(path, O_RDWR) : -1;

	return mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		    MAP_NORESERVE | (path ? 0 : MAP_ANONYMOUS), fd, 0);
}

/* protected_make: memory that was written, and cannot be any more, a file without a
 * name, and address space that was never touched. */
static void protected_make(void)
{
	int fd = memfd_create("nameless", MFD_CLOEXEC);

	made->jit = private_map(NULL, 8 * PAGE);
	made->locked = private_map(NULL, 8 * PAGE);
	made->jit[PAGE] = 11;
	made->locked[2 * PAGE] = 12;
	scratch_write(fd, 4 * PAGE, "7", 1);
	made->nameless = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	made->reserved = mmap(NULL, SPARSE_SZ, PROT_NONE, MAP_PRIVATE |
			      MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mprotect(made->jit, 8 * PAGE, PROT_READ | PROT_EXEC) ||
	    mprotect(made->locked, 8 * PAGE, PROT_NONE))
		_exit(1);
}

static void child_main(void)
{
	int fd = scratch_file("/dev/huge/ram", 8 * PAGE);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(fd);
	made->of_dev = private_map("/dev/huge/ram", 8 * PAGE);
	unlink("/dev/huge/ram");
	made->of_dev[5 * PAGE] = 5;
	made->of_zero = private_map("/dev/zero", 8 * PAGE);
	made->of_zero[6 * PAGE] = 6;
	fd = scratch_file(SCRATCH "/short", PAGE + 1);
	scratch_write(fd, PAGE, "7", 1);
	close(fd);
	made->beyond = private_map(SCRATCH "/short", 1024 * PAGE);
	made->beyond[0] = 1;
	made->sparse = private_map(NULL, SPARSE_SZ);
	made->sparse[SPARSE_SZ / 2] = 8;
	made->sparse[SPARSE_SZ / 2 + PAGE] = 9;
	made->sparse[SPARSE_SZ - 1] = 10;
	protected_make();
	made->is_ready = 1;
	for (;;)
		pause();
}

struct child {
	pid_t pid;
	struct pt_source *src;
	struct pt_layout *l;
	struct pt_view v;
};

static void source_open(struct child *c)
{
	const struct pt_segment *segs;
	struct pt_error err = { 0 };
	__u32 cnt;

	if (pt_source_open_pid(&c->src, c->pid, false, &err))
		fail_msg("%s", err.text);
	segs = pt_source_segments(c->src, &cnt);
	assert_int_equal(pt_layout_create(&c->l, segs, cnt, &err), 0);
	pt_view_init(&c->v);
}

static void child_open(struct child *c)
{
	memset(made, 0, sizeof(*made));
	c->pid = fork();
	if (!c->pid)
		child_main();
	for (int ms = 0; !made->is_ready; ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
	source_open(c);
}

static void child_close(struct child *c)
{
	pt_view_free(&c->v);
	pt_layout_free(c->l);
	pt_source_close(c->src);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, __WALL);
}

/* view loads the region of an address, and returns the address's page in it; -1:
 * no segment has it. */
static int view(struct child *c, const __u8 *addr)
{
	struct pt_error err = { 0 };
	__u64 idx;

	if (!pt_layout_find(c->l, (__u64)addr / PAGE, &idx))
		return -1;
	if (pt_source_view(c->src, &c->v, c->l, idx / PT_REGION_PAGES, &err))
		fail_msg("%s", err.text);
	for (__u32 first = 0; first < c->v.page_cnt; first += 64)
		if (pt_view_load(c->src, &c->v, first,
				 pt_view_word(&c->v, first), &err))
			fail_msg("%s", err.text);
	return idx % PT_REGION_PAGES;
}

/* assert_byte: the first byte of the page at addr; hole: -1. */
static void assert_byte(struct child *c, const __u8 *addr, int want)
{
	int page = view(c, addr);

	assert_true(page >= 0);
	if (pt_view_is_hole(&c->v, page))
		assert_int_equal(-1, want);
	else
		assert_int_equal(c->v.pages[page * PAGE], want);
}

static void test_file_under_dev(void **state)
{
	struct child c;

	(void)state;
	child_open(&c);
	assert_byte(&c, made->of_dev + 5 * PAGE, 5);
	assert_byte(&c, made->of_dev, 0);
	child_close(&c);
}

static void test_dev_zero_is_anonymous(void **state)
{
	struct child c;

	(void)state;
	child_open(&c);
	assert_byte(&c, made->of_zero + 6 * PAGE, 6);
	assert_byte(&c, made->of_zero, -1);
	child_close(&c);
}

static void test_pages_beyond_the_end(void **state)
{
	struct child c;

	(void)state;
	child_open(&c);
	assert_byte(&c, made->beyond, 1);
	assert_byte(&c, made->beyond + PAGE, '7');
	assert_byte(&c, made->beyond + 2 * PAGE, -1);
	assert_byte(&c, made->beyond + 1023 * PAGE, -1);
	child_close(&c);
}

static void test_not_writable_any_more(void **state)
{
	struct child c;

	(void)state;
	child_open(&c);
	assert_byte(&c, made->jit + PAGE, 11);
	assert_byte(&c, made->jit, -1);
	assert_byte(&c, made->locked + 2 * PAGE, 12);
	assert_byte(&c, made->locked + 3 * PAGE, -1);
	assert_byte(&c, made->nameless + 4 * PAGE, '7');
	assert_int_equal(view(&c, made->reserved), -1);
	child_close(&c);
}

/* Every region of 1 TiB is seen, and its three pages are found. */
static void test_never_touched(void **state)
{
	const __u8 *at;
	__u64 data_cnt = 0;
	struct child c;

	(void)state;
	child_open(&c);
	at = made->sparse;
	assert_byte(&c, at, -1);
	for (; at < made->sparse + SPARSE_SZ; at += PT_REGION_SZ) {
		assert_true(view(&c, at) >= 0);
		for (__u32 i = 0; i < c.v.page_cnt; i++)
			data_cnt += !pt_view_is_hole(&c.v, i);
	}
	assert_int_equal(data_cnt, 3);
	assert_byte(&c, made->sparse + SPARSE_SZ / 2, 8);
	assert_byte(&c, made->sparse + SPARSE_SZ / 2 + PAGE, 9);
	assert_byte(&c, made->sparse + SPARSE_SZ - PAGE, 0);
	assert_int_equal(c.v.pages[(view(&c, made->sparse + SPARSE_SZ - 1) + 1) *
				   PAGE - 1], 10);
	child_close(&c);
}

/* --- many mappings --------------------------------------------------- */

#define MANY		60000u
#define MAP_US		20	/* CPU time for one, at most */
#define MOST		65536u	/* see PT_SEGMENTS_MAX */
#define MAP_COUNT	"/proc/sys/vm/max_map_count"

#ifdef __SANITIZE_ADDRESS__
#define SLOWNESS	5	/* of the sanitizers */
#else
#define SLOWNESS	1
#endif

static char map_count[32];	/* of the machine, to be put back */

static void map_count_write(const char *text)
{
	FILE *file = fopen(MAP_COUNT, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int map_count_raise(void **state)
{
	FILE *file = fopen(MAP_COUNT, "r");

	(void)state;
	if (!file || !fgets(map_count, sizeof(map_count), file))
		return -1;
	fclose(file);
	map_count_write("200000");
	return 0;
}

static int map_count_restore(void **state)
{
	(void)state;
	map_count_write(map_count);
	return 0;
}

/* many_main has one page of data in each mapping; neighbours differ in a flag. */
static void many_main(__u32 cnt)
{
	__u8 *at = private_map(NULL, (__u64)cnt * PAGE);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (__u32 i = 0; i < cnt; i++) {
		if (i % 2 && madvise(at + i * PAGE, PAGE, MADV_DONTDUMP))
			_exit(1);
		at[i * PAGE] = i % 255 + 1;
	}
	made->sparse = at;
	made->is_ready = 1;
	for (;;)
		pause();
}

static pid_t many_start(__u32 cnt)
{
	pid_t pid;

	memset(made, 0, sizeof(*made));
	pid = fork();
	if (!pid)
		many_main(cnt);
	for (int ms = 0; !made->is_ready; ms++) {
		assert_true(ms < 60000);
		usleep(1000);
	}
	return pid;
}

static __u64 cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

/* The time for a mapping does not grow with their number. */
static void test_many_mappings(void **state)
{
	struct child c = { .pid = many_start(MANY) };
	struct pt_source_left left;
	struct pt_error err = { 0 };
	__u64 began_us = cpu_us(), took_us;

	(void)state;
	source_open(&c);
	assert_int_equal(pt_source_find_left(c.src, &left, &err), 0);
	for (__u32 i = 0; i < MANY; i++)
		assert_byte(&c, made->sparse + i * PAGE, i % 255 + 1);
	took_us = cpu_us() - began_us;
	print_message("%.1f us of CPU time a mapping\n", took_us / (double)MANY);
	assert_true(took_us / MANY < MAP_US * SLOWNESS);
	child_close(&c);
}

static void test_too_many_mappings(void **state)
{
	pid_t pid = many_start(MOST + 1);
	struct pt_error err = { 0 };
	struct pt_source *src;

	(void)state;
	assert_int_equal(pt_source_open_pid(&src, pid, false, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 65536 mappings of private"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_under_dev),
		cmocka_unit_test(test_dev_zero_is_anonymous),
		cmocka_unit_test(test_pages_beyond_the_end),
		cmocka_unit_test(test_not_writable_any_more),
		cmocka_unit_test(test_never_touched),
		cmocka_unit_test_setup_teardown(test_many_mappings,
						map_count_raise,
						map_count_restore),
		cmocka_unit_test_setup_teardown(test_too_many_mappings,
						map_count_raise,
						map_count_restore),
	};

	made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (made == MAP_FAILED || scratch_mount() ||
	    mount("scratch", "/dev", "tmpfs", 0, "mode=755") ||
	    mkdir("/dev/huge", 0700) ||
	    mknod("/dev/zero", S_IFCHR | 0600, makedev(1, 5)))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
