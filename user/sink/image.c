// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pagetrim/check.h>
#include "base/files.h"
#include "base/rights.h"
#include "memory/path.h"

/* remedy_of returns what helps against code; folder_is_open: it came behind the
 * opening of the image's folder. */
static const char *remedy_of(int code, bool folder_is_open)
{
	switch (code) {
	case EROFS:
		return " (name a file system that can be written)";
	case EACCES:
		if (pt_rights_held() & PT_RIGHT(CAP_DAC_OVERRIDE))
			return " (this file system takes no such file, or a "
			       "security module forbids it)";
		return geteuid() ? " (run it as a user who may write there: {user})"
			: " (root has given up its rights: run it as a user who "
			  "may write there, {user}; or this file system takes no "
			  "such file)";
	case EPERM:
		return " (is it immutable, see lsattr(1), or does a security "
		       "module forbid it?)";
	case ENOENT:
		return folder_is_open ? " (someone removed its folder)"
				      : " (make its folder first)";
	case ELOOP:
		return " (a symbolic link on the way is another user's, or "
		       "leads to itself: remove it, and ask who made it)";
	}
	return pt_limit_remedy(-code);
}

int pt_image_fail(const struct pt_image *s, const char *what,
		 struct pt_error *err)
{
	char own_what[PT_ERROR_OWN_SZ], own_remedy[PT_ERROR_OWN_SZ];
	int code = errno;
	const char *remedy = remedy_of(code, s->parent >= 0);

	return pt_error_set(err, PT_EXIT_HOST, -code, "%s: %s: %s%s", s->path,
			    pt_error_own(own_what, what), strerror(code),
			    pt_error_own(own_remedy, remedy));
}

/* --- create ---------------------------------------------------------- */

/* has_own_tail: an image NAME.partial would look like the leftover of a dead
 * receiver for NAME, and the next receiver would remove it. */
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

/* names_set derives the sink's names from path. */
static int names_set(struct pt_image *s, const char *path, struct pt_error *err)
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
	memcpy(s->name, name, sz);	/* calloc set the rest to 0 */
	strcat(memcpy(s->partial, name, sz), ".partial");
	strcat(memcpy(s->journal, name, sz), ".journal");
	strcat(memcpy(s->journal_new, name, sz), ".with.journal");
	strcat(memcpy(s->with, name, sz), ".with");
	strcat(memcpy(s->with_partial, name, sz), ".with.partial");
	return 0;
}

static int parent_open(struct pt_image *s, struct pt_error *err)
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
	return errno ? pt_image_fail(s, "cannot open its folder", err) : 0;
}

/* may_write: the process may create files in the folder with its current
 * credentials. */
static bool may_write(int folder)
{
	return !faccessat(folder, ".", W_OK | X_OK, AT_EACCESS);
}

bool pt_image_has(const struct pt_image *s, const char *name)
{
	struct stat st;

	return !fstatat(s->parent, name, &st, AT_SYMLINK_NOFOLLOW);
}

static int exists_already(const struct pt_image *s, const char *tail,
			  struct pt_error *err)
{
	const char *cause = "exists already (remove it, or name another file)";
	struct stat st;

	if (!*tail && !fstatat(s->parent, s->name, &st, AT_SYMLINK_NOFOLLOW) &&
	    (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode)))
		cause = "a device, and an image is a new file (name a file, "
			"and copy it to the device afterwards)";
	return pt_error_set(err, PT_EXIT_HOST, -EEXIST, "%s%s: %s", s->path,
			    tail, cause);
}

/* others_check refuses files that this image would replace and that no receiver
 * left. */
static int others_check(const struct pt_image *s, struct pt_error *err)
{
	int code = pt_left_check(s, s->journal, ".journal", err);

	if (!code)
		code = pt_left_check(s, s->journal_new, ".with.journal", err);
	if (!code)
		code = pt_left_check(s, s->with_partial, ".with.partial", err);
	return code;
}

/* folders_clear removes NAME.with, if an earlier receiver left it.  was_stale:
 * that receiver left a .partial, too. */
static int folders_clear(struct pt_image *s, bool was_stale,
			 struct pt_error *err)
{
	int code;

	/* A receiver that died between the two renames of its commit left
	 * NAME.with without NAME.  That is no result, as its .partial shows. */
	if (was_stale)
		pt_folder_remove(s->parent, s->with, -1);
	if (pt_image_has(s, s->with))
		return exists_already(s, ".with", err);
	code = pt_left_check(s, s->with_partial, ".with.partial", err);
	if (code)
		return code;
	code = pt_folder_remove(s->parent, s->with_partial, -1);
	if (code && code != -ENOENT)
		return pt_error_set(err, PT_EXIT_HOST, code,
				    "%s.with.partial: cannot be removed: %s%s",
				    s->path, strerror(-code),
				    *pt_files_remedy(code) ?
				    pt_files_remedy(code) : " (remove it)");
	return 0;
}

int pt_image_claim(struct pt_image *s, struct pt_error *err)
{
	bool was_stale;
	int code;

	if (pt_image_has(s, s->name))
		return exists_already(s, "", err);
	code = others_check(s, err);
	if (code)
		return code;
	code = pt_partial_claim(s, &was_stale, err);
	if (code)
		return code;
	/* The lock now keeps other receivers from this name, but one may have
	 * committed since the names were checked. */
	if (pt_image_has(s, s->name))
		return exists_already(s, "", err);
	pt_image_journal_remove(s);	/* of a .partial that was removed */
	return folders_clear(s, was_stale, err);
}

