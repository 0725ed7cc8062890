/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A process after it dropped its privileges: by /proc, of every thread.  Each
 * case is a process of its own, started as root. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>
#include <cmocka.h>

#include "cli/privilege.h"

/* ---- --user ----------------------------------------------------------- */

static const struct row {
	const char *text;
	int want;
	uid_t uid;
	gid_t gid;
	bool has_groups;
} rows[] = {
	{ "root", 0, 0, 0, true },
	{ "nobody", 0, 65534, 65534, true },
	{ "65534", 0, 65534, 65534, true },
	{ "0", 0, 0, 0, true },
	{ "nobody:7", 0, 65534, 7, false },
	{ "7654321:7", 0, 7654321, 7, false },
	{ "4294967294:4294967294", 0, 4294967294u, 4294967294u, false },
	{ "7654321", -EINVAL, 0, 0, false },	/* which group? */
	{ "no-such-user", -EINVAL, 0, 0, false },
	{ "no-such-user:7", -EINVAL, 0, 0, false },
	{ "", -EINVAL, 0, 0, false },
	{ ":7", -EINVAL, 0, 0, false },
	{ "nobody:", -EINVAL, 0, 0, false },
	{ "nobody:nogroup", -EINVAL, 0, 0, false },
	{ "nobody:7:7", -EINVAL, 0, 0, false },
	{ "4294967295:7", -EINVAL, 0, 0, false },	/* no user at all */
	{ "7654321:4294967295", -EINVAL, 0, 0, false },
	{ "99999999999999999999:7", -EINVAL, 0, 0, false },
	{ "-1:7", -EINVAL, 0, 0, false },
	{ "7654321 :7", -EINVAL, 0, 0, false },
};

static void test_user(void **state)
{
	const struct row *row = *state;
	struct pt_error err = { 0 };
	struct pt_user user;

	assert_int_equal(pt_user_parse(&user, row->text, &err), row->want);
	if (row->want) {
		assert_false(user.is_set);
		assert_int_equal(err.exit, PT_EXIT_USAGE);
		assert_non_null(strstr(err.text, "--user '"));
		return;
	}
	assert_true(user.is_set);
	assert_int_equal(user.uid, row->uid);
	assert_int_equal(user.gid, row->gid);
	assert_int_equal(user.has_groups, row->has_groups);
}

/* ---- what /proc says -------------------------------------------------- */

/* status_of returns the number in a line of a thread's status. */
static __u64 status_of(pid_t tid, const char *key)
{
	char path[64], line[256];
	__u64 value = ~0ULL;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	in = fopen(path, "r");
	if (!in)
		return value;
	while (fgets(line, sizeof(line), in))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, 16);
	fclose(in);
	return value;
}

static bool has_caps(pid_t tid, __u64 want)
{
	return status_of(tid, "CapEff:") == want &&
	       status_of(tid, "CapPrm:") == want &&
	       status_of(tid, "CapInh:") == 0 &&
	       status_of(tid, "CapAmb:") == 0;
}

