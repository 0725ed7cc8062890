// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The caller's own memory as a sink, which need not be zero when it begins: in
 * the end it equals the sent memory, byte for byte, and pages that were not
 * sent are unchanged. */
#include <sys/mman.h>

#include "rebuild_kit.h"

#include "guard_again.h"
#include "sink/sink_regions.h"

/* The memory of rebuild_kit, LOW and MID in three regions, of which the middle one
 * has the end of LOW and all but the last page of MID, HIGH in one with pages
 * before and behind it. */
#define CUT	100
#define A_CNT	(LOW_CNT - CUT)
#define B_CNT	(CUT + MID_CNT - 1)
#define AROUND	3
#define C_CNT	(HIGH_CNT + 2 * AROUND)

static __u8 a[A_CNT][PT_PAGE_SZ] __attribute__((aligned(4096)));
static __u8 b[B_CNT][PT_PAGE_SZ] __attribute__((aligned(4096)));
static __u8 last[1][PT_PAGE_SZ] __attribute__((aligned(4096)));
static __u8 c[C_CNT][PT_PAGE_SZ] __attribute__((aligned(4096)));
static struct pt_error err;

static const struct pt_region table[] = {
	{ .addr = c, .gfn = HIGH - AROUND, .sz = sizeof(c) },
	{ .addr = a, .gfn = LOW, .sz = sizeof(a) },
	{ .addr = last, .gfn = MID + MID_CNT - 1, .sz = sizeof(last) },
	{ .addr = b, .gfn = LOW + A_CNT, .sz = sizeof(b) },
};

/* page_at: page i of PAGES, in memory. */
static __u8 *page_at(__u32 i)
{
	if (i < A_CNT)
		return a[i];
	if (i < A_CNT + B_CNT)
		return b[i - A_CNT];
	if (i < LOW_CNT + MID_CNT)
		return last[0];
	return c[AROUND + i - LOW_CNT - MID_CNT];
}

static void fill(__u8 with)
{
	memset(a, with, sizeof(a));
	memset(b, with, sizeof(b));
	memset(last, with, sizeof(last));
	memset(c, with, sizeof(c));
}

