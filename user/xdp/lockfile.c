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
#define WAIT_TRIES 5000	/* of a lock that is held for moments only */

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
	char line[PT_LOCKFILE_LINE_SZ];
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

/* write_owner: a line of PT_LOCKFILE_LINE_SZ bytes. */
static int write_owner(int fd, const char *role)
{
	char words[PT_LOCKFILE_LINE_SZ], line[PT_LOCKFILE_LINE_SZ + 1];
	int sz = snprintf(words, sizeof(words), "%d %s", getpid(), role);

	pt_check(sz > 0 && (size_t)sz < sizeof(words));
	sz = snprintf(line, sizeof(line), "%-*s\n", PT_LOCKFILE_LINE_SZ - 1,
		      words);
	if (ftruncate(fd, 0) || pwrite(fd, line, sz, 0) != sz)
		return -1;
	return 0;
}

/* make_folder: what stands in it is believed, so nobody else may write it. */
static int make_folder(struct pt_error *err)
{
	struct stat st;

	if (mkdir(PT_LOCKFILE_DIR, 0755) && errno != EEXIST)
		return fail(err, PT_LOCKFILE_DIR);
	if (lstat(PT_LOCKFILE_DIR, &st))
		return fail(err, PT_LOCKFILE_DIR);
	if (!S_ISDIR(st.st_mode) || st.st_mode & S_IWOTH ||
	    (st.st_uid && st.st_uid != geteuid()))
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: must be a "
				    "folder of root's that others cannot write "
				    "(remove it)", PT_LOCKFILE_DIR);
	return 0;
}

int pt_lockfile_open(const char *path, struct pt_error *err)
{
	int ret = make_folder(err), fd;

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	return fd < 0 ? fail(err, path) : fd;
}

int pt_lockfile_take(struct pt_lockfile *lock, const char *path,
		     const char *role, struct pt_lockfile_owner *owner,
		     struct pt_error *err)
{
	int fd;

	for (int i = 0; i < RACES_MAX; i++) {
		fd = pt_lockfile_open(path, err);
		if (fd < 0)
			return fd;
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

int pt_lockfile_lock(int fd, const struct pt_device *dev,
		     struct pt_error *err)
{
	const struct timespec pause = { .tv_nsec = TRY_PAUSE_NS };

	for (int i = 0; i < WAIT_TRIES; i++) {
		if (lock_fd(fd))
			return 0;
		nanosleep(&pause, NULL);
	}
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another process "
			    "has held the lock of its maps for 5 s (is it "
			    "stopped?)", dev->name);
}

void pt_lockfile_unlock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(fd, F_OFD_SETLK, &lock);
}

void pt_lockfile_release(struct pt_lockfile *lock)
{
	int ret = unlink(lock->path);	/* still locked: nobody else's */

	if (ret)	/* gave up the right: empty, it is the next sweep's */
		ret = ftruncate(lock->fd, 0);
	(void)ret;
	close(lock->fd);
	lock->fd = -1;
}

int pt_lockfile_open_held(const char *path, struct pt_lockfile_owner *owner)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	memset(owner, 0, sizeof(*owner));
	if (fd < 0)
		return -1;
	if (!fd_is_locked(fd)) {
		close(fd);
		return -1;
	}
	read_owner(fd, owner);
	return fd;
}

bool pt_lockfile_is_held(const char *path, struct pt_lockfile_owner *owner)
{
	int fd = pt_lockfile_open_held(path, owner);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
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
		unsigned int ifindex, number;
		unsigned long long cookie;
		char kind;

		if (sscanf(entry->d_name, "%llu-%u-%c%u", &cookie, &ifindex,
			   &kind, &number) != 4 || !strchr("qo", kind))
			continue;
		sz = snprintf(path, sizeof(path), "%s/%s", PT_LOCKFILE_DIR,
			      entry->d_name);
		if (sz < (int)sizeof(path))
			sweep_one(path);
	}
	closedir(dir);
}
