/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* scratch: folders and file systems of a test's own.  The mounts are in a
 * private mount namespace: they vanish with the process, however it ends. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/types.h>
#include <cmocka.h>

#define SCRATCH "/mnt"	/* a tmpfs, mounted for this process alone */

/* scratch_mount is called once, from main(), as root. */
static inline int scratch_mount(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("scratch", SCRATCH, "tmpfs", 0, "size=64m,mode=700")) {
		perror("scratch: cannot mount (run as root)");
		return -1;
	}
	return 0;
}

/* scratch_fs mounts one more file system at SCRATCH/name. */
static inline void scratch_fs(const char *name, const char *type,
			      unsigned long flags, const char *options)
{
	char path[128];

	snprintf(path, sizeof(path), SCRATCH "/%s", name);
	assert_true(!mkdir(path, 0700) || errno == EEXIST);
	if (mount("scratch", path, type, flags, options))
		fail_msg("mount %s at %s: %s", type, path, strerror(errno));
}

/* scratch_file makes a file of sz bytes, all holes; returns it open. */
static inline int scratch_file(const char *path, __u64 sz)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sz), 0);
	return fd;
}

/* scratch_left makes a file as a dead receiver leaves it; scratch_left_folder
 * makes such a folder. */
static inline int scratch_left(const char *path, __u64 sz)
{
	int fd = scratch_file(path, sz);

	assert_int_equal(fchmod(fd, 01600), 0);
	return fd;
}

static inline void scratch_left_folder(const char *path)
{
	assert_int_equal(mkdir(path, 01700), 0);
}

static inline void scratch_write(int fd, __u64 off, const void *bytes,
				 size_t sz)
{
	assert_int_equal(pwrite(fd, bytes, sz, off), sz);
}

/* scratch_blocks returns the file's allocated bytes. */
static inline __u64 scratch_blocks(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_blocks * 512ULL;
}

static inline int scratch_has(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* scratch_huge adds cnt huge pages of 2 MiB to the machine (less when cnt is
 * negative); returns whether it has them. */
static inline int scratch_huge(int cnt)
{
	static const char path[] =
		"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
	FILE *file = fopen(path, "r+");
	int before, after;

	if (!file)
		return 0;
	/* Tests run side by side, and each adds what it uses. */
	assert_int_equal(flock(fileno(file), LOCK_EX), 0);
	assert_int_equal(fscanf(file, "%d", &before), 1);
	rewind(file);
	fprintf(file, "%d", before + cnt);
	fflush(file);
	rewind(file);
	assert_int_equal(fscanf(file, "%d", &after), 1);
	if (after < before + cnt) {
		rewind(file);
		fprintf(file, "%d", before);
	}
	fclose(file);
	return after >= before + cnt;
}

#endif
