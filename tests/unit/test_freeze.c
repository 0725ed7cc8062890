// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A process that its cgroup froze, as by docker pause. */
#include "memory/freeze.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "memory/proc.h"
#include "scratch.h"

static volatile __u64 *beats;
static char group[64];

static pid_t child_start(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;; usleep(100))
		++*beats;
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", group, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static void await_beat(void)
{
	__u64 before = *beats;

	for (int ms = 0; *beats == before; ms++) {
		assert_true(ms < 10000);
		usleep(1000);
	}
}

/* frozen_in: a child in a frozen group of the hierarchy mounted at a folder. */
static pid_t frozen_in(const char *folder, const char *file, const char *state)
{
	pid_t pid = child_start();
	char number[16];

	assert_true(pid > 0);
	snprintf(group, sizeof(group), "%s/test-freeze-%d", folder, getpid());
	snprintf(number, sizeof(number), "%d", pid);
	assert_int_equal(mkdir(group, 0755), 0);
	put("cgroup.procs", number);
	await_beat();
	put(file, state);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int ms = 0; rmdir(group); ms++) {
		assert_true(ms < 10000);
		usleep(1000);
	}
}

static void test_version_1(void **state)
{
	struct pt_error err = { 0 };
	struct pt_freeze *f;
	__u64 before;
	pid_t pid;

	(void)state;
	mkdir(SCRATCH "/v1", 0755);
	if (mount("none", SCRATCH "/v1", "cgroup", 0, "freezer"))
		skip();		/* a kernel without it */
	pid = frozen_in(SCRATCH "/v1", "freezer.state", "FROZEN");
	for (int ms = 0; !pt_proc_is_frozen(pid); ms++) {
		assert_true(ms < 10000);
		usleep(1000);
	}
	before = *beats;
	if (pt_freeze_take(&f, pid, &err))
		fail_msg("%s", err.text);
	assert_int_equal(*beats, before);
	pt_freeze_release(f);
	assert_true(pt_proc_is_frozen(pid));
	put("freezer.state", "THAWED");
	assert_false(pt_proc_is_frozen(pid));
	/* Only the end of the tracing thread releases it for certain. */
	end(pid);
}

static void test_version_2(void **state)
{
	struct pt_error err = { 0 };
	struct pt_freeze *f;
	pid_t pid;

	(void)state;
	mkdir(SCRATCH "/v2", 0755);
	assert_int_equal(mount("none", SCRATCH "/v2", "cgroup2", 0, NULL), 0);
	pid = frozen_in(SCRATCH "/v2", "cgroup.freeze", "1");
	if (pt_freeze_take(&f, pid, &err))
		fail_msg("%s", err.text);
	pt_freeze_release(f);
	put("cgroup.freeze", "0");
	await_beat();
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_version_2),
	};

	beats = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return beats == MAP_FAILED || scratch_mount()
		? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
