// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Replies that are too long, too deep, or none. */
#include "qmp_pair.h"

#include <poll.h>

/* ------------------------------------------------------------------ its limits */

/* huge writes a reply of sz bytes without its newline. */
static void *huge(void *arg)
{
	size_t sz = *(size_t *)arg;
	static const char head[] = "{\"return\": \"";
	static const char tail[] = "\", \"id\": \"pagetrim-2\"}\n";
	char *text = malloc(sz + 1);

	assert_non_null(text);
	memset(text, 'x', sz);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + sz + 1 - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	for (size_t at = 0; at < sz + 1;) {
		ssize_t put = send(monitor, text + at, sz + 1 - at,
				   MSG_NOSIGNAL);

		if (put < 0)
			break;	/* the client closed */
		at += put;
	}
	free(text);
	return NULL;
}

static int run_huge(size_t sz)
{
	struct pt_qmp *q = client();
	struct pt_error err = { 0 };
	json_t *ret = NULL;
	pthread_t thread;
	int code;

	assert_int_equal(pthread_create(&thread, NULL, huge, &sz), 0);
	code = run(q, 60000, &ret, &err);
	if (!code)
		assert_true(json_string_length(ret) > sz - 64);
	else	/* for good */
		assert_int_equal(run(q, 0, NULL, &err), code);
	json_decref(ret);
	pt_qmp_close(q);
	pthread_join(thread, NULL);
	return code;
}

static void test_huge_reply(void **state)
{
	(void)state;
	assert_int_equal(run_huge(PT_QMP_LINE_MAX - 1), 0);
	assert_int_equal(run_huge(PT_QMP_LINE_MAX), -EPROTO);
	assert_int_equal(run_huge(3 * PT_QMP_LINE_MAX), -EPROTO);
}

static int run_deep(unsigned int depth)
{
	struct pt_qmp *q = client();
	char text[512];
	int code;

	/* The reply itself is the first level. */
	snprintf(text, sizeof(text), "{\"return\": %.*s%.*s, \"id\": "
		 "\"pagetrim-2\"}\n", depth - 1,
		 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", depth - 1,
		 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	say(text);
	code = run(q, 0, NULL, NULL);
	pt_qmp_close(q);
	return code;
}

static void test_deep_reply(void **state)
{
	struct pt_qmp *q;

	(void)state;
	assert_int_equal(run_deep(PT_QMP_DEPTH_MAX), 0);
	assert_int_equal(run_deep(PT_QMP_DEPTH_MAX + 1), -EPROTO);
	q = client();
	say(RETURN(2, "\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\""));
	run_ok(q, "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
	pt_qmp_close(q);
}

/* ---- lines without pause ---- */

#define FLOOD_SZ	(8u << 20)	/* takes far longer than a millisecond */
#define BLOCK_SZ	(64u << 10)	/* so that the writer is the faster one */

/* flood writes the line over and over, then closes. */
static void *flood(void *line)
{
	size_t sz = strlen(line), block_sz = BLOCK_SZ / sz * sz;
	char *block = malloc(block_sz);

	assert_non_null(block);
	for (size_t at = 0; at < block_sz; at += sz)
		memcpy(block + at, line, sz);
	for (size_t at = 0; at < FLOOD_SZ; at += block_sz)
		if (send(monitor, block, block_sz, MSG_NOSIGNAL) < 0)
			break;	/* the client closed */
	shutdown(monitor, SHUT_RDWR);
	free(block);
	return NULL;
}

static void flood_begin(pthread_t *thread, struct pt_qmp *q, char *line)
{
	struct pollfd fd = { .fd = pt_qmp_fd(q), .events = POLLIN };

	assert_int_equal(pthread_create(thread, NULL, flood, line), 0);
	assert_int_equal(poll(&fd, 1, 60000), 1);
}

/* A deadline holds although there always is a next line. */
static void test_deadline_in_a_flood(void **state)
{
	char event[] = EVENT("RTC_CHANGE"), reply[] = RETURN(77, "{}");
	struct pt_qmp *q = client();
	pthread_t thread;
	json_t *none;

	(void)state;
	flood_begin(&thread, q, event);
	assert_int_equal(run(q, 1, NULL, NULL), -ETIMEDOUT);
	pt_qmp_close(q);
	pthread_join(thread, NULL);

	q = client();
	flood_begin(&thread, q, reply);
	assert_int_equal(pt_qmp_event(q, 1, &none, NULL), -ETIMEDOUT);
	pt_qmp_close(q);
	pthread_join(thread, NULL);
}

/* Lines that came before the deadline are read after it, behind events. */
static void test_late_look(void **state)
{
	struct pt_qmp *q = client();
	json_t *event = NULL;

	(void)state;
	for (int i = 0; i < 32; i++)
		say(RETURN(77, "{}"));
	say(EVENT("STOP"));
	assert_int_equal(pt_qmp_event(q, 0, &event, NULL), 0);
	json_decref(event);
	pt_qmp_close(q);
}

static const struct reply {
	const char *name, *line;
	int want;
} replies[] = {
	{ "no return", "{\"id\": \"pagetrim-2\"}\n", -EPROTO },
	{ "no JSON", "hello\n", -EPROTO },
	{ "an empty line", "\n", -EPROTO },
	{ "a key twice", "{\"id\": 1, \"id\": 1}\n", -EPROTO },
	{ "a NUL", "{\"id\": \"\\u0000\"}\n", -EPROTO },
	{ "its end", "", -ECONNRESET },
};

static void test_reply(void **state)
{
	const struct reply *row = *state;
	struct pt_qmp *q = client();
	struct pt_error err = { 0 };
	json_t *event;

	say(row->line);
	shutdown(monitor, SHUT_WR);
	assert_int_equal(run(q, 0, NULL, &err), row->want);
	assert_int_equal(run(q, 0, NULL, &err), row->want);
	assert_int_equal(pt_qmp_event(q, 1000, &event, &err), row->want);
	pt_qmp_close(q);
}

#define CNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
	const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_huge_reply),
		cmocka_unit_test(test_deep_reply),
		cmocka_unit_test(test_deadline_in_a_flood),
		cmocka_unit_test(test_late_look),
	};
	struct CMUnitTest tests[CNT(fixed) + CNT(replies)];
	size_t cnt = CNT(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < CNT(replies); i++)
		tests[cnt++] = (struct CMUnitTest){
			.name = replies[i].name, .test_func = test_reply,
			.initial_state = (void *)&replies[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
