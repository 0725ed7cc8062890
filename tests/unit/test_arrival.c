/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A QEMU that waits for a guest, by a monitor that answers by a table: how far the
 * guest is, by QEMU's answers, and which failures leave that unknown. */
#include "vmm_kit.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cli/arrival.h"

/* waiting: the answers of a QEMU that waits for a guest, ... */
static const struct answer waiting[] = {
	STATUS("inmigrate", "false"),
	MIGRATE("none"),
	MEMDEV(RAM("ram", "true")),
	TEXT("\"property\":\"type\"", "memory-backend-memfd"),
	{ "query-migrate-capabilities", "\"return\": ["
	  "{\"capability\": \"x-ignore-shared\", \"state\": false}]" },
	END
};

static const struct row {
	const char *name;
	const struct answer *answers;	/* ... before those */
	int want;			/* of the commit */
	enum pt_exit exit;
	enum pt_arrival_state state;
	const char *left;
} rows[] = {
	{ "it runs", ROW(STATUS("running", "true")),
	  0, PT_EXIT_OK, PT_ARRIVAL_RUNS, "" },
	{ "QEMU refuses to run it", ROW({ "\"cont\"",
	  "\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}" }),
	  -EREMOTEIO, PT_EXIT_HOST, PT_ARRIVAL_LOADED, "end this QEMU" },
	{ "QEMU does not answer", ROW({ "\"cont\"", NULL }),
	  -ECONNRESET, PT_EXIT_UNKNOWN, PT_ARRIVAL_MAY_RUN, "may run" },
	{ "QEMU does not tell whether it runs", ROW({ "query-status", NULL }),
	  -ECONNRESET, PT_EXIT_UNKNOWN, PT_ARRIVAL_MAY_RUN, "may run" },
	{ "QEMU refuses to tell whether it runs", ROW({ "query-status",
	  "\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}" }),
	  -EPROTO, PT_EXIT_UNKNOWN, PT_ARRIVAL_MAY_RUN, "may run" },
};

static void start(struct fake *f, struct pt_arrival *a, char **ram)
{
	struct pt_error err = { 0 };

	*ram = ram_map("memory-backend-memfd", RAM_SZ);
	fake_start(f);
	if (pt_arrival_open(a, SOCKET, 0, (struct pt_arrival_with){ 0 }, &err))
		fail_msg("%s", err.text);
	assert_int_equal(a->state, PT_ARRIVAL_WAITS);
	assert_int_equal(a->memory_sz, RAM_SZ);
	assert_int_equal(a->range_cnt, 1);
	assert_non_null(strstr(pt_arrival_left(a, -EPROTO), "still waits"));
}

static void stop(struct fake *f, struct pt_arrival *a, char *ram)
{
	pt_arrival_close(a);
	pt_arrival_close(a);		/* nothing */
	free(fake_end(f));
	munmap(ram, RAM_SZ);
}

static void test_commit(void **state)
{
	const struct row *row = *state;
	struct fake f = { .version = "7, 2, 22", .first = waiting };
	struct pt_error err = { 0 };
	struct pt_arrival a;
	char *ram;
	int ret;

	start(&f, &a, &ram);
	a.state = PT_ARRIVAL_LOADED;
	f.first = row->answers;
	f.then = waiting;
	ret = pt_sink_commit(a.sink, &err);
	assert_int_equal(ret, row->want);
	if (ret)
		assert_int_equal(err.exit, row->exit);
	assert_int_equal(a.state, row->state);
	assert_non_null(strstr(pt_arrival_left(&a, ret), row->left));
	f.first = waiting;
	stop(&f, &a, ram);
}

/* ---- another client lets the guest run ---- */

/* loaded: its guest runs. */
static const struct answer loaded[] = {
	MIGRATE("completed"), STATUS("running", "true"), END
};

static const struct row earlies[] = {
	{ "it ran before the commit",
	  ROW(MIGRATE("completed"), STATUS("paused", "false")),
	  -EALREADY, PT_EXIT_HOST, PT_ARRIVAL_RAN,
	  "ran in QEMU and is paused there" },
	{ "it runs on before the commit", NULL,
	  -EINPROGRESS, PT_EXIT_UNKNOWN, PT_ARRIVAL_MAY_RUN,
	  "end this QEMU first" },
};

static void test_early(void **state)
{
	const struct row *row = *state;
	struct fake f = { .version = "7, 2, 22", .first = waiting };
	struct pt_error err = { 0 };
	struct pt_arrival a;
	char *ram;
	int ret;

	start(&f, &a, &ram);
	a.state = PT_ARRIVAL_BEGUN;
	f.first = loaded;
	f.then = waiting;
	f.stopped = row->answers;
	ret = a.guest.loaded(a.guest.arg, &err);
	assert_int_equal(ret, row->want);
	assert_int_equal(err.exit, row->exit);
	assert_int_equal(a.state, row->state);
	assert_non_null(strstr(pt_arrival_left(&a, ret), row->left));
	f.first = waiting;
	stop(&f, &a, ram);
}

/* A commit without any state of the guest's. */
static void test_no_state(void **state)
{
	struct fake f = { .version = "7, 2, 22", .first = waiting };
	struct pt_error err = { 0 };
	struct pt_arrival a;
	char *ram;

	(void)state;
	start(&f, &a, &ram);
	assert_int_equal(a.guest.loaded(a.guest.arg, &err), -EPROTO);
	has(&err, "without its state");
	assert_int_equal(a.state, PT_ARRIVAL_WAITS);
	stop(&f, &a, ram);
}

/* A failure to open leaves no descriptor. */
static void test_not_waiting(void **state)
{
	struct fake f = { .version = "7, 2, 22",
			  .first = ROW(STATUS("running", "true")),
			  .then = waiting };
	struct pt_error err = { 0 };
	struct pt_arrival a;
	int before, after;

	(void)state;
	fake_start(&f);
	before = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(before);
	assert_int_equal(pt_arrival_open(&a, SOCKET, 0, (struct pt_arrival_with){ 0 },
					 &err), -EINVAL);
	has(&err, "-incoming defer");
	assert_null(a.qemu);
	free(fake_end(&f));
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(after <= before);
	close(after);
}

/* A process that ended before its QEMU was asked: here a child in its place. */
static void test_ended(void **state)
{
	struct fake f = { .version = "7, 2, 22", .first = waiting };
	struct pt_arrival a;
	char *ram;
	pid_t pid;

	(void)state;
	start(&f, &a, &ram);
	close(a.pidfd);
	pid = fork();
	if (!pid)
		_exit(0);
	a.pidfd = syscall(SYS_pidfd_open, pid, 0);
	assert_true(a.pidfd >= 0);
	while (!strstr(pt_arrival_left(&a, -EIO), "QEMU has ended"))
		;
	waitpid(pid, NULL, 0);
	stop(&f, &a, ram);
}

int main(void)
{
	struct CMUnitTest tests[CNT(rows) + CNT(earlies) + 3];
	size_t test_cnt = 0;

	ADD(rows, test_commit);
	ADD(earlies, test_early);
	tests[test_cnt++] = (struct CMUnitTest)cmocka_unit_test(test_no_state);
	tests[test_cnt++] =
		(struct CMUnitTest)cmocka_unit_test(test_not_waiting);
	tests[test_cnt++] = (struct CMUnitTest)cmocka_unit_test(test_ended);
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
