// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* An image's list of pages that could not be read, which sending it takes up; and
 * sinks that cannot say so. */
#include "scratch.h"

#include <errno.h>

#include "memory/page_ranges.h"
#include "sink/image.h"
#include "sink/sink_regions.h"
#include "source/unreadable_list.h"

#define PAGE	4096u
#define OUT	SCRATCH "/ram"

static const struct pt_segment one[] = { { "ram", 0, 3 * PAGE + 5 } };
static struct pt_layout *layout;

static void test_list(void **state)
{
	struct pt_error err = { 0 };
	_Atomic __u64 bits[8] = { 0 };
	struct pt_sink *s;
	int fd;

	(void)state;
	assert_int_equal(pt_image_create(&s, OUT, layout, &err), 0);
	assert_int_equal(pt_sink_check_marks(s, &err), 0);
	assert_int_equal(pt_sink_mark(s, 0, PAGE, &err), 0);
	assert_int_equal(pt_sink_mark(s, PAGE, PAGE, &err), 0);
	assert_int_equal(pt_sink_mark(s, 3 * PAGE, PAGE, &err), 0);
	assert_int_equal(pt_sink_sync(s, &err), 0);
	assert_int_equal(pt_sink_commit(s, &err), 0);
	pt_sink_close(s);
	fd = open(OUT, O_RDONLY);
	if (pt_unreadable_list(OUT, fd, 3 * PAGE + 5, bits, &err))
		fail_msg("%s", err.text);
	close(fd);
	assert_int_equal(bits[0], 0xb);
	assert_int_equal(unlink(OUT ".with/segments.json"), 0);
	assert_int_equal(unlink(OUT ".with/unreadable.json"), 0);
	assert_int_equal(rmdir(OUT ".with"), 0);
	assert_int_equal(unlink(OUT), 0);
}

static void test_too_many(void **state)
{
	struct pt_error err = { 0 };
	struct pt_sink *s;
	__u64 off = 0;

	(void)state;
	assert_int_equal(pt_image_create(&s, OUT, layout, &err), 0);
	for (__u32 i = 0; i < PT_PAGE_RANGES_MAX; i++, off += 2 * PAGE)
		assert_int_equal(pt_sink_mark(s, off, PAGE, &err), 0);
	assert_int_equal(pt_sink_mark(s, off, PAGE, &err), -E2BIG);
	assert_non_null(strstr(err.text, "65536 ranges"));
	pt_sink_close(s);
}

static void test_cannot(void **state)
{
	static __u8 memory[PAGE] __attribute__((aligned(4096)));
	const struct pt_region region = { .addr = memory, .sz = PAGE };
	struct pt_error err = { 0 };
	struct pt_sink *s;

	(void)state;
	assert_int_equal(pt_sink_open_regions(&s, &region, 1, false, &err), 0);
	assert_int_equal(pt_sink_check_marks(s, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "cannot mark them"));
	pt_sink_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_cannot),
	};

	if (scratch_mount() || pt_layout_create(&layout, one, 1, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
