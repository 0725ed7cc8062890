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
#define TRIES_MAX 5	/* who removes files holds a file for a moment */
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

static int fail(struct pt_error *err, const char *path)
{
	int code = -errno;

	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s (%s must be "
			    "writable: run as root)", path, strerror(-code),
			    PT_LOCKFILE_DIR);
}

bool pt_lockfile_still_there(int fd, const char *path)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !lstat(path, &named) &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* The lock belongs to the open file and not to the process: threads exclude
 * each other, and it can be asked for without being taken. */
static struct flock lock_of(short type, struct pt_lockfile_part part)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET,
			       .l_start = part.off, .l_len = part.sz };
}

static bool set_lock(int fd, short type, struct pt_lockfile_part part)
{
	struct flock lock = lock_of(type, part);

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

static bool set_patiently(int fd, short type, struct pt_lockfile_part part,
			  int tries)
{
	const struct timespec pause = { .tv_nsec = TRY_PAUSE_NS };

	for (int i = 0; i < tries; i++) {
		if (set_lock(fd, type, part))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

bool pt_lockfile_lock_part(int fd, struct pt_lockfile_part part)
{
	return set_lock(fd, F_WRLCK, part);
}

bool pt_lockfile_share_part(int fd, struct pt_lockfile_part part)
{
	return set_patiently(fd, F_RDLCK, part, TRIES_MAX);
}

void pt_lockfile_unlock_part(int fd, struct pt_lockfile_part part)
{
	set_lock(fd, F_UNLCK, part);
}

/* Asked as a reader: what only a reader holds, who may be anybody, is free. */
bool pt_lockfile_part_is_held(int fd, struct pt_lockfile_part part)
{
	struct flock lock = lock_of(F_RDLCK, part);

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

void pt_lockfile_read_owner(int fd, struct pt_lockfile_part part,
			    struct pt_lockfile_owner *owner)
{
	char line[PT_LOCKFILE_LINE_SZ];
	ssize_t sz = pread(fd, line, sizeof(line) - 1, part.off);
	int pid;

	memset(owner, 0, sizeof(*owner));
	if (sz <= 0)
		return;
	line[sz] = '\0';
	if (sscanf(line, "%d %31[a-z0-9_-]", &pid, owner->role) >= 1 && pid > 0)
		owner->pid = pid;
}

int pt_lockfile_write_owner(int fd, struct pt_lockfile_part part,
			    const char *role)
{
	char words[PT_LOCKFILE_LINE_SZ], line[PT_LOCKFILE_LINE_SZ + 1];
	int sz = snprintf(words, sizeof(words), "%d %s", getpid(), role);

	pt_check(sz > 0 && (size_t)sz < sizeof(words));
	sz = snprintf(line, sizeof(line), "%-*s\n", PT_LOCKFILE_LINE_SZ - 1,
		      words);
	errno = ENOSPC;		/* of a write that is cut short */
	return pwrite(fd, line, sz, part.off) == sz ? 0 : -errno;
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

static int open_file(const char *path, mode_t mode, struct pt_error *err)
{
	int ret = make_folder(err), fd;

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	return fd < 0 ? fail(err, path) : fd;
}

/* Who can read a file can lock it against us. */
int pt_lockfile_open(const char *path, struct pt_error *err)
{
	return open_file(path, 0600, err);
}

int pt_lockfile_take(struct pt_lockfile *lock, const char *path,
		     const char *role, struct pt_error *err)
{
	int fd, ret;

	for (int i = 0; i < RACES_MAX; i++) {
		/* Those who gave up their privileges must read it, too. */
		fd = open_file(path, 0644, err);
		if (fd < 0)
			return fd;
		if (!set_patiently(fd, F_WRLCK, PT_LOCKFILE_ALL, TRIES_MAX)) {
			close(fd);
			return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
					    "%s: held by another process",
					    path);
		}
		if (!pt_lockfile_still_there(fd, path)) {
			close(fd);
			continue;
		}
		ret = pt_lockfile_write_owner(fd, PT_LOCKFILE_ALL, role);
		if (ret) {
			unlink(path);
			close(fd);
			errno = -ret;
			return fail(err, path);
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
	if (set_patiently(fd, F_WRLCK, PT_LOCKFILE_ALL, WAIT_TRIES))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another process "
			    "has held the lock of its maps for 5 s (is it "
			    "stopped?)", dev->name);
}

void pt_lockfile_unlock(int fd)
{
	pt_lockfile_unlock_part(fd, PT_LOCKFILE_ALL);
}

void pt_lockfile_remove(int fd, const char *path)
{
	if (pt_lockfile_lock_part(fd, PT_LOCKFILE_ALL) &&
	    pt_lockfile_still_there(fd, path))
		unlink(path);
}

void pt_lockfile_release(struct pt_lockfile *lock)
{
	pt_lockfile_remove(lock->fd, lock->path);
	close(lock->fd);
	lock->fd = -1;
}

int pt_lockfile_open_held(const char *path, struct pt_lockfile_owner *owner)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	memset(owner, 0, sizeof(*owner));
	if (fd < 0)
		return -1;
	if (!pt_lockfile_part_is_held(fd, PT_LOCKFILE_ALL)) {
		close(fd);
		return -1;
	}
	pt_lockfile_read_owner(fd, PT_LOCKFILE_ALL, owner);
	return fd;
}

static void sweep_one(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	pt_lockfile_remove(fd, path);	/* unless somebody has a part of it */
	close(fd);
}

/* is_litter: whether a file of that name, unlocked, is of no use to anybody.
 * The lock of pinned maps is, without the record of what is attached. */
static bool is_litter(int dir, const char *name)
{
	unsigned long long cookie;
	unsigned int ifindex;
	char tail[8], record[64];

	if (sscanf(name, "%llu-%u-%7s", &cookie, &ifindex, tail) != 3)
		return false;
	if (!strcmp(tail, "queues") || tail[0] == 'o')
		return true;
	snprintf(record, sizeof(record), "%llu-%u-attached", cookie, ifindex);
	return !strcmp(tail, "maps") && faccessat(dir, record, F_OK, 0);
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
		if (!is_litter(dirfd(dir), entry->d_name))
			continue;
		sz = snprintf(path, sizeof(path), "%s/%s", PT_LOCKFILE_DIR,
			      entry->d_name);
		if (sz < (int)sizeof(path))
			sweep_one(path);
	}
	closedir(dir);
}
