// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/sink_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pagetrim/check.h>
#include "memory/path.h"

int pt_sink_fail(const struct pt_sink *s, const char *what,
		 struct pt_error *err)
{
	int code = errno;
	const char *remedy = "";

	switch (code) {
	case ENOSPC:
	case EDQUOT:
		remedy = " (free some space, or name another file system)";
		break;
	case EROFS:
		remedy = " (name a file system that can be written)";
		break;
	case EACCES:
	case EPERM:
		remedy = " (run it as a user who may write there: {user})";
		break;
	case ENOENT:
		remedy = " (make its folder first)";
		break;
	case ELOOP:
		remedy = " (a symbolic link on the way is another user's: "
			 "remove it, and ask who made it)";
		break;
	case EFBIG:
		remedy = " (this file system takes no file as large)";
		break;
	}
	return pt_error_set(err, PT_EXIT_HOST, -code, "%s: %s: %s%s", s->path,
			    what, strerror(code), remedy);
}

/* --- create ---------------------------------------------------------- */

/* has_own_tail: an image NAME.partial would look like what a receiver that
 * died left of NAME, and be removed by the next. */
static bool has_own_tail(const char *name)
{
	static const char *const tails[] = { ".partial", ".with", ".journal" };
	size_t sz = strlen(name);

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		size_t tail_sz = strlen(tails[i]);

		if (sz >= tail_sz && !strcmp(name + sz - tail_sz, tails[i]))
			return true;
	}
	return false;
}

/* names_set takes path apart. */
static int names_set(struct pt_sink *s, const char *path, struct pt_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t sz = strlen(name);

	s->path = strdup(path);
	if (!s->path)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory", path);
	if (!sz || !strcmp(name, ".") || !strcmp(name, ".."))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: names a folder (name a file in it)",
				    path);
	if (has_own_tail(name))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: ends as the files beside an image do "
				    "(choose a name without .partial, .with "
				    "or .journal at its end)", path);
	if (sz + strlen(".with.partial") > NAME_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG,
				    "%s: its last part is longer than %zu "
				    "bytes", path,
				    NAME_MAX - strlen(".with.partial"));
	memcpy(s->name, name, sz);	/* all of *s was zero */
	strcat(memcpy(s->partial, name, sz), ".partial");
	strcat(memcpy(s->journal, name, sz), ".journal");
	strcat(memcpy(s->journal_new, name, sz), ".with.journal");
	strcat(memcpy(s->with, name, sz), ".with");
	strcat(memcpy(s->with_partial, name, sz), ".with.partial");
	return 0;
}

static int parent_open(struct pt_sink *s, struct pt_error *err)
{
	const char *slash = strrchr(s->path, '/');
	char *parent = slash ? strndup(s->path, slash - s->path + 1) :
			       strdup(".");

	if (!parent)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory", s->path);
	s->parent = pt_path_folder(parent);
	free(parent);
	errno = s->parent < 0 ? -s->parent : 0;
	return errno ? pt_sink_fail(s, "cannot open its folder", err) : 0;
}

/* may_write: who this process is now may make files in the folder. */
static bool may_write(int folder)
{
	return !faccessat(folder, ".", W_OK | X_OK, AT_EACCESS);
}

static bool has(const struct pt_sink *s, const char *name)
{
	struct stat st;

	return !fstatat(s->parent, name, &st, AT_SYMLINK_NOFOLLOW);
}

static int exists_already(const struct pt_sink *s, const char *tail,
			  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EEXIST,
			    "%s%s: exists already (remove it, or name another "
			    "file)", s->path, tail);
}

/* folders_clear removes what an earlier receiver left of NAME.with.  was_stale:
 * it left a .partial, too. */
static int folders_clear(struct pt_sink *s, bool was_stale,
			 struct pt_error *err)
{
	int code;

