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

#define TRIES_MAX 5	/* a process that removes files holds a file for a
			 * moment */
#define TRY_PAUSE_NS 1000000

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

/* The lock belongs to the open file and not to the process, so threads exclude
 * each other, and it can be tested without taking it. */
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

bool pt_lockfile_lock_part(int fd, struct pt_lockfile_part part)
{
	return set_lock(fd, F_WRLCK, part);
}

bool pt_lockfile_share_part(int fd, struct pt_lockfile_part part)
{
	const struct timespec pause = { .tv_nsec = TRY_PAUSE_NS };

	for (int i = 0; i < TRIES_MAX; i++) {
		if (set_lock(fd, F_RDLCK, part))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

void pt_lockfile_unlock_part(int fd, struct pt_lockfile_part part)
{
	set_lock(fd, F_UNLCK, part);
}

/* Tested as a reader: a part that only a reader holds, which may be any
 * process, is free. */
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
	errno = ENOSPC;		/* a short write */
	return pwrite(fd, line, sz, part.off) == sz ? 0 : -errno;
}

/* make_folder: its files are trusted, so nobody else may write it. */
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

/* A process that can read a file can lock it against us. */
int pt_lockfile_open(const char *path, struct pt_error *err)
{
	int ret = make_folder(err), fd;

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? fail(err, path) : fd;
}

void pt_lockfile_remove(int fd, const char *path)
{
	const struct pt_lockfile_part all = { 0 };

	if (pt_lockfile_lock_part(fd, all) &&
	    pt_lockfile_still_there(fd, path))
		unlink(path);
}

static void sweep_one(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	pt_lockfile_remove(fd, path);	/* unless a process holds a part of
					 * it */
	close(fd);
}

/* is_litter: an unlocked file of that name has no use. */
static bool is_litter(const char *name)
{
	unsigned long long cookie;
	unsigned int ifindex;
	char tail[8];

	return sscanf(name, "%llu-%u-%7s", &cookie, &ifindex, tail) == 3 &&
	       !strcmp(tail, "queues");
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
		if (!is_litter(entry->d_name))
			continue;
		sz = snprintf(path, sizeof(path), "%s/%s", PT_LOCKFILE_DIR,
			      entry->d_name);
		if (sz < (int)sizeof(path))
			sweep_one(path);
	}
	closedir(dir);
}
