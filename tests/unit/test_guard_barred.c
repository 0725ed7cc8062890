/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A process that did not ask for a handler of SIGBUS has none, and files are
 * read without one. */
#include "opened.h"

#include <signal.h>

#include "memory/guard.h"

static const __u8 *ones(void)
{
	static __u8 image[2 * REGION];

	memset(image, 1, sizeof(image));
	return image;
}

/* handler returns the present handler of SIGBUS, which may be cmocka's. */
static void (*handler(void))(int)
{
	struct sigaction now;

	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	return now.sa_handler;
}

static void enter_and_leave(void)
{
	struct pt_guard guard;

	if (pt_guard_enter(&guard))
		fail();
	pt_guard_leave(&guard);
}

static void files_are_read(void **state)
{
	static const char path[] = SCRATCH "/barred";
	int fd = scratch_file(path, 2 * REGION);
	struct pt_error err;
	void (*before)(int) = handler();
	__u8 page[PAGE];
	struct opened o;

	(void)state;
	pt_guard_bar();
	scratch_write(fd, 0, ones(), 2 * REGION);
	open_one(&o, path);
	see(&o, 1);
	assert_false(o.view.is_stable);
	assert_int_equal(check_content(&o, ones(), 2 * REGION), 0);
	assert_ptr_equal(pt_source_page(o.src, o.layout, 700, page), page);
	assert_memory_equal(page, ones(), PAGE);
	enter_and_leave();
	assert_ptr_equal(handler(), before);

	assert_int_equal(ftruncate(fd, REGION), 0);
	assert_int_equal(o.view.pages[0], 1);	/* a copy: no signal */
	assert_int_equal(pt_source_view(o.src, &o.view, o.layout, 1, &err),
			 -EIO);
	assert_null(pt_source_page(o.src, o.layout, 700, page));
	close_all(&o);
	close(fd);
}

static void allowed_is_for_good(void **state)
{
	static const char path[] = SCRATCH "/allowed";
	int fd = scratch_file(path, REGION);
	void (*before)(int) = handler();
	struct opened o;

	(void)state;
	pt_guard_bar();
	pt_guard_allow();
	pt_guard_bar();
	assert_false(pt_guard_is_barred());
	enter_and_leave();
	assert_ptr_not_equal(handler(), before);
	scratch_write(fd, 0, ones(), REGION);
	open_one(&o, path);
	see(&o, 0);
	assert_true(o.view.is_stable);
	close_all(&o);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(allowed_is_for_good),
	};

	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
