// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "template/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/path.h"

#define NEW		".new"
#define GONE		".gone"
#define MARK		".pagetrim-template"
#define LOCK_TRIES	100
#define RECORD_SZ_MAX	4096
#define RECORD_VERSION	1

/* ---- the folder ---- */

static int folder_fail(const char *folder, int code, struct pt_error *err)
{
	const char *limit = pt_limit_remedy(code);

	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s%s", folder,
			    strerror(-code), *limit ? limit :
			    " (name a folder of your own: {folder})");
}

static int folder_make(const char *folder)
{
	if (!strcmp(folder, PT_TEMPLATE_FOLDER) &&
	    mkdir("/run/pagetrim", 0755) && errno != EEXIST)
		return -errno;
	return mkdir(folder, 0755) && errno != EEXIST ? -errno : 0;
}

int pt_template_folder_open(const char *folder, bool makes, struct pt_error *err)
{
	struct stat st;
	int fd, code;

	if (!folder)
		folder = PT_TEMPLATE_FOLDER;
	code = makes ? folder_make(folder) : 0;
	fd = code ? code : pt_path_folder(folder);
	if (fd == -ENOENT && !makes)
		return fd;
	if (fd < 0)
		return folder_fail(folder, fd, err);
	if (!fstat(fd, &st) && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
	    (!st.st_uid || st.st_uid == geteuid()))
		return fd;
	close(fd);
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: another user's folder, "
			    "or one that others may change (name a folder of your "
			    "own: {folder})", folder);
}

void pt_template_new_name(char to[PT_TEMPLATE_NAME_SZ], const char *name)
{
	snprintf(to, PT_TEMPLATE_NAME_SZ, ".%s" NEW, name);
}

/* ---- locks ---- */

