// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Copies of pages in every kind of sink, and in sinks that fail. */
#include "rebuild_kit.h"

#include "guard_again.h"

#include <signal.h>

#define MIB	(1ULL << 20)
#define DATA	40		/* pages of data, from DATA_AT on */
#define DATA_AT	500		/* to behind a region's and a huge page's end */
#define COPIES	90		/* from page 0 on: more than a run keeps */

static __u8 data[DATA][PT_PAGE_SZ];
static struct pt_error err;

static const struct row {
	const char *name, *type, *options;	/* of its file system */
	__u64 sz;		/* of memory, bytes */
	__u64 reserved_sz;	/* 0: not reserved */
} rows[] = {
	{ "tmpfs", "tmpfs", "size=16M", 4 * MIB - 100, 0 },
	{ "tmpfs, huge pages", "tmpfs", "size=16M,huge=always", 4 * MIB, 0 },
	{ "ramfs", "ramfs", "", 4 * MIB - 100, 0 },
	{ "reserved", "tmpfs", "size=16M", 4 * MIB - 100, 8 * MIB },
	{ "reserved up to within the copies", "tmpfs", "size=16M",
	  4 * MIB - 100, 20 * PT_PAGE_SZ },
	{ "reserved up to within the data", "tmpfs", "size=16M",
	  4 * MIB - 100, (DATA_AT + 9) * PT_PAGE_SZ },
	{ "hugetlbfs", "hugetlbfs", "pagesize=2M,size=4M", 4 * MIB, 0 },
	{ "hugetlbfs, reserved", "hugetlbfs", "pagesize=2M,size=4M",
	  4 * MIB, 4 * MIB },
};

static void start(const struct row *row)
{
	const struct pt_segment ram = { "ram", 0, row->sz };
	const char *path = SCRATCH "/out/ram";

	scratch_fs("out", row->type, 0, row->options);
	assert_int_equal(pt_layout_create(&layout, &ram, 1, &err), 0);
	if (!row->reserved_sz) {
		if (pt_image_create(&sink, path, layout, &err))
			fail_msg("%s", err.text);
	} else {
		if (pt_image_reserve(&sink, path, row->reserved_sz, -1, &err))
			fail_msg("%s", err.text);
		assert_int_equal(pt_sink_fit(sink, layout, &err), 0);
	}
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(&counts, 0, sizeof(counts));
	memset(&sum, 0, sizeof(sum));
}

static void stop(void)
{
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
	assert_int_equal(umount(SCRATCH "/out"), 0);
}

#define ZEROES	((COPIES + 36) / 40)	/* originals that are zero */

/* original_of returns a page with data, but for one in forty a zero page, and
 * for the second half of them a copy. */
static __u64 original_of(__u64 gfn)
{
	if (gfn % 40 == 3)
		return DATA_AT - 100 + gfn;
	return gfn < COPIES / 2 ? DATA_AT + gfn * 7 % DATA : gfn - COPIES / 3;
}

static const __u8 *content_of(__u64 gfn)
{
	static const __u8 zeroes[PT_PAGE_SZ];

	while (gfn < COPIES)
		gfn = original_of(gfn);
	return gfn < DATA_AT ? zeroes : data[gfn - DATA_AT];
}

static void place_data(__u64 gfn)
{
	place_page(gfn, ~0ULL, data[gfn - DATA_AT], 1);
}