#define WANT(it)							\
	do {								\
		if (!(it)) {						\
			fprintf(stderr, "%s:%d: not %s\n", __FILE__,	\
				__LINE__, #it);				\
			_exit(1);					\
		}							\
	} while (0)

/* apart runs the function in a child that begins with all privileges. */
static void apart(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void hardened(void)
{
	const struct rlimit much = { 1 << 20, 1 << 20 };
	struct rlimit core;

	setrlimit(RLIMIT_CORE, &much);
	WANT(!pt_privilege_harden(NULL));
	WANT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	WANT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	WANT(!getrlimit(RLIMIT_CORE, &core));
	WANT(!core.rlim_cur && !core.rlim_max);
}

static pid_t looker;

static void *look(void *arg)
{
	__u64 want = *(__u64 *)arg;

	looker = gettid();
	WANT(has_caps(gettid(), want));
	WANT(status_of(gettid(), "CapBnd:") == 0);
	WANT(setuid(0) || !getuid());
	return NULL;
}

static void check_thread(__u64 want)
{
	pthread_t thread;

	WANT(has_caps(getpid(), want));
	WANT(!pthread_create(&thread, NULL, look, &want));
	WANT(!pthread_join(thread, NULL));
	/* One that was joined is counted for a moment more. */
	while (!tgkill(getpid(), looker, 0))
		usleep(1000);
}

static void all_at_once(void)
{
	WANT(!pt_privilege_drop(0, NULL, NULL));
	check_thread(0);
	WANT(getuid() == 0);
	WANT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void in_two_steps(void)
{
	const __u64 keep = PT_CAP(CAP_NET_RAW) | PT_CAP(CAP_IPC_LOCK);

	WANT(!pt_privilege_drop(keep, NULL, NULL));
	check_thread(keep);
	WANT(!pt_privilege_drop(0, NULL, NULL));
	check_thread(0);
	/* and no way back */
	WANT(!pt_privilege_drop(keep, NULL, NULL));
	check_thread(0);
}

/* All of the inheritable and ambient ones, which a parent may set. */
static void with_ambient(void)
{
	WANT(!capng_get_caps_process());
	capng_update(CAPNG_ADD, CAPNG_INHERITABLE, CAP_NET_RAW);
	WANT(!capng_apply(CAPNG_SELECT_CAPS));
	capng_update(CAPNG_ADD, CAPNG_AMBIENT, CAP_NET_RAW);
	WANT(!capng_apply(CAPNG_SELECT_AMBIENT));
	WANT(status_of(getpid(), "CapAmb:") == PT_CAP(CAP_NET_RAW));
	WANT(!pt_privilege_drop(PT_CAP(CAP_NET_RAW), NULL, NULL));
	check_thread(PT_CAP(CAP_NET_RAW));
}

static void as_user(void)
{
	const gid_t some[] = { 1, 2, 3 };
	struct pt_user user;
	uid_t uid[3];
	gid_t gid[3], groups[8];

	WANT(!setgroups(3, some));
	WANT(!pt_user_parse(&user, "12345:678", NULL));
	WANT(!pt_privilege_drop(0, &user, NULL));
	check_thread(0);
	WANT(!getresuid(&uid[0], &uid[1], &uid[2]));
	WANT(uid[0] == 12345 && uid[1] == 12345 && uid[2] == 12345);
	WANT(!getresgid(&gid[0], &gid[1], &gid[2]));
	WANT(gid[0] == 678 && gid[1] == 678 && gid[2] == 678);
	WANT(getgroups(8, groups) == 0);
	WANT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void as_user_with_groups(void)
{
	const gid_t some[] = { 1, 2, 3 };
	struct pt_user user;
	gid_t groups[8];

	WANT(!setgroups(3, some));
	WANT(!pt_user_parse(&user, "nobody", NULL));
	WANT(!pt_privilege_drop(0, &user, NULL));
	WANT(getuid() == 65534 && getgid() == 65534);
	WANT(getgroups(8, groups) == 1 && groups[0] == 65534);
}

/* The user first, with the privileges still needed; then none. */
static void as_user_in_two_steps(void)
{
	const __u64 keep = PT_CAP(CAP_NET_RAW) | PT_CAP(CAP_IPC_LOCK);
	struct pt_user user;

	WANT(!pt_user_parse(&user, "12345:678", NULL));
	WANT(!pt_privilege_drop(keep, &user, NULL));
	check_thread(keep);
	WANT(getuid() == 12345 && geteuid() == 12345 && getgid() == 678);
	WANT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	WANT(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 0);
	WANT(!pt_privilege_drop(0, NULL, NULL));
	check_thread(0);
}

static void *sleep_on(void *arg)
{
	return pause(), arg;
}

static void while_threads_run(void)
{
	struct pt_error err;
	pthread_t thread;

	WANT(!pthread_create(&thread, NULL, sleep_on, NULL));
	WANT(pt_privilege_drop(0, NULL, &err) == -EBUSY);
	WANT(err.exit == PT_EXIT_HOST && strstr(err.text, "2 threads"));
}

/* leave_only simulates a parent that is not root in full. */
static void leave_only(__u64 caps)
{
	WANT(!capng_get_caps_process());
	capng_clear(CAPNG_SELECT_CAPS);
	for (unsigned int cap = 0; cap < 64; cap++)
		if (caps & PT_CAP(cap))
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	WANT(!capng_apply(CAPNG_SELECT_CAPS));
}

static void without_setuid(void)
{
	struct pt_error err;
	struct pt_user user;

	leave_only(PT_CAP(CAP_SETGID));
	WANT(!pt_user_parse(&user, "nobody", NULL));
	WANT(pt_privilege_drop(0, &user, &err) == -EPERM);
	WANT(err.exit == PT_EXIT_HOST && strstr(err.text, "CAP_SETUID"));
}

/* Its bounding set cannot be emptied, and does not matter. */
static void without_setpcap(void)
{
	leave_only(PT_CAP(CAP_NET_RAW));
	WANT(!pt_privilege_harden(NULL));
	WANT(!pt_privilege_drop(0, NULL, NULL));
	WANT(has_caps(getpid(), 0));
}

static void dies_without_a_core(void)
{
	struct rlimit much = { RLIM_INFINITY, RLIM_INFINITY };
	int status;
	pid_t pid;

	setrlimit(RLIMIT_CORE, &much);
	pid = fork();
	if (!pid) {
		pt_privilege_harden(NULL);
		pt_privilege_drop(0, NULL, NULL);
		signal(SIGSEGV, SIG_DFL);	/* not of cmocka's */
		raise(SIGSEGV);
		_exit(0);
	}
	WANT(waitpid(pid, &status, 0) == pid);
	WANT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	WANT(!WCOREDUMP(status));
}

static void test_apart(void **state)
{
	apart((void (*)(void))*state);
}

int main(void)
{
	enum { ROW_CNT = sizeof(rows) / sizeof(rows[0]), APART_CNT = 11 };
	struct CMUnitTest tests[ROW_CNT + APART_CNT];
	int cnt = 0;

	for (; cnt < ROW_CNT; cnt++)
		tests[cnt] = (struct CMUnitTest){
			.name = rows[cnt].text,
			.test_func = test_user,
			.initial_state = (void *)&rows[cnt],
		};
#define APART(fn)							\
	tests[cnt++] = (struct CMUnitTest){				\
		.name = #fn,						\
		.test_func = test_apart,				\
		.initial_state = (void *)fn,				\
	}
	APART(hardened);
	APART(all_at_once);
	APART(in_two_steps);
	APART(with_ambient);
	APART(as_user);
	APART(as_user_with_groups);
	APART(as_user_in_two_steps);
	APART(while_threads_run);
	APART(without_setuid);
	APART(without_setpcap);
	APART(dies_without_a_core);
#undef APART
	return cmocka_run_group_tests_name("privilege", tests, NULL, NULL);
}
