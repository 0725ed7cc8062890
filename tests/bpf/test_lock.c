// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Another process has the lock of the pinned maps and keeps it: it is stopped.
 * A process with peers does not wait for it, and all changes are made later. */
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "xdp/cause.h"
#include "xdp/program_impl.h"

static int naps;

/* This replaces libc's function. */
int nanosleep(const struct timespec *time, struct timespec *left)
{
	naps++;
	return clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
}

static int lock_fd = -1;

/* lock_maps locks them as another process does. */
static void lock_maps(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", PT_PIN_ROOT, veth.far.name);
	lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(lock_fd >= 0);
	assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
	naps = 0;
}

static void unlock_maps(void)
{
	if (lock_fd >= 0)
		close(lock_fd);
	lock_fd = -1;
}

static bool has_endpoint(const struct pt_program *p, unsigned int last_byte)
{
	struct pt_session session = session_to(last_byte);
	__u32 users;

	return !bpf_map_lookup_elem(p->map_fd[MAP_ENDPOINTS], &session.endpoint,
				    &users);
}

static __u32 session_cnt(const struct pt_program *p)
{
	__u64 ids[8];

	return pt_program_sessions(p, ids, 8);
}

static struct pt_program *begin(void)
{
	struct pt_program *p;

	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	p = must_open(native());
	must_add(p, ID, 2);
	return p;
}

static void end(struct pt_program *p)
{
	pt_program_close(p);
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

static void test_add(void **state)
{
	struct pt_session session = session_to(3);
	struct pt_program *p = begin();
	struct pt_error err;

	(void)state;
	lock_maps();
	assert_int_equal(pt_program_session_add(p, ID + 1, &session, &err),
			 -EAGAIN);
	assert_int_equal(naps, 0);
	assert_non_null(strstr(err.text, "the lock of its maps"));
	assert_int_equal(session_cnt(p), 1);
	assert_false(has_endpoint(p, 3));
	unlock_maps();
	assert_int_equal(pt_program_session_add(p, ID + 1, &session, &err), 0);
	assert_int_equal(session_cnt(p), 2);
	assert_true(has_endpoint(p, 3));
	end(p);
}

/* unsteered asserts that XDP no longer knows the session of ID. */
static void unsteered(struct pt_program *p, struct pt_xsk *tx)
{
	__u64 was = queue_counters(p, 0).unknown_session;

	send_probes(tx, 2, 200, 3);
	assert_int_equal(queue_counters(p, 0).unknown_session, was + 3);
}

static void test_close(void **state)
{
	struct pt_program *p = begin();
	struct pt_xsk *tx = sender(0);

	(void)state;
	lock_maps();
	pt_program_session_close(p, ID);
	assert_int_equal(naps, 0);
	unsteered(p, tx);
	assert_false(pt_program_settle(p));
	assert_true(has_endpoint(p, 2));
	unlock_maps();
	assert_true(pt_program_settle(p));
	assert_false(has_endpoint(p, 2));	/* the kernel's frames again */
	assert_int_equal(session_cnt(p), 1);
	pt_program_session_remove(p, ID);
	assert_int_equal(session_cnt(p), 0);
	pt_xsk_close(tx);
	end(p);
}

static void test_remove(void **state)
{
	struct pt_program *p = begin();
	struct pt_xsk *tx = sender(0);

	(void)state;
	must_add(p, ID + 1, 3);
	must_add(p, ID + 2, 4);
	lock_maps();
	pt_program_session_remove(p, ID);
	pt_program_session_close(p, ID + 1);
	pt_program_session_remove(p, ID + 1);
	assert_int_equal(naps, 0);
	unsteered(p, tx);
	assert_int_equal(session_cnt(p), 3);
	unlock_maps();
	must_add(p, ID + 3, 4);		/* also makes the pending changes */
	assert_int_equal(session_cnt(p), 2);
	assert_false(has_endpoint(p, 2));
	assert_false(has_endpoint(p, 3));
	assert_true(has_endpoint(p, 4));
	assert_true(pt_program_settle(p));
	pt_xsk_close(tx);
	end(p);
}

/* A process that ends meanwhile leaves the pending changes to the next one. */
static void test_end(void **state)
{
	struct pt_program *p = begin();
	struct pt_xsk *tx = sender(0);

	(void)state;
	must_add(p, ID + 1, 3);
	lock_maps();
	pt_program_close(p);
	assert_true(naps <= 100);
	unlock_maps();
	p = must_open(native());
	assert_int_equal(session_cnt(p), 0);
	assert_false(has_endpoint(p, 2));
	assert_false(has_endpoint(p, 3));
	pt_xsk_close(tx);
	end(p);
}

/* A process that is open already makes them too, when it adds a session. */
static void test_end_beside(void **state)
{
	struct pt_program *p = begin(), *other = must_open(native());

	(void)state;
	lock_maps();
	pt_program_session_close(p, ID);
	pt_program_close(p);
	unlock_maps();
	must_add(other, ID + 4, 9);
	assert_int_equal(session_cnt(other), 1);
	assert_false(has_endpoint(other, 2));
	assert_true(has_endpoint(other, 9));
	end(other);
}

/* A process was killed between two changes of an endpoint. */
static void test_endpoint_left(void **state)
{
	struct pt_session session = session_to(7);
	struct pt_program *p = begin();
	const __u32 users = 1;

	(void)state;
	assert_int_equal(bpf_map_update_elem(p->map_fd[MAP_ENDPOINTS],
					     &session.endpoint, &users,
					     BPF_NOEXIST), 0);
	pt_program_close(must_open(native()));
	assert_false(has_endpoint(p, 7));
	assert_true(has_endpoint(p, 2));
	end(p);
}

/* This removes the pins of a failed test. */
static int clean(void **state)
{
	(void)state;
	unlock_maps();
	pt_program_unpin(&veth.far, true, NULL);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest tests[] = {
		TEST(test_add),
		TEST(test_close),
		TEST(test_remove),
		TEST(test_end),
		TEST(test_end_beside),
		TEST(test_endpoint_left),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
