/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The guard's process is a copy of one that may have had other threads in the
 * middle of anything: it calls async-signal-safe functions only, thus neither
 * malloc nor stdio nor jansson.  It looks for a few words in QEMU's replies. */
#include "vmm/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "vmm/aside.h"
#include "vmm/qemu_impl.h"

#define RELEASE_MS	5000	/* for the guard to end */
#define REPLY_MS	2000	/* for QEMU to answer it */
#define RETRY_MS	20
#define CANCEL_AGAIN	50	/* looks between two migrate_cancel */
#define SWITCHOVER_LOOKS 5	/* before the first one, at pre-switchover */
#define DEVICE_LOOKS	500	/* likewise, at device */
#define LINE_SZ		65536	/* longer lines are skipped */
#define COMMAND_SZ	256

#define QMP_FD		0	/* the guard's descriptors */
#define AGENT_FD	1
#define LIMIT_FD	2	/* only with a throttle */

#define SAY_RELEASE	'r'	/* not stages */
#define SAY_THROTTLED	't'
#define SAY_LIFTED	'l'

struct pt_qemu_guard {
	pid_t pid;
	int fd;			/* our end; the guard reads end of file when we
				 * are dead */
};

/* inherited: all that the guard's process needs of ours. */
struct inherited {
	int qmp, agent, limit;	/* descriptors; limit -1: no throttle */
	const char *caps;	/* the command that resets the capabilities */
	const char *limit_text;	/* of the limit before the throttle */
};

/* struct guard: the state of the guard's process. */
struct guard {
	__u64 deadline_ns;
	unsigned int command_cnt;
	size_t sz;		/* bytes in line */
	bool skips;		/* line holds the rest of a longer one */
	char line[LINE_SZ];
	char reply[LINE_SZ];	/* a line without its blanks */
};

/* -------------------------------------------------- QEMU, asked by the guard */

/* take_line copies the next line to reply; false: QEMU ended or is late. */
static bool take_line(struct guard *g, __u64 deadline_ns)
{
	for (;;) {
		char *end = memchr(g->line, '\n', g->sz);
		struct pollfd poll_fd = { .fd = QMP_FD, .events = POLLIN };
		ssize_t got;
		size_t to = 0;

		if (end) {
			size_t sz = end + 1 - g->line;
			bool skips = g->skips;

			for (size_t i = 0; i < sz - 1; i++)
				if (!strchr(" \t\r", g->line[i]))
					g->reply[to++] = g->line[i];
			g->reply[to] = '\0';
			g->sz -= sz;
			memmove(g->line, end + 1, g->sz);
			g->skips = false;
			if (skips)
				continue;
			return true;
		}
		if (g->sz == sizeof(g->line)) {
			g->sz = 0;
			g->skips = true;
		}
		if (poll(&poll_fd, 1, pt_left_ms(deadline_ns)) <= 0) {
			if (!pt_left_ms(deadline_ns))
				return false;
			continue;
		}
		got = recv(QMP_FD, g->line + g->sz, sizeof(g->line) - g->sz,
			   MSG_DONTWAIT);
		if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
			_exit(1);	/* QEMU ended, and its guest */
		g->sz += got > 0 ? got : 0;
	}
}

static void send_all(const struct guard *g, const char *text, size_t sz)
{
	while (sz) {
		ssize_t got = send(QMP_FD, text, sz, MSG_NOSIGNAL);
		struct pollfd poll_fd = { .fd = QMP_FD, .events = POLLOUT };

		if (got > 0) {
			text += got;
			sz -= got;
		} else if (errno == EAGAIN) {
			poll(&poll_fd, 1, RETRY_MS);
		} else if (errno != EINTR) {
			_exit(1);
		}
		if (!pt_left_ms(g->deadline_ns))
			_exit(1);
	}
}

static void append(char *to, const char *text)
{
	strncat(to, text, COMMAND_SZ - 1 - strlen(to));
}

/* ask sends a command, given without the brace at its end, and waits for the
 * reply to it. */
static bool ask(struct guard *g, const char *command, size_t sz)
{
	__u64 deadline_ns = pt_deadline_ns(REPLY_MS);
	char id[COMMAND_SZ] = ",\"id\":\"guard-", digits[2] = "";

	g->command_cnt++;
	for (unsigned int unit = 1000000; unit; unit /= 10) {
		digits[0] = '0' + g->command_cnt / unit % 10;
		append(id, digits);
	}
	append(id, "\"}\n");
	send_all(g, command, sz);
	send_all(g, id, strlen(id));
	id[strlen(id) - 2] = '\0';	/* without the brace */
	while (take_line(g, deadline_ns))
		if (strstr(g->reply, id + 1))
			return true;
	return false;
}

