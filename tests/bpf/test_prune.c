// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sessions of pinned maps are swept when their holder is dead, and stay when
 * the list of the living holders cannot be read whole. */
#include "receiver.h"
#include "interpose.h"

#include "xdp/cause.h"
#include "xdp/program_impl.h"

#define OTHERS	(ID + 1)	/* session of the child */

static void receive_others(void)
{
	must_add(must_open(native()), OTHERS, 2);
}

static bool has_session(struct pt_program *p, __u64 id)
{
	struct pt_session session;

	return !bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &id, &session);
}

/* begin pins the program, for a child that receives and for *p, which does. */
static pid_t begin(struct pt_program **p)
{
	pid_t pid;

	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	pid = child(receive_others);
	*p = must_open(native());
	must_add(*p, ID, 3);
	assert_true(has_session(*p, OTHERS));
	return pid;
}

/* end_swept: the child's session is swept once the child is dead. */
static void end_swept(struct pt_program *p, pid_t pid)
{
	kill_hard(pid);
	must_add(p, ID + 9, 3);
	assert_true(has_session(p, ID));
	assert_false(has_session(p, OTHERS));
	pt_program_close(p);
	must_unpin(false);
	assert_int_equal(litter(), 0);
}

static void test_no_descriptor_left(void **state)
{
	struct pt_program *p;
	struct rlimit was;
	pid_t pid;

	(void)state;
	pid = begin(&p);
	for (int cnt = 0; cnt < 3; cnt++) {
		was = leave_descriptors(cnt);
		must_add(p, ID + 2 + cnt, 3);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_true(has_session(p, ID));
		assert_true(has_session(p, OTHERS));
	}
	end_swept(p, pid);
}

static void test_list_breaks_off(void **state)
{
	struct pt_program *p;
	pid_t pid;

	(void)state;
	pid = begin(&p);
	for (int cnt = 0; cnt < 3; cnt++) {
		entries_left = cnt;
		must_add(p, ID + 2 + cnt, 3);
		assert_int_equal(entries_left, 0);
		entries_left = -1;
		assert_true(has_session(p, ID));
		assert_true(has_session(p, OTHERS));
	}
	end_swept(p, pid);
}

/* As many living holders as the list has room for. */
static void test_full_list(void **state)
{
	int fds[HOLDERS_MAX];
	struct pt_program *p;
	char name[64];
	pid_t pid;

	(void)state;
	pid = begin(&p);
	for (unsigned int i = 0; i < HOLDERS_MAX; i++) {
		snprintf(name, sizeof(name), "receive-1-%016x", i + 1);
		assert_int_equal(mkdirat(p->pins_fd, name, 0700), 0);
		fds[i] = openat(p->pins_fd, name, O_RDONLY | O_DIRECTORY);
		assert_true(fds[i] >= 0);
		assert_int_equal(flock(fds[i], LOCK_EX | LOCK_NB), 0);
	}
	must_add(p, ID + 2, 3);
	assert_true(has_session(p, ID));
	assert_true(has_session(p, OTHERS));
	for (unsigned int i = 0; i < HOLDERS_MAX; i++)
		close(fds[i]);
	end_swept(p, pid);
}

/* The process's own sessions stay, although its directory is gone. */
static void test_own_directory_removed(void **state)
{
	struct pt_program *p;
	pid_t pid;

	(void)state;
	pid = begin(&p);
	assert_int_equal(unlinkat(p->pins_fd, p->holder_name, AT_REMOVEDIR), 0);
	must_add(p, ID + 2, 3);
	assert_true(has_session(p, ID));
	assert_true(has_session(p, OTHERS));
	end_swept(p, pid);
}

/* This removes the pins of a failed test. */
static int clean(void **state)
{
	(void)state;
	entries_left = -1;
	pt_program_unpin(&veth.far, true, NULL);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest tests[] = {
		TEST(test_no_descriptor_left),
		TEST(test_list_breaks_off),
		TEST(test_full_list),
		TEST(test_own_directory_removed),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
