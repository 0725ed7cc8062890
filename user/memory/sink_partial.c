// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/sink_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLAIM_TRIES	8	/* races with other receivers */

bool pt_name_is(int parent, const char *name, int fd)
{
	struct stat by_fd, by_name;

	return !fstat(fd, &by_fd) &&
	       !fstatat(parent, name, &by_name, AT_SYMLINK_NOFOLLOW) &&
	       by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino;
}

/* is_same: the name still leads to the open file. */
static bool is_same(const struct pt_sink *s, int fd)
{
	return pt_name_is(s->parent, s->partial, fd);
}

bool pt_partial_is_ours(const struct pt_sink *s)
{
	return s->fd >= 0 && is_same(s, s->fd);
}

/* stale_remove removes the NAME.partial of a receiver that is dead: its lock
 * is free.  Returns 0 also when it is gone by itself.
 *
 * Whoever unlinks holds the lock of the very file the name leads to, so two
 * receivers cannot remove each other's new file. */
static int stale_remove(struct pt_sink *s, struct pt_error *err)
{
	struct stat st;
	int code = 0;
	int fd;

	if (fstatat(s->parent, s->partial, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 :
			pt_sink_fail(s, "cannot look at its .partial", err);
	if (S_ISLNK(st.st_mode))
		return pt_error_set(err, PT_EXIT_HOST, -ELOOP,
				    "%s.partial: a symbolic link (remove it, "
				    "and ask who made it)", s->path);
	if (!S_ISREG(st.st_mode))
		return pt_error_set(err, PT_EXIT_HOST, -EEXIST,
				    "%s.partial: not a regular file (remove "
				    "it)", s->path);
	fd = openat(s->parent, s->partial,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 :
			pt_sink_fail(s, "cannot open its old .partial", err);
	if (flock(fd, LOCK_EX | LOCK_NB))
		code = pt_error_set(err, PT_EXIT_HOST, -EBUSY,
				    "%s.partial: another receiver writes it "
				    "(wait for it, or name another file)",
				    s->path);
	else if (is_same(s, fd) && unlinkat(s->parent, s->partial, 0))
		code = pt_sink_fail(s, "cannot remove its old .partial", err);
	close(fd);
	return code;
}

int pt_partial_claim(struct pt_sink *s, bool *was_stale, struct pt_error *err)
{
	int code;

	*was_stale = false;
	for (unsigned int i = 0; i < CLAIM_TRIES; i++) {
		s->fd = openat(s->parent, s->partial,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
			       O_CLOEXEC, 0600);
		if (s->fd >= 0) {
			if (!flock(s->fd, LOCK_EX | LOCK_NB) &&
			    is_same(s, s->fd))
				return 0;
			/* Another one took it for stale before we locked. */
			close(s->fd);
			s->fd = -1;
			continue;
		}
		if (errno != EEXIST)
			return pt_sink_fail(s, "cannot create its .partial",
					    err);
		code = stale_remove(s, err);
		if (code)
			return code;
		*was_stale = true;
	}
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s.partial: others keep making it (name another "
			    "file)", s->path);
}
