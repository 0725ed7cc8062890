// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The server's side of a keeper. */
#include "lazy/keeper_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/stop.h"
#include "lazy/lock.h"
#include "lazy/step.h"

#define ANSWER_MS	5000	/* for a keeper to answer, or to end */
#define PAUSE_MS	10
#define KEEPER_TAIL	".keeper"
#define LOCK_TAIL	".lock"
#define FDS_CNT		(PT_LAZY_FDS_MAX + 1)

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void pt_lazy_kept_close(struct pt_lazy_kept *kept)
{
	close_one(&kept->connection);
	close_one(&kept->record_fd);
	close_one(&kept->lock_fd);
	pt_lazy_handed_close(&kept->handed);
}

/* ---- what the keeper says ---- */

static void fds_take(const struct cmsghdr *c, int fds[FDS_CNT])
{
	size_t cnt = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < cnt; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		if (i < FDS_CNT)
			fds[i] = fd;
		else
			close(fd);
	}
}

/* hear receives one message, and its descriptors; fds above their count are -1. */
static int hear(int fd, struct pt_keeper_told *told, int fds[FDS_CNT])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_CNT * sizeof(int))];
	struct iovec part = { .iov_base = told, .iov_len = sizeof(*told) };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	for (__u32 i = 0; i < FDS_CNT; i++)
		fds[i] = -1;
	if (got <= 0)
		return got ? -errno : -ECONNRESET;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		fds_take(c, fds);
	return got == sizeof(*told) && told->magic == PT_KEEPER_MAGIC ? 0 : -EPROTO;
}

/* take_guest gives the descriptors of a message their places. */
static int take_guest(struct pt_lazy_kept *kept, const struct pt_keeper_told *told,
		      const int fds[FDS_CNT])
{
	__u32 cnt = 0;

	kept->handed = told->handed;
	for (__u32 i = 0; i < PT_LAZY_FDS_MAX; i++)
		if (kept->handed.fds[i] >= 0)
			kept->handed.fds[i] = fds[cnt++];
	if (kept->handed.pidfd >= 0)
		kept->handed.pidfd = fds[cnt++];
	return !cnt || fds[cnt - 1] >= 0 ? 0 : -EPROTO;
}

/* take_here reads the first message of a keeper. */
static int take_here(struct pt_lazy_kept *kept, int fd, pid_t *server)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	struct pt_keeper_told told;
	int fds[FDS_CNT], code;

	if (poll(&in, 1, ANSWER_MS) <= 0)
		return -ETIMEDOUT;
	code = hear(fd, &told, fds);
	kept->record_fd = fds[0];
	kept->lock_fd = fds[1];
	for (__u32 i = 2; i < FDS_CNT; i++)
		close_one(&fds[i]);
	if (!code && told.say == PT_KEEPER_BUSY) {
		*server = told.server;
		code = -EBUSY;
	}
	if (!code && (told.say != PT_KEEPER_HERE || kept->lock_fd < 0))
		code = -EPROTO;
	if (code) {
		close_one(&kept->record_fd);
		close_one(&kept->lock_fd);
	} else {
		kept->connection = fd;
	}
	return code;
}

int pt_lazy_keeper_await(struct pt_lazy_kept *kept, int stop_fd,
			 void (*nothing)(void *arg), void *arg, struct pt_error *err)
{
	struct pollfd fds[] = {
		{ .fd = kept->connection, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN },
	};
	struct pt_keeper_told told;
	int code = 0, passed[FDS_CNT];

	do {
		while (poll(fds, 2, -1) < 0)
			;
		if (fds[1].revents)
			return pt_stop_error(err);
		code = hear(kept->connection, &told, passed);
		if (!code && told.say == PT_KEEPER_GUEST)
			code = take_guest(kept, &told, passed);
		else if (!code)
			nothing(arg);
	} while (!code && told.say != PT_KEEPER_GUEST);
	if (code)
		return pt_error_set(err, PT_EXIT_HOST, -EPIPE, "the keeper of the "
				    "guest's descriptor was ended (start this "
				    "again)");
	return 0;
}

/* ---- what it is told ---- */

