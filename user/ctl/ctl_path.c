// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ctl/ctl_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>

#define BACKLOG		64	/* wait for the check of their user */
#define LOCK_TAIL	".pagetrim-lock"
#define LOCK_MS		2000	/* the holder needs a few system calls */
#define LOCK_PAUSE_NS	1000000

int pt_ctl_path_fail(const char *path, int code, struct pt_error *err)
{
	char own[PT_ERROR_OWN_SZ];
	const char *remedy = "";

	switch (code) {
	case -EADDRINUSE:
		return pt_error_set(err, PT_EXIT_HOST, code, "{control} %s: "
				    "exists already (name another path)", path);
	case -EBUSY:
		return pt_error_set(err, PT_EXIT_HOST, code, "{control} %s: "
				    "another process holds %s" LOCK_TAIL
				    " (name another path)", path, path);
	case -ELOOP:
		remedy = " (is PATH" LOCK_TAIL " a link? remove it)";
		break;
	case -EACCES:
	case -EPERM:
		remedy = " (name a folder that the user it runs as may write: "
			 "{user})";
		break;
	case -ENOENT:
	case -ENOTDIR:
		remedy = " (make its folder first)";
		break;
	case -EROFS:
		remedy = " (name another folder, e.g. in /run)";
		break;
	case -EMFILE:
	case -ENFILE:
		remedy = " (raise ulimit -n)";
		break;
	}
	return pt_error_set(err, PT_EXIT_HOST, code, "{control} %s: %s%s", path,
			    strerror(-code), pt_error_own(own, remedy));
}

static int set_address(struct sockaddr_un *addr, const char *path,
		       struct pt_error *err)
{
	size_t sz = strlen(path);

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (!sz || sz >= sizeof(addr->sun_path))
		return pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG,
				    "{control} '%.80s': the path of a socket "
				    "has 1..%zu bytes, this has %zu", path,
				    sizeof(addr->sun_path) - 1, sz);
	memcpy(addr->sun_path, path, sz);
	return 0;
}

/* --- the lock -------------------------------------------------------- */

static bool is_there(const char *name, int fd)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !lstat(name, &named) &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* lock returns a descriptor, or -errno; -EBUSY: another process holds it all
 * the time.  A holder removes the file, so the file is checked after
 * locking. */
static int lock(const char *name)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	__u64 deadline = pt_deadline_ns(LOCK_MS);

	while (pt_left_ms(deadline)) {
		int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			      0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB))
			nanosleep(&pause, NULL);
		else if (is_there(name, fd))
			return fd;
		close(fd);
	}
	return -EBUSY;
}

static void unlock(const char *name, int fd)
{
	unlink(name);
	close(fd);
}

/* --- the socket ------------------------------------------------------ */

/* is_dead: the address has a socket on which nobody listens, since its process
 * was killed.  Else *pid becomes the listener, if it is known. */
static bool is_dead(const struct sockaddr_un *addr, pid_t *pid)
{
	struct ucred cred = { 0 };
	socklen_t sz = sizeof(cred);
	struct stat st;
	bool dead;
	int fd;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) &&
	       errno == ECONNREFUSED;
	if (!dead && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &sz))
		*pid = cred.pid;
	close(fd);
	return dead;
}

/* stand makes fd listen at the address, or returns -errno.  -EADDRINUSE:
 * process *pid listens there, 0 if it is not known. */
static int stand(struct pt_ctl_path *p, int fd, pid_t *pid)
{
	const struct sockaddr *addr = (const struct sockaddr *)&p->addr;
	const char *path = p->addr.sun_path;
	struct stat st;
	int code;

	/* The file takes the socket's mode, so it has it from the start. */
	if (fchmod(fd, 0600))
		return -errno;
	if (bind(fd, addr, sizeof(p->addr))) {
		if (errno != EADDRINUSE)
			return -errno;
		if (!is_dead(&p->addr, pid))
			return -EADDRINUSE;
		if (unlink(path) || bind(fd, addr, sizeof(p->addr)))
			return -errno;
	}
	if (lstat(path, &st) || listen(fd, BACKLOG)) {
		code = -errno;
		unlink(path);
		return code;
	}
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	return 0;
}

static int stand_alone(struct pt_ctl_path *p, int fd, pid_t *pid)
{
	char name[sizeof(p->addr.sun_path) + sizeof(LOCK_TAIL)];
	int lock_fd, ret;

	snprintf(name, sizeof(name), "%s" LOCK_TAIL, p->addr.sun_path);
	lock_fd = lock(name);
	if (lock_fd < 0)
		return lock_fd;
	ret = stand(p, fd, pid);
	unlock(name, lock_fd);
	return ret;
}

/* take_failed: process pid listens there, 0 if it is not known. */
static int take_failed(const char *path, int code, pid_t pid,
		       struct pt_error *err)
{
	if (code == -EADDRINUSE && pid > 0)
		return pt_error_set(err, PT_EXIT_HOST, code, "{control} %s: "
				    "exists already, process %d listens there "
				    "(name another path)", path, pid);
	return pt_ctl_path_fail(path, code, err);
}

int pt_ctl_path_take(struct pt_ctl_path *p, const char *path, int *fd,
		     struct pt_error *err)
{
	int ret = set_address(&p->addr, path, err);
	pid_t pid = 0;

	p->ino = 0;
	if (ret)
		return ret;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return pt_ctl_path_fail(path, -errno, err);
	ret = stand_alone(p, *fd, &pid);
	if (!ret)
		return 0;
	close(*fd);
	*fd = -1;
	return take_failed(path, ret, pid, err);
}

int pt_ctl_path_check(const char *path, struct pt_error *err)
{
	struct sockaddr_un addr;
	struct stat st;
	pid_t pid = 0;
	int ret = set_address(&addr, path, err);

	if (ret || lstat(path, &st) || is_dead(&addr, &pid))
		return ret;
	return take_failed(path, -EADDRINUSE, pid, err);
}

/* sweep_link: a process links to a socket on which it listens already. */
static void sweep_link(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) &&
	    (errno == ECONNREFUSED || errno == ENOENT))
		unlink(addr->sun_path);
	close(fd);
}

void pt_ctl_path_sweep(const char *path)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) +
		  sizeof(LOCK_TAIL)];
	struct sockaddr_un addr;
	struct stat st;
	pid_t pid = 0;
	int fd;

	if (set_address(&addr, path, NULL) || lstat(path, &st))
		return;
	if (S_ISLNK(st.st_mode))
		sweep_link(&addr);
	if (!is_dead(&addr, &pid))
		return;
	snprintf(name, sizeof(name), "%s" LOCK_TAIL, path);
	fd = lock(name);
	if (fd < 0)
		return;
	if (is_dead(&addr, &pid))	/* nobody took it meanwhile */
		unlink(path);
	unlock(name, fd);
}

void pt_ctl_path_leave(const struct pt_ctl_path *p)
{
	struct stat st;

	if (p->ino && !lstat(p->addr.sun_path, &st) &&
	    st.st_dev == p->dev && st.st_ino == p->ino)
		unlink(p->addr.sun_path);
}
