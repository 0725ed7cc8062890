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
#include "base/files.h"
#include "base/rights.h"

#define TRIES_MAX 5	/* a process that removes files holds a file for a
			 * moment */
#define TRY_PAUSE_NS 1000000
#define NO_UID	65534		/* the kernel's default, kernel.overflowuid */

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
	const char *root = pt_rights_are_inner() ? "the host's root" : "root";

	switch (code) {
	case -EACCES:
	case -EPERM:
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s (%s must "
			"give it: one device's by 'pagetrim attach {--dev} DEV "
			"{--user} NAME', all by 'install -d -m 775 -g GROUP "
			"%s')", path, strerror(-code), root, PT_LOCKFILE_DIR);
	case -EROFS:
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s (mount a "
			"tmpfs at /run, or at %s, where it is a folder; "
			"containers that share a device need the host's)",
			path, strerror(-code), PT_LOCKFILE_DIR);
	}
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s%s", path,
			    strerror(-code), pt_files_remedy(code));
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

/* is_trusted: in a rootless container the host's root is seen as the user of all
 * that have no number there. */
static bool is_trusted(uid_t owner)
{
	return !owner || owner == geteuid() ||
	       (owner == NO_UID && pt_rights_are_inner());
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
	    !is_trusted(st.st_uid))
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: must be a "
				    "folder of root's that others cannot write "
				    "(chown root and chmod o-w it, or remove "
				    "what is no folder)", PT_LOCKFILE_DIR);
	return 0;
}

/* share_with_group: a folder that root gave to a group holds the leases of root
 * and of the group's users. */
static void share_with_group(int fd)
{
	struct stat folder, file;

	if (lstat(PT_LOCKFILE_DIR, &folder) || !(folder.st_mode & S_IWGRP) ||
	    fstat(fd, &file) || file.st_uid != geteuid() ||
	    file.st_mode & (S_ISVTX | S_IRWXG))
		return;
	if (!fchown(fd, -1, folder.st_gid))
		fchmod(fd, 0660);
}

/* A process that can read a file can lock it against us. */
int pt_lockfile_open(const char *path, struct pt_error *err)
{
	int ret = make_folder(err), fd;

	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, path);
	share_with_group(fd);
	return fd;
}

int pt_lockfile_grant(int fd, const struct pt_grant *grant)
{
	if (fchown(fd, grant->uid, pt_grant_gid(grant)) ||
	    fchmod(fd, pt_grant_mode(grant, 0600) | S_ISVTX))
		return -errno;
	return 0;
}

void pt_lockfile_recall(int fd)
{
	struct stat st;

	if (!fstat(fd, &st) && st.st_mode & S_ISVTX)
		fchmod(fd, st.st_mode & 0777);
}

void pt_lockfile_remove(int fd, const char *path)
{
	const struct pt_lockfile_part all = { 0 };
	struct stat st;

	if (fstat(fd, &st) || st.st_mode & S_ISVTX)
		return;
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