void pt_lazy_keeper_timeout(const struct pt_lazy_kept *kept, __u64 timeout_ms)
{
	const struct pt_keeper_word word = {
		.why = PT_KEEPER_TIMEOUT, .timeout_ms = timeout_ms,
	};

	send(kept->connection, &word, sizeof(word), MSG_NOSIGNAL);
}

int pt_lazy_keeper_give(const struct pt_lazy_kept *kept, int uffd, int pidfd, pid_t vmm)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct pt_keeper_word word = { .why = PT_KEEPER_GIVE, .vmm = vmm };
	struct iovec part = { .iov_base = &word, .iov_len = sizeof(word) };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = CMSG_SPACE((pidfd < 0 ? 1 : 2) * sizeof(int)),
	};
	struct cmsghdr *c = (struct cmsghdr *)control;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((pidfd < 0 ? 1 : 2) * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){ uffd, pidfd }, c->cmsg_len - CMSG_LEN(0));
	return sendmsg(kept->connection, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void pt_lazy_keeper_part(struct pt_lazy_kept *kept, enum pt_lazy_part why)
{
	const struct pt_keeper_word word = { .why = why };
	struct pollfd in = { .fd = kept->connection, .events = POLLIN };
	__u64 until = pt_deadline_ns(ANSWER_MS);
	char rest[sizeof(struct pt_keeper_told)];

	if (kept->connection < 0)
		return;
	send(kept->connection, &word, sizeof(word), MSG_NOSIGNAL);
	/* It closes once the names are removed. */
	while (poll(&in, 1, pt_left_ms(until)) > 0 &&
	       recv(kept->connection, rest, sizeof(rest), 0) > 0)
		;
	close_one(&kept->connection);
}

/* ---- to join one ---- */

/* join connects to a keeper.  -ENOENT: there is none, or it is about to end. */
static int join(struct pt_lazy_kept *kept, const char *path, struct pt_error *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct ucred who = { .uid = -1 };
	socklen_t sz = sizeof(who);
	pid_t server = 0;
	int fd, code;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENOENT;		/* pt_lazy_bind tells */
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	code = fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) ||
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &sz) ? -errno : 0;
	if (!code)
		code = who.uid == geteuid() ? take_here(kept, fd, &server) : -EPERM;
	if (!code)
		return 0;
	close_one(&fd);
	if (code == -ENOENT || code == -ECONNREFUSED || code == -ECONNRESET)
		return -ENOENT;
	if (code == -EBUSY)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: process %d serves "
				    "this guest already", path, server);
	if (code == -EPERM)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: the keeper of another "
				    "user's guest, which is not trusted (start this "
				    "as user %u)", path, who.uid);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: no answer from the keeper of "
			    "a guest: %s%s", path, strerror(-code),
			    pt_files_remedy(code));
}

int pt_lazy_keeper_join(struct pt_lazy_kept *kept, const char *door,
			struct pt_error *err)
{
	char path[PATH_MAX];

	*kept = PT_LAZY_KEPT_NONE;
	return snprintf(path, sizeof(path), "%s" KEEPER_TAIL, door) <
	       (int)sizeof(path) ? join(kept, path, err) : -ENOENT;
}

/* ---- to start one ---- */

/* names_open opens the folder of a door: the keeper leaves its own. */
static int names_open(struct pt_keeper_names *names, const char *door)
{
	const char *slash = strrchr(door, '/'), *own = slash ? slash + 1 : door;
	char folder[256] = ".";

	if (strlen(door) >= sizeof(folder))
		return -ENAMETOOLONG;
	if (!*own)
		return -EISDIR;
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(own - door), door);
	snprintf(names->door, sizeof(names->door), "%s", own);
	snprintf(names->keeper, sizeof(names->keeper), "%s" KEEPER_TAIL, own);
	snprintf(names->lock, sizeof(names->lock), "%s" LOCK_TAIL, own);
	names->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return names->folder_fd < 0 ? -errno : 0;
}

static int bind_both(struct pt_keeper *k, const char *door, const char *path,
		     struct pt_error *err)
{
	mode_t mask = umask(0177);

	k->listen_fd = pt_lazy_bind(path, SOCK_SEQPACKET, err);
	umask(mask);
	if (k->listen_fd < 0)
		return k->listen_fd;
	if (k->names.has_door)
		k->door_fd = pt_lazy_bind(door, SOCK_STREAM, err);
	if (k->names.has_door && k->door_fd < 0) {
		unlinkat(k->names.folder_fd, k->names.keeper, 0);
		return k->door_fd;
	}
	pt_lazy_enter(door, PT_LAZY_BOUND_STEP);
	return 0;
}

