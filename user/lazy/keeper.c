// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "lazy/door.h"

#define LOOK_MS		100	/* between looks at the time of a fault */
#define ANSWER_MS	2000	/* for a keeper to answer */

/* answer: to one that connects; the descriptors come with it. */
struct answer {
	__u32 is_busy;
	pid_t server;		/* that serves; of is_busy */
	__u32 has_pidfd;
};

static const char all_placed = 'p';

struct keeper {
	const struct pt_lazy_kept *kept;
	const struct pt_lazy_record *record;
	struct sockaddr_un at;
	int listen_fd;
	int server_fd;		/* connection of the server; -1: there is none */
	pid_t server;
	__u64 timeout_ns;	/* 0: none */
	__u64 waits_since_ns;	/* an event waits for a server; 0: none does */
	__u64 read_cnt;		/* the record's, when that began */
};

/* ---- the server's side ---- */

static int fds_receive(struct pt_lazy_kept *kept, struct answer *answer, int fd)
{
	char control[CMSG_SPACE(3 * sizeof(int))];
	struct iovec part = { .iov_base = answer, .iov_len = sizeof(*answer) };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int fds[3] = { -1, -1, -1 };
	struct cmsghdr *c;

	if (poll(&poll_fd, 1, ANSWER_MS) <= 0)
		return -ETIMEDOUT;
	if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != sizeof(*answer))
		return -EPROTO;
	if (answer->is_busy)
		return -EBUSY;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len !=
	    CMSG_LEN((answer->has_pidfd ? 3 : 2) * sizeof(int)))
		return -EPROTO;
	memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	*kept = (struct pt_lazy_kept){
		.uffd = fds[0], .record_fd = fds[1], .pidfd = fds[2],
	};
	return 0;
}

int pt_lazy_keeper_join(struct pt_lazy_kept *kept, const char *path,
			struct pt_error *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct answer answer = { .server = 0 };
	int fd, code;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENOENT;		/* the listener tells */
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	code = fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno
		: fds_receive(kept, &answer, fd);
	if (!code)
		return fd;
	if (fd >= 0)
		close(fd);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return -ENOENT;
	if (code == -EBUSY)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: process %d serves "
				    "this guest already", path, answer.server);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: no answer from the keeper of "
			    "a guest: %s%s", path, strerror(-code),
			    pt_files_remedy(code));
}

void pt_lazy_keeper_end(int connection)
{
	send(connection, &all_placed, 1, MSG_NOSIGNAL);
	close(connection);
}

/* ---- the keeper ---- */

static bool fds_send(const struct keeper *k, int fd)
{
	const int fds[3] = { k->kept->uffd, k->kept->record_fd, k->kept->pidfd };
	__u32 cnt = k->kept->pidfd >= 0 ? 3 : 2;
	struct answer answer = { .has_pidfd = cnt == 3 };
	char control[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct iovec part = { .iov_base = &answer, .iov_len = sizeof(answer) };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(cnt * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(cnt * sizeof(int));
	memcpy(CMSG_DATA(c), fds, cnt * sizeof(int));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == sizeof(answer);
}

/* server_accept takes the next server, of the same user or root, if there is none. */
static void server_accept(struct keeper *k)
{
	int fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct answer busy = { .is_busy = 1, .server = k->server };
	struct ucred who = { .uid = -1 };
	socklen_t sz = sizeof(who);

	if (fd < 0)
		return;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &sz);
	if (who.uid && who.uid != geteuid()) {
		close(fd);
	} else if (k->server_fd >= 0) {
		send(fd, &busy, sizeof(busy), MSG_NOSIGNAL);
		close(fd);
	} else if (!fds_send(k, fd)) {
		close(fd);
	} else {
		k->server_fd = fd;
		k->server = who.pid;
	}
}

/* server_hear returns false once all is placed. */
static bool server_hear(struct keeper *k)
{
	char word = 0;
	ssize_t got = recv(k->server_fd, &word, 1, 0);

	if (got == 1 && word == all_placed)
		return false;
	if (got <= 0) {
		close(k->server_fd);
		k->server_fd = -1;
	}
	return true;
}

static bool is_over(const struct keeper *k, __u64 since, __u64 now)
{
	return since && since < now && now - since > k->timeout_ns;
}

/* has_waited: a fault was read long ago, or none is read.  A busy guest has an unread
 * event at every look: it waits only while the server reads none at all. */
static bool has_waited(struct keeper *k, bool is_unread)
{
	__u64 since = __atomic_load_n(&k->record->waits_since_ns, __ATOMIC_ACQUIRE);
	__u64 read_cnt = __atomic_load_n(&k->record->read_cnt, __ATOMIC_RELAXED);
	__u64 now = pt_clock_ns();

	if (!is_unread)
		k->waits_since_ns = 0;
	else if (!k->waits_since_ns || read_cnt != k->read_cnt)
		k->waits_since_ns = now;
	k->read_cnt = read_cnt;
	return is_over(k, since, now) || is_over(k, k->waits_since_ns, now);
}

static void keep(struct keeper *k)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = k->kept->pidfd, .events = POLLIN },
			{ .fd = k->listen_fd, .events = POLLIN },
			{ .fd = k->server_fd, .events = POLLIN },
		};
		struct pollfd event = { .fd = k->kept->uffd, .events = POLLIN };

		if (poll(fds, 3, k->timeout_ns ? LOOK_MS : -1) < 0)
			continue;	/* EINTR */
		if (fds[0].revents || (fds[2].revents && !server_hear(k)))
			break;
		if (fds[1].revents)
			server_accept(k);
		if (k->timeout_ns && has_waited(k, poll(&event, 1, 0) > 0))
			syscall(SYS_pidfd_send_signal, k->kept->pidfd, SIGKILL, NULL,
				0);
	}
	unlink(k->at.sun_path);
}

