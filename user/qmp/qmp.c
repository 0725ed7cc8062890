/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "qmp/qmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/rights.h"
#include "base/text.h"
#include "qmp/json.h"
#include "qmp/line.h"

#define ID_SZ		32	/* bytes of a command's id */
#define LATE_LINES	64	/* read after a deadline, since they may have
				 * come before it */

struct pt_qmp {
	struct pt_qmp_line line;
	char *name;
	struct pt_qmp_version version;
	unsigned long command_cnt;	/* the last one's id */
	int broken;			/* -errno that ended it, or 0 */
	json_t *events[PT_QMP_EVENTS];	/* event_cnt from event_first on */
	unsigned int event_first, event_cnt;
};

/* ------------------------------------------------------------- errors */

/* gone reports an error of the connection.  All but a timeout are for good. */
static int gone(struct pt_qmp *q, int code, const char *command,
		struct pt_error *err)
{
	if (code != -ETIMEDOUT && code != -ENOMEM)
		q->broken = code;
	switch (code) {
	case -ETIMEDOUT:
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: QEMU does "
				    "not answer '%s' in time (is its process "
				    "stopped?)", q->name, command);
	case -ECONNRESET:
	case -EPIPE:
		return pt_error_set(err, PT_EXIT_HOST, -ECONNRESET, "%s: QEMU "
				    "closed its monitor (did it end? see its "
				    "log)", q->name);
	case -EPROTO:
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: not the "
				    "answers of a QMP monitor (is it the PATH "
				    "of QEMU's -qmp unix:PATH,server=on,"
				    "wait=off?)", q->name);
	}
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s", q->name,
			    strerror(-code));
}

/* ---------------------------------------------------------- one line more */

static void keep_event(struct pt_qmp *q, json_t *event)
{
	unsigned int at = (q->event_first + q->event_cnt) % PT_QMP_EVENTS;

	if (q->event_cnt == PT_QMP_EVENTS) {
		json_decref(q->events[at]);
		q->event_first = (q->event_first + 1) % PT_QMP_EVENTS;
		q->event_cnt--;
	}
	q->events[at] = event;
	q->event_cnt++;
}

/* take_object reads the next line.  *out receives it; NULL: it was an event, which
 * is kept. */
static int take_object(struct pt_qmp *q, __u64 deadline_ns, json_t **out)
{
	const char *bytes;
	size_t sz;
	int code = pt_qmp_line_take(&q->line, deadline_ns, &bytes, &sz);

	*out = NULL;
	if (code)
		return code;
	*out = pt_json_object(bytes, sz, PT_QMP_DEPTH_MAX);
	if (!*out)
		return -EPROTO;
	if (json_object_get(*out, "event")) {
		keep_event(q, *out);
		*out = NULL;
	}
	return 0;
}

/* is_over: the deadline and LATE_LINES further lines.  A QEMU that writes without
 * pause is never waited for, so that no wait would find the deadline over. */
static bool is_over(__u64 deadline_ns, unsigned int *late_cnt)
{
	return !pt_left_ms(deadline_ns) && ++*late_cnt > LATE_LINES;
}

/* ------------------------------------------------------------- commands */

/* take_reply waits for the reply to the command with this id.  Any other one is
 * that of a command which was given up, or of an earlier client. */
static int take_reply(struct pt_qmp *q, const char *id, __u64 deadline_ns,
		      json_t **reply)
{
	unsigned int late_cnt = 0;

	for (;;) {
		int code = take_object(q, deadline_ns, reply);

		if (code)
			return code;
		if (*reply && !strcmp(pt_json_text(*reply, "id"), id))
			return 0;
		json_decref(*reply);
		if (is_over(deadline_ns, &late_cnt))
			return -ETIMEDOUT;
	}
}

static int refused(const struct pt_qmp *q, const struct pt_qmp_cmd *cmd,
		   const json_t *error, struct pt_error *err)
{
	char desc[300];

	pt_text_clean(desc, sizeof(desc), pt_json_text(error, "desc"));
	return pt_error_set(err, PT_EXIT_HOST, -EREMOTEIO,
			    "%s: QEMU refuses '%s': %s", q->name, cmd->name,
			    *desc ? desc : "it gives no reason");
}