static void start(bool is_zero)
{
	fill(is_zero ? 0 : 0xff);
	assert_int_equal(pt_layout_create(&layout, kit_segments,
					  COUNT_OF(kit_segments), &err), 0);
	if (pt_sink_open_regions(&sink, table, COUNT_OF(table), is_zero, &err))
		fail_msg("%s", err.text);
	if (pt_sink_fit(sink, layout, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(&counts, 0, sizeof(counts));
	memset(&sum, 0, sizeof(sum));
	memset(&run, 0, sizeof(run));
}

static void stop(void)
{
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
}

/* --- an image, in frames --------------------------------------------- */

static __u8 image[PAGES][PT_PAGE_SZ];

/* make_image: a third of the pages zero, some regions wholly, the rest any
 * data. */
static void make_image(void)
{
	__u64 random = 9;

	memset(image, 0, sizeof(image));
	for (__u32 i = 0; i < PAGES; i++) {
		__u64 mask = i % 3 ? kit_mask(&random) : 0;

		if (i >= LOW_CNT && i < LOW_CNT + MID_CNT)
			continue;
		if (i == PAGES - 1)	/* ends 100 bytes before it does */
			mask &= ~0ULL >> 2;
		for (; mask; mask &= mask - 1)
			kit_fill(&image[i][__builtin_ctzll(mask) * 64], 64,
				 &random);
	}
}

static void close_frame(struct pt_builder *builder, __u32 generation)
{
	__u32 sz = frame_close(builder, generation, 0);

	frame_place(frame, sz);
}

/* send_page: as a lane does. */
static void send_page(struct pt_builder *builder, __u32 i, __u32 generation)
{
	__u64 mask = pt_scan(image[i]);

	if (!mask) {
		while (!pt_builder_add_zeroes(builder, kit_gfn(i), 1))
			close_frame(builder, generation);
		return;
	}
	for (unsigned at = 0; at < 64; ) {
		at = pt_builder_add_page(builder, kit_gfn(i), at, mask,
					 image[i]);
		if (at < 64)
			close_frame(builder, generation);
	}
}

static void send_all(__u32 mtu, __u32 generation)
{
	struct pt_builder builder = page_builder(mtu);

	for (__u32 i = 0; i < PAGES; i++) {
		if (i == LOW_CNT) {	/* MID: zero, all of its region at once */
			while (!pt_builder_add_zeroes(&builder, MID, MID_CNT))
				close_frame(&builder, generation);
			i += MID_CNT - 1;
			continue;
		}
		send_page(&builder, i, generation);
	}
	close_frame(&builder, generation);
}

/* assert_image: memory and digests are the image's; the memory around it is
 * unchanged. */
static void assert_image(__u8 around)
{
	__u8 page[PT_PAGE_SZ];
	__u64 want[5] = { 0 };

	for (__u32 i = 0; i < PAGES; i++) {
		__u64 idx;

		if (memcmp(page_at(i), image[i], PT_PAGE_SZ))
			fail_msg("page %u differs", i);
		assert_true(pt_layout_find(layout, kit_gfn(i), &idx));
		want[idx / PT_REGION_PAGES] += true_digest(kit_gfn(i),
							   image[i]);
	}
	for (__u32 i = 0; i < 5; i++)
		assert_int_equal(region_digest(i), want[i]);
	memset(page, around, sizeof(page));
	for (__u32 i = 0; i < AROUND; i++) {
		assert_memory_equal(c[i], page, PT_PAGE_SZ);
		assert_memory_equal(c[C_CNT - 1 - i], page, PT_PAGE_SZ);
	}
}

/* Zero pages, zero blocks and a zero region are zero, over any former
 * content. */
static void test_sent_once(void **state)
{
	static const __u32 mtus[] = { 1280, 1500, 9000, 65535 };

	(void)state;
	for (__u32 i = 0; i < COUNT_OF(mtus); i++) {
		start(false);
		assert_false(pt_sink_starts_zero(sink));
		send_all(mtus[i], 1);
		assert_image(0xff);
		stop();
		start(true);
		assert_true(pt_sink_starts_zero(sink));
		send_all(mtus[i], 1);
		assert_image(0);
		stop();
	}
}

/* Pages that change from data to zero, and back. */
static void test_sent_again(void **state)
{
	(void)state;
	start(false);
	send_all(1500, 1);
	for (__u32 i = 0; i < LOW_CNT; i++) {
		if (i % 2)
			memset(image[i], 0, PT_PAGE_SZ);
		else
			image[i][i] = i + 1;
	}
	send_all(9000, 2);
	assert_image(0xff);
	stop();
	make_image();
}

/* A page without a record is not assumed zero: its digest is read. */
static void test_never_sent(void **state)
{
	__u8 ones[PT_PAGE_SZ];

	(void)state;
	start(false);
	memset(ones, 0xff, sizeof(ones));
	place_zero_run(MID, MID_CNT - 2, 1);
	assert_int_equal(region_digest(2),
			 true_digest(MID + MID_CNT - 2, ones) +
			 true_digest(MID + MID_CNT - 1, ones));
	stop();
}

/* A copy of a page that is zero, onto one that is not. */
static void test_copies(void **state)
{
	struct pt_builder builder = page_builder(9000);
	__u8 zero[PT_PAGE_SZ] = { 0 };

	(void)state;
	start(false);
	place_zero_run(MID, 1, 1);
	place_page(MID + 1, ~0ULL, image[1], 1);
	assert_true(pt_builder_add_copy(&builder, MID + 2, MID, 1));
	assert_true(pt_builder_add_copy(&builder, MID + 3, MID + 1, 1));
	close_frame(&builder, 1);
	assert_memory_equal(page_at(LOW_CNT + 2), zero, PT_PAGE_SZ);
	assert_memory_equal(page_at(LOW_CNT + 3), image[1], PT_PAGE_SZ);
	stop();
}

/* own_cnt returns the mapping's private pages, without the kernel's zero page
 * that a read maps. */
static __u32 own_cnt(const void *at, __u32 cnt)
{
	__u64 words[64] = { 0 };
	int fd = open("/proc/self/pagemap", O_RDONLY);
	__u32 own = 0;

	assert_true(cnt <= COUNT_OF(words));
	assert_int_equal(pread(fd, words, cnt * sizeof(words[0]),
			       (uintptr_t)at / PT_PAGE_SZ * sizeof(words[0])),
			 cnt * sizeof(words[0]));
	close(fd);
	for (__u32 i = 0; i < cnt; i++)
		own += words[i] >> 56 & 1;	/* mapped by nobody else */
	return own;
}

/* reads_allocate: the kernel has no zero page to map, as some do not. */
static bool reads_allocate(void)
{
	volatile char *page = mmap(NULL, PT_PAGE_SZ, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ret;

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(page[0], 0);
	ret = own_cnt((const void *)page, 1);
	munmap((void *)page, PT_PAGE_SZ);
	return ret;
}

/* A zero page that is not allocated yet takes no memory. */
static void test_zero_fills_nothing(void **state)
{
	const struct pt_segment seg = { "ram", MID, 64 * PT_PAGE_SZ };
	struct pt_region ram = { .gfn = MID, .sz = seg.sz };

	(void)state;
	if (reads_allocate())
		skip();
	ram.addr = mmap(NULL, seg.sz, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(ram.addr, MAP_FAILED);
	assert_int_equal(pt_layout_create(&layout, &seg, 1, &err), 0);
	assert_int_equal(pt_sink_open_regions(&sink, &ram, 1, false, &err), 0);
	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	place_zero_run(MID, 60, 1);
	place_page(MID + 60, ~0ULL, image[1], 1);
	assert_int_equal(own_cnt(ram.addr, 64), 1);
	stop();
	munmap(ram.addr, seg.sz);
}

/* --- refusals ---------------------------------------------------------- */

static void test_page_without_region(void **state)
{
	(void)state;
	assert_int_equal(pt_layout_create(&layout, kit_segments,
					  COUNT_OF(kit_segments), &err), 0);
	/* Without the third row MID's last page is in no region. */
	assert_int_equal(pt_sink_open_regions(&sink, table, 2, false, &err), 0);
	assert_int_equal(pt_sink_fit(sink, layout, &err), -EINVAL);
	assert_non_null(strstr(err.text, "page 429 of 'low'"));
	pt_sink_close(sink);
	pt_layout_free(layout);
	sink = NULL;
	assert_int_equal(pt_sink_open_regions(&sink, table, 0, false, &err),
			 -EINVAL);
	assert_null(sink);
}

static void test_no_files(void **state)
{
	(void)state;
	start(true);
	assert_int_equal(pt_sink_file_begin(sink, "state", 1, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "(send without with)"));
	assert_false(pt_sink_is_kept(sink));
	pt_sink_invalidate(sink);
	assert_int_equal(pt_sink_sync(sink, &err), 0);
	assert_int_equal(pt_sink_commit(sink, &err), 0);
	stop();
}

/* A second transfer starts with the data of the first. */
static void test_fit_again(void **state)
{
	(void)state;
	start(true);
	send_all(9000, 1);
	pt_rebuild_destroy(rebuild);
	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_false(pt_sink_starts_zero(sink));
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(image, 0, sizeof(image));
	send_all(9000, 1);
	assert_image(0);
	stop();
	make_image();
}

/* Memory that is not behind its mapping ends the transfer, not the process. */
static void test_fault(void **state)
{
	const struct pt_segment seg = { "ram", 0, 2 * PT_PAGE_SZ };
	struct pt_region ram = { .gfn = 0, .sz = 2 * PT_PAGE_SZ };
	int fd = memfd_create("short", MFD_CLOEXEC);
	struct pt_builder builder = page_builder(9000);
	struct kit_spans spans;
	struct pt_reader r;
	__u32 sz;

	(void)state;
	guard_again();
	assert_int_equal(ftruncate(fd, PT_PAGE_SZ), 0);
	ram.addr = mmap(NULL, ram.sz, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	assert_int_equal(pt_layout_create(&layout, &seg, 1, &err), 0);
	assert_int_equal(pt_sink_open_regions(&sink, &ram, 1, true, &err), 0);
	assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	pt_builder_add_page(&builder, 1, 0, ~0ULL, image[1]);
	sz = frame_close(&builder, 1, 0);
	frame_open(&r, &spans, frame, sz, 3840);
	if (!pt_rebuild_place(rebuild, &run, &sum, &refusals, &r, &counts, &err))
		assert_int_equal(pt_rebuild_flush(rebuild, &run, &sum, &err), -EIO);
	kit_free(&spans);
	assert_int_equal(pt_sink_read(sink, PT_PAGE_SZ, image[0], PT_PAGE_SZ,
				      &err), -EIO);
	stop();
	munmap(ram.addr, ram.sz);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent_once),
		cmocka_unit_test(test_sent_again),
		cmocka_unit_test(test_never_sent),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_zero_fills_nothing),
		cmocka_unit_test(test_page_without_region),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_fit_again),
		cmocka_unit_test(test_fault),
	};

	guard_again();
	make_image();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
