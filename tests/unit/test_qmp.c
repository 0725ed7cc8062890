// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <sys/un.h>
#include "qmp_pair.h"

#define SOCKET SCRATCH "/qmp"

/* begin_fails returns what a beginning with these lines gives. */
static int begin_fails(const char *lines, struct pt_error *err)
{
	struct pt_qmp *q;
	int fd = monitor_new(), code;

	say(lines);
	shutdown(monitor, SHUT_WR);
	code = pt_qmp_adopt(&q, fd, "mon", err);
	assert_int_not_equal(code, 0);
	assert_int_equal(err->exit, PT_EXIT_HOST);
	return code;
}

static void event_is(struct pt_qmp *q, const char *name)
{
	struct pt_error err = { 0 };
	json_t *event;

	assert_int_equal(pt_qmp_event(q, 0, &event, &err), 0);
	assert_string_equal(pt_json_text(event, "event"), name);
	json_decref(event);
}

/* has checks that the error is about the monitor, with these words. */
static void has(const struct pt_error *err, const char *name,
		const char *words)
{
	if (strncmp(err->text, name, strlen(name)) || !strstr(err->text, words))
		fail_msg("'%s' lacks '%s'", err->text, words);
}

/* ------------------------------------------------------------- the beginning */

static void test_begins(void **state)
{
	struct pt_qmp *q = client();
	struct pt_qmp_version v = pt_qmp_version(q);
	char text[256] = "";
	const char *want = "{\"execute\":\"qmp_capabilities\",\"arguments\":{},"
			   "\"id\":\"pagetrim-1\"}\n";

	(void)state;
	assert_int_equal(v.major, 7);
	assert_int_equal(v.minor, 2);
	assert_int_equal(v.micro, 22);
	assert_int_equal(pt_qmp_pid(q), getpid());
	assert_string_equal(pt_qmp_name(q), "mon");
	assert_int_equal(recv(monitor, text, sizeof(text) - 1, 0),
			 strlen(want));
	assert_string_equal(text, want);
	pt_qmp_close(q);
}

static void test_nobody_listens(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	struct pt_error err = { 0 };
	struct pt_qmp *q;
	char path[200];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(pt_qmp_open(&q, SOCKET, &err), -ENOENT);
	has(&err, SOCKET ": No such file", "-qmp unix:PATH");
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(pt_qmp_open(&q, SOCKET, &err), -ECONNREFUSED);
	has(&err, SOCKET, "it has ended");
	close(fd);
	unlink(SOCKET);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pt_qmp_open(&q, path, &err), -ENAMETOOLONG);
}

/* A monitor with a client leaves the next ones in its queue, which may be full. */
static void test_busy(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), others[8];
	struct pt_error err = { 0 };
	struct pt_qmp *q;
	size_t cnt = 0;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(pt_qmp_open(&q, SOCKET, &err), -EBUSY);
	has(&err, SOCKET ": no greeting within 2 s", "another client");
	do {
		assert_in_range(cnt, 0, 7);
		others[cnt] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	} while (!connect(others[cnt++], (struct sockaddr *)&addr,
			  sizeof(addr)));
	memset(&err, 0, sizeof(err));
	assert_int_equal(pt_qmp_open(&q, SOCKET, &err), -EBUSY);
	has(&err, SOCKET ": no greeting", "another client");
	while (cnt)
		close(others[--cnt]);
	close(fd);
	unlink(SOCKET);
}

static const struct beginning {
	const char *name, *lines;
	int want;
	const char *words;
} beginnings[] = {
	{ "a monitor for people", "QEMU 7.2.22 monitor - type 'help'\r\n",
	  -EPROTO, "not the answers of a QMP monitor" },
	{ "a greeting without a version", "{\"QMP\": {}}\r\n", -EPROTO,
	  "not the answers" },
	{ "a greeting that is no object", "[1]\n", -EPROTO, "not the answers" },
	{ "it ends", "", -ECONNRESET, "closed its monitor" },
	{ "it ends within the greeting", "{\"QMP\"", -ECONNRESET,
	  "closed its monitor" },
	{ "it ends behind the greeting", GREETING, -ECONNRESET,
	  "closed its monitor" },
	{ "negotiation is refused", GREETING "{\"error\": {\"class\": \"X\", "
	  "\"desc\": \"no\"}, \"id\": \"pagetrim-1\"}\n", -EREMOTEIO,
	  "QEMU refuses 'qmp_capabilities': no" },
};

static void test_beginning(void **state)
{
	const struct beginning *row = *state;
	struct pt_error err = { 0 };

	assert_int_equal(begin_fails(row->lines, &err), row->want);
	has(&err, "mon: ", row->words);
}

/* ------------------------------------------------------------------ commands */

static void test_returns(void **state)
{
	struct pt_qmp *q = client();
	char text[512] = "";

	(void)state;
	say(RETURN(2, "\"yes\""));
	run_ok(q, "yes");
	assert_true(recv(monitor, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "{\"execute\":\"query-x\",\"arguments\":"
			       "{\"key\":\"a \\\"b\\\"\"},\"id\":"
			       "\"pagetrim-2\"}\n"));
	pt_qmp_close(q);
}

static void test_other_ids(void **state)
{
	struct pt_qmp *q = client();

	(void)state;
	say("{\"return\": \"none\"}\n{\"return\": 1, \"id\": 2}\n"
	    RETURN(1, "\"old\"") RETURN(3, "\"new\"") RETURN(2, "\"mine\""));
	run_ok(q, "mine");
	pt_qmp_close(q);
}

