/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The memory of a guest, here a child with two memfds: many generations of its
 * pages, with data and zeroes in turn.  A hole that gets no data stays one. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "rebuild_kit.h"

#include "guard_again.h"
#include "sink/sink_guest.h"

#define FIRST_CNT	1100		/* pages: two regions and a part */
#define SECOND_CNT	600
#define CNT		(FIRST_CNT + SECOND_CNT)
#define SECOND_OFF	(3 * PT_PAGE_SZ)	/* of the second, in its file */
#define GENERATIONS	30

static const struct pt_segment segments[] = {
	{ "first", 0, FIRST_CNT * (__u64)PT_PAGE_SZ },
	{ "second", 5000, SECOND_CNT * (__u64)PT_PAGE_SZ },
};

/* memory: one of the guest's. */
static struct memory {
	int fd;
	__u8 *at;		/* shared with the child */
	__u64 sz, off;
	char path[64];
} memories[2];

static struct pt_sink_guest_range ranges[2];
static pid_t child;
static struct pt_error err;
static __u32 run_cnt;
static int run_ret;

static int run_guest(void *arg, struct pt_error *error)
{
	assert_ptr_equal(arg, &run_cnt);
	run_cnt++;
	return run_ret ? pt_error_set(error, PT_EXIT_HOST, run_ret, "no") : 0;
}

static struct pt_sink_guest_cfg cfg_of(void)
{
	return (struct pt_sink_guest_cfg){
		.pid = child, .ranges = ranges, .cnt = 2,
		.run = run_guest, .arg = &run_cnt,
	};
}

static void make_memory(struct memory *m, __u64 sz, __u64 off)
{
	m->sz = sz;
	m->off = off;
	m->fd = memfd_create("ram", MFD_CLOEXEC |
					  MFD_ALLOW_SEALING);
	assert_true(m->fd >= 0);
	assert_int_equal(ftruncate(m->fd, off + sz), 0);
	m->at = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, off);
	assert_ptr_not_equal(m->at, MAP_FAILED);
}

/* start_guest: the child has the memory at the same addresses. */
static void start_guest(void)
{
	pid_t parent = getpid();

	make_memory(&memories[0], segments[0].sz, 0);
	make_memory(&memories[1], segments[1].sz, SECOND_OFF);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			pause();
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(memories[i].path, sizeof(memories[i].path),
			 "/proc/%d/fd/%d", child, memories[i].fd);
		ranges[i] = (struct pt_sink_guest_range){
			.name = segments[i].name, .sz = segments[i].sz,
			.addr = (uintptr_t)memories[i].at,
			.path = memories[i].path, .off = memories[i].off,
		};
	}
	run_cnt = 0;
	run_ret = 0;
}

static void start_sink(void)
{
	const struct pt_sink_guest_cfg cfg = cfg_of();

	assert_int_equal(pt_layout_create(&layout, segments, 2, &err), 0);
	if (pt_sink_open_guest(&sink, &cfg, &err) ||
	    pt_sink_fit(sink, layout, &err))
		fail_msg("%s", err.text);
	assert_false(pt_sink_starts_zero(sink));
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(&counts, 0, sizeof(counts));
	memset(&sum, 0, sizeof(sum));
	memset(&run, 0, sizeof(run));
}

static void stop_sink(void)
{
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
}

static void stop_guest(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		munmap(memories[i].at, memories[i].sz);
		close(memories[i].fd);
	}
}

static __u64 gfn_of(__u32 page)
{
	return page < FIRST_CNT ? page
				: segments[1].gfn + page - FIRST_CNT;
}

static const struct memory *memory_of(__u32 *page)
{
	if (*page < FIRST_CNT)
		return &memories[0];
	*page -= FIRST_CNT;
	return &memories[1];
}

/* read_file reads a page of the file: a look at the mapping would fill a
 * hole. */