static bool do_command(struct guard *g, const char *name)
{
	char command[COMMAND_SZ] = "{\"execute\":\"";

	append(command, name);
	append(command, "\"");
	return ask(g, command, strlen(command));
}

/* cancel: as cancel_again in source.c, for a cancel that woke nobody. */
static void cancel(struct guard *g, const char *migration)
{
	static const char awake[] = "{\"execute\":\"migrate-continue\","
		"\"arguments\":{\"state\":\"cancelling\"}";

	if (strcmp(migration, "cancelling"))
		do_command(g, "migrate_cancel");
	else
		ask(g, awake, strlen(awake));
}

/* take_status copies the word behind "status" in the reply; "": there is none. */
static void take_status(const struct guard *g, char word[PT_QEMU_WORD_SZ])
{
	static const char key[] = "\"status\":\"";
	const char *at = strstr(g->reply, key);
	size_t sz = at ? strcspn(at + strlen(key), "\"") : 0;

	if (sz >= PT_QEMU_WORD_SZ)
		sz = PT_QEMU_WORD_SZ - 1;
	if (at)
		memcpy(word, at + strlen(key), sz);
	word[sz] = '\0';
}

/* cancel_from returns the first look at which a migration in this state is
 * cancelled.  Our death closed the stream, so a migration that sends the device
 * state fails by itself.  A cancel at the same moment can leave disk images
 * inactive in a guest that runs, whose next write then ends QEMU (seen with 7.2).
 * It may be about to send it while it is at pre-switchover yet. */
static unsigned int cancel_from(const char *migration)
{
	if (!strcmp(migration, "device"))
		return DEVICE_LOOKS;
	return strcmp(migration, "pre-switchover") ? 0 : SWITCHOVER_LOOKS;
}

/* step looks once and does what is next; true: the guest is back. */
static bool step(struct guard *g, unsigned int look_idx)
{
	char run[PT_QEMU_WORD_SZ], migration[PT_QEMU_WORD_SZ];

	if (!do_command(g, "query-status"))
		return false;
	take_status(g, run);
	if (!do_command(g, "query-migrate"))
		return false;
	take_status(g, migration);

	if (pt_qemu_is_moving(migration)) {
		unsigned int first = cancel_from(migration);

		if (look_idx >= first && (look_idx - first) % CANCEL_AGAIN == 0)
			cancel(g, migration);
		return false;
	}
	/* If it runs already, this makes sure that its disks are active. */
	if (!strcmp(run, "running") && *migration)
		do_command(g, "cont");
	if (!pt_qemu_is_stopped(run))
		return *run;
	do_command(g, "cont");
	return false;
}

/* take_over does what is to be done at the stage. */
static void take_over(struct guard *g, char stage, const char *undo)
{
	/* We may have died within a command: QEMU drops the part of it. */
	static const char reset[] = "\xff\n";

	if (stage == PT_QEMU_GUARD_IDLE)
		return;
	g->deadline_ns = pt_deadline_ns(PT_QEMU_GUARD_MS);
	send_all(g, reset, strlen(reset));
	for (unsigned int i = 0; stage == PT_QEMU_GUARD_BEGUN && !step(g, i); i++) {
		if (!pt_left_ms(g->deadline_ns))
			_exit(1);
		poll(NULL, 0, RETRY_MS);
	}
	ask(g, undo, strlen(undo));
}

/* ----------------------------------------------------------- its process */

static void keep_descriptors(const struct inherited *from)
{
	bool has_limit = from->limit >= 0;
	int high_qmp = fcntl(from->qmp, F_DUPFD, 3);
	int high_agent = fcntl(from->agent, F_DUPFD, 3);
	int high_limit = has_limit ? fcntl(from->limit, F_DUPFD, 3) : 0;

	if (high_qmp < 0 || high_agent < 0 || high_limit < 0 ||
	    dup2(high_qmp, QMP_FD) < 0 || dup2(high_agent, AGENT_FD) < 0 ||
	    (has_limit && dup2(high_limit, LIMIT_FD) < 0) ||
	    close_range(has_limit ? 3 : 2, ~0U, 0))
		_exit(1);
}

