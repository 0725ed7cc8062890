// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The guard's process.  tests/unit/test_qemu.c has it bring real guests back. */
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "memory/proc.h"
#include "vmm_kit.h"

static struct pt_qemu_guard *start(struct pt_qemu *q)
{
	struct pt_error err = { 0 };
	struct pt_qemu_guard *g;

	if (pt_qemu_guard_start(&g, q, &err))
		fail_msg("%s", err.text);
	return g;
}

/* guard_of returns the guard of this process; 0: there is none. */
static pid_t guard_of(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	pid_t pid, found = 0;

	while (!found && (entry = readdir(dir))) {
		pid = atoi(entry->d_name);
		if (pid > 0 && pt_proc_number(pid, "PPid:") == getpid())
			found = pid;
	}
	closedir(dir);
	return found;
}

/* ready waits until the guard has done all that precedes its wait for us: its
 * privileges are the last. */
static void ready(pid_t pid)
{
	for (int ms = 0; pt_proc_number(pid, "NoNewPrivs:") != 1; ms++) {
		assert_true(ms < 60000);
		usleep(1000);
	}
}

static int fd_cnt(pid_t pid)
{
	const struct dirent *entry;
	char path[64];
	int cnt = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		cnt += entry->d_name[0] != '.';
	closedir(dir);
	return cnt;
}

/* blocks: the process takes no such signal. */
static bool blocks(pid_t pid, int signo)
{
	unsigned long long mask = 0;
	char path[64], line[256];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		sscanf(line, "SigBlk: %llx", &mask);
	fclose(in);
	return mask >> (signo - 1) & 1;
}

static volatile sig_atomic_t children;

static void count_child(int signo)
{
	(void)signo;
	children++;
}

static void test_guard_of_a_source(void **state)
{
	struct fake f = { .version = "7, 2, 22", .then = source };
	struct pt_qemu *q = open_it(&f);
	struct pt_qemu_guard *g;
	pid_t pid;

	(void)state;
	signal(SIGCHLD, count_child);
	g = start(q);
	pid = guard_of();
	assert_true(pid > 0);
	ready(pid);
	assert_int_equal(fd_cnt(pid), 2);
	assert_int_equal(pt_proc_number(pid, "CapEff:"), 0);
	assert_int_equal(getsid(pid), pid);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);	/* no child */
	assert_true(blocks(pid, SIGINT) && blocks(pid, SIGTERM) &&
		    blocks(pid, SIGHUP) && blocks(pid, SIGPIPE));
	assert_false(blocks(getpid(), SIGINT));
	assert_int_equal(pt_qemu_guard_commit(g), 0);
	pt_qemu_guard_release(g);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(children, 0);
	signal(SIGCHLD, SIG_DFL);
	pt_qemu_guard_release(NULL);
	end_it(q, &f);
}

static void test_guard_is_killed(void **state)
{
	struct fake f = { .version = "7, 2, 22", .then = source };
	struct pt_qemu *q = open_it(&f);
	struct pt_qemu_guard *g = start(q);
	pid_t pid = guard_of();

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, pid, &(siginfo_t){ 0 },
				WEXITED | WNOWAIT | __WALL), 0);
	assert_int_equal(pt_qemu_guard_commit(g), -EPIPE);
	pt_qemu_guard_release(g);
	assert_int_equal(guard_of(), 0);
	end_it(q, &f);
}

