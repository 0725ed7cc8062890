// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* detach takes no program from a process that receives, even where the users
 * are unknown, or where one begins meanwhile. */
#include "receiver.h"
#include "interpose.h"

#include "xdp/cause.h"
#include "xdp/lease.h"

static void receive_pinned(void)
{
	must_add(must_open(native()), ID, 2);
}

/* begin pins the program, for a child that receives by it; without a lease, as
 * in a container with its own /run. */
static pid_t begin(void)
{
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	return child(receive_pinned);
}

/* end: once the child is dead, detach succeeds. */
static void end(pid_t pid)
{
	kill_hard(pid);
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

static void test_list_breaks_off(void **state)
{
	struct pt_error err;
	pid_t pid;

	(void)state;
	pid = begin();
	entries_left = 0;
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -EIO);
	entries_left = -1;
	assert_non_null(strstr(err.text, "cannot tell who uses it"));
	assert_non_null(strstr(err.text, strerror(EIO)));
	assert_true(attached_id(false) > 0);
	end(pid);
}

static void test_no_descriptor_left(void **state)
{
	struct rlimit was;
	int ret = 0, cnt;
	pid_t pid;

	(void)state;
	pid = begin();
	for (cnt = 0; cnt < 12 && ret != -EBUSY; cnt++) {
		was = leave_descriptors(cnt);
		ret = pt_program_unpin(&veth.far, false, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_true(ret < 0);
		assert_true(attached_id(false) > 0);
		assert_true(litter() > 0);
	}
	assert_true(cnt > 3 && ret == -EBUSY);	/* in use, at last */
	end(pid);
}

/* Pins that cannot be read are not taken for a dead receiver's, so attach does
 * not remove them. */
static void test_pins_unreadable(void **state)
{
	struct pt_program_cfg cfg;
	struct pt_program_info info;
	struct rlimit was;
	char path[128];
	pid_t pid;
	int ret;

	(void)state;
	pid = begin();
	cfg = native();
	snprintf(path, sizeof(path), "%s/%s/prog", PT_PIN_ROOT, veth.far.name);
	for (int cnt = 0; cnt < 12; cnt++) {
		was = leave_descriptors(cnt);
		ret = pt_program_pin(&cfg, &info, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_true(ret < 0);
		assert_int_equal(access(path, F_OK), 0);
	}
	assert_int_equal(ret, -EEXIST);
	end(pid);
}

/* The file of the leases exists and cannot be read. */
static void test_leases_unreadable(void **state)
{
	struct pt_leases *leases;
	struct pt_error err;
	struct rlimit was;
	bool seen = false;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	assert_int_equal(pt_leases_open(&leases, &veth.far, NULL), 0);
	for (int cnt = 0; cnt < 12 && !seen; cnt++) {
		struct pt_lease_owner owner;

		was = leave_descriptors(cnt);
		seen = pt_lease_owner(&veth.far, 0, &owner) != -EMFILE;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_int_equal(seen, cnt > 0);
	}
	pt_leases_close(leases);
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), 0);
}

static pid_t beginner;

static void one_begins(void)
{
	beginner = child(receive_pinned);
}

/* Between detach's search for users and its end no user may begin: one that was
 * quicker is seen. */
static void test_one_begins(void **state)
{
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	beginner = 0;
	at_lock = one_begins;
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -EBUSY);
	assert_true(beginner > 0);
	assert_true(attached_id(false) > 0);
	end(beginner);
}

static void detach_comes(void)
{
	must_unpin(false);
}

/* A process that comes second finds no pins any more, and attaches its own. */
static void test_detached_meanwhile(void **state)
{
	struct pt_program_info info;
	struct pt_program *p;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	at_lock = detach_comes;
	p = must_open(native());
	pt_program_info(p, &info);
	assert_false(info.pinned);
	assert_int_equal(attached_id(false), info.id);
	must_add(p, ID, 2);
	pt_program_close(p);
	assert_int_equal(attached_soon(false), 0);
	assert_int_equal(litter(), 0);
}

/* This removes the pins of a failed test. */
static int clean(void **state)
{
	(void)state;
	entries_left = -1;
	at_lock = NULL;
	pt_program_unpin(&veth.far, true, NULL);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest tests[] = {
		TEST(test_list_breaks_off),
		TEST(test_no_descriptor_left),
		TEST(test_pins_unreadable),
		TEST(test_leases_unreadable),
		TEST(test_one_begins),
		TEST(test_detached_meanwhile),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("detach", tests, NULL, NULL);
}