static int entry_open(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* is_still: the name still leads to what is open as fd. */
static bool is_still(int at, const char *name, int fd)
{
	struct stat open, named;

	return !fstat(fd, &open) &&
	       !fstatat(at, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

void pt_template_entry_close(struct pt_template_entry *e)
{
	if (e->dir >= 0)
		close(e->dir);
	if (e->lock >= 0)
		close(e->lock);
	*e = PT_TEMPLATE_ENTRY_NONE;
}

/* mark_open returns the mark's descriptor, or as pt_template_lock. */
static int mark_open(int dir, int flags)
{
	int fd = openat(dir, MARK, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 && !(flags & O_CREAT) && errno == EACCES)
		return -EBUSY;
	if (fd < 0)
		return !(flags & O_CREAT) && (errno == ENOENT || errno == ELOOP)
			? -ENOKEY : -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    (!st.st_uid || st.st_uid == geteuid()))
		return fd;
	close(fd);
	return -ENOKEY;
}

/* entry_lock returns 1 if the entry was renamed or removed meanwhile. */
static int entry_lock(struct pt_template_entry *e, int folder, const char *entry,
		      int flags)
{
	*e = PT_TEMPLATE_ENTRY_NONE;
	e->dir = entry_open(folder, entry);
	if (e->dir < 0)
		return e->dir;
	e->lock = mark_open(e->dir, flags);
	if (e->lock == -ENOKEY && !is_still(folder, entry, e->dir))
		return 1;
	if (e->lock < 0)
		return e->lock;
	if (flock(e->lock, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return !is_still(folder, entry, e->dir) || !is_still(e->dir, MARK, e->lock);
}

int pt_template_lock(struct pt_template_entry *e, int folder, const char *entry)
{
	int code = 1;

	for (int i = 0; code == 1 && i < LOCK_TRIES; i++) {
		code = entry_lock(e, folder, entry, O_RDONLY);
		if (code)
			pt_template_entry_close(e);
	}
	return code == 1 ? -EBUSY : code;
}

int pt_template_mark(struct pt_template_entry *e, int folder, const char *entry)
{
	int code = entry_lock(e, folder, entry, O_WRONLY | O_CREAT | O_EXCL);

	if (code)
		pt_template_entry_close(e);
	return code == 1 ? -EBUSY : code;
}

/* ---- removal ---- */

/* files_remove removes the files of an open folder, not folders in it. */
static void files_remove(int fd)
{
	int again = dup(fd);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;

	if (!dir) {
		if (again >= 0)
			close(again);
		return;
	}
	rewinddir(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
}

/* free_name renames the entry, so that its name is free at once. */
static void free_name(char gone[PT_TEMPLATE_NAME_SZ], int folder, const char *entry)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		snprintf(gone, PT_TEMPLATE_NAME_SZ, ".%d.%d" GONE, getpid(), i);
		if (!renameat2(folder, entry, folder, gone, RENAME_NOREPLACE))
			return;
	}
	snprintf(gone, PT_TEMPLATE_NAME_SZ, "%s", entry);
}

void pt_template_clear(int folder, const char *entry, struct pt_template_entry *e)
{
	char gone[PT_TEMPLATE_NAME_SZ];
	int with;

	free_name(gone, folder, entry);
	with = entry_open(e->dir, PT_TEMPLATE_WITH);
	if (with >= 0) {
		files_remove(with);
		close(with);
		unlinkat(e->dir, PT_TEMPLATE_WITH, AT_REMOVEDIR);
	}
	unlinkat(e->dir, PT_TEMPLATE_RECORD, 0);
	unlinkat(e->dir, MARK, 0);
	unlinkat(folder, gone, AT_REMOVEDIR);
	pt_template_entry_close(e);
}

static bool ends_with(const char *text, const char *tail)
{
	size_t sz = strlen(text), tail_sz = strlen(tail);

	return sz > tail_sz && !strcmp(text + sz - tail_sz, tail);
}

void pt_template_sweep(int folder)
{
	int again = entry_open(folder, ".");
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;

	if (!dir) {
		if (again >= 0)
			close(again);
		return;
	}
	while ((entry = readdir(dir))) {
		struct pt_template_entry e;
		int code;

		if (entry->d_name[0] != '.' || (!ends_with(entry->d_name, NEW) &&
						!ends_with(entry->d_name, GONE)))
			continue;
		code = pt_template_lock(&e, folder, entry->d_name);
		if (!code)
			pt_template_clear(folder, entry->d_name, &e);
		else if (code == -ENOKEY)	/* killed before the mark: empty */
			unlinkat(folder, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

/* ---- records ---- */

static bool number(const json_t *o, const char *key, __u64 *to)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*to = json_integer_value(value);
	return true;
}

static int record_parse(struct pt_template *t, const json_t *o)
{
	__u64 version, pid, fd;

	if (!number(o, "version", &version) || version != RECORD_VERSION ||
	    !number(o, "pid", &pid) || !pid || pid > INT_MAX ||
	    !number(o, "fd", &fd) || fd > INT_MAX ||
	    !number(o, "inode", &t->ino) || !number(o, "bytes", &t->sz) ||
	    !number(o, "made", &t->made_ns))
		return -EINVAL;
	t->pid = pid;
	snprintf(t->path, sizeof(t->path), "/proc/%d/fd/%d", t->pid, (int)fd);
	return 0;
}

/* is_held: the holder lives, as far as we may see. */
static bool is_held(const struct pt_template *t)
{
	struct stat st;

	if (stat(t->path, &st))
		return errno == EACCES;
	return st.st_ino == t->ino;
}

int pt_template_record_read(struct pt_template *out, int folder, const char *name)
{
	char path[PT_TEMPLATE_NAME_SZ + sizeof(PT_TEMPLATE_RECORD)];
	char text[RECORD_SZ_MAX];
	ssize_t sz;
	json_t *o;
	int fd, code;

	snprintf(path, sizeof(path), "%s/" PT_TEMPLATE_RECORD, name);
	fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	sz = read(fd, text, sizeof(text));
	close(fd);
	o = sz > 0 ? json_loadb(text, sz, 0, NULL) : NULL;
	*out = (struct pt_template){ 0 };
	snprintf(out->name, sizeof(out->name), "%s", name);
	code = record_parse(out, o);
	json_decref(o);
	if (!code && !is_held(out))
		code = -ENOENT;
	return code;
}

int pt_template_record_write(const struct pt_template *t, int entry, int held_fd)
{
	json_t *o = json_pack("{s:i, s:i, s:i, s:I, s:I, s:I}",
			      "version", RECORD_VERSION, "pid", t->pid,
			      "fd", held_fd, "inode", (json_int_t)t->ino,
			      "bytes", (json_int_t)t->sz,
			      "made", (json_int_t)t->made_ns);
	int fd = openat(entry, PT_TEMPLATE_RECORD, O_WRONLY | O_CREAT | O_EXCL |
			O_NOFOLLOW | O_CLOEXEC, 0644);
	int code = fd < 0 ? -errno : 0;

	if (!code && (!o || json_dumpfd(o, fd, JSON_INDENT(2))))
		code = errno ? -errno : -ENOMEM;
	if (fd >= 0)
		close(fd);
	json_decref(o);
	return code;
}
