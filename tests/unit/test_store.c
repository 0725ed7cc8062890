// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A store's jobs: in order, within its limit, dropped when one fails or when it
 * ends; and control never waits for one.  The test decides when a waiting job
 * continues. */
#include "opened.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "receive/store.h"

static struct pt_store *store;
static int wake_fd, gate_fd;
static atomic_uint done_cnt;
static atomic_bool is_cleared;
static unsigned int seen[64];

static int note(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	unsigned int number;

	(void)err;
	assert_ptr_equal(arg, seen);
	assert_int_equal(sz, sizeof(number));
	memcpy(&number, bytes, sz);
	seen[atomic_fetch_add(&done_cnt, 1)] = number;
	return 0;
}

/* stand waits until the test writes gate_fd. */
static int stand(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	struct pollfd gate = { .fd = gate_fd, .events = POLLIN };
	eventfd_t value;

	(void)arg;
	(void)bytes;
	(void)sz;
	(void)err;
	poll(&gate, 1, -1);
	eventfd_read(gate_fd, &value);
	return 0;
}

static int fail_job(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	(void)arg;
	(void)bytes;
	(void)sz;
	return pt_error_set(err, PT_EXIT_HOST, -ENOSPC, "as if full");
}

static int clear(void *arg, const void *bytes, size_t sz, struct pt_error *err)
{
	(void)arg;
	(void)bytes;
	(void)sz;
	(void)err;
	atomic_store(&is_cleared, true);
	return 0;
}

static void put(pt_store_job *job, const void *bytes, size_t sz)
{
	struct pt_error err;

	assert_int_equal(pt_store_put(store, job, bytes, sz, &err), 0);
}

static void put_number(unsigned int number)
{
	put(note, &number, sizeof(number));
}

/* woken waits until the store reports news. */
static void woken(void)
{
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };
	eventfd_t value;

	assert_int_equal(poll(&wake, 1, 50000), 1);
	eventfd_read(wake_fd, &value);
}

static int start(void **state)
{
	struct pt_error err;

	(void)state;
	wake_fd = eventfd(0, EFD_NONBLOCK);
	gate_fd = eventfd(0, EFD_NONBLOCK);
	atomic_store(&done_cnt, 0);
	atomic_store(&is_cleared, false);
	return pt_store_open(&store, seen, wake_fd, &err);
}

static int stop(void **state)
{
	(void)state;
	eventfd_write(gate_fd, 1);
	pt_store_close(store);
	close(gate_fd);
	close(wake_fd);
	return 0;
}

static void test_order(void **state)
{
	struct pt_error err;

	(void)state;
	put(stand, NULL, 0);
	for (unsigned int i = 0; i < 64; i++)
		put_number(i);
	assert_false(pt_store_is_idle(store));
	eventfd_write(gate_fd, 1);
	woken();
	assert_true(pt_store_is_idle(store));
	assert_int_equal(pt_store_failed(store, &err), 0);
	assert_int_equal(atomic_load(&done_cnt), 64);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(seen[i], i);
}

/* A store that hangs reports since when, and when it has no space. */
static void test_bound(void **state)
{
	static __u8 bytes[65536];

	(void)state;
	assert_int_equal(pt_store_since_ns(store), 0);
	put(stand, NULL, 0);
	for (unsigned int i = 0; i < PT_STORE_SZ_MAX / sizeof(bytes); i++) {
		assert_true(pt_store_has_room(store));
		put(clear, bytes, sizeof(bytes));
	}
	assert_false(pt_store_has_room(store));
	while (!pt_store_since_ns(store))
		usleep(100);
	eventfd_write(gate_fd, 1);
	woken();		/* there is room; or it is idle already */
	assert_true(pt_store_has_room(store));
	while (!pt_store_is_idle(store))
		usleep(100);
	assert_int_equal(pt_store_since_ns(store), 0);
}

/* Jobs behind a failed one are not done, nor are later ones. */
static void test_failed(void **state)
{
	struct pt_error err;

	(void)state;
	put(stand, NULL, 0);
	put(fail_job, NULL, 0);
	put_number(1);
	eventfd_write(gate_fd, 1);
	woken();
	put_number(2);
	assert_true(pt_store_is_idle(store));
	assert_int_equal(pt_store_failed(store, &err), -ENOSPC);
	assert_string_equal(err.text, "as if full");
	assert_int_equal(atomic_load(&done_cnt), 0);
}

/* The end drops waiting jobs, does not wait, and runs its last job. */
static void test_end(void **state)
{
	(void)state;
	put(stand, NULL, 0);
	while (!pt_store_since_ns(store))
		usleep(100);
	put_number(1);
	pt_store_end(store, clear);
	pt_store_end(store, NULL);	/* the first counts */
	assert_false(pt_store_is_over(store));
	eventfd_write(gate_fd, 1);
	while (!pt_store_is_over(store))
		woken();
	assert_true(atomic_load(&is_cleared));
	assert_int_equal(atomic_load(&done_cnt), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_bound),
		TEST(test_failed),
		TEST(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
