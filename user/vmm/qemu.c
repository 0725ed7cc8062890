/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/text.h"
#include "qmp/json.h"
#include "vmm/qemu_impl.h"

#define MAJOR_MIN	4	/* the first with x-ignore-shared */
#define FD_NAME		"pagetrim-state"
#define LOOK_MS		200	/* between looks, should an event be lost */
#define DRAIN_MS	5000	/* for the events of an earlier migration */

/* CAPS: the capabilities that concern us.  X(name, at the source, at the
 * destination).  All others of QEMU are left as they are (dirty-bitmaps,
 * validate-uuid, ...).  With late-block-activate the destination leaves the locks
 * of disk images to the source until it runs. */
#define CAPS(X)						\
	X("events",			true,	true)	\
	X("x-ignore-shared",		true,	true)	\
	X("return-path",		true,	true)	\
	X("pause-before-switchover",	true,	false)	\
	X("late-block-activate",	false,	true)	\
	X("auto-converge",		false,	false)	\
	X("background-snapshot",	false,	false)	\
	X("block",			false,	false)	\
	X("compress",			false,	false)	\
	X("dirty-limit",		false,	false)	\
	X("mapped-ram",			false,	false)	\
	X("multifd",			false,	false)	\
	X("postcopy-preempt",		false,	false)	\
	X("postcopy-ram",		false,	false)	\
	X("rdma-pin-all",		false,	false)	\
	X("release-ram",		false,	false)	\
	X("x-colo",			false,	false)	\
	X("xbzrle",			false,	false)	\
	X("zero-copy-send",		false,	false)

static const struct cap {
	const char *name;
	bool at_source, at_dest;
} caps[] = {
#define X(name, at_source, at_dest) { name, at_source, at_dest },
	CAPS(X)
#undef X
};

/* ------------------------------------------------------------- commands */

int pt_qemu_do(struct pt_qemu *q, const char *name, json_t *args,
	       json_t **ret, struct pt_error *err)
{
	const struct pt_qmp_cmd cmd = {
		.name = name, .args = args, .timeout_ms = q->timeout_ms,
	};
	int code = pt_qmp_run(q->qmp, &cmd, ret, err);

	q->is_late = code == -ETIMEDOUT;
	return code == -ETIMEDOUT ? -ECONNRESET : code;
}

char *pt_qemu_text(struct pt_qemu *q, const char *name, json_t *args)
{
	json_t *value = NULL;
	char *text = NULL;

	if (!pt_qemu_do(q, name, args, &value, NULL) && json_is_string(value))
		text = strdup(json_string_value(value));
	json_decref(value);
	return text;
}

char *pt_qemu_property(struct pt_qemu *q, const char *path,
		       const char *property)
{
	return pt_qemu_text(q, "qom-get", json_pack("{s:s, s:s}", "path", path,
						    "property", property));
}

int pt_qemu_look(struct pt_qemu *q, struct pt_qemu_state *s,
		 struct pt_error *err)
{
	json_t *run = NULL, *migration = NULL;
	int code = pt_qemu_do(q, "query-status", NULL, &run, err);

	if (!code)
		code = pt_qemu_do(q, "query-migrate", NULL, &migration, err);
	if (!code) {
		pt_text_clean(s->run, sizeof(s->run),
			      pt_json_text(run, "status"));
		s->is_running = json_is_true(json_object_get(run, "running"));
		pt_text_clean(s->migration, sizeof(s->migration),
			      pt_json_text(migration, "status"));
		s->listens = json_array_size(json_object_get(
			migration, "socket-address")) > 0;
		pt_text_clean(s->why, sizeof(s->why),
			      pt_json_text(migration, "error-desc"));
	}
	json_decref(run);
	json_decref(migration);
	return code;
}

bool pt_qemu_is_moving(const char *migration)
{
	return *migration && strcmp(migration, "none") &&
	       strcmp(migration, "completed") && strcmp(migration, "failed") &&
	       strcmp(migration, "cancelled");
}

bool pt_qemu_is_stopped(const char *run)
{
	return !strcmp(run, "postmigrate") || !strcmp(run, "finish-migrate");
}

/* ----------------------------------------------------------- capabilities */

static const struct cap *cap_of(const json_t *row)
{
	const char *name = pt_json_text(row, "capability");

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (!strcmp(caps[i].name, name))
			return &caps[i];
	return NULL;
}

