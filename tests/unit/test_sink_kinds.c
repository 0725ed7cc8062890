// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Frames of two generations, in any order, some of the first lost, into each
 * kind of memory sink, and into one that takes only whole pages: with any
 * former content, the sink holds the second generation in the end. */
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "rebuild_kit.h"

#include "guard_again.h"
#include "paused_child.h"
#include "scratch.h"
#include "sink/sink_memfd.h"
#include "sink/sink_ops.h"
#include "sink/sink_process.h"
#include "sink/sink_regions.h"

#define CNT	60			/* pages, two segments */
#define SPLIT	25
#define FRAMES	400
#define FIRST_ROW	4		/* of the rows, in main */

static const struct pt_segment segments[] = {
	{ "a", LOW, SPLIT * (__u64)PT_PAGE_SZ },
	{ "b", HIGH, (CNT - SPLIT) * (__u64)PT_PAGE_SZ },
};

static __u8 image[CNT][PT_PAGE_SZ];
static __u8 *ram;			/* shared with the child */
static int fd;
static pid_t child;
static struct pt_error err;

/* Two regions, in another order than the segments. */
static void make_regions(struct pt_region regions[2])
{
	regions[0] = (struct pt_region){
		.addr = ram + (CNT - SPLIT) * PT_PAGE_SZ, .gfn = LOW,
		.sz = SPLIT * PT_PAGE_SZ,
	};
	regions[1] = (struct pt_region){
		.addr = ram, .gfn = HIGH, .sz = (CNT - SPLIT) * PT_PAGE_SZ,
	};
}

static void open_regions(void)
{
	struct pt_region regions[2];

	make_regions(regions);
	assert_int_equal(pt_sink_open_regions(&sink, regions, 2, false, &err),
			 0);
}

static void open_process(void)
{
	struct pt_region regions[2];

	child = paused_child();
	make_regions(regions);
	assert_int_equal(pt_sink_open_process(&sink, child, regions, 2, false,
					      &err), 0);
	assert_true(pt_sink_may_wait(sink));
}

static void open_memfd(void)
{
	assert_int_equal(pt_sink_open_memfd(&sink, fd, &err), 0);
}

static void open_empty_memfd(void)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pt_sink_open_memfd(&sink, fd, &err), 0);
}

/* --- only whole pages -------------------------------------------------- */

static struct whole {
	struct pt_sink sink;
	__u8 pages[CNT][PT_PAGE_SZ];
	__u32 completed[CNT];
} whole;

static int whole_fit(struct pt_sink *s, const struct pt_layout *l,
		     struct pt_error *error)
{
	(void)error;
	s->sz = pt_layout_image_sz(l);
	return 0;
}

static int whole_complete(struct pt_sink *s, __u64 off, const void *page,
			  struct pt_error *error)
{
	(void)s;
	(void)error;
	assert_int_equal(off % PT_PAGE_SZ, 0);
	memcpy(whole.pages[off / PT_PAGE_SZ], page, PT_PAGE_SZ);
	whole.completed[off / PT_PAGE_SZ]++;
	return 0;
}

static int whole_zero(struct pt_sink *s, __u64 off, __u64 sz,
		      struct pt_error *error)
{
	(void)s;
	(void)error;
	assert_int_equal(off % PT_PAGE_SZ, 0);
	assert_int_equal(sz % PT_PAGE_SZ, 0);
	memset(whole.pages[off / PT_PAGE_SZ], 0, sz);
	return 0;
}

static int whole_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		      struct pt_error *error)
{
	(void)s;
	(void)error;
	memcpy(to, whole.pages[0] + off, sz);
	return 0;
}

static void whole_close(struct pt_sink *s)
{
	(void)s;
}

static const struct pt_sink_ops whole_ops = {
	.fit = whole_fit,
	.complete = whole_complete,
	.zero = whole_zero,
	.read = whole_read,
	.close = whole_close,
};

static void open_whole(void)
{
	memset(&whole, 0, sizeof(whole));
	memset(whole.pages, 0xff, sizeof(whole.pages));
	whole.sink.ops = &whole_ops;
	sink = &whole.sink;
}

