/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/lockfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/check.h>

#define RACES_MAX 100	/* files removed between our open and our lock */
#define TRIES_MAX 5	/* a sweeper holds a file for a moment */
#define TRY_PAUSE_NS 1000000

void pt_lockfile_path(char path[96], const struct pt_device *dev,
		      const char *tail)
{
	int sz = snprintf(path, 96, PT_LOCKFILE_DIR "/%llu-%u-%s",
			  (unsigned long long)dev->netns_cookie, dev->ifindex,
			  tail);

	pt_check(sz > 0 && sz < 96);
}

static void read_owner(int fd, struct pt_lockfile_owner *owner)
{
	char line[16 + PT_LOCKFILE_ROLE_SZ];
	ssize_t sz = pread(fd, line, sizeof(line) - 1, 0);
	int pid;

	memset(owner, 0, sizeof(*owner));
	if (sz <= 0)
		return;
	line[sz] = '\0';
	if (sscanf(line, "%d %31[a-z0-9_-]", &pid, owner->role) >= 1 && pid > 0)
		owner->pid = pid;
}

static int fail(struct pt_error *err, const char *path)
{
	int code = -errno;

	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s (%s must be "
			    "writable: run as root)", path, strerror(-code),
			    PT_LOCKFILE_DIR);
}

/* still_there: a releasing owner removes the file, so the one that we opened
 * and locked may have no name any more, and another may hold the name. */
static bool still_there(int fd, const char *path)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !stat(path, &named) &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* The lock belongs to the open file and not to the process: threads exclude
 * each other, and it can be asked for without being taken. */
static bool lock_fd(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

static bool fd_is_locked(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

static bool lock_patiently(int fd)
{
	const struct timespec pause = { .tv_nsec = TRY_PAUSE_NS };

	for (int i = 0; i < TRIES_MAX; i++) {
		if (lock_fd(fd))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static int write_owner(int fd, const char *role)
{
	char line[16 + PT_LOCKFILE_ROLE_SZ];
	int sz = snprintf(line, sizeof(line), "%d %s\n", getpid(), role);

	pt_check(sz > 0 && (size_t)sz < sizeof(line));
	if (ftruncate(fd, 0) || pwrite(fd, line, sz, 0) != sz)
		return -1;
	return 0;
}

int pt_lockfile_take(struct pt_lockfile *lock, const char *path,
		     const char *role, struct pt_lockfile_owner *owner,
		     struct pt_error *err)
{
	int fd;

	if (mkdir(PT_LOCKFILE_DIR, 0755) && errno != EEXIST)
		return fail(err, PT_LOCKFILE_DIR);
	for (int i = 0; i < RACES_MAX; i++) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0644);
		if (fd < 0)
			return fail(err, path);
		if (!lock_patiently(fd)) {
			if (owner)
				read_owner(fd, owner);
			close(fd);
			return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
					    "%s: held by another process",
					    path);
		}
		if (!still_there(fd, path)) {
			close(fd);
			continue;
		}
		if (write_owner(fd, role)) {
			fail(err, path);
			unlink(path);
			close(fd);
			return -EIO;
		}
		lock->fd = fd;
		snprintf(lock->path, sizeof(lock->path), "%s", path);
		return 0;
	}
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s: taken and released all the time", path);
}

int pt_lockfile_wait(struct pt_lockfile *lock, const char *path,
		     const char *role, struct pt_error *err)
{
	int ret;

	for (int i = 0; i < 1000; i++) {
		ret = pt_lockfile_take(lock, path, role, NULL, err);
		if (ret != -EBUSY)
			return ret;
	}
	return ret;
}

void pt_lockfile_release(struct pt_lockfile *lock)
{
	unlink(lock->path);	/* still locked: nobody else's */
	close(lock->fd);
	lock->fd = -1;
}

bool pt_lockfile_is_held(const char *path, struct pt_lockfile_owner *owner)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool held;

	memset(owner, 0, sizeof(*owner));
	if (fd < 0)
		return false;
	held = fd_is_locked(fd);
	if (held)
		read_owner(fd, owner);
	close(fd);
	return held;
}

static void sweep_one(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (!fd_is_locked(fd) && lock_fd(fd) && still_there(fd, path))
		unlink(path);
	close(fd);
}

void pt_lockfile_sweep(void)
{
	DIR *dir = opendir(PT_LOCKFILE_DIR);
	struct dirent *entry;
	char path[96];
	int sz;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		unsigned long long cookie, number;
		unsigned int ifindex;
		char kind;

		if (sscanf(entry->d_name, "%llu-%u-%c%llx", &cookie, &ifindex,
			   &kind, &number) != 4 || !strchr("qs", kind))
			continue;
		sz = snprintf(path, sizeof(path), "%s/%s", PT_LOCKFILE_DIR,
			      entry->d_name);
		if (sz < (int)sizeof(path))
			sweep_one(path);
	}
	closedir(dir);
}