/* caps_read keeps those capabilities that concern us, as they are now. */
static int caps_read(struct pt_qemu *q, struct pt_error *err)
{
	json_t *all = NULL, *row;
	bool can_ignore = false;
	size_t i;
	int code = pt_qemu_do(q, "query-migrate-capabilities", NULL, &all,
			      err);

	if (code)
		return code;
	q->caps = json_array();
	json_array_foreach(all, i, row) {
		can_ignore |= !strcmp(pt_json_text(row, "capability"),
				      "x-ignore-shared");
		if (cap_of(row))
			json_array_append(q->caps, row);
	}
	json_decref(all);
	if (!can_ignore)
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP,
				    "%s: this QEMU has no x-ignore-shared: it "
				    "cannot leave shared memory out of a "
				    "migration (run the guest in one that "
				    "can)", q->name);
	return 0;
}

static int caps_send(struct pt_qemu *q, json_t *rows, struct pt_error *err)
{
	return pt_qemu_do(q, "migrate-set-capabilities",
			  json_pack("{s:o}", "capabilities", rows), NULL, err);
}

int pt_qemu_set_caps(struct pt_qemu *q, bool is_source, struct pt_error *err)
{
	json_t *rows = json_array(), *row;
	size_t i;

	json_array_foreach(q->caps, i, row) {
		const struct cap *cap = cap_of(row);
		bool on = is_source ? cap->at_source : cap->at_dest;

		json_array_append_new(rows, json_pack("{s:s, s:b}",
			"capability", cap->name, "state", on));
	}
	return caps_send(q, rows, err);
}

void pt_qemu_reset_caps(struct pt_qemu *q)
{
	q->resets = false;
	caps_send(q, json_incref(q->caps), NULL);
}

/* --------------------------------------------------------- open and close */

static int too_old(const struct pt_qemu *q, struct pt_qmp_version v,
		   struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP,
			    "%s: QEMU %u.%u.%u is too old: it cannot leave "
			    "shared memory out of a migration (run the guest "
			    "in QEMU 4.0 or newer)", q->name, v.major,
			    v.minor, v.micro);
}

static int find_process(struct pt_qemu *q, pid_t pid, struct pt_error *err)
{
	q->pid = pid ? pid : pt_qmp_pid(q->qmp);
	if (!q->pid)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH, "%s: the process "
				    "of QEMU is in another PID namespace (run "
				    "pagetrim where QEMU's process is visible)",
				    q->name);
	if (kill(q->pid, 0) && errno == ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH, "%s: there is no "
				    "process %d", q->name, q->pid);
	return 0;
}

int pt_qemu_adopt(struct pt_qemu **out, int fd, const char *path, pid_t pid,
		  struct pt_error *err)
{
	struct pt_qemu *q = calloc(1, sizeof(*q));
	struct pt_qmp_version version;
	int code;

	if (!q) {
		close(fd);
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory",
				    path);
	}
	code = pt_qmp_adopt(&q->qmp, fd, path, err);
	if (!code) {
		q->name = pt_qmp_name(q->qmp);
		version = pt_qmp_version(q->qmp);
		code = version.major < MAJOR_MIN ? too_old(q, version, err)
						 : find_process(q, pid, err);
	}
	if (!code)
		code = caps_read(q, err);
	if (code) {
		pt_qemu_close(q);
		return code;
	}
	*out = q;
	return 0;
}

int pt_qemu_connect(const char *path, struct pt_error *err)
{
	return pt_qmp_connect(path, err);
}

int pt_qemu_open(struct pt_qemu **out, const char *path, pid_t pid,
		 struct pt_error *err)
{
	int fd = pt_qemu_connect(path, err);

	return fd < 0 ? fd : pt_qemu_adopt(out, fd, path, pid, err);
}

void pt_qemu_close(struct pt_qemu *q)
{
	if (!q)
		return;
	pt_throttle_close(q->throttle);
	if (q->resets)
		pt_qemu_reset_caps(q);
	pt_qmp_close(q->qmp);
	json_decref(q->caps);
	free(q);
}

pid_t pt_qemu_pid(const struct pt_qemu *q)
{
	return q->pid;
}

/* ---------------------------------------------------- of both directions */

