/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* qmp_pair: a monitor that is a socket pair.  Its lines are written before they
 * are read, so that each test is one sequence.  The client's commands have the ids
 * 1, 2, ... */
#ifndef TEST_QMP_PAIR_H
#define TEST_QMP_PAIR_H

#include <pthread.h>
#include <sys/socket.h>
#include "scratch.h"
#include "qmp/json.h"
#include "qmp/qmp.h"

#define GREETING							\
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, "	\
	"\"major\": 7}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define RETURN(id, value) \
	"{\"return\": " value ", \"id\": \"pagetrim-" #id "\"}\r\n"
#define EVENT(name) "{\"event\": \"" name "\", \"timestamp\": {}}\r\n"

static int monitor = -1;	/* QEMU's end */

static inline void say(const char *text)
{
	assert_int_equal(send(monitor, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
}

/* monitor_new makes a new monitor; its client's end is returned. */
static inline int monitor_new(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    ends), 0);
	if (monitor >= 0)
		close(monitor);
	monitor = ends[1];
	return ends[0];
}

/* client returns a client that has negotiated. */
static inline struct pt_qmp *client(void)
{
	struct pt_error err = { 0 };
	struct pt_qmp *q;
	int fd = monitor_new();

	say(GREETING RETURN(1, "{}"));
	if (pt_qmp_adopt(&q, fd, "mon", &err))
		fail_msg("%s", err.text);
	return q;
}

static inline int run(struct pt_qmp *q, int timeout_ms, json_t **ret,
	       struct pt_error *err)
{
	const struct pt_qmp_cmd cmd = {
		.name = "query-x", .timeout_ms = timeout_ms,
		.args = json_pack("{s:s}", "key", "a \"b\""),
	};

	return pt_qmp_run(q, &cmd, ret, err);
}

static inline void run_ok(struct pt_qmp *q, const char *want)
{
	struct pt_error err = { 0 };
	json_t *ret = NULL;

	if (run(q, 0, &ret, &err))
		fail_msg("%s", err.text);
	assert_string_equal(json_string_value(ret), want);
	json_decref(ret);
}

#endif
