// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLAIM_TRIES	8	/* attempts, as other receivers race for the
				 * name */

bool pt_name_is(int parent, const char *name, int fd)
{
	struct stat by_fd, by_name;

	return !fstat(fd, &by_fd) &&
	       !fstatat(parent, name, &by_name, AT_SYMLINK_NOFOLLOW) &&
	       by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino;
}

bool pt_is_left(const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;
	bool is_folder = S_ISDIR(st->st_mode);

	if (is_folder)		/* a killed receiver may have left it so */
		mode &= ~S_ISGID;
	return (is_folder || S_ISREG(st->st_mode)) &&
	       mode == (PT_MARK | (is_folder ? 0700 : 0600)) &&
	       st->st_uid == geteuid();
}

static int not_left(const struct pt_image *s, const char *tail,
		    struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EEXIST, "%s%s: exists already, "
			    "and no receiver of this user left it (remove it, "
			    "or name another file)", s->path, tail);
}

int pt_left_check(const struct pt_image *s, const char *name, const char *tail,
		  struct pt_error *err)
{
	struct stat st;

	if (fstatat(s->parent, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    pt_is_left(&st))
		return 0;
	return not_left(s, tail, err);
}

/* is_same: the name still leads to the open file. */
static bool is_same(const struct pt_image *s, int fd)
{
	return pt_name_is(s->parent, s->partial, fd);
}

bool pt_partial_is_ours(const struct pt_image *s)
{
	return s->fd >= 0 && is_same(s, s->fd);
}

int pt_partial_open(const struct pt_image *s, const char *name,
		    const char *tail, int flags, struct pt_error *err)
{
	struct stat st;
	int fd;

	if (fstatat(s->parent, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? -ENOENT :
			pt_image_fail(s, "cannot look at what is left of it",
				     err);
	if (S_ISLNK(st.st_mode))
		return pt_error_set(err, PT_EXIT_HOST, -ELOOP,
				    "%s%s: a symbolic link (remove it, and ask "
				    "who made it)", s->path, tail);
	if (!S_ISREG(st.st_mode))
		return pt_error_set(err, PT_EXIT_HOST, -EEXIST,
				    "%s%s: not a regular file (remove it)",
				    s->path, tail);
	fd = openat(s->parent, name,
		    flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT :
			errno != EACCES ?
			pt_image_fail(s, "cannot open what is left of it", err) :
			pt_error_set(err, PT_EXIT_HOST, -errno, "%s%s: cannot "
				     "be opened: %m (run as its owner: {user}; "
				     "or remove it)", s->path, tail);
	return fd;
}

int pt_partial_check(const struct pt_image *s, int fd, const char *tail,
		     struct pt_error *err)
{
	const char *why = NULL;
	struct stat st;

	if (fstat(fd, &st))
		return pt_image_fail(s, "cannot look at what is left of it",
				    err);
	if (!S_ISREG(st.st_mode))
		why = "not a regular file";
	else if (st.st_uid != geteuid())
		why = "another user's";
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		why = "others may write it";
	else if (st.st_nlink > 1)
		why = "it has a second name";
	return !why ? 0 : pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s%s: %s, "
				       "so it is not resumed (remove it, or "
				       "receive without {resume})", s->path,
				       tail, why);
}

static int in_use(const struct pt_image *s, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s.partial: another "
			    "receiver writes it, or this one for another sender "
			    "(try again when that is over: at the latest "
			    "{peer-timeout} after the sender fell silent; or "
			    "name another file)", s->path);
}

int pt_partial_reopen(struct pt_image *s, struct pt_error *err)
{
	int code;

	for (unsigned int i = 0; i < CLAIM_TRIES; i++) {
		int fd = pt_partial_open(s, s->partial, ".partial", O_RDWR,
					 err);

		if (fd < 0)
			return fd;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			close(fd);
			return in_use(s, err);
		}
		if (!is_same(s, fd)) {	/* removed before it was locked */
			close(fd);
			continue;
		}
		code = pt_partial_check(s, fd, ".partial", err);
		if (code) {
			close(fd);
			return code;
		}
		s->fd = fd;
		return 0;
	}
	return in_use(s, err);
}

/* stale_remove removes the NAME.partial of a dead receiver, whose lock is free.
 * Returns 0 also when another process removed it.
 *
 * A receiver unlinks only a file that it has locked and that the name leads to,
 * so two receivers cannot remove each other's new file. */
static int stale_remove(struct pt_image *s, struct pt_error *err)
{
	struct stat st;
	int code = 0;
	int fd = pt_partial_open(s, s->partial, ".partial", O_RDONLY, err);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		code = in_use(s, err);
	} else if (fstat(fd, &st) || !pt_is_left(&st)) {
		code = not_left(s, ".partial", err);
	} else if (is_same(s, fd)) {
		/* The journal goes first: no journal may describe another's
		 * .partial. */
		pt_image_journal_remove(s);
		if (unlinkat(s->parent, s->partial, 0))
			code = pt_image_fail(s, "cannot remove its old .partial",
					    err);
	}
	close(fd);
	return code;
}

int pt_partial_claim(struct pt_image *s, bool *was_stale, struct pt_error *err)
{
	int code;

	*was_stale = false;
	for (unsigned int i = 0; i < CLAIM_TRIES; i++) {
		s->fd = openat(s->parent, s->partial,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
			       O_CLOEXEC, PT_MARK | 0600);
		if (s->fd >= 0) {
			if (!flock(s->fd, LOCK_EX | LOCK_NB) &&
			    is_same(s, s->fd))
				return 0;
			/* Another receiver removed it as stale before it was
			 * locked. */
			close(s->fd);
			s->fd = -1;
			continue;
		}
		if (errno != EEXIST)
			return pt_image_fail(s, "cannot create its .partial",
					    err);
		code = stale_remove(s, err);
		if (code)
			return code;
		*was_stale = true;
	}
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s.partial: other receivers keep creating it (name "
			    "another file)", s->path);
}