/* command_text returns the command as one line, for free(3). */
static char *command_text(struct pt_qmp *q, const struct pt_qmp_cmd *cmd,
			  char id[ID_SZ])
{
	json_t *args = cmd->args ? cmd->args : json_object();
	json_t *whole;
	char *text, *line;

	snprintf(id, ID_SZ, "pagetrim-%lu", ++q->command_cnt);
	whole = json_pack("{s:s, s:o, s:s}", "execute", cmd->name, "arguments",
			  args, "id", id);
	text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
	json_decref(whole);
	if (!text || asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

int pt_qmp_run(struct pt_qmp *q, const struct pt_qmp_cmd *cmd, json_t **ret,
	       struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(cmd->timeout_ms ? cmd->timeout_ms :
					   PT_QMP_TIMEOUT_MS);
	json_t *reply = NULL, *error;
	char id[ID_SZ], *text;
	int code;

	if (q->broken) {
		json_decref(cmd->args);
		return gone(q, q->broken, cmd->name, err);
	}
	text = command_text(q, cmd, id);
	if (!text)
		return gone(q, -ENOMEM, cmd->name, err);
	code = pt_qmp_line_send(&q->line, deadline_ns, text,
				cmd->has_fd ? cmd->fd : -1);
	free(text);
	if (!code)
		code = take_reply(q, id, deadline_ns, &reply);
	if (code)
		return gone(q, code, cmd->name, err);

	error = json_object_get(reply, "error");
	if (error)
		code = refused(q, cmd, error, err);
	else if (!json_object_get(reply, "return"))
		code = gone(q, -EPROTO, cmd->name, err);
	else if (ret)
		*ret = json_incref(json_object_get(reply, "return"));
	json_decref(reply);
	return code;
}

int pt_qmp_event(struct pt_qmp *q, int timeout_ms, json_t **event,
		 struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(timeout_ms);
	unsigned int late_cnt = 0;

	while (!q->event_cnt) {
		json_t *reply;
		int code = q->broken ? q->broken :
			   take_object(q, deadline_ns, &reply);

		if (code == -ETIMEDOUT)
			return code;
		if (code)
			return gone(q, code, "an event", err);
		json_decref(reply);
		if (!q->event_cnt && is_over(deadline_ns, &late_cnt))
			return -ETIMEDOUT;
	}
	*event = q->events[q->event_first];
	q->event_first = (q->event_first + 1) % PT_QMP_EVENTS;
	q->event_cnt--;
	return 0;
}

/* ----------------------------------------------------------- its beginning */

static int busy(const char *name, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: no greeting within "
			    "%d s: another client has this monitor, or QEMU's "
			    "process is stopped (give QEMU one more -qmp "
			    "unix:PATH,server=on,wait=off, and that PATH)",
			    name, PT_QMP_GREETING_MS / 1000);
}

static int take_greeting(struct pt_qmp *q, struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(PT_QMP_GREETING_MS);
	json_t *greeting = NULL;
	int code = take_object(q, deadline_ns, &greeting);
	int major, minor, micro;

	if (code == -ETIMEDOUT)
		return busy(q->name, err);
	if (!code && json_unpack(greeting, "{s:{s:{s:{s:i, s:i, s:i}}}}", "QMP",
				 "version", "qemu", "major", &major, "minor",
				 &minor, "micro", &micro))
		code = -EPROTO;
	json_decref(greeting);
	if (code)
		return gone(q, code, "the greeting", err);
	q->version = (struct pt_qmp_version){ major, minor, micro };
	return 0;
}

int pt_qmp_adopt(struct pt_qmp **out, int fd, const char *name,
		 struct pt_error *err)
{
	const struct pt_qmp_cmd negotiate = { .name = "qmp_capabilities" };
	struct pt_qmp *q = calloc(1, sizeof(*q));
	int code;

	if (q)
		q->name = strdup(name);
	if (!q || !q->name) {
		free(q);
		close(fd);
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory", name);
	}
	q->line.fd = fd;
	code = take_greeting(q, err);
	if (!code)
		code = pt_qmp_run(q, &negotiate, NULL, err);
	if (code) {
		pt_qmp_close(q);
		return code;
	}
	*out = q;
	return 0;
}

int pt_qmp_connect(const char *path, struct pt_error *err)
{
	int fd = pt_qmp_line_connect(path);
	const char *remedy = pt_files_remedy(fd);

	if (fd >= 0)
		return fd;
	switch (fd) {
	case -EAGAIN:	/* others wait for the monitor, too */
		return busy(path, err);
	case -ENOENT:
		remedy = " (start QEMU with -qmp unix:PATH,server=on,wait=off, "
			 "and give that PATH)";
		break;
	case -ECONNREFUSED:
		remedy = " (no QEMU listens there: it has ended, or the PATH "
			 "is not that of its -qmp)";
		break;
	case -EACCES:
	case -EPERM:
		remedy = pt_rights_remedy(PT_RIGHT(CAP_DAC_OVERRIDE),
					  "as the user that QEMU runs as",
					  "it is of another user namespace, where "
					  "the rights of this process do not "
					  "count");
		break;
	}
	return pt_error_set(err, PT_EXIT_HOST, fd, "%s: %s%s", path,
			    strerror(-fd), remedy);
}

int pt_qmp_open(struct pt_qmp **out, const char *path, struct pt_error *err)
{
	int fd = pt_qmp_connect(path, err);

	return fd < 0 ? fd : pt_qmp_adopt(out, fd, path, err);
}

void pt_qmp_close(struct pt_qmp *q)
{
	if (!q)
		return;
	for (; q->event_cnt; q->event_cnt--) {
		json_decref(q->events[q->event_first]);
		q->event_first = (q->event_first + 1) % PT_QMP_EVENTS;
	}
	pt_qmp_line_close(&q->line);
	free(q->name);
	free(q);
}

int pt_qmp_fd(const struct pt_qmp *q)
{
	return q->line.fd;
}

const char *pt_qmp_name(const struct pt_qmp *q)
{
	return q->name;
}

struct pt_qmp_version pt_qmp_version(const struct pt_qmp *q)
{
	return q->version;
}

pid_t pt_qmp_pid(const struct pt_qmp *q)
{
	struct ucred peer;
	socklen_t sz = sizeof(peer);

	if (getsockopt(q->line.fd, SOL_SOCKET, SO_PEERCRED, &peer, &sz))
		return 0;
	return peer.pid;
}