/* drain takes the events of an earlier migration, which is over. */
static int drain(struct pt_qemu *q, struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(DRAIN_MS);
	json_t *old;

	while (!pt_qmp_event(q->qmp, 0, &old, NULL)) {
		json_decref(old);
		if (!pt_left_ms(deadline_ns))
			return pt_error_set(err, PT_EXIT_HOST, -ECONNRESET,
					    "%s: QEMU sends events without "
					    "pause", q->name);
	}
	q->seen[0] = '\0';
	return 0;
}

int pt_qemu_start_at(struct pt_qemu *q, const char *command, int fd,
		     struct pt_error *err)
{
	struct pt_qmp_cmd pass = { .name = "getfd", .fd = fd, .has_fd = true };
	int code = drain(q, err);

	if (code)
		return code;
	pass.args = json_pack("{s:s}", "fdname", FD_NAME);
	code = pt_qmp_run(q->qmp, &pass, NULL, err);
	if (!code)
		code = pt_qemu_do(q, command, json_pack("{s:s}", "uri",
							"fd:" FD_NAME),
				  NULL, err);
	if (code)
		pt_qemu_do(q, "closefd", json_pack("{s:s}", "fdname", FD_NAME),
			   NULL, NULL);
	return code;
}

int pt_qemu_start(struct pt_qemu *q, const char *command, int *fd,
		  struct pt_error *err)
{
	struct stat st;
	int ends[2], code;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: no stream "
				    "for the state of the guest: %s", q->name,
				    strerror(errno));
	code = pt_qemu_start_at(q, command, ends[1], err);
	close(ends[1]);
	if (code) {
		close(ends[0]);
		return code;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	q->is_continued = false;
	q->stream_fd = ends[0];
	q->stream_ino = fstat(ends[0], &st) ? 0 : st.st_ino;
	*fd = ends[0];
	return 0;
}

/* outcome judges a migration that is not in the state that is waited for: 0, it
 * may come to it. */
static int outcome(struct pt_qemu *q, const char *want, struct pt_error *err)
{
	struct pt_qemu_state s = { 0 };

	if (!strcmp(q->seen, "failed")) {
		pt_qemu_look(q, &s, NULL);
		return pt_error_set(err, PT_EXIT_HOST, -EIO, "%s: the "
				    "migration of the device state failed: %s",
				    q->name, *s.why ? s.why : "QEMU gives no "
				    "reason (see its log, and the other "
				    "QEMU's)");
	}
	if (!strncmp(q->seen, "cancel", 6))
		return pt_error_set(err, PT_EXIT_HOST, -ECANCELED,
				    "%s: another client cancelled the "
				    "migration", q->name);
	if (!strcmp(q->seen, "completed"))
		return pt_error_set(err, PT_EXIT_HOST, -EIO, "%s: QEMU "
				    "completed the migration and never was in "
				    "the state '%s'", q->name, want);
	return 0;
}

/* see waits for an event and notes what it says about the migration.  Without one
 * it asks QEMU, should an event be lost. */
static int see(struct pt_qemu *q, int timeout_ms, struct pt_error *err)
{
	struct pt_qemu_state s;
	json_t *event;
	int code = pt_qmp_event(q->qmp, timeout_ms, &event, err);

	if (!code) {
		if (!strcmp(pt_json_text(event, "event"), "MIGRATION"))
			pt_text_clean(q->seen, sizeof(q->seen), pt_json_text(
				json_object_get(event, "data"), "status"));
		json_decref(event);
		return 0;
	}
	if (code != -ETIMEDOUT)
		return code;
	code = pt_qemu_look(q, &s, err);
	if (!code)
		strcpy(q->seen, s.migration);
	return code;
}

int pt_qemu_wait(struct pt_qemu *q, const char *state, int timeout_ms,
		 struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(timeout_ms);
	bool is_late = false;

	for (;;) {
		int code = 0, ms = pt_left_ms(deadline_ns);

		if (!strcmp(q->seen, state))
			return 0;
		code = outcome(q, state, err);
		if (!code && is_late)
			return -ETIMEDOUT;
		if (!code)
			code = see(q, ms < LOOK_MS ? ms : LOOK_MS, err);
		if (code)
			return code;
		is_late = !ms;
	}
}

int pt_qemu_quit(struct pt_qemu *q, struct pt_error *err)
{
	int code = pt_qemu_do(q, "quit", NULL, NULL, err);

	return code == -ECONNRESET ? 0 : code;
}