static void open_whole_zero(void)
{
	open_whole();
	memset(whole.pages, 0, sizeof(whole.pages));
	whole.sink.starts_zero = true;
}

/* --- frames ------------------------------------------------------------ */

static struct sent {
	__u8 *bytes;
	__u32 sz;
} frames[FRAMES];
static __u32 frame_cnt;

static __u64 gfn_of(__u32 i)
{
	return i < SPLIT ? LOW + i : HIGH + i - SPLIT;
}

static void close_frame(struct pt_builder *builder, __u32 generation)
{
	struct sent *f = &frames[frame_cnt++];

	assert_true(frame_cnt <= FRAMES);
	f->sz = frame_close(builder, generation, frame_cnt);
	f->bytes = malloc(f->sz);
	memcpy(f->bytes, frame, f->sz);
}

/* make_frames makes frames of another image: a quarter of its pages are zero; a
 * few of the rest are copies of others. */
static void make_frames(__u32 mtu, __u32 generation, __u64 *random)
{
	struct pt_builder builder = page_builder(mtu);

	for (__u32 i = 0; i < CNT; i++) {
		__u64 mask = i % 4 ? kit_mask(random) : 0;

		if (i % 9 == 5)	/* pieces of it are zero */
			mask = 1ULL << 40;
		memset(image[i], 0, PT_PAGE_SZ);
		for (__u64 left = mask; left; left &= left - 1)
			kit_fill(&image[i][__builtin_ctzll(left) * 64], 64,
				 random);
	}
	for (__u32 i = 0; i < CNT; i++) {
		__u64 mask = pt_scan(image[i]);

		while (!mask && !pt_builder_add_zeroes(&builder, gfn_of(i), 1))
			close_frame(&builder, generation);
		for (unsigned at = mask ? 0 : 64; at < 64; ) {
			at = pt_builder_add_page(&builder, gfn_of(i), at, mask,
						 image[i]);
			if (at < 64)
				close_frame(&builder, generation);
		}
	}
	close_frame(&builder, generation);
}

/* place_frames in any order, each with a chance of pct. */
static void place_frames(__u32 pct, __u64 *random)
{
	while (frame_cnt) {
		__u32 i = kit_random(random) % frame_cnt;
		struct sent f = frames[i];

		frames[i] = frames[--frame_cnt];
		if (kit_random(random) % 100 < pct)
			batch_place(f.bytes, f.sz, 3840);
		free(f.bytes);
	}
	batch_flush();
}

static void assert_image(void)
{
	static __u8 got[CNT * PT_PAGE_SZ];
	__u64 want[2] = { 0 };

	if (pt_sink_read(sink, 0, got, sizeof(got), &err))
		fail_msg("%s", err.text);
	for (__u32 i = 0; i < CNT; i++) {
		if (memcmp(got + i * PT_PAGE_SZ, image[i], PT_PAGE_SZ))
			fail_msg("page %u differs", i);
		want[i >= SPLIT] += true_digest(gfn_of(i), image[i]);
	}
	assert_int_equal(region_digest(0), want[0]);
	assert_int_equal(region_digest(1), want[1]);
}

static const struct row {
	const char *name;
	void (*open)(void);
	bool is_zero;
} rows[] = {
	{ "regions", open_regions, false },
	{ "another process", open_process, false },
	{ "memfd", open_memfd, false },
	{ "empty memfd", open_empty_memfd, true },
	{ "whole pages", open_whole, false },
	{ "whole pages, zero before", open_whole_zero, true },
};