	/* A receiver that died between the two renames of its commit left
	 * NAME.with without NAME: not a result, and its .partial says so. */
	if (was_stale && pt_folder_is_ours(s->parent, s->with))
		pt_folder_remove(s->parent, s->with);
	if (has(s, s->with))
		return exists_already(s, ".with", err);
	code = pt_folder_remove(s->parent, s->with_partial);
	if (code && code != -ENOENT)
		return pt_error_set(err, PT_EXIT_HOST, code,
				    "%s.with.partial: cannot be removed: %s "
				    "(remove it)", s->path, strerror(-code));
	return 0;
}

int pt_sink_claim(struct pt_sink *s, struct pt_error *err)
{
	bool was_stale;
	int code;

	if (has(s, s->name))
		return exists_already(s, "", err);
	code = pt_partial_claim(s, &was_stale, err);
	if (code)
		return code;
	/* From here on no other receiver can commit to this name; one may
	 * have, since we looked. */
	if (has(s, s->name))
		return exists_already(s, "", err);
	pt_sink_journal_remove(s);	/* of a .partial that is gone */
	return folders_clear(s, was_stale, err);
}

int pt_sink_check_path(const char *path, struct pt_error *err)
{
	struct pt_sink s = { .parent = -1 };
	int code = names_set(&s, path, err);

	if (!code)
		code = parent_open(&s, err);
	if (!code && has(&s, s.name))
		code = exists_already(&s, "", err);
	if (!code && !may_write(s.parent))
		code = pt_sink_fail(&s, "cannot write in its folder", err);
	if (s.parent >= 0)
		close(s.parent);
	free(s.path);
	return code;
}

int pt_sink_check_folder(const char *path, struct pt_error *err)
{
	int fd = pt_path_folder(path);
	int code = fd < 0 ? fd : 0;
	const char *remedy = "run it as a user who may write there: {user}";

	if (fd >= 0 && !may_write(fd))
		code = -errno;
	if (fd >= 0)
		close(fd);
	if (!code)
		return 0;
	if (code == -ENOENT)
		remedy = "make the folder first";
	else if (code == -ENOTDIR)
		remedy = "with {serve}, {out} names a folder";
	else if (code == -ELOOP)
		remedy = "a symbolic link on the way is another user's";
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s (%s)", path,
			    strerror(-code), remedy);
}

int pt_sink_make(struct pt_sink **out, const char *path,
		 const struct pt_layout *l, struct pt_error *err)
{
	struct pt_sink *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory", path);
	s->layout = l;
	s->parent = s->fd = s->folder.fd = s->folder.file = -1;
	code = names_set(s, path, err);
	if (!code)
		code = parent_open(s, err);
	if (code) {
		pt_sink_close(s);
		return code;
	}
	*out = s;
	return 0;
}

int pt_sink_create(struct pt_sink **out, const char *path,
		   const struct pt_layout *l, struct pt_error *err)
{
	struct pt_sink *s;
	int code = pt_sink_make(&s, path, l, err);

	if (code)
		return code;
	code = pt_sink_claim(s, err);
	if (!code)
		code = pt_sink_map(s, err);
	if (code) {
		pt_sink_close(s);
		return code;
	}
	*out = s;
	return 0;
}

int pt_sink_reopen(struct pt_sink **out, const char *path,
		   const struct pt_layout *l, struct pt_error *err)
{
	struct pt_sink *s;
	int code = pt_sink_make(&s, path, l, err);

	if (code)
		return code;
	s->is_kept = true;
	if (has(s, s->name))
		code = exists_already(s, "", err);
	if (!code)
		code = pt_partial_reopen(s, err);
	/* One may have committed to the name since we looked. */
	if (!code && has(s, s->name))
		code = exists_already(s, "", err);
	if (code) {
		pt_sink_close(s);
		return code;
	}
	*out = s;
	return 0;
}

int pt_sink_take_up(struct pt_sink *s, struct pt_error *err)
{
	int code = folders_clear(s, true, err);

	return code ? code : pt_sink_map(s, err);
}

