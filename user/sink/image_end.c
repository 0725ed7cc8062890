// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The end of an image: synced, committed under its name, kept, or removed. */
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

int pt_image_op_sync(struct pt_sink *sink, struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	int code;

	pt_check(s->state == SINK_OPEN || s->state == SINK_SYNCED);
	if (s->state == SINK_SYNCED)
		return 0;
	code = pt_folder_sync(s, err);
	if (code)
		return code;
	/* Pages written through the mapping are the file's dirty pages. */
	if (fsync(s->fd) && errno != EINVAL)
		return pt_image_fail(s, "cannot write it to the disk", err);
	s->state = SINK_SYNCED;
	return 0;
}

/* name_give renames and never replaces.  Some file systems have no such rename
 * (EINVAL); there a lookup beforehand must do. */
static int name_give(const struct pt_image *s, const char *from, const char *to)
{
	if (!renameat2(s->parent, from, s->parent, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (pt_image_has(s, to))
		return -EEXIST;
	return renameat(s->parent, from, s->parent, to) ? -errno : 0;
}

static int commit_failed(const struct pt_image *s, int code,
			 struct pt_error *err)
{
	if (code == -ESTALE)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: someone "
				    "replaced it while it got its name",
				    s->path);
	errno = -code;
	return pt_image_fail(s, "cannot give it its name", err);
}

int pt_image_op_commit(struct pt_sink *sink, struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
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
	/* Another process that may write in the folder could replace it after
	 * that check. */
	if (!pt_name_is(s->parent, s->name, s->fd)) {
		code = -ESTALE;
		goto take_folder_back;
	}
	if (fsync(s->parent) && errno != EINVAL) {
		code = -errno;
		goto take_image_back;
	}
	s->state = SINK_COMMITTED;
	fchmod(s->fd, 0600);		/* no longer PT_MARK */
	if (has_folder)
		fchmod(s->folder.fd, 0700);
	pt_image_journal_remove(s);
	return 0;

take_image_back:
	name_give(s, s->name, s->partial);
take_folder_back:
	if (has_folder)
		name_give(s, s->with, s->with_partial);
	return commit_failed(s, code, err);
}

void pt_image_discard(struct pt_sink *sink)
{
	struct pt_image *s = pt_image_of(sink);
	if (s->state == SINK_COMMITTED || s->state == SINK_DISCARDED)
		return;
	s->state = SINK_DISCARDED;
	if (!pt_partial_is_ours(s))
		return;		/* never claimed, or now another receiver's */
	if (s->folder.fd >= 0)		/* a resumption sends files anew */
		pt_folder_remove(s->parent, s->with_partial, s->folder.fd);
	if (s->is_kept)
		return;
	/* The journal goes first, so that no journal describes another's
	 * .partial. */
	pt_image_journal_remove(s);
	unlinkat(s->parent, s->partial, 0);	/* last: its lock protects the
						 * others */
}

bool pt_image_op_is_kept(const struct pt_sink *sink)
{
	const struct pt_image *s = pt_image_of_const(sink);
	return s->is_kept;
}

void pt_image_op_invalidate(struct pt_sink *sink)
{
	struct pt_image *s = pt_image_of(sink);
	s->is_kept = false;
}

void pt_image_op_close(struct pt_sink *sink)
{
	struct pt_image *s = pt_image_of(sink);

	pt_image_discard(sink);
	pt_folder_close(&s->folder);
	if (s->map)
		munmap(s->map, s->map_sz);
	if (s->journal_fd >= 0)
		close(s->journal_fd);
	if (s->fd >= 0)
		close(s->fd);
	if (s->parent >= 0)
		close(s->parent);
	free(s->path);
	free(s);
}
