/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The processes of the sessions in pinned maps.
 *
 * A process that uses pinned maps makes a directory beside them, named
 * "receive-PID-NUMBER", and holds a flock(2) on it.  Its sessions carry NUMBER,
 * drawn at random, as their holder.  The kernel drops the lock when the process
 * dies, in whatever way; a stopped process keeps it.  A session is dead when
 * its holder's directory is missing or not locked.  So every process that sees
 * the maps sees the living holders, in any mount, network or pid namespace; PID
 * is for people.
 *
 * All of it works by descriptors opened at the start, so that the process can
 * drop its privileges before its sessions come.  A process that may not examine
 * another's directory treats it as held; and if it may not remove its own in
 * the end, the next process does.
 */
#include "xdp/program_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pagetrim/check.h>

#define WAIT_MS	5000	/* for a lock that is only held briefly */

int program_lock_maps(struct pt_program *p, struct pt_error *err)
{
	if (!p->info.pinned)
		return 0;
	pt_check(p->pins_fd >= 0);
	if (program_flock(p->pins_fd, WAIT_MS))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another process "
			    "has held the lock of its maps for 5 s (is it "
			    "stopped?)", p->device.name);
}

int program_try_maps(struct pt_program *p, struct pt_error *err)
{
	if (!p->info.pinned)
		return 0;
	pt_check(p->pins_fd >= 0);
	if (!flock(p->pins_fd, LOCK_EX | LOCK_NB))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EAGAIN, "%s: another process "
			    "has the lock of its maps (is it stopped?)",
			    p->device.name);
}

void program_unlock_maps(struct pt_program *p)
{
	if (p->info.pinned)
		flock(p->pins_fd, LOCK_UN);
}

/* share_holder lets all who may use the pins test the directory's lock, as far as
 * this process may. */
static void share_holder(const struct pt_program *p)
{
	struct stat st;

	if (fstat(p->pins_fd, &st))
		return;
	if (fchown(p->holder_fd, st.st_uid, -1) && errno != EPERM)
		return;
	if (!fchown(p->holder_fd, -1, st.st_gid))
		fchmod(p->holder_fd, st.st_mode & 0750);
}

/* make_holder runs with the maps locked, so that no process treats the
 * directory as a dead one's before we have its lock. */
static int make_holder(struct pt_program *p)
{
	if (getrandom(&p->holder, sizeof(p->holder), 0) != sizeof(p->holder))
		return -EIO;
	snprintf(p->holder_name, sizeof(p->holder_name), "receive-%d-%016llx",
		 getpid(), (unsigned long long)p->holder);
	if (mkdirat(p->pins_fd, p->holder_name, 0700))
		return -errno;
	p->holder_fd = openat(p->pins_fd, p->holder_name, O_RDONLY |
			      O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->holder_fd < 0)
		return -errno;
	share_holder(p);
	return program_flock(p->holder_fd, WAIT_MS) ? 0 : -EBUSY;
}

int program_hold(struct pt_program *p, struct pt_error *err)
{
	int ret = program_lock_maps(p, err);

	if (ret)
		return ret;
	ret = make_holder(p);
	program_unlock_maps(p);
	if (ret == -ENOENT)
		return -EAGAIN;
	if (!ret)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, ret, "%s: cannot make a "
			    "directory beside its pinned maps: %s",
			    p->device.name, strerror(-ret));
}

void program_unhold(struct pt_program *p)
{
	if (p->holder_fd < 0)
		return;
	unlinkat(p->pins_fd, p->holder_name, AT_REMOVEDIR);
	close(p->holder_fd);
	p->holder_fd = -1;
}

/* is_held: a shared lock, which other processes take to test it, does not
 * count. */
static bool is_held(int pins_fd, const char *name)
{
	int fd = openat(pins_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
			O_CLOEXEC);
	bool held;

	if (fd < 0)
		return errno != ENOENT;
	held = flock(fd, LOCK_SH | LOCK_NB);
	close(fd);
	return held;
}

/* open_list reads by our descriptor, since opening "." needs a permission. */
static int open_list(int pins_fd, DIR **out)
{
	int fd = fcntl(pins_fd, F_DUPFD_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	*out = fdopendir(fd);
	if (!*out) {
		ret = -errno;
		close(fd);
		return ret;
	}
	rewinddir(*out);
	return 0;
}

static bool is_holder(const char *name, struct program_holder *holder)
{
	unsigned long long number;

	if (sscanf(name, "receive-%d-%16llx", &holder->pid, &number) != 2)
		return false;
	holder->number = number;
	return true;
}

int program_holders(const struct pt_program *p, struct program_holders *out)
{
	struct dirent *entry;
	DIR *dir;
	int ret;

	out->cnt = 0;
	if (p->pins_fd < 0)
		return 0;
	ret = open_list(p->pins_fd, &dir);
	if (ret)
		return ret;
	while (out->cnt < HOLDERS_MAX) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			ret = -errno;
			goto close;
		}
		if (is_holder(entry->d_name, &out->holders[out->cnt]) &&
		    is_held(p->pins_fd, entry->d_name))
			out->cnt++;
	}
	ret = -E2BIG;	/* there may be more of them */
close:
	closedir(dir);
	return ret;
}

pid_t program_holder_pid(const struct program_holders *holders, __u64 number)
{
	for (__u32 i = 0; i < holders->cnt; i++)
		if (holders->holders[i].number == number)
			return holders->holders[i].pid;
	return 0;
}

void program_remove_holders(int pins_fd, bool living)
{
	struct program_holder holder;
	struct dirent *entry;
	DIR *dir;

	if (open_list(pins_fd, &dir))
		return;
	while ((entry = readdir(dir)))
		if (is_holder(entry->d_name, &holder) &&
		    (living || !is_held(pins_fd, entry->d_name)))
			unlinkat(pins_fd, entry->d_name, AT_REMOVEDIR);
	closedir(dir);
}

void program_empty(int pins_fd)
{
	struct dirent *entry;
	DIR *dir;

	if (open_list(pins_fd, &dir))
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    unlinkat(pins_fd, entry->d_name, 0))
			unlinkat(pins_fd, entry->d_name, AT_REMOVEDIR);
	closedir(dir);
}