/* lift ends a throttle. */
static void lift(const char *text)
{
	while (pwrite(LIMIT_FD, text, strlen(text), 0) < 0 && errno == EINTR)
		;
}

__attribute__((noreturn)) static void
guard_main(const struct inherited *from)
{
	static struct guard guard;
	char byte, stage = PT_QEMU_GUARD_IDLE;
	bool is_throttled = false;
	ssize_t got;

	keep_descriptors(from);
	pt_aside_begin("pt-guard", 0);

	for (;;) {
		got = read(AGENT_FD, &byte, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (byte == SAY_RELEASE)
			_exit(0);
		if (byte == SAY_THROTTLED || byte == SAY_LIFTED)
			is_throttled = byte == SAY_THROTTLED;
		else
			stage = byte;
	}
	if (is_throttled)
		lift(from->limit_text);
	take_over(&guard, stage, from->caps);
	_exit(0);
}

/* undo_text returns the command that resets the capabilities, without its brace
 * at the end, for free(3). */
static char *undo_text(const struct pt_qemu *q)
{
	json_t *command = json_pack("{s:s, s:{s:O}}", "execute",
				    "migrate-set-capabilities", "arguments",
				    "capabilities", q->caps);
	char *text = command ? json_dumps(command, JSON_COMPACT) : NULL;

	json_decref(command);
	if (text)
		text[strlen(text) - 1] = '\0';
	return text;
}

static int fail(const struct pt_qemu *q, int code, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot start the "
			    "guard of the guest: %s", q->name, strerror(-code));
}

int pt_qemu_guard_start(struct pt_qemu_guard **out, struct pt_qemu *q,
			struct pt_error *err)
{
	struct pt_qemu_guard *g;
	struct pt_qemu_state s;
	struct inherited from = { .qmp = pt_qmp_fd(q->qmp), .limit = -1 };
	char *undo;
	int ends[2], code = pt_qemu_look(q, &s, err);

	if (code)
		return code;
	if (!s.is_running)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: the guest "
				    "does not run, its state is '%s'", q->name,
				    s.run);
	g = malloc(sizeof(*g));
	undo = undo_text(q);
	code = g && undo ? 0 : -ENOMEM;
	if (!code && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		code = -errno;
	if (!code) {
		from.agent = ends[1];
		from.caps = undo;
		if (q->throttle) {
			from.limit = pt_throttle_fd(q->throttle);
			from.limit_text = pt_throttle_undo(q->throttle);
		}
		g->pid = pt_aside_clone();
		if (!g->pid)
			guard_main(&from);
		code = g->pid < 0 ? -errno : 0;
		close(ends[1]);
		if (code)
			close(ends[0]);
		g->fd = ends[0];
	}
	free(undo);
	if (code) {
		free(g);
		return fail(q, code, err);
	}
	q->guard = g;
	*out = g;
	return 0;
}

static int say(const struct pt_qemu_guard *g, char byte)
{
	return send(g->fd, &byte, 1, MSG_NOSIGNAL) == 1 ? 0 : -EPIPE;
}

int pt_qemu_guard_tell(struct pt_qemu_guard *g, enum pt_qemu_guard_stage stage)
{
	return g ? say(g, stage) : 0;
}

void pt_qemu_guard_throttled(struct pt_qemu_guard *g, bool is_throttled)
{
	if (g)
		say(g, is_throttled ? SAY_THROTTLED : SAY_LIFTED);
}

int pt_qemu_guard_commit(struct pt_qemu_guard *g)
{
	return pt_qemu_guard_tell(g, PT_QEMU_GUARD_COMMITTED);
}

void pt_qemu_guard_detach(struct pt_qemu_guard *g)
{
	close(g->fd);
	free(g);
}

void pt_qemu_guard_release(struct pt_qemu_guard *g)
{
	struct pollfd ends = { .events = POLLIN };
	__u64 deadline_ns = pt_deadline_ns(RELEASE_MS);

	if (!g)
		return;
	say(g, SAY_RELEASE);
	ends.fd = g->fd;
	while (poll(&ends, 1, pt_left_ms(deadline_ns)) < 0 && errno == EINTR)
		continue;
	kill(g->pid, SIGKILL);		/* not reaped yet, so it is the guard */
	while (waitpid(g->pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	close(g->fd);
	free(g);
}