/* close_others closes all descriptors that are not kept. */
static void close_others(const struct keeper *k)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	for (int fd = 3; fd < 1024; fd++)
		if (fd != k->kept->uffd && fd != k->kept->record_fd &&
		    fd != k->kept->pidfd && fd != k->listen_fd && fd != k->server_fd)
			close(fd);
}

static void keeper_main(const struct keeper *k)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT };
	struct keeper own = *k;

	setsid();
	prctl(PR_SET_NAME, "pt-keeper");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_others(&own);
	if (chdir("/"))
		_exit(1);
	keep(&own);
	_exit(0);
}

/* spawn starts the keeper as a child of init. */
static int spawn(const struct keeper *k)
{
	pid_t pid = fork();
	int status = 0;		/* where SIGCHLD is ignored none comes */

	if (pid < 0)
		return -errno;
	if (!pid) {
		pid_t own = fork();

		if (!own)
			keeper_main(k);
		_exit(own < 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? -EAGAIN : 0;
}

static int open_socket(struct keeper *k, const char *path, struct pt_error *err)
{
	mode_t mask = umask(0177);
	int fd = pt_lazy_listen(path, SOCK_SEQPACKET, err);

	umask(mask);
	if (fd < 0)
		return fd;
	k->listen_fd = fd;
	k->at.sun_family = AF_UNIX;
	/* The keeper leaves its folder. */
	if (path[0] != '/' && getcwd(k->at.sun_path, sizeof(k->at.sun_path)) &&
	    strlen(k->at.sun_path) + 1 + strlen(path) < sizeof(k->at.sun_path))
		strcat(k->at.sun_path, "/");
	else
		k->at.sun_path[0] = '\0';
	strncat(k->at.sun_path, path,
		sizeof(k->at.sun_path) - 1 - strlen(k->at.sun_path));
	return 0;
}

int pt_lazy_keeper_start(const struct pt_lazy_kept *kept,
			 const struct pt_lazy_record *record, const char *path,
			 __u64 timeout_ms, struct pt_error *err)
{
	struct keeper k = {
		.kept = kept, .record = record, .server = getpid(),
		.timeout_ns = timeout_ms * 1000000,
	};
	int ends[2], code = open_socket(&k, path, err);

	if (code)
		return code;
	code = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ? -errno : 0;
	if (!code) {
		k.server_fd = ends[1];
		code = spawn(&k);
		close(ends[1]);
	}
	close(k.listen_fd);
	if (!code)
		return ends[0];
	unlink(path);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot start the keeper of "
			    "the guest's descriptor: %s%s", path, strerror(-code),
			    pt_files_remedy(code));
}
