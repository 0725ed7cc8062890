/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "ctl/ctl_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/check.h>

#define LAST_TAIL	".last"
#define NEW_TAIL	".last.new"
#define NAME_SZ		(sizeof(((struct sockaddr_un *)0)->sun_path) + \
			 sizeof(NEW_TAIL))

static int name(char to[NAME_SZ], const char *path, const char *tail)
{
	return snprintf(to, NAME_SZ, "%s%s", path, tail) < (int)NAME_SZ
		? 0 : -ENAMETOOLONG;
}

/* look returns 0: the file is a record, or empty, as a process that was killed may
 * leave it; -ENOENT: there is none; -EEXIST: it is another's. */
static int look(const char *file)
{
	char first[sizeof(PT_CTL_RECORD_BEGIN) - 1];
	struct stat st;
	ssize_t sz;
	int fd;

	if (lstat(file, &st))
		return -ENOENT;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 07777) != 0600)
		return -EEXIST;
	fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -EEXIST;
	sz = read(fd, first, sizeof(first));
	close(fd);
	return !sz || (sz == sizeof(first) &&
		       !memcmp(first, PT_CTL_RECORD_BEGIN, sz)) ? 0 : -EEXIST;
}

/* release removes the file, unless it is another's. */
static int release(const char *file)
{
	int ret = look(file);

	if (!ret && unlink(file))
		ret = -errno;
	return ret == -ENOENT ? 0 : ret;
}

/* put: a part of a line is an error, too. */
static int put(int fd, const char *text, size_t sz)
{
	ssize_t done = write(fd, text, sz);

	if (done < 0)
		return -errno;
	return (size_t)done == sz ? 0 : -ENOSPC;
}

int pt_ctl_record_write(const char *path, const char *text)
{
	char now[NAME_SZ], next[NAME_SZ], line[PT_CTL_ANSWER_SZ + 1];
	int sz = snprintf(line, sizeof(line), "%s\n", text);
	int fd, ret;

	pt_check(!strncmp(text, PT_CTL_RECORD_BEGIN,
			  sizeof(PT_CTL_RECORD_BEGIN) - 1));
	if (sz >= (int)sizeof(line))
		return -EMSGSIZE;
	if (name(now, path, LAST_TAIL) || name(next, path, NEW_TAIL))
		return -ENAMETOOLONG;
	ret = release(next);	/* of a process that was killed */
	if (ret || look(now) == -EEXIST)
		return ret ? ret : -EEXIST;
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = put(fd, line, sz);
	close(fd);
	if (!ret && rename(next, now))
		ret = -errno;
	if (ret)
		unlink(next);
	return ret;
}

int pt_ctl_record_clear(const char *path, struct pt_error *err)
{
	static const char *const tails[] = { LAST_TAIL, NEW_TAIL };
	char file[NAME_SZ];

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		int ret;

		if (!*path || name(file, path, tails[i]))
			return 0;
		ret = release(file);
		if (ret == -EEXIST)
			return pt_error_set(err, PT_EXIT_HOST, ret, "{control} "
					    "%s: %s exists already, and is no "
					    "record of this user's (remove it, "
					    "or name another path)", path, file);
		if (ret)
			return pt_error_set(err, PT_EXIT_HOST, ret, "%s: the "
					    "record of an earlier process "
					    "cannot be removed: %s", file,
					    strerror(-ret));
	}
	return 0;
}

/* is_believed: nobody else can have made the open file. */
static bool is_believed(const char *path, const struct stat *st)
{
	const char *slash = strrchr(path, '/');
	char folder[NAME_SZ] = ".";
	struct stat of;

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s",
			 (int)(slash - path) + 1, path);
	return (st->st_mode & 07777) == 0600 &&
	       (!st->st_uid || st->st_uid == geteuid() ||
		(!stat(folder, &of) && st->st_uid == of.st_uid));
}

int pt_ctl_record_read(const char *path, char answer[PT_CTL_ANSWER_SZ])
{
	char now[NAME_SZ];
	bool is_foreign = false;
	struct stat st;
	ssize_t sz = 0;
	int fd;

	if (name(now, path, LAST_TAIL))
		return -ENOENT;
	fd = open(now, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		is_foreign = !is_believed(path, &st);
		sz = read(fd, answer, PT_CTL_ANSWER_SZ);
	}
	close(fd);
	if (is_foreign)
		return -EPERM;
	if (sz <= 0 || memchr(answer, '\n', sz) != answer + sz - 1)
		return -EPROTO;
	answer[sz - 1] = '\0';
	return 0;
}
