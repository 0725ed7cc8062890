/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The status of a process that ends while it is asked. */
#include "scratch.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cli/ask.h"
#include "ctl/ctl_record.h"

#define PATH	SCRATCH "/control"
#define RECORD	"{\"role\":\"sender\",\"result\":\"completed\"}"
#define STATUS	"{\"role\":\"sender\"}\n"

/* ends: how a process treats the clients that come, one after another, and how it
 * ends then. */
struct end {
	const char *name;
	int drops;		/* clients that it accepts and drops */
	bool answers;		/* the next client */
	bool leaves;		/* removes its socket */
	const char *result;	/* that is told; NULL: it runs */
};

static const struct end ends[] = {
	{ "ended while it was asked", 1, false, true, "completed" },
	{ "killed while it was asked", 1, false, false, "completed" },
	{ "drops each client", 3, false, true, "completed" },
	{ "dropped a client for others", 2, true, true, NULL },
};

static int listener;

static void *process(void *arg)
{
	const struct end *e = arg;
	char line[16];

	for (int i = 0; i < e->drops + e->answers; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			break;	/* it was not asked as often */
		if (i < e->drops) {
			if (i == e->drops - 1 && !e->answers && e->leaves)
				unlink(PATH);
			if (i == e->drops - 1 && !e->answers)
				close(listener);
		} else if (read(fd, line, sizeof(line)) <= 0 ||
			   write(fd, STATUS, strlen(STATUS)) < 0) {
			abort();
		}
		close(fd);
	}
	return NULL;
}

static void listen_at_path(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = PATH };

	unlink(PATH);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	assert_int_equal(listen(listener, 8), 0);
}

static void test_row(void **state)
{
	const struct end *e = *state;
	struct pt_error err = { 0 };
	const char *result;
	pthread_t thread;
	json_t *answer;

	assert_int_equal(pt_ctl_record_write(PATH, RECORD), 0);
	listen_at_path();
	assert_int_equal(pthread_create(&thread, NULL, process, (void *)e), 0);
	if (pt_ask(&answer, PATH, "status", &err))
		fail_msg("%s", err.text);
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	result = json_string_value(json_object_get(answer, "result"));
	if (e->result)
		assert_string_equal(result, e->result);
	else
		assert_null(result);
	json_decref(answer);
	if (e->answers)
		close(listener);
}

/* A record that another user may have made is not shown. */
static void test_foreign(void **state)
{
	struct pt_error err = { 0 };
	json_t *answer;

	(void)state;
	unlink(PATH);
	assert_int_equal(pt_ctl_record_write(PATH, RECORD), 0);
	assert_int_equal(chmod(PATH ".last", 0640), 0);
	assert_int_equal(pt_ask(&answer, PATH, "status", &err), -EPERM);
	assert_non_null(strstr(err.text, "not shown"));
}

/* Only the status is of one that has ended. */
static void test_pause(void **state)
{
	struct pt_error err = { 0 };
	json_t *answer;

	(void)state;
	unlink(PATH);
	assert_int_equal(chmod(PATH ".last", 0600), 0);
	assert_int_equal(pt_ask(&answer, PATH, "pause", &err), -ENOENT);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(ends) / sizeof(ends[0]) + 2];
	size_t cnt = 0;

	if (scratch_mount())
		return 1;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			.name = ends[i].name, .test_func = test_row,
			.initial_state = (void *)&ends[i],
		};
	tests[cnt++] = (struct CMUnitTest)cmocka_unit_test(test_foreign);
	tests[cnt++] = (struct CMUnitTest)cmocka_unit_test(test_pause);
	return _cmocka_run_group_tests("ask", tests, cnt, NULL, NULL);
}
