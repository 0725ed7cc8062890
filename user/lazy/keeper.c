// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The process that keeps a guest. */
#include "lazy/keeper_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "lazy/lock.h"
#include "lazy/place.h"

#define LOOK_MS		100	/* between looks at the time of a fault */
#define GONE_MS		1000	/* between looks at the VMM, where its process is not
				 * known */
#define BACKLOG		8

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- servers ---- */

/* say sends a message, with cnt descriptors, to the server; it never waits. */
static bool say(int fd, struct pt_keeper_told *told, const int *fds, __u32 cnt)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE((PT_LAZY_FDS_MAX + 1) *
							 sizeof(int))] = { 0 };
	struct iovec part = { .iov_base = told, .iov_len = sizeof(*told) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	told->magic = PT_KEEPER_MAGIC;
	if (cnt) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(cnt * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(cnt * sizeof(int));
		memcpy(CMSG_DATA(c), fds, cnt * sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*told);
}

static bool say_here(const struct pt_keeper *k, int fd)
{
	struct pt_keeper_told told = { .say = PT_KEEPER_HERE };

	return say(fd, &told, (int[]){ k->record_fd, k->lock_fd }, 2);
}

static bool say_guest(const struct pt_keeper *k, int fd)
{
	struct pt_keeper_told told = { .say = PT_KEEPER_GUEST, .handed = k->handed };
	int fds[PT_LAZY_FDS_MAX + 1];
	__u32 cnt = 0;

	for (__u32 i = 0; i < PT_LAZY_FDS_MAX; i++)
		if (k->handed.fds[i] >= 0)
			fds[cnt++] = k->handed.fds[i];
	if (k->handed.pidfd >= 0)
		fds[cnt++] = k->handed.pidfd;
	return say(fd, &told, fds, cnt);
}

/* greet tells a server all that there is. */
static bool greet(const struct pt_keeper *k, int fd)
{
	return say_here(k, fd) && (!k->has_guest || say_guest(k, fd));
}

static bool is_readable(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

/* server_accept takes the next server, of the same user, if there is none. */
static void server_accept(struct pt_keeper *k)
{
	int fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct pt_keeper_told busy = { .say = PT_KEEPER_BUSY, .server = k->server };
	struct ucred who = { .uid = -1 };
	socklen_t sz = sizeof(who);

	if (fd < 0)
		return;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &sz);
	if (who.uid != geteuid()) {
		close(fd);
	} else if (k->server_fd >= 0) {
		say(fd, &busy, NULL, 0);
		close(fd);
	} else if (!greet(k, fd)) {
		close(fd);
	} else {
		k->server_fd = fd;
		k->server = who.pid;
	}
}

/* names_remove removes the names of the door, the keeper's, and the lock's at last. */
static void names_remove(struct pt_keeper *k)
{
	if (k->door_fd >= 0)
		unlinkat(k->names.folder_fd, k->names.door, 0);
	unlinkat(k->names.folder_fd, k->names.keeper, 0);
	pt_lazy_lock_end(k->lock_fd, k->names.folder_fd, k->names.lock);
	k->lock_fd = -1;
}

/* refuse: no server is to come any more.  The VMM's descriptor is held as long as the
 * VMM is there, since its faults would be answered with zeroes. */
static void refuse(struct pt_keeper *k)
{
	names_remove(k);
	close_one(&k->listen_fd);
	close_one(&k->record_fd);
	close_one(&k->names.folder_fd);
	k->timeout_ns = 0;
}

/* word_receive reads what the server says, with two descriptors at most. */
static ssize_t word_receive(struct pt_keeper *k, struct pt_keeper_word *word, int fds[2])
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec part = { .iov_base = word, .iov_len = sizeof(*word) };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(k->server_fd, &m, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	fds[0] = fds[1] = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return got;
}

/* given: the server fetched the VMM's descriptor, and this process holds it from now
 * on. */
static bool given(struct pt_keeper *k, const struct pt_keeper_word *word, int fds[2])
{
	k->handed.fds[0] = k->uffd = fds[0];
	k->handed.fd_cnt = 1;
	k->handed.pidfd = fds[1];
	k->handed.pid = word->vmm;
	k->record->is_qemu = 1;
	k->has_guest = true;
	if (!say_guest(k, k->server_fd))
		close_one(&k->server_fd);
	return true;
}

/* server_hear returns false once the keeper is to end. */
static bool server_hear(struct pt_keeper *k)
{
	struct pt_keeper_word word;
	int fds[2];
	ssize_t got = word_receive(k, &word, fds);

	if (got == sizeof(word) && word.why == PT_KEEPER_GIVE && !k->has_guest &&
	    fds[0] >= 0)
		return given(k, &word, fds);
	close_one(&fds[0]);
	close_one(&fds[1]);
	if (got == sizeof(word) && word.why == PT_KEEPER_TIMEOUT) {
		k->timeout_ns = word.timeout_ms * 1000000;
		k->waits_since_ns = 0;
		return true;
	}
	if (got == sizeof(word) && word.why == PT_LAZY_PART_END)
		return false;
	if (got == sizeof(word) && word.why == PT_LAZY_PART_REFUSED)
		refuse(k);
	if (got > 0 && !k->has_guest)
		k->parting_fd = k->server_fd;
	else
		close(k->server_fd);
	k->server_fd = -1;
	return true;
}

/* ---- the VMM ---- */

static void vmm_accept(struct pt_keeper *k)
{
	k->vmm_fd = accept4(k->door_fd, NULL, NULL, SOCK_CLOEXEC);
	k->vmm_until_ns = pt_deadline_ns(PT_LAZY_MESSAGE_MS);
}

static void vmm_drop(struct pt_keeper *k)
{
	struct pt_keeper_told told = { .say = PT_KEEPER_NOTHING };

	close_one(&k->vmm_fd);
	if (k->server_fd >= 0)
		say(k->server_fd, &told, NULL, 0);
}

/* vmm_take takes the message: this process holds the descriptor from now on. */
static void vmm_take(struct pt_keeper *k)
{
	ssize_t got = pt_lazy_door_receive(&k->handed, k->vmm_fd, k->record->message);

	if (got == -EAGAIN || got == -EINTR)
		return;
	if (got <= 0) {
		pt_lazy_handed_close(&k->handed);
		vmm_drop(k);
		return;
	}
	k->record->message_sz = got;
	k->has_guest = true;
	for (__u32 i = 0; i < PT_LAZY_FDS_MAX && k->uffd < 0; i++)
		if (k->handed.fds[i] >= 0 && pt_place_is_uffd(k->handed.fds[i]))
			k->uffd = k->handed.fds[i];
	unlinkat(k->names.folder_fd, k->names.door, 0);
	close_one(&k->door_fd);
	close_one(&k->vmm_fd);
	close_one(&k->parting_fd);
	if (k->server_fd >= 0 && !say_guest(k, k->server_fd))
		close_one(&k->server_fd);
}

/* is_abandoned: no guest came, and none can come any more.  Without a server nobody
 * else is let in, and a VMM that is in already has its time to send. */
static bool is_abandoned(struct pt_keeper *k)
{
	if (k->has_guest || k->server_fd >= 0)
		return false;
	if (!k->is_shut)
		shutdown(k->door_fd, SHUT_RDWR);
	k->is_shut = true;
	if (k->vmm_fd < 0)
		vmm_accept(k);
	return k->vmm_fd < 0;
}

/* is_over: there is nothing to keep any more. */
static bool is_over(struct pt_keeper *k, bool has_ended)
{
	if (!k->has_guest)
		return is_abandoned(k);
	if (k->uffd < 0)
		return k->server_fd < 0;
	if (!has_ended && k->handed.pidfd >= 0)
		return false;
	/* The process that connected need not be the one whose memory it is. */
	close_one(&k->handed.pidfd);
	return pt_place_is_gone(k->uffd);
}

static bool is_long_ago(const struct pt_keeper *k, __u64 since, __u64 now)
{
	return since && since < now && now - since > k->timeout_ns;
}

/* has_waited: a fault was read long ago, or none is read.  A busy guest has an unread
 * event at every look: it waits only while the server reads none at all. */
static bool has_waited(struct pt_keeper *k, bool is_unread)
{
	__u64 since = __atomic_load_n(&k->record->waits_since_ns, __ATOMIC_ACQUIRE);
	__u64 read_cnt = __atomic_load_n(&k->record->read_cnt, __ATOMIC_RELAXED);
	__u64 now = pt_clock_ns();

	if (!is_unread)
		k->waits_since_ns = 0;
	else if (!k->waits_since_ns || read_cnt != k->read_cnt)
		k->waits_since_ns = now;
	k->read_cnt = read_cnt;
	return is_long_ago(k, since, now) || is_long_ago(k, k->waits_since_ns, now);
}

static bool is_timed(const struct pt_keeper *k)
{
	return k->timeout_ns && k->handed.pidfd >= 0;
}

/* ---- the loop ---- */

static int wait_ms(const struct pt_keeper *k)
{
	if (k->vmm_fd >= 0)
		return pt_left_ms(k->vmm_until_ns);
	if (is_timed(k))
		return LOOK_MS;
	return k->has_guest && k->handed.pidfd < 0 ? GONE_MS : -1;
}

/* has_place: a server that comes has something to do, or is told who does it. */
static bool has_place(const struct pt_keeper *k)
{
	return k->has_guest || !k->is_shut;
}

static void keep(struct pt_keeper *k)
{
	for (;;) {
		bool is_open = k->vmm_fd < 0 && !k->is_shut;
		struct pollfd fds[] = {
			{ .fd = k->handed.pidfd, .events = POLLIN },
			{ .fd = k->server_fd, .events = POLLIN },
			{ .fd = has_place(k) ? k->listen_fd : -1, .events = POLLIN },
			{ .fd = k->vmm_fd, .events = POLLIN },
			{ .fd = is_open ? k->door_fd : -1, .events = POLLIN },
		};
		int got = poll(fds, sizeof(fds) / sizeof(*fds), wait_ms(k));

		if (got < 0)
			continue;	/* EINTR */
		if (fds[1].revents && !server_hear(k))
			break;
		if (fds[4].revents)
			vmm_accept(k);
		if (fds[3].revents)
			vmm_take(k);
		else if (k->vmm_fd >= 0 && !pt_left_ms(k->vmm_until_ns))
			vmm_drop(k);
		if (is_over(k, fds[0].revents))
			break;
		/* A server that was killed meanwhile is seen first. */
		if (fds[2].revents && k->listen_fd >= 0 &&
		    (k->server_fd < 0 || !is_readable(k->server_fd)))
			server_accept(k);
		if (is_timed(k) && has_waited(k, is_readable(k->handed.fds[0])))
			syscall(SYS_pidfd_send_signal, k->handed.pidfd, SIGKILL, NULL,
				0);
	}
	if (k->listen_fd >= 0)
		names_remove(k);
}

/* close_others closes all descriptors that are not kept. */
static void close_others(const struct pt_keeper *k)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	for (int fd = 3; fd < 1024; fd++)
		if (fd != k->record_fd && fd != k->lock_fd && fd != k->door_fd &&
		    fd != k->names.folder_fd && fd != k->listen_fd &&
		    fd != k->server_fd)
			close(fd);
}

static void keeper_main(const struct pt_keeper *k)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT };
	struct pt_keeper own = *k;

	setsid();
	prctl(PR_SET_NAME, "pt-keeper");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_others(&own);
	if (chdir("/") || listen(own.listen_fd, BACKLOG) ||
	    (own.names.has_door && listen(own.door_fd, BACKLOG)) ||
	    (!own.is_free && pt_keeper_confine()))
		_exit(1);
	say_here(&own, own.server_fd);		/* or it was killed, which keep sees */
	keep(&own);
	_exit(0);
}

int pt_keeper_spawn(const struct pt_keeper *k)
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
