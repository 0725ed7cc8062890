/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "ctl/ctl_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NEW_TAIL	".last.new"
#define NAME_SZ		(sizeof(((struct sockaddr_un *)0)->sun_path) + \
			 sizeof(NEW_TAIL))

static int name(char to[NAME_SZ], const char *path, const char *tail)
{
	return snprintf(to, NAME_SZ, "%s%s", path, tail) < (int)NAME_SZ
		? 0 : -ENAMETOOLONG;
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

	if (sz >= (int)sizeof(line))
		return -EMSGSIZE;
	if (name(now, path, ".last") || name(next, path, NEW_TAIL))
		return -ENAMETOOLONG;
	unlink(next);		/* of a process that was killed */
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

void pt_ctl_record_remove(const char *path)
{
	char now[NAME_SZ];

	if (!name(now, path, ".last"))
		unlink(now);
}

int pt_ctl_record_read(const char *path, char answer[PT_CTL_ANSWER_SZ])
{
	char now[NAME_SZ];
	struct stat st;
	ssize_t sz = 0;
	int fd;

	if (name(now, path, ".last"))
		return -ENOENT;
	fd = open(now, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		sz = read(fd, answer, PT_CTL_ANSWER_SZ);
	close(fd);
	if (sz <= 0 || memchr(answer, '\n', sz) != answer + sz - 1)
		return -EPROTO;
	answer[sz - 1] = '\0';
	return 0;
}
