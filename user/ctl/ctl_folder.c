// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "ctl/ctl_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include "ctl/ctl_path.h"

#define TAIL	".sock"

/* --- folders ----------------------------------------------------------- */

/* is_closed: the folder is root's or uid's, and others cannot change it. */
static bool is_closed(const struct stat *st, uid_t uid)
{
	return S_ISDIR(st->st_mode) && !(st->st_mode & S_IWOTH) &&
	       (!st->st_uid || st->st_uid == uid);
}

/* enter makes the folder name in the open folder at, if it is missing, opens it,
 * and closes at. */
static int enter(int at, const char *name, mode_t mode, uid_t uid)
{
	bool is_there = !mkdirat(at, name, mode) || errno == EEXIST;
	int fd = is_there ? openat(at, name, O_DIRECTORY | O_NOFOLLOW |
				   O_RDONLY | O_CLOEXEC) : -1;
	int code = -errno;
	struct stat st;

	close(at);
	if (fd < 0)
		return code;
	if (!fstat(fd, &st) && is_closed(&st, uid))
		return fd;
	close(fd);
	return -EPERM;
}

/* give makes the folder fd the user's alone, and closes fd. */
static int give(int fd, uid_t uid, gid_t gid)
{
	struct stat st;
	int ret = 0;

	if (fstat(fd, &st) || (st.st_uid != uid && fchown(fd, uid, gid)) ||
	    ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700)))
		ret = -errno;
	close(fd);
	return ret;
}

int pt_ctl_folder_make(uid_t uid, gid_t gid, struct pt_error *err)
{
	char name[16], path[sizeof(PT_CTL_FOLDER) + sizeof(name)] = "/run";
	int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : fd;

	snprintf(name, sizeof(name), "%u", uid);
	if (ret >= 0) {
		strcpy(path, "/run/pagetrim");
		ret = enter(ret, "pagetrim", 0755, geteuid());
	}
	if (ret >= 0) {
		strcpy(path, PT_CTL_FOLDER);
		ret = enter(ret, "ctl", 0755, geteuid());
	}
	if (ret >= 0) {
		snprintf(path, sizeof(path), PT_CTL_FOLDER "/%s", name);
		ret = enter(ret, name, 0700, uid);
	}
	if (ret >= 0)
		ret = give(ret, uid, gid);
	return ret < 0 ? pt_error_set(err, PT_EXIT_HOST, ret, "%s: %s", path,
				      strerror(-ret)) : 0;
}

/* --- entries ----------------------------------------------------------- */

static void set_path(char path[PT_CTL_PATH_SZ], uid_t uid, pid_t pid)
{
	int sz = snprintf(path, PT_CTL_PATH_SZ, PT_CTL_FOLDER "/%u/%d" TAIL,
			  uid, pid);

	pt_check(sz > 0 && sz < (int)PT_CTL_PATH_SZ);
}

void pt_ctl_folder_path(char path[PT_CTL_PATH_SZ])
{
	set_path(path, geteuid(), getpid());
}

int pt_ctl_folder_link(const char *path, const char *target)
{
	char real[PATH_MAX];

	if (!realpath(target, real))
		return -errno;
	return symlink(real, path) ? -errno : 0;
}

/* number returns that of a name "NUMBER TAIL"; -1: it is none. */
static long number(const char *name, const char *tail)
{
	unsigned long n;
	char *end;

	if (*name < '0' || *name > '9')
		return -1;
	n = strtoul(name, &end, 10);
	return n <= UINT_MAX && !strcmp(end, tail) ? (long)n : -1;
}

/* list_user adds the entries of the open folder fd of user uid, and closes fd. */
static unsigned list_user(int fd, uid_t uid, struct pt_ctl_entry *entries,
			  unsigned max)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	unsigned cnt = 0;

	if (!dir) {
		close(fd);
		return 0;
	}
	while (cnt < max && (entry = readdir(dir))) {
		long pid = number(entry->d_name, TAIL);

		if (pid <= 0 || pid > INT_MAX)
			continue;
		entries[cnt].pid = pid;
		entries[cnt].uid = uid;
		set_path(entries[cnt++].path, uid, pid);
	}
	closedir(dir);
	return cnt;
}

/* list_folder: a folder that is not its name's is no entry. */
static unsigned list_folder(int top, const char *name,
			    struct pt_ctl_entry *entries, unsigned max)
{
	long uid = number(name, "");
	struct stat st;
	int fd;

	if (uid < 0)
		return 0;
	fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && st.st_uid == (uid_t)uid)
		return list_user(fd, uid, entries, max);
	close(fd);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct pt_ctl_entry *one = a, *two = b;

	return one->pid < two->pid ? -1 : one->pid > two->pid;
}

unsigned pt_ctl_folder_list(struct pt_ctl_entry entries[PT_CTL_ENTRIES_MAX],
			    bool *has_more)
{
	DIR *dir = opendir(PT_CTL_FOLDER);
	struct dirent *entry;
	unsigned cnt = 0;

	*has_more = false;
	if (!dir)
		return 0;
	while (cnt < PT_CTL_ENTRIES_MAX && (entry = readdir(dir)))
		cnt += list_folder(dirfd(dir), entry->d_name, entries + cnt,
				   PT_CTL_ENTRIES_MAX - cnt);
	*has_more = cnt == PT_CTL_ENTRIES_MAX;
	closedir(dir);
	qsort(entries, cnt, sizeof(*entries), by_number);
	return cnt;
}

void pt_ctl_folder_sweep(void)
{
	static struct pt_ctl_entry entries[PT_CTL_ENTRIES_MAX];
	bool has_more;
	unsigned cnt = pt_ctl_folder_list(entries, &has_more);

	for (unsigned i = 0; i < cnt; i++)
		if (entries[i].uid == geteuid())
			pt_ctl_path_sweep(entries[i].path);
}
