// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The parts of an image that a VMM is restored from: its memories by their names, and
 * its small files, both of an image at rest and of a raw one. */
#include "ptrim_kit.h"

#include <sys/stat.h>

#include "guard_again.h"
#include "lazy/image.h"

#define RAW	SCRATCH "/raw"

static struct pt_lazy_image *opened(const char *path)
{
	struct pt_lazy_image *im;
	struct pt_error err;

	if (pt_lazy_image_open(&im, path, NULL, &err))
		fail_msg("%s", err.text);
	return im;
}

static void test_memories(void **state)
{
	struct pt_lazy_image *im;
	struct pt_error err;
	__u64 off = 1;

	(void)state;
	kit_make(PT_COMPRESSION_NONE);
	im = opened(KIT_IMAGE);
	assert_int_equal(pt_lazy_image_part(im, "low", kit_segments[0].sz, &off, &err),
			 0);
	assert_int_equal(off, 0);
	assert_int_equal(pt_lazy_image_part(im, "high", kit_segments[1].sz, &off, &err),
			 0);
	assert_int_equal(off, kit_segments[0].sz);
	assert_int_equal(pt_lazy_image_part(im, "high", PT_PAGE_SZ, &off, &err),
			 -EINVAL);
	assert_int_equal(pt_lazy_image_part(im, "middle", PT_PAGE_SZ, &off, &err),
			 -ENOENT);
	pt_lazy_image_close(im);
}

static void reads(const struct pt_lazy_image *im, const char *name, const char *text)
{
	char got[64] = "";
	struct pt_error err;
	int fd = pt_lazy_image_file(im, name, &err);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got)), strlen(text));
	assert_string_equal(got, text);
	close(fd);
}

static void test_file_at_rest(void **state)
{
	struct pt_lazy_image *im;
	struct pt_ptrim_bytes f;
	struct pt_ptrim *p;
	struct pt_error err;

	(void)state;
	kit_make(PT_COMPRESSION_NONE);
	im = opened(KIT_IMAGE);
	reads(im, "device", "state");
	assert_int_equal(pt_lazy_image_file(im, "other", &err), -ENOENT);
	pt_lazy_image_close(im);
	/* A damaged one is never loaded. */
	assert_int_equal(pt_ptrim_open(&p, KIT_IMAGE, NULL, NULL), 0);
	assert_true(pt_ptrim_file(p, 0, &f));
	kit_bytes[f.at] ^= 1;
	pt_ptrim_close(p);
	kit_write(KIT_IMAGE, kit_bytes, kit_sz);
	im = opened(KIT_IMAGE);
	assert_int_equal(pt_lazy_image_file(im, "device", &err), -EIO);
	pt_lazy_image_close(im);
}

static void test_raw(void **state)
{
	struct pt_lazy_image *im;
	struct pt_error err;
	__u64 off = 1;

	(void)state;
	kit_write(RAW, (const __u8 *)"memory", 6);
	assert_int_equal(truncate(RAW, 4 * PT_PAGE_SZ), 0);
	im = opened(RAW);
	assert_int_equal(pt_lazy_image_part(im, "any", 4 * PT_PAGE_SZ, &off, &err), 0);
	assert_int_equal(off, 0);
	assert_int_equal(pt_lazy_image_part(im, "any", 5 * PT_PAGE_SZ, &off, &err),
			 -EINVAL);
	assert_int_equal(pt_lazy_image_file(im, "device", &err), -ENOENT);
	assert_int_equal(mkdir(RAW ".with", 0700), 0);
	kit_write(RAW ".with/device", (const __u8 *)"state", 5);
	reads(im, "device", "state");
	pt_lazy_image_close(im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memories),
		cmocka_unit_test(test_file_at_rest),
		cmocka_unit_test(test_raw),
	};

	if (scratch_mount())
		return 1;
	guard_again();
	kit_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