static void start(const struct row *row)
{
	fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, CNT * PT_PAGE_SZ), 0);
	ram = mmap(NULL, CNT * PT_PAGE_SZ, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	memset(ram, 0xff, CNT * PT_PAGE_SZ);
	assert_int_equal(pt_layout_create(&layout, segments, 2, &err), 0);
	row->open();
	if (pt_sink_fit(sink, layout, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_sink_starts_zero(sink), row->is_zero);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(&counts, 0, sizeof(counts));
	memset(&sum, 0, sizeof(sum));
	memset(&run, 0, sizeof(run));
}

static void stop(void)
{
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
	munmap(ram, CNT * PT_PAGE_SZ);
	close(fd);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	child = 0;
}

static void test_row(void **state)
{
	static const __u32 mtus[] = { 1280, 1500, 9000 };
	const struct row *row = *state;
	__u64 random = 3;

	for (__u32 round = 0; round < 3 * COUNT_OF(mtus); round++) {
		__u32 mtu = mtus[round % COUNT_OF(mtus)];

		start(row);
		make_frames(mtu, 1, &random);
		place_frames(75, &random);
		make_frames(mtu, 2, &random);
		place_frames(100, &random);
		assert_image();
		stop();
	}
}

/* A page is passed on whole, once for each content, never in pieces. */
static void test_completed_once(void **state)
{
	__u64 random = 4;

	(void)state;
	start(&rows[4]);
	make_frames(1280, 1, &random);
	place_frames(100, &random);
	for (__u32 i = 0; i < CNT; i++)
		assert_int_equal(whole.completed[i], i % 4 || i % 9 == 5);
	assert_image();
	stop();
}

static void test_refused(void **state)
{
	struct pt_region regions[2];
	char path[64];
	int pipes[2];

	(void)state;
	start(&rows[0]);
	make_regions(regions);
	sink->ops->close(sink);
	sink = NULL;
	assert_int_equal(pt_sink_open_process(&sink, 0x7ffffff0, regions, 2,
					      false, &err), -ESRCH);
	assert_int_equal(pt_sink_open_process(&sink, getpid(), regions, 0,
					      false, &err), -EINVAL);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(pt_sink_open_memfd(&sink, pipes[0], &err), -EINVAL);
	assert_null(sink);
	close(pipes[0]);
	close(pipes[1]);
	/* A regular file that can be written, but of no file system of memory. */
	pipes[0] = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	assert_int_equal(pt_sink_open_memfd(&sink, pipes[0], &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a memfd"));
	close(pipes[0]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pipes[0] = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pt_sink_open_memfd(&sink, pipes[0], &err), -EINVAL);
	assert_non_null(strstr(err.text, "writing"));
	close(pipes[0]);
	assert_int_equal(ftruncate(fd, (CNT - 1) * PT_PAGE_SZ), 0);
	assert_int_equal(pt_sink_open_memfd(&sink, fd, &err), 0);
	assert_int_equal(pt_sink_fit(sink, layout, &err), -EINVAL);
	assert_non_null(strstr(err.text, "are sent"));
	stop();
}

/* A process that ends is an error. */
static void test_process_gone(void **state)
{
	__u8 page[PT_PAGE_SZ];

	(void)state;
	start(&rows[1]);
	assert_int_equal(pt_sink_zero(sink, 0, PT_PAGE_SZ, &err), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
	assert_int_equal(pt_sink_zero(sink, 0, PT_PAGE_SZ, &err), -EIO);
	assert_int_equal(pt_sink_read(sink, 0, page, sizeof(page), &err), -EIO);
	assert_non_null(strstr(err.text, "process"));
	stop();
}

static bool is_huge_mapped(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	bool is_there = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		is_there |= !!strstr(line, "memfd:huge");
	fclose(f);
	return is_there;
}

/* A memory that ends within a huge page: the memfd has all of that page, and
 * what was mapped is unmapped. */
static void test_huge_memfd_uneven(void **state)
{
	struct stat st;

	(void)state;
	if (!scratch_huge(1))
		skip();		/* the machine has too few */
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	assert_int_equal(pt_layout_create(&layout, segments, 2, &err), 0);
	assert_int_equal(pt_sink_open_memfd(&sink, fd, &err), 0);
	if (pt_sink_fit(sink, layout, &err))
		fail_msg("%s", err.text);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 2 << 20);
	assert_true(is_huge_mapped());
	pt_sink_close(sink);
	assert_false(is_huge_mapped());
	pt_layout_free(layout);
	close(fd);
	scratch_huge(-1);
}

int main(void)
{
	struct CMUnitTest tests[FIRST_ROW + sizeof(rows) / sizeof(rows[0])] = {
		cmocka_unit_test(test_completed_once),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_huge_memfd_uneven),
		cmocka_unit_test(test_process_gone),
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[FIRST_ROW + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	guard_again();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