__u8 *pt_sink_page(const struct pt_sink *s, __u64 page_idx)
{
	return s->map + pt_layout_image_off(s->layout, page_idx);
}

/* --- the end --------------------------------------------------------- */

int pt_sink_sync(struct pt_sink *s, struct pt_error *err)
{
	int code;

	pt_check(s->state == SINK_OPEN || s->state == SINK_SYNCED);
	if (s->state == SINK_SYNCED)
		return 0;
	code = pt_folder_sync(s, err);
	if (code)
		return code;
	/* Pages written through the mapping are the file's dirty pages. */
	if (fsync(s->fd) && errno != EINVAL)
		return pt_sink_fail(s, "cannot write it to the disk", err);
	s->state = SINK_SYNCED;
	return 0;
}

/* name_give renames, and never replaces.  Where the file system has no such
 * rename (EINVAL), a look beforehand must do. */
static int name_give(const struct pt_sink *s, const char *from, const char *to)
{
	if (!renameat2(s->parent, from, s->parent, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (has(s, to))
		return -EEXIST;
	return renameat(s->parent, from, s->parent, to) ? -errno : 0;
}

static int commit_failed(const struct pt_sink *s, int code,
			 struct pt_error *err)
{
	errno = -code;
	return pt_sink_fail(s, "cannot give it its name", err);
}

int pt_sink_commit(struct pt_sink *s, struct pt_error *err)
{
	bool has_folder = s->folder.fd >= 0;
	int code;

	if (s->state == SINK_COMMITTED)
		return 0;
	pt_check(s->state == SINK_SYNCED);
	if (!pt_partial_is_ours(s))
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE,
				    "%s.partial: someone removed or replaced "
				    "it", s->path);
	if (has_folder && !pt_name_is(s->parent, s->with_partial, s->folder.fd))
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE,
				    "%s.with.partial: someone removed or "
				    "replaced it", s->path);
	if (has_folder) {
		code = name_give(s, s->with_partial, s->with);
		if (code)
			return commit_failed(s, code, err);
	}
	code = name_give(s, s->partial, s->name);
	if (code)
		goto take_folder_back;
	/* Who may write in the folder could swap it after we looked. */
	if (!pt_name_is(s->parent, s->name, s->fd)) {
		code = -ESTALE;
		goto take_folder_back;
	}
	if (fsync(s->parent) && errno != EINVAL) {
		code = -errno;
		goto take_image_back;
	}
	s->state = SINK_COMMITTED;
	pt_sink_journal_remove(s);
	return 0;

take_image_back:
	name_give(s, s->name, s->partial);
take_folder_back:
	if (has_folder)
		name_give(s, s->with, s->with_partial);
	return commit_failed(s, code, err);
}

void pt_sink_discard(struct pt_sink *s)
{
	if (s->state == SINK_COMMITTED || s->state == SINK_DISCARDED)
		return;
	s->state = SINK_DISCARDED;
	if (!pt_partial_is_ours(s))
		return;		/* never claimed, or another's by now */
	if (s->folder.fd >= 0)		/* files are sent anew in any case */
		pt_folder_remove(s->parent, s->with_partial);
	if (s->is_kept)
		return;
	/* First, so that no journal speaks of another's .partial. */
	pt_sink_journal_remove(s);
	unlinkat(s->parent, s->partial, 0);	/* last: it holds the lock */
}

bool pt_sink_is_kept(const struct pt_sink *s)
{
	return s->is_kept;
}

void pt_sink_spoil(struct pt_sink *s)
{
	s->is_kept = false;
}

void pt_sink_close(struct pt_sink *s)
{
	if (!s)
		return;
	pt_sink_discard(s);
	pt_folder_close(&s->folder);
	if (s->map)
		munmap(s->map, s->map_sz);
	if (s->fd >= 0)
		close(s->fd);
	if (s->parent >= 0)
		close(s->parent);
	free(s->path);
	free(s);
}