static void test_guest_is_paused(void **state)
{
	struct fake f = {
		.version = "7, 2, 22", .first = ROW(STATUS("paused", "false")),
		.then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	struct pt_qemu_guard *g;

	(void)state;
	assert_int_equal(pt_qemu_guard_start(&g, q, &err), -EINVAL);
	has(&err, "does not run, its state is 'paused'");
	assert_int_equal(guard_of(), 0);
	end_it(q, &f);
}

/* agent_dies: an agent starts a guard and dies at the stage; the guard becomes a
 * child of this process.  Its exit status is returned. */
static int agent_dies(struct fake *f, enum pt_qemu_guard_stage stage, char **log)
{
	pid_t agent, guard;
	int status;

	fake_start(f);
	agent = fork();
	if (!agent) {
		struct pt_qemu *q;
		struct pt_qemu_guard *g;

		if (pt_qemu_open(&q, SOCKET, 0, NULL) ||
		    pt_qemu_guard_start(&g, q, NULL) || pt_qemu_guard_tell(g, stage))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(agent, &status, 0), agent);
	assert_true(WIFSIGNALED(status));
	guard = waitpid(-1, &status, __WALL);
	assert_true(guard > 0);
	assert_true(WIFEXITED(status));
	*log = fake_end(f);
	return WEXITSTATUS(status);
}

/* It ends with QEMU, in the middle of a cancel. */
static void test_qemu_ends(void **state)
{
	const struct answer first[] = {
		MIGRATE("pre-switchover"), { "migrate_cancel", NULL }, END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	char *log, *at;

	(void)state;
	assert_int_equal(agent_dies(&f, PT_QEMU_GUARD_BEGUN, &log), 1);
	at = strstr(log, "\xff");
	assert_non_null(at);
	assert_non_null(at = strstr(at, "{\"execute\":\"query-status\",\"id\":"
				    "\"guard-0000001\"}\n"));
	assert_non_null(at = strstr(at, "\"query-migrate\""));
	assert_non_null(strstr(at, "\"migrate_cancel\""));
	free(log);
}

/* A guest that others paused meanwhile stays so. */
static void test_paused_stays(void **state)
{
	const struct answer first[] = { MIGRATE("failed"), END };
	struct answer then[CNT(source)];
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = then,
	};
	char *log;

	(void)state;
	memcpy(then, source, sizeof(then));
	for (size_t i = 0; then[i].part; i++)
		if (!strcmp(then[i].part, "query-status"))
			then[i].text = "\"return\": {\"running\": true, "
				       "\"status\": \"io-error\"}";
	assert_int_equal(agent_dies(&f, PT_QEMU_GUARD_BEGUN, &log), 0);
	assert_null(strstr(log, "\"cont\""));
	assert_null(strstr(log, "\"migrate_cancel\""));
	assert_non_null(strstr(log, "{\"execute\":\"migrate-set-capabilities\","
		"\"arguments\":{\"capabilities\":["
		"{\"capability\":\"x-ignore-shared\",\"state\":false},"
		"{\"capability\":\"events\",\"state\":true},"
		"{\"capability\":\"multifd\",\"state\":true}]},\"id\":"));
	free(log);
}

/* moved: the answers of a QEMU whose guest another client has moved.  A guard is
 * started only if the guest runs, by the word that the guard does not look at. */
static const struct answer moved[] = {
	{ "query-status", "\"return\": {\"running\": true, "
	  "\"status\": \"postmigrate\"}" },
	MIGRATE("completed"), END
};

/* Before source_begin a migration is another client's. */
static void test_dies_before_begin(void **state)
{
	struct fake f = {
		.version = "7, 2, 22", .first = moved, .then = source,
	};
	char *log;

	(void)state;
	assert_int_equal(agent_dies(&f, PT_QEMU_GUARD_IDLE, &log), 0);
	assert_null(strstr(log, "\xff"));
	assert_null(strstr(log, "guard-"));
	free(log);
	assert_int_equal(agent_dies(&f, PT_QEMU_GUARD_PREPARED, &log), 0);
	assert_null(strstr(log, "\"cont\""));
	assert_null(strstr(log, "\"migrate_cancel\""));
	assert_non_null(strstr(log, "\"migrate-set-capabilities\""));
	free(log);
}

/* A begin tells the guard, which goes on when it is detached. */
static void test_begin_tells(void **state)
{
	struct fake f = { .version = "7, 2, 22", .then = source };
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };
	struct pt_qemu_guard *g = start(q);
	int fd, status;
	char *log;

	(void)state;
	if (pt_qemu_source_begin(q, &fd, &err))
		fail_msg("%s", err.text);
	close(fd);
	pt_qemu_close(q);
	pt_qemu_guard_detach(g);
	assert_true(waitpid(-1, &status, __WALL) > 0);
	assert_int_equal(status, 0);
	log = fake_end(&f);
	assert_non_null(strstr(log, "\"query-status\",\"id\":\"guard-0000001\""));
	free(log);
}