static void read_file(__u32 page, __u8 *to)
{
	const struct memory *m = memory_of(&page);

	assert_int_equal(pread(m->fd, to, PT_PAGE_SZ,
			       m->off + page * PT_PAGE_SZ), PT_PAGE_SZ);
}

static void write_file(__u32 page, const __u8 *from)
{
	const struct memory *m = memory_of(&page);

	assert_int_equal(pwrite(m->fd, from, PT_PAGE_SZ,
				m->off + page * PT_PAGE_SZ), PT_PAGE_SZ);
}

static bool is_hole(__u32 page)
{
	const struct memory *m = memory_of(&page);
	off_t off = m->off + page * PT_PAGE_SZ;
	off_t data = lseek(m->fd, off, SEEK_DATA);

	return data < 0 || data >= off + PT_PAGE_SZ;
}

/* ---- many generations ---- */

static __u8 image[CNT][PT_PAGE_SZ];	/* the wanted content */
static bool had_data[CNT];		/* at the start, or ever since */
static bool was_held[CNT];		/* at the start */

/* regions, as pages. */
static const struct {
	__u32 first, cnt;
} regions[] = {
	{ 0, 512 }, { 512, 512 }, { 1024, FIRST_CNT - 1024 },
	{ FIRST_CNT, 512 }, { FIRST_CNT + 512, SECOND_CNT - 512 },
};

/* fill_front: the second file's bytes before the memory. */
static void fill_front(void)
{
	__u8 bytes[SECOND_OFF];

	memset(bytes, 0x77, sizeof(bytes));
	assert_int_equal(pwrite(memories[1].fd, bytes, SECOND_OFF, 0),
			 SECOND_OFF);
}

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

static void send_data(__u32 page, __u32 generation, __u64 *random)
{
	__u64 mask = kit_random(random) | 1;
	__u8 bytes[PT_PAGE_SZ];

	kit_fill(bytes, sizeof(bytes), random);
	for (int b = 0; b < 64; b++)
		if (!(mask >> b & 1))
			memset(bytes + b * 64, 0, 64);
	memcpy(image[page], bytes, PT_PAGE_SZ);
	had_data[page] = true;
	place_page(gfn_of(page), mask, image[page], generation);
}