static void test_refused(void **state)
{
	struct pt_qmp *q = client();
	struct pt_error err = { 0 };

	(void)state;
	say("{\"error\": {\"class\": \"GenericError\", \"desc\": "
	    "\"not\\u001b[31m now\"}, \"id\": \"pagetrim-2\"}\n"
	    "{\"error\": {}, \"id\": \"pagetrim-3\"}\n" RETURN(4, "\"on\""));
	assert_int_equal(run(q, 0, NULL, &err), -EREMOTEIO);
	has(&err, "mon: ", "QEMU refuses 'query-x': not\\x1b[31m now");
	assert_int_equal(run(q, 0, NULL, &err), -EREMOTEIO);
	run_ok(q, "on");
	pt_qmp_close(q);
}

static void test_events_between(void **state)
{
	struct pt_qmp *q = client();
	json_t *event;

	(void)state;
	say(EVENT("STOP") RETURN(2, "\"yes\"") EVENT("RESUME"));
	run_ok(q, "yes");
	event_is(q, "STOP");
	event_is(q, "RESUME");
	assert_int_equal(pt_qmp_event(q, 0, &event, NULL), -ETIMEDOUT);
	assert_int_equal(pt_qmp_event(q, 20, &event, NULL), -ETIMEDOUT);
	pt_qmp_close(q);
}

static void test_too_many_events(void **state)
{
	struct pt_qmp *q = client();
	char text[64];
	json_t *event;

	(void)state;
	for (int i = 0; i < PT_QMP_EVENTS + 3; i++) {
		snprintf(text, sizeof(text), EVENT("E%d"), i);
		say(text);
	}
	say(RETURN(2, "\"yes\""));
	run_ok(q, "yes");
	for (int i = 3; i < PT_QMP_EVENTS + 3; i++) {
		snprintf(text, sizeof(text), "E%d", i);
		event_is(q, text);
	}
	assert_int_equal(pt_qmp_event(q, 0, &event, NULL), -ETIMEDOUT);
	say(EVENT("LEFT"));
	assert_int_equal(run(q, 20, NULL, NULL), -ETIMEDOUT);
	pt_qmp_close(q);	/* with an event that nobody took */
}

/* Each byte arrives by itself. */
static void *say_slowly(void *arg)
{
	const char *text = arg;
	char byte[2] = "";

	for (; *text; text++) {
		byte[0] = *text;
		say(byte);
	}
	return NULL;
}

static void test_split_reply(void **state)
{
	struct pt_qmp *q = client();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, say_slowly,
		EVENT("STOP") RETURN(2, "\"in pieces\"") EVENT("RESUME")), 0);
	run_ok(q, "in pieces");
	pthread_join(thread, NULL);
	event_is(q, "STOP");
	event_is(q, "RESUME");
	pt_qmp_close(q);
}

static void test_late_reply(void **state)
{
	struct pt_qmp *q = client();
	struct pt_error err = { 0 };

	(void)state;
	assert_int_equal(run(q, 20, NULL, &err), -ETIMEDOUT);
	has(&err, "mon: ", "does not answer 'query-x'");
	say(RETURN(2, "\"late\"") RETURN(3, "\"in time\""));
	run_ok(q, "in time");
	pt_qmp_close(q);
}

/* A flood of events does not make a command wait for longer. */
static void *flood(void *arg)
{
	const char *text = EVENT("RTC_CHANGE");

	(void)arg;
	while (send(monitor, text, strlen(text), MSG_NOSIGNAL) > 0)
		continue;
	return NULL;
}

static void test_flood(void **state)
{
	struct pt_qmp *q = client();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, flood, NULL), 0);
	assert_int_equal(run(q, 50, NULL, NULL), -ETIMEDOUT);
	pt_qmp_close(q);
	pthread_join(thread, NULL);
}

/* -------------------------------------------------------------- descriptors */

static void test_passes_a_descriptor(void **state)
{
	struct pt_qmp *q = client();
	struct pt_qmp_cmd cmd = { .name = "getfd", .has_fd = true };
	char text[512], control[256];
	struct iovec part = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;
	struct stat mine, theirs;
	int fd;

	(void)state;
	assert_true(recv(monitor, text, sizeof(text), 0) > 0);
	cmd.fd = scratch_file(SCRATCH "/passed", 0);
	say(RETURN(2, "{}"));
	assert_int_equal(pt_qmp_run(q, &cmd, NULL, NULL), 0);
	assert_true(recvmsg(monitor, &msg, 0) > 0);
	head = CMSG_FIRSTHDR(&msg);
	assert_non_null(head);
	assert_int_equal(head->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	assert_int_equal(fstat(fd, &theirs), 0);
	assert_int_equal(fstat(cmd.fd, &mine), 0);
	assert_int_equal(mine.st_ino, theirs.st_ino);
	close(fd);
	close(cmd.fd);
	pt_qmp_close(q);
}

#define CNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
	const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_begins),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_returns),
		cmocka_unit_test(test_other_ids),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_events_between),
		cmocka_unit_test(test_too_many_events),
		cmocka_unit_test(test_split_reply),
		cmocka_unit_test(test_late_reply),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_passes_a_descriptor),
	};
	struct CMUnitTest tests[CNT(fixed) + CNT(beginnings)];
	size_t cnt = CNT(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < CNT(beginnings); i++)
		tests[cnt++] = (struct CMUnitTest){
			.name = beginnings[i].name, .test_func = test_beginning,
			.initial_state = (void *)&beginnings[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
