// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

void pt_image_journal_remove(const struct pt_image *s)
{
	const char *const names[] = { s->journal_new, s->journal };
	struct stat st;

	for (int i = 0; i < 2; i++)
		if (pt_name_is(s->parent, names[i], s->journal_fd) ||
		    (!fstatat(s->parent, names[i], &st, AT_SYMLINK_NOFOLLOW) &&
		     S_ISREG(st.st_mode) && pt_is_left(&st)))
			unlinkat(s->parent, names[i], 0);
}

/* --- read ------------------------------------------------------------ */

/* bytes_read reads at most sz bytes; returns the number read. */
static ssize_t bytes_read(int fd, __u8 *to, size_t sz)
{
	size_t done = 0;

	while (done < sz) {
		ssize_t got = pread(fd, to + done, sz - done, done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += got;
	}
	return done;
}

static int journal_load(const struct pt_image *s, int fd, void **bytes,
			size_t *sz, struct pt_error *err)
{
	struct stat st;
	ssize_t got;
	void *to;

	if (fstat(fd, &st))
		return pt_image_fail(s, "cannot look at its .journal", err);
	if (st.st_size > PT_IMAGE_JOURNAL_SZ_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EFBIG, "%s.journal: "
				    "%lld bytes, which no journal has (remove "
				    "it, or receive without {resume})", s->path,
				    (long long)st.st_size);
	to = malloc(st.st_size + 1);	/* no allocation of 0 bytes */
	if (!to)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory for its .journal", s->path);
	got = bytes_read(fd, to, st.st_size);
	if (got < 0) {
		free(to);
		errno = -got;
		return pt_image_fail(s, "cannot read its .journal", err);
	}
	*bytes = to;
	*sz = got;
	return 0;
}

/* journal_hold keeps the descriptor, so that no other file becomes it. */
static void journal_hold(struct pt_image *s, int fd)
{
	if (s->journal_fd >= 0)
		close(s->journal_fd);
	s->journal_fd = fd;
}

int pt_image_journal_read(struct pt_sink *sink, void **bytes, size_t *sz,
			 struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	int fd = pt_partial_open(s, s->journal, ".journal", O_RDONLY, err);
	int code;

	if (fd < 0)
		return fd;
	code = pt_partial_check(s, fd, ".journal", err);
	if (!code)
		code = journal_load(s, fd, bytes, sz, err);
	if (code)
		close(fd);
	else
		journal_hold(s, fd);
	return code;
}

/* --- write ----------------------------------------------------------- */

static int bytes_write(int fd, const __u8 *from, size_t sz)
{
	while (sz) {
		ssize_t done = write(fd, from, sz);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		from += done;
		sz -= done;
	}
	return 0;
}

/* bytes_map writes through a mapping: a hugetlbfs has no write(2), and its
 * files are whole huge pages. */
static int bytes_map(int fd, const void *from, size_t sz)
{
	struct statfs fs;
	size_t map_sz;
	void *map;

	if (fstatfs(fd, &fs))
		return -errno;
	map_sz = (sz + fs.f_bsize - 1) / fs.f_bsize * fs.f_bsize;
	if (ftruncate(fd, map_sz))
		return -errno;
	map = mmap(NULL, map_sz, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	memcpy(map, from, sz);	/* its pages are reserved: no SIGBUS */
	munmap(map, map_sz);
	return 0;
}

static int journal_store(struct pt_image *s, const void *bytes, size_t sz)
{
	int fd = openat(s->parent, s->journal_new,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			PT_MARK | 0600);
	int code;

	if (fd < 0)
		return -errno;
	journal_hold(s, fd);
	code = s->takes_write ? bytes_write(fd, bytes, sz)
			      : bytes_map(fd, bytes, sz);
	if (!code && fsync(fd) && errno != EINVAL)
		code = -errno;
	return code;
}

int pt_image_journal_write(struct pt_sink *sink, const void *bytes, size_t sz,
			  struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	int code = pt_left_check(s, s->journal, ".journal", err);

	if (code)
		return code;
	/* The .partial must have its size on disk before the journal states
	 * it. */
	if (fsync(s->fd) && errno != EINVAL)
		code = -errno;
	if (!code)
		code = journal_store(s, bytes, sz);
	if (!code && renameat(s->parent, s->journal_new, s->parent, s->journal))
		code = -errno;
	if (!code && fsync(s->parent) && errno != EINVAL)
		code = -errno;
	if (!code) {
		s->is_kept = true;
		return 0;
	}
	pt_image_journal_remove(s);
	if (code == -ENOMEM && !s->takes_write)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s.journal: it "
				    "takes a huge page, and none is free (free "
				    "one, or receive without {resume})",
				    s->path);
	errno = -code;
	return pt_image_fail(s, "cannot write its .journal", err);
}