/* After a refused begin nothing is to be undone. */
static void test_refused_begin_tells(void **state)
{
	const struct answer first[] = {
		{ "\"migrate\"", "\"error\": {\"desc\": \"not now\"}" }, END
	};
	struct fake f = {
		.version = "7, 2, 22", .first = first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_qemu_guard *g = start(q);
	int fd, status;
	char *log;

	(void)state;
	assert_int_equal(pt_qemu_source_begin(q, &fd, NULL), -EREMOTEIO);
	pt_qemu_close(q);
	pt_qemu_guard_detach(g);
	assert_true(waitpid(-1, &status, __WALL) > 0);
	assert_int_equal(status, 0);
	log = fake_end(&f);
	assert_null(strstr(log, "guard-"));
	free(log);
}

static const char limit_undone[] = "max 50000";

/* limit_has writes the text to the limit of a cgroup, a file here; NULL: it returns
 * whether the limit is as before the throttle. */
static bool limit_has(const struct pt_cgroup *c, const char *text)
{
	char name[PATH_MAX + 16], now[64] = "";
	FILE *f;

	snprintf(name, sizeof(name), "%s/cpu.max", c->path);
	f = fopen(name, text ? "we" : "re");
	assert_non_null(f);
	if (text)
		fputs(text, f);
	else
		assert_true(fgets(now, sizeof(now), f) || !now[0]);
	fclose(f);
	return !strcmp(now, limit_undone);
}

/* dies_throttled: we die while the guest is throttled, or after; it returns whether
 * the guard ended the throttle. */
static bool dies_throttled(bool is_lifted)
{
	struct pt_cgroup c = { .is_v2 = true, .path = SCRATCH "/cgroup.XXXXXX" };
	struct fake f = { .version = "7, 2, 22", .then = source };
	struct pt_qemu *q = open_it(&f);
	char name[PATH_MAX + 16];
	struct pt_qemu_guard *g;
	bool is_undone;
	int status;

	assert_non_null(mkdtemp(c.path));
	limit_has(&c, limit_undone);
	snprintf(name, sizeof(name), "%s/cgroup.threads", c.path);
	assert_int_equal(fclose(fopen(name, "we")), 0);
	assert_int_equal(pt_throttle_open_in(&q->throttle, &c, getpid(), NULL),
			 0);
	g = start(q);
	ready(guard_of());
	assert_int_equal(fd_cnt(guard_of()), 3);
	assert_int_equal(pt_qemu_throttle(q, 50, NULL), 0);
	assert_false(limit_has(&c, NULL));
	if (is_lifted)
		assert_int_equal(pt_qemu_throttle(q, 0, NULL), 0);
	limit_has(&c, "");
	pt_qemu_guard_detach(g);
	assert_true(waitpid(-1, &status, __WALL) > 0);
	assert_int_equal(status, 0);
	is_undone = limit_has(&c, NULL);
	end_it(q, &f);
	return is_undone;
}

static void test_throttle_ends(void **state)
{
	(void)state;
	assert_true(dies_throttled(false));
	assert_false(dies_throttled(true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard_of_a_source),
		cmocka_unit_test(test_guard_is_killed),
		cmocka_unit_test(test_guest_is_paused),
		cmocka_unit_test(test_qemu_ends),
		cmocka_unit_test(test_paused_stays),
		cmocka_unit_test(test_dies_before_begin),
		cmocka_unit_test(test_begin_tells),
		cmocka_unit_test(test_refused_begin_tells),
		cmocka_unit_test(test_throttle_ends),
	};

	if (scratch_mount() || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