static void assert_copies(void)
{
	static __u8 page[PT_PAGE_SZ];
	__u64 want[2] = { 0 };

	for (__u64 gfn = 0; gfn < DATA_AT + DATA; gfn++) {
		__u64 off = pt_layout_image_off(layout, gfn);
		bool is_set = gfn < COPIES || gfn >= DATA_AT;

		assert_int_equal(pt_sink_read(sink, off, page, sizeof(page),
					      &err), 0);
		if (is_set)
			assert_memory_equal(page, content_of(gfn), PT_PAGE_SZ);
		want[gfn / PT_REGION_PAGES] += true_digest(gfn, page);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(region_digest(i), want[i]);
	assert_int_equal(counts.placed, DATA + COPIES + ZEROES);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	struct pt_builder b = page_builder(65535);

	if (!strcmp(row->type, "hugetlbfs") && !scratch_huge(2)) {
		print_message("hugetlbfs: this machine gives no huge pages: "
			      "not run\n");
		skip();
	}
	start(row);
	for (__u64 gfn = DATA_AT; gfn < DATA_AT + DATA; gfn++)
		place_data(gfn);
	for (__u64 gfn = 3; gfn < COPIES; gfn += 40)
		place_zero_run(original_of(gfn), 1, 1);
	for (__u64 gfn = 0; gfn < COPIES; gfn++)
		assert_true(pt_builder_add_copy(&b, gfn, original_of(gfn), 1));
	frame_place(frame, frame_close(&b, 1, 0));
	assert_copies();
	stop();
	if (!strcmp(row->type, "hugetlbfs"))
		scratch_huge(-2);
}

/* --- sinks that fail ------------------------------------------------- */

/* place_copies places one frame of them; returns the result of placing or
 * flushing.  The run is empty after it in any case. */
static int place_copies(__u64 cnt)
{
	struct pt_builder b = page_builder(65535);
	struct kit_spans s;
	struct pt_reader r;
	int ret;

	for (__u64 gfn = 0; gfn < cnt; gfn++)
		assert_true(pt_builder_add_copy(&b, gfn,
						DATA_AT + gfn % DATA, 1));
	frame_open(&r, &s, frame, frame_close(&b, 1, 0), 9999);
	assert_true(pt_rebuild_check(rebuild, &r));
	ret = pt_rebuild_place(rebuild, &run, &sum, &refusals, &r, &counts, &err);
	if (!ret)
		ret = pt_rebuild_flush(rebuild, &run, &sum, &err);
	assert_int_equal(run.sz | run.piece_cnt | run.copy_cnt, 0);
	kit_free(&s);
	return ret;
}

static void test_full(void **state)
{
	const struct row small = { "", "tmpfs", "size=200k", MIB * 4, 0 };

	(void)state;
	guard_again();
	start(&small);
	for (__u64 gfn = DATA_AT; gfn < DATA_AT + DATA; gfn++)
		place_data(gfn);
	assert_int_equal(place_copies(COPIES), -ENOSPC);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, SCRATCH "/out/ram"));
	stop();
}

/* An original that is cut off raises SIGBUS. */
static void test_cut_short(void **state)
{
	const struct row plain = { "", "tmpfs", "size=16M", MIB * 4, 0 };

	(void)state;
	guard_again();
	start(&plain);
	for (__u64 gfn = DATA_AT; gfn < DATA_AT + DATA; gfn++)
		place_data(gfn);
	assert_int_equal(truncate(SCRATCH "/out/ram.partial",
				  (DATA_AT + 5) * PT_PAGE_SZ), 0);
	assert_int_equal(place_copies(5), 0);
	assert_int_equal(place_copies(6), -EIO);
	assert_non_null(strstr(err.text, "cut it short"));
	stop();
}

/* --- without a guard: by system call alone ------------------------------ */

static void test_barred(void **state)
{
	const struct row small = { "", "tmpfs", "size=200k", MIB * 4, 0 };
	const struct pt_segment ram = { "ram", 0, 4 * MIB };
	void (*before)(int) = signal(SIGBUS, SIG_DFL);	/* cmocka's */

	pt_guard_bar();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const void *row = &rows[i];

		if (strcmp(rows[i].type, "hugetlbfs"))
			test_row((void **)&row);
	}

	start(&small);
	for (__u64 gfn = DATA_AT; gfn < DATA_AT + DATA; gfn++)
		place_data(gfn);
	assert_int_equal(place_copies(COPIES), -ENOSPC);
	assert_non_null(strstr(err.text, SCRATCH "/out/ram"));
	stop();

	scratch_fs("out", "hugetlbfs", 0, "pagesize=2M");
	assert_int_equal(pt_layout_create(&layout, &ram, 1, &err), 0);
	assert_int_equal(pt_image_create(&sink, SCRATCH "/out/ram", layout,
					 &err), -EOPNOTSUPP);
	assert_int_equal(pt_image_reserve(&sink, SCRATCH "/out/ram", 4 * MIB,
					  -1, &err), -EOPNOTSUPP);
	pt_layout_free(layout);
	assert_int_equal(umount(SCRATCH "/out"), 0);
	signal(SIGBUS, before);
	(void)state;
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(rows) + 3] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_cut_short),
	};
	__u64 random = 3;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		tests[2 + i] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL, (void *)&rows[i],
		};
	tests[2 + COUNT_OF(rows)] = (struct CMUnitTest)
		cmocka_unit_test(test_barred);	/* last: barred is for good */
	if (scratch_mount())
		return 1;
	guard_again();	/* while SIGBUS is still the guard's */
	kit_fill(data, sizeof(data), &random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
