// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Raw images: holes are zero, what was cut off is not; and orders of their pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lazy/image.h"
#include "lazy/order.h"

#define P	4096ULL

static char path[] = "/tmp/pagetrim-lazy.XXXXXX";
static char order_path[sizeof(path) + 8];
static int fd;

static struct pt_lazy_image *open_sized(__u64 page_cnt)
{
	struct pt_lazy_image *image;
	struct pt_error err;

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, page_cnt * P), 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(pt_lazy_image_open(&image, path, NULL, &err), 0);
	return image;
}

static void test_hole(void **state)
{
	struct pt_lazy_image *image = open_sized(1 << 18);

	(void)state;
	assert_int_equal(pt_lazy_image_zeroes(image, 0), 0);
	/* As many as one step may look at. */
	assert_int_equal(pt_lazy_image_zeroes(image, 64), 1 << 16);
	assert_int_equal(pt_lazy_image_zeroes(image, (1 << 18) - 3), 3);
	pt_lazy_image_close(image);
}

static void test_cut(void **state)
{
	struct pt_lazy_image *image = open_sized(64);
	__u8 page[P];

	(void)state;
	assert_int_equal(ftruncate(fd, 8 * P), 0);
	assert_int_equal(pt_lazy_image_zeroes(image, 40), 0);
	assert_int_equal(pt_lazy_image_read(image, 40, page), PT_LAZY_LOST);
	assert_int_equal(pt_lazy_image_read(image, 0, page), PT_LAZY_DATA);
	pt_lazy_image_close(image);
}

static int read_order(struct pt_lazy_order *o, const char *runs)
{
	FILE *to = fopen(order_path, "w");
	struct pt_error err;

	assert_non_null(to);
	fprintf(to, "{\"version\": 1, \"bytes\": %llu, \"order\": [%s]}", 64 * P, runs);
	fclose(to);
	*o = (struct pt_lazy_order){ 0 };
	return pt_lazy_order_read(o, path, 64 * P, &err);
}

/* No page is in an order twice, so an order has at most the pages of the image. */
static void test_order(void **state)
{
	struct pt_lazy_order o;

	(void)state;
	assert_int_equal(read_order(&o, "[60, 4], [0, 60]"), 0);
	assert_int_equal(o.cnt, 2);
	pt_lazy_order_free(&o);
	assert_int_equal(read_order(&o, "[60, 4], [0, 60], [7, 1]"), -22);
	assert_int_equal(o.cnt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_order),
	};
	int failed;

	fd = mkstemp(path);
	snprintf(order_path, sizeof(order_path), "%s.order", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	close(fd);
	unlink(order_path);
	unlink(path);
	return failed;
}
