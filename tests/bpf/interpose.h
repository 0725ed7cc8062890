/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* interpose: makes a list of holders break off, descriptors run out, and
 * another process act at the moment a lock is taken. */
#ifndef TESTS_BPF_INTERPOSE_H
#define TESTS_BPF_INTERPOSE_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static int entries_left = -1;	/* readdir fails after these; -1: never */

/* This replaces libc's function. */
struct dirent *readdir(DIR *dir)
{
	struct dirent *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir");

	if (!entries_left) {
		errno = EIO;
		return NULL;
	}
	if (entries_left > 0)
		entries_left--;
	return next(dir);
}

/* leave_descriptors leaves cnt, at most 15, that can still be opened, and
 * returns the previous limit. */
static inline struct rlimit leave_descriptors(int cnt)
{
	struct rlimit was, low;
	int fds[16], free_fd = -1;

	assert_true(cnt < 16);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	for (int i = 0; i <= cnt; i++) {
		fds[i] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
		assert_true(fds[i] > free_fd);
		free_fd = fds[i];
	}
	for (int i = 0; i <= cnt; i++)
		close(fds[i]);
	low = was;
	low.rlim_cur = free_fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	return was;
}

static void (*at_lock)(void);	/* called once, before a lock is taken */

/* This replaces libc's function. */
int flock(int fd, int operation)
{
	int (*next)(int, int) = dlsym(RTLD_NEXT, "flock");
	void (*hook)(void) = operation & LOCK_EX ? at_lock : NULL;

	if (hook) {
		at_lock = NULL;
		hook();
	}
	return next(fd, operation);
}

#endif