static void send_zeroes(__u32 page, __u32 cnt, __u32 generation)
{
	memset(image[page], 0, (size_t)cnt * PT_PAGE_SZ);
	place_zero_run(gfn_of(page), cnt, generation);
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

/* ---- holes ---- */

static __u64 allocated_sz(int i)
{
	struct stat st;

	assert_int_equal(fstat(memories[i].fd, &st), 0);
	return st.st_blocks * 512;
}

/* A guest that holds nothing but one page takes one. */
static void test_zeroes_stay_holes(void **state)
{
	__u64 random = 5;

	(void)state;
	memset(image, 0, sizeof(image));
	start_guest();
	start_sink();
	send_zeroes(0, FIRST_CNT, 1);
	send_zeroes(FIRST_CNT, SECOND_CNT, 1);
	assert_int_equal(allocated_sz(0), 0);
	assert_int_equal(allocated_sz(1), 0);
	send_data(FIRST_CNT + 7, 1, &random);
	assert_int_equal(allocated_sz(0), 0);
	assert_int_equal(allocated_sz(1), PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

/* 2 MiB that were a hole, and turn zero, are one again; data of the start stays
 * allocated. */
static void test_zeroes_become_holes(void **state)
{
	__u8 bytes[PT_PAGE_SZ];
	__u64 random = 6;

	(void)state;
	memset(image, 0, sizeof(image));
	start_guest();
	memset(bytes, 1, sizeof(bytes));
	write_file(512, bytes);
	start_sink();
	for (__u32 page = 0; page < FIRST_CNT; page++)
		send_data(page, 1, &random);
	assert_int_equal(allocated_sz(0), FIRST_CNT * PT_PAGE_SZ);
	send_zeroes(0, 512, 2);
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 512) * PT_PAGE_SZ);
	assert_int_equal(pt_sink_zero(sink, 5 * PT_PAGE_SZ, 9 * PT_PAGE_SZ,
				      &err), 0);
	send_zeroes(512, 512, 2);
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 512) * PT_PAGE_SZ);
	read_file(512, bytes);
	assert_memory_equal(bytes, image[512], PT_PAGE_SZ);
	send_zeroes(1024, 40, 2);	/* too few */
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 512) * PT_PAGE_SZ);
	send_data(3, 3, &random);	/* the hole is one like any other */
	send_zeroes(3, 1, 4);
	assert_int_equal(allocated_sz(0), (FIRST_CNT - 511) * PT_PAGE_SZ);
	read_file(3, bytes);
	assert_memory_equal(bytes, image[3], PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

/* The same in a file that has other bytes in front. */
static void test_holes_behind_an_offset(void **state)
{
	__u8 bytes[PT_PAGE_SZ];
	__u64 random = 12;

	(void)state;
	start_guest();
	fill_front();
	start_sink();
	send_zeroes(FIRST_CNT, SECOND_CNT, 1);
	assert_int_equal(allocated_sz(1), SECOND_OFF);
	for (__u32 page = FIRST_CNT; page < CNT; page++)
		send_data(page, 2, &random);
	send_zeroes(FIRST_CNT, 512, 3);
	assert_int_equal(allocated_sz(1), SECOND_OFF +
			 (SECOND_CNT - 512) * PT_PAGE_SZ);
	for (__u32 page = FIRST_CNT; page < CNT; page++) {
		read_file(page, bytes);
		assert_memory_equal(bytes, image[page], PT_PAGE_SZ);
	}
	stop_sink();
	stop_guest();
}

/* A file that cannot be punched, here one with seals, gets zeroes. */
static void test_no_punching(void **state)
{
	__u8 bytes[PT_PAGE_SZ];
	__u64 random = 7;

	(void)state;
	start_guest();
	start_sink();
	for (__u32 page = 0; page < 512; page++)
		send_data(page, 1, &random);
	assert_int_equal(fcntl(memories[0].fd, F_ADD_SEALS,
			       F_SEAL_FUTURE_WRITE), 0);
	send_zeroes(0, 512, 2);
	assert_int_equal(allocated_sz(0), 512 * PT_PAGE_SZ);
	read_file(100, bytes);
	assert_memory_equal(bytes, image[100], PT_PAGE_SZ);
	stop_sink();
	stop_guest();
}

/* Reading a hole, of any size and place, fills none. */
static void test_read(void **state)
{
	static __u8 got[20 * PT_PAGE_SZ], want[20 * PT_PAGE_SZ];
	const __u32 at = FIRST_CNT - 10;	/* across both memories */
	__u64 random = 8;

	(void)state;
	memset(image, 0, sizeof(image));
	start_guest();
	start_sink();
	send_data(at + 3, 1, &random);
	send_data(at + 12, 1, &random);
	memcpy(want, image[at], sizeof(want));
	for (__u32 i = 0; i < 2000; i++) {
		__u64 off = kit_random(&random) % sizeof(got);
		__u64 sz = 1 + kit_random(&random) % (sizeof(got) - off);

		memset(got, 0xee, sizeof(got));
		if (pt_sink_read(sink, at * PT_PAGE_SZ + off, got, sz, &err))
			fail_msg("%s", err.text);
		assert_memory_equal(got, want + off, sz);
	}
	assert_int_equal(allocated_sz(0), PT_PAGE_SZ);
	assert_int_equal(allocated_sz(1), PT_PAGE_SZ);
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
		cmocka_unit_test(test_zeroes_stay_holes),
		cmocka_unit_test(test_zeroes_become_holes),
		cmocka_unit_test(test_holes_behind_an_offset),
		cmocka_unit_test(test_no_punching),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_commit_runs),
		cmocka_unit_test(test_other_memory),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_guest_gone),
	};

	guard_again();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
