// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES	100	/* a file that its owner removes meanwhile */

/* is_named: the file has the name still. */
static bool is_named(int fd, int folder_fd, const char *name)
{
	struct stat own, at;

	return !fstat(fd, &own) && !fstatat(folder_fd, name, &at, AT_SYMLINK_NOFOLLOW) &&
	       own.st_dev == at.st_dev && own.st_ino == at.st_ino;
}

int pt_lazy_lock_take(int folder_fd, const char *name)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC |
				O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
		int code;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			code = -errno;
			close(fd);
			return code;
		}
		if (is_named(fd, folder_fd, name))
			return fd;
		close(fd);
	}
	return -EWOULDBLOCK;
}

void pt_lazy_lock_end(int fd, int folder_fd, const char *name)
{
	unlinkat(folder_fd, name, 0);
	close(fd);
}