/* spawn starts the keeper, which has the sockets from then on and removes their names,
 * and hears that it is there. */
static int spawn(struct pt_lazy_kept *kept, struct pt_keeper *k, const char *path,
		 struct pt_error *err)
{
	int ends[2] = { -1, -1 }, code;
	bool is_there = false;
	pid_t server;

	code = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ? -errno : 0;
	if (!code) {
		k->server_fd = ends[1];
		code = pt_keeper_spawn(k);
		is_there = !code;
		close_one(&ends[1]);
	}
	if (!code)
		code = take_here(kept, ends[0], &server);
	if (!code)
		return 0;
	close_one(&ends[0]);
	if (!is_there) {
		if (k->names.has_door)
			unlinkat(k->names.folder_fd, k->names.door, 0);
		unlinkat(k->names.folder_fd, k->names.keeper, 0);
	}
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot start the keeper of "
			    "the guest's descriptor: %s%s", path, strerror(-code),
			    pt_files_remedy(code));
}

/* start makes record, sockets and keeper, and takes all from the keeper as any other
 * server does. */
static int start(struct pt_lazy_kept *kept, struct pt_keeper *k, const char *door,
		 const char *path, struct pt_error *err)
{
	int code;

	pt_lazy_enter(door, PT_LAZY_LOCKED_STEP);
	code = bind_both(k, door, path, err);
	if (code)
		unlinkat(k->names.folder_fd, k->names.lock, 0);
	else
		code = spawn(kept, k, path, err);
	close_one(&k->lock_fd);		/* the keeper has it, too */
	close_one(&k->door_fd);
	close_one(&k->listen_fd);
	return code;
}

/* meet tries both, until the deadline of a keeper that is about to end. */
static int meet(struct pt_lazy_kept *kept, struct pt_keeper *k, const char *door,
		bool *started, struct pt_error *err)
{
	__u64 until = pt_deadline_ns(ANSWER_MS);
	char path[sizeof(k->names.keeper) + sizeof(KEEPER_TAIL)];
	int code;

	snprintf(path, sizeof(path), "%s" KEEPER_TAIL, door);
	for (;;) {
		code = join(kept, path, err);
		if (code != -ENOENT)
			return code;
		k->lock_fd = pt_lazy_lock_take(k->names.folder_fd, k->names.lock);
		if (k->lock_fd >= 0) {
			*started = true;
			return start(kept, k, door, path, err);
		}
		if (k->lock_fd != -EWOULDBLOCK)
			return pt_error_set(err, PT_EXIT_HOST, k->lock_fd, "%s"
					    LOCK_TAIL ": %s%s", door,
					    strerror(-k->lock_fd),
					    pt_files_remedy(k->lock_fd));
		if (!pt_left_ms(until))
			return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another "
					    "process serves there, and its keeper "
					    "does not answer", door);
		poll(NULL, 0, PAUSE_MS);
	}
}

int pt_lazy_keeper_meet(struct pt_lazy_kept *kept,
			const struct pt_lazy_keeper_cfg *cfg, bool *started,
			struct pt_error *err)
{
	struct pt_keeper k = {
		.record_fd = -1, .lock_fd = -1, .listen_fd = -1, .server_fd = -1,
		.door_fd = -1, .vmm_fd = -1, .parting_fd = -1, .uffd = -1, .server = getpid(),
		.handed = PT_LAZY_HANDED_NONE, .is_free = cfg->is_free,
	};
	int code = names_open(&k.names, cfg->door);

	k.names.has_door = cfg->has_door;
	*kept = PT_LAZY_KEPT_NONE;
	*started = false;
	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: no socket can be made "
				    "there: %s", cfg->door, strerror(-code));
	code = pt_lazy_record_make(&k.record, cfg->page_max, cfg->image_id, err);
	if (code >= 0) {
		k.record_fd = code;
		code = meet(kept, &k, cfg->door, started, err);
		pt_lazy_record_close(k.record);
		close(k.record_fd);
	}
	close(k.names.folder_fd);
	return code;
}
