/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* attach and detach take turns, on all devices: each reads the pins and then
 * changes them.  The lock is a flock(2) on the folder of all pins, which the
 * kernel drops when its holder dies. */
#include "xdp/program_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS		30000	/* a turn takes a second or less; several may
				 * wait */
#define FOLDERS_MAX	1000	/* that disappear during the wait for their
				 * lock */

bool program_flock(int fd, __u32 ms)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (__u32 i = 0; i < ms; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* is_there: the locked folder was not removed meanwhile. */
static bool is_there(int fd)
{
	struct stat ours, now;

	return !fstat(fd, &ours) && !lstat(PT_PIN_ROOT, &now) &&
	       ours.st_ino == now.st_ino && ours.st_dev == now.st_dev;
}

/* try_turn returns the folder, locked; -ENOENT: it was removed.  A folder that
 * we may not lock we may not change either, which is reported then. */
static int try_turn(void)
{
	int fd;

	if (mkdir(PT_PIN_ROOT, 0700) && errno != EEXIST)
		return -EACCES;
	fd = open(PT_PIN_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EACCES;
	if (!program_flock(fd, TURN_MS)) {
		close(fd);
		return -EBUSY;
	}
	if (is_there(fd))
		return fd;
	close(fd);
	return -ENOENT;
}

int program_begin_turn(int *turn, const char *dev, struct pt_error *err)
{
	int ret = -ENOENT;

	for (int i = 0; i < FOLDERS_MAX && ret == -ENOENT; i++)
		ret = try_turn();
	*turn = ret < 0 ? -1 : ret;
	if (ret != -EBUSY)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another pagetrim "
			    "attach or detach has held the lock of %s for %u s "
			    "(is it stopped?)", dev, PT_PIN_ROOT,
			    TURN_MS / 1000);
}

void program_end_turn(int turn)
{
	if (turn < 0)
		return;
	rmdir(PT_PIN_ROOT);	/* unless there are pins */
	close(turn);
}
