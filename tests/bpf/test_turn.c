// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Several processes attach or detach one device at once: they take turns, one
 * succeeds, and the errors of the others state the new situation. */
#include "receiver.h"
#include "interpose.h"

#include "xdp/cause.h"

#define ATTACHERS	6

static void pin_it(void)
{
	must_pin(native());
}

static void somebody_attaches(void)
{
	kill_hard(child(pin_it));
}

/* is_whole: the pinned program is on the device, serves a receiver, and can be
 * detached. */
static void is_whole(void)
{
	struct pt_program_info info;
	struct pt_program *p = must_open(native());

	pt_program_info(p, &info);
	assert_true(info.pinned);
	assert_int_equal(attached_id(false), info.id);
	pt_program_close(p);
	must_unpin(false);
	assert_int_equal(attached_soon(false), 0);
	assert_int_equal(litter(), 0);
}

/* Just before this process's turn another process has its turn. */
static void test_other_first(void **state)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	at_lock = somebody_attaches;
	assert_int_equal(pt_program_pin(&cfg, &info, &err), -EEXIST);
	assert_null(at_lock);
	assert_non_null(strstr(err.text, "attached already"));
	is_whole();
}

/* attach_at_once waits for the byte and attaches; its exit code: 0 done, 1
 * refused as it should be, 2 anything else. */
static pid_t attach_at_once(int start)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct pt_error err;
	pid_t pid = fork();
	char byte;
	int ret;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(start, &byte, 1) != 1)
		_exit(2);
	ret = pt_program_pin(&cfg, &info, &err);
	if (ret)
		fprintf(stderr, "%s\n", err.text);
	_exit(!ret ? 0 : ret == -EEXIST &&
	      strstr(err.text, "attached already") ? 1 : 2);
}

static void test_many_at_once(void **state)
{
	int start[2], status, done = 0;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	assert_int_equal(pipe(start), 0);
	for (int i = 0; i < ATTACHERS; i++)
		attach_at_once(start[0]);
	assert_int_equal(write(start[1], "123456", ATTACHERS), ATTACHERS);
	for (int i = 0; i < ATTACHERS; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		done += !WEXITSTATUS(status);
	}
	close(start[0]);
	close(start[1]);
	assert_int_equal(done, 1);
	is_whole();
}

static void detach_comes(void)
{
	must_unpin(false);
}

/* The folder of all pins is the lock, and is removed with the last of them
 * while another process waits for it. */
static void test_folder_goes(void **state)
{
	struct pt_program_cfg cfg = native();
	struct pt_program_info info;
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(cfg);
	at_lock = detach_comes;
	if (pt_program_pin(&cfg, &info, &err))
		fail_msg("%s", err.text);
	assert_null(at_lock);
	is_whole();
}

static void test_two_detach(void **state)
{
	struct pt_error err;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	must_pin(native());
	at_lock = detach_comes;
	assert_int_equal(pt_program_unpin(&veth.far, false, &err), -ENOENT);
	assert_null(at_lock);
	assert_non_null(strstr(err.text, "nothing is attached"));
	assert_int_equal(litter(), 0);
}

/* This removes the pins of a failed test. */
static int clean(void **state)
{
	(void)state;
	at_lock = NULL;
	pt_program_unpin(&veth.far, true, NULL);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest tests[] = {
		TEST(test_other_first),
		TEST(test_many_at_once),
		TEST(test_folder_goes),
		TEST(test_two_detach),
	};

	pt_cause_begin();
	return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