int pt_image_check_path(const char *path, struct pt_error *err)
{
	struct pt_image s = { .parent = -1 };
	int code = names_set(&s, path, err);

	if (!code)
		code = parent_open(&s, err);
	if (!code && pt_image_has(&s, s.name))
		code = exists_already(&s, "", err);
	if (!code && !may_write(s.parent))
		code = pt_image_fail(&s, "cannot write in its folder", err);
	if (s.parent >= 0)
		close(s.parent);
	free(s.path);
	return code;
}

int pt_image_check_folder(const char *path, struct pt_error *err)
{
	int fd = pt_path_folder(path);
	int code = fd < 0 ? fd : 0;
	const char *remedy;
	char own[PT_ERROR_OWN_SZ];

	if (fd >= 0 && !may_write(fd))
		code = -errno;
	if (fd >= 0)
		close(fd);
	if (!code)
		return 0;
	if (code == -ENOENT)
		remedy = " (make the folder first)";
	else if (code == -ENOTDIR)
		remedy = " (with {serve}, {out} names a folder)";
	else
		remedy = remedy_of(-code, false);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s%s", path,
			    strerror(-code), pt_error_own(own, remedy));
}

/* image_ops: the operations of this kind of sink. */
static const struct pt_sink_ops image_ops = {
	.fit = pt_image_op_fit,
	.place = pt_image_op_place,
	.zero = pt_image_op_zero,
	.read = pt_image_op_read,
	.data = pt_image_data,
	.see = pt_image_op_see,
	.fault = pt_image_op_fault,
	.check_marks = pt_image_op_check_marks,
	.sync = pt_image_op_sync,
	.commit = pt_image_op_commit,
	.file_begin = pt_image_op_file_begin,
	.file_write = pt_image_op_file_write,
	.is_kept = pt_image_op_is_kept,
	.invalidate = pt_image_op_invalidate,
	.build = pt_image_op_build,
	.large_sz = pt_image_op_large_sz,
	.close = pt_image_op_close,
};

struct pt_image *pt_image_of(struct pt_sink *sink)
{
	pt_check(sink->ops == &image_ops);
	return (struct pt_image *)sink;
}

const struct pt_image *pt_image_of_const(const struct pt_sink *sink)
{
	pt_check(sink->ops == &image_ops);
	return (const struct pt_image *)sink;
}

int pt_image_make(struct pt_image **out, const char *path,
		 const struct pt_layout *l, struct pt_error *err)
{
	struct pt_image *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory", path);
	s->sink.ops = &image_ops;
	s->sink.starts_zero = true;
	s->sink.layout = l;
	s->parent = s->fd = s->journal_fd = -1;
	s->folder.fd = s->folder.file = -1;
	code = names_set(s, path, err);
	if (!code)
		code = parent_open(s, err);
	if (code) {
		pt_sink_close(&s->sink);
		return code;
	}
	*out = s;
	return 0;
}

int pt_image_create(struct pt_sink **out, const char *path,
		   const struct pt_layout *l, struct pt_error *err)
{
	struct pt_image *s;
	int code = pt_image_make(&s, path, l, err);

	if (code)
		return code;
	code = pt_image_claim(s, err);
	if (!code)
		code = pt_image_map(s, err);
	if (code) {
		pt_sink_close(&s->sink);
		return code;
	}
	*out = &s->sink;
	return 0;
}

int pt_image_create_plain(struct pt_sink **out, const char *path,
			  struct pt_error *err)
{
	struct pt_image *s;
	int code = pt_image_make(&s, path, NULL, err);

	if (code)
		return code;
	code = pt_image_claim(s, err);
	if (code) {
		pt_sink_close(&s->sink);
		return code;
	}
	s->takes_write = true;
	*out = &s->sink;
	return 0;
}

int pt_image_fd(const struct pt_sink *sink)
{
	return pt_image_of_const(sink)->fd;
}

int pt_image_reopen(struct pt_sink **out, const char *path,
		   const struct pt_layout *l, struct pt_error *err)
{
	struct pt_image *s;
	int code = pt_image_make(&s, path, l, err);

	if (code)
		return code;
	s->is_kept = true;
	if (pt_image_has(s, s->name))
		code = exists_already(s, "", err);
	if (!code)
		code = pt_partial_reopen(s, err);
	/* Another receiver may have committed to the name since names_check. */
	if (!code && pt_image_has(s, s->name))
		code = exists_already(s, "", err);
	if (code) {
		pt_sink_close(&s->sink);
		return code;
	}
	*out = &s->sink;
	return 0;
}

int pt_image_resume(struct pt_sink *sink, struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	int code = folders_clear(s, true, err);

	if (code || s->sink.layout)
		return code ? code : pt_image_map(s, err);
	s->takes_write = true;
	return 0;
}

__u8 *pt_image_page(const struct pt_sink *sink, __u64 page_idx)
{
	const struct pt_image *s = pt_image_of_const(sink);
	return s->map + pt_layout_image_off(s->sink.layout, page_idx);
}
