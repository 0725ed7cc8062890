// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX	40	/* as many as the kernel follows */

/* is_trusted: root or we own the link. */
static bool is_trusted(const struct stat *link)
{
	return !link->st_uid || link->st_uid == geteuid();
}

/* walk: a path that is resolved in part. */
struct walk {
	int at;			/* the folder reached */
	char rest[PATH_MAX];	/* the path from there, relative */
	int link_cnt;
};

/* step_in makes the folder fd the one reached. */
static void step_in(struct walk *w, int fd)
{
	close(w->at);
	w->at = fd;
}

/* follow puts a link's text before the rest.  An absolute link starts at the
 * root. */
static int follow(struct walk *w, int link)
{
	char text[PATH_MAX], joined[2 * PATH_MAX + 2];
	struct stat st;
	ssize_t sz;
	int root;

	if (fstat(link, &st))
		return -errno;
	if (!S_ISLNK(st.st_mode))
		return -ENOTDIR;
	if (!is_trusted(&st) || ++w->link_cnt > LINKS_MAX)
		return -ELOOP;
	sz = readlinkat(link, "", text, sizeof(text) - 1);
	if (sz <= 0)
		return sz ? -errno : -ENOENT;
	text[sz] = '\0';
	if (snprintf(joined, sizeof(joined), "%s/%s", text, w->rest) >=
	    (int)sizeof(w->rest))
		return -ENAMETOOLONG;
	strcpy(w->rest, joined);
	if (text[0] != '/')
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	step_in(w, root);
	return 0;
}

/* next_part cuts the first part off the rest; false: nothing is left. */
static bool next_part(struct walk *w, char part[NAME_MAX + 1], int *ret)
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t sz = strcspn(from, "/");

	*ret = 0;
	if (!sz)
		return false;
	if (sz > NAME_MAX) {
		*ret = -ENAMETOOLONG;
		return false;
	}
	memcpy(part, from, sz);
	part[sz] = '\0';
	memmove(w->rest, from + sz, strlen(from + sz) + 1);
	return true;
}

static int step(struct walk *w, const char *part)
{
	int fd = openat(w->at, part,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int ret;

	if (fd >= 0) {
		step_in(w, fd);
		return 0;
	}
	if (errno != ENOTDIR && errno != ELOOP)
		return -errno;
	fd = openat(w->at, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = follow(w, fd);
	close(fd);
	return ret;
}

int pt_path_folder(const char *path)
{
	struct walk w = { .link_cnt = 0 };
	char part[NAME_MAX + 1];
	int ret, fd;

	if (strlen(path) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	strcpy(w.rest, path);
	w.at = open(path[0] == '/' ? "/" : ".",
		    O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.at < 0)
		return -errno;
	while (next_part(&w, part, &ret)) {
		ret = step(&w, part);
		if (ret)
			break;
	}
	fd = ret ? ret : openat(w.at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && !ret)
		fd = -errno;
	close(w.at);
	return fd;
}

int pt_path_rewrite(const char *path, unsigned int mode)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC |
			  O_NONBLOCK;	/* a pipe nobody reads: ENXIO, no wait */
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char parent[PATH_MAX];
	struct stat st;
	int folder, fd;

	if (strlen(path) >= sizeof(parent))
		return -ENAMETOOLONG;
	snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	folder = pt_path_folder(parent);
	if (folder < 0)
		return folder;
	fd = openat(folder, name, flags | O_NOFOLLOW, mode);
	if (fd < 0 && errno == ELOOP) {
		if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !is_trusted(&st))
			errno = ELOOP;
		else
			fd = openat(folder, name, flags, mode);
	}
	if (fd < 0)
		fd = -errno;
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	close(folder);
	return fd;
}
