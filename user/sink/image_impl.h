/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* image_impl: the internals that the image*.c share. */
#ifndef SINK_IMAGE_IMPL_H
#define SINK_IMAGE_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "sink/image.h"
#include "sink/sink_ops.h"

enum sink_state {
	SINK_OPEN,	/* pages and files may be written */
	SINK_SYNCED,	/* all data is on the disk */
	SINK_COMMITTED,
	SINK_DISCARDED,
};

/* pt_folder: NAME.with.partial/, created with its first file. */
struct pt_folder {
	int fd;			/* -1: there is none */
	int file;		/* the open file, or -1 */
	char file_name[NAME_MAX + 1];
	__u64 file_left;	/* bytes until the file is complete */
	__u32 file_cnt;
};

struct pt_image {
	struct pt_sink sink;	/* first */
	enum sink_state state;
	bool is_kept;		/* it has a journal: close leaves it */
	int parent;		/* the folder that will contain NAME */
	int fd;			/* NAME.partial, locked */
	int journal_fd;		/* the journal that was written or read: it is
				 * ours even where no mark is kept; -1: none */
	__u8 *map;		/* NULL before it is mapped, and where the file
				 * system has no shared mappings */
	__u64 map_sz;
	__u64 populated_sz;	/* bytes from map's start whose pages are
				 * populated and allocated: a write there does
				 * not fault */
	bool takes_write;	/* write(2) works: no hugetlbfs */
	struct pt_folder folder;
	char *path;		/* as given, for messages */
	char name[NAME_MAX + 1];	/* the last part of path */
	char partial[NAME_MAX + 1];	/* name.partial */
	char journal[NAME_MAX + 1];	/* name.journal */
	char journal_new[NAME_MAX + 1];	/* name.with.journal: no image may end
					 * in .with, so no other image uses this
					 * name */
	char with[NAME_MAX + 1];	/* name.with */
	char with_partial[NAME_MAX + 1]; /* name.with.partial */
};

/* pt_image_of: the sink must be an image, which pt_check ensures. */
struct pt_image *pt_image_of(struct pt_sink *sink);
const struct pt_image *pt_image_of_const(const struct pt_sink *sink);

/* pt_image_op_X: operation X of struct pt_sink_ops. */
int pt_image_op_fit(struct pt_sink *sink, const struct pt_layout *l,
		    struct pt_error *err);
int pt_image_op_place(struct pt_sink *sink, __u64 off, struct iovec *pieces,
		      __u32 cnt, __u64 sz, struct pt_error *err);
int pt_image_op_zero(struct pt_sink *sink, __u64 off, __u64 sz,
		     struct pt_error *err);
int pt_image_op_read(const struct pt_sink *sink, __u64 off, void *to, __u64 sz,
		     struct pt_error *err);
const __u8 *pt_image_op_see(const struct pt_sink *sink, __u64 off);
int pt_image_op_fault(const struct pt_sink *sink, const void *addr,
		      struct pt_error *err);
int pt_image_op_check_marks(const struct pt_sink *sink, struct pt_error *err);
int pt_image_op_sync(struct pt_sink *sink, struct pt_error *err);
int pt_image_op_commit(struct pt_sink *sink, struct pt_error *err);
int pt_image_op_build(struct pt_sink *sink, __u64 off, __u64 sz);
__s64 pt_image_op_large_sz(const struct pt_sink *sink, __u64 off, __u64 sz);
int pt_image_op_file_begin(struct pt_sink *sink, const char *name, __u64 sz,
			   struct pt_error *err);
int pt_image_op_file_write(struct pt_sink *sink, const void *bytes, __u64 sz,
			   struct pt_error *err);
bool pt_image_op_is_kept(const struct pt_sink *sink);
void pt_image_op_invalidate(struct pt_sink *sink);
void pt_image_op_close(struct pt_sink *sink);

/* pt_image_has: the folder has an entry of that name. */
bool pt_image_has(const struct pt_image *s, const char *name);

/* pt_image_fail sets path, `what` and errno's text as the error, and the remedy
 * of the common errors; returns -errno.  Reads errno. */
int pt_image_fail(const struct pt_image *s, const char *what,
		 struct pt_error *err);

/* pt_image_make allocates a sink that has only its names. */
int pt_image_make(struct pt_image **out, const char *path,
		 const struct pt_layout *l, struct pt_error *err);

/* pt_image_claim checks that the final names are free and makes
 * NAME.partial. */
int pt_image_claim(struct pt_image *s, struct pt_error *err);

/* pt_image_map_aligned maps sz bytes of the file where a large page of it can be
 * mapped as one.  MAP_FAILED, with errno. */
void *pt_image_map_aligned(const struct pt_image *s, __u64 sz);

/* pt_image_map resizes NAME.partial to the layout's image and maps it.  If it
 * is mapped already, the part that remains stays populated. */
int pt_image_map(struct pt_image *s, struct pt_error *err);

/* pt_image_mount: the file system of the file; all empty if /proc cannot be
 * read. */
struct pt_image_mount {
	char type[64];
	char point[256];
	char options[256];	/* of the file system, "rw,size=...,huge=..." */
};

void pt_image_mount(const struct pt_image *s, struct pt_image_mount *out);

/* pt_image_write_failed sets the text for a write that failed with the errno
 * code; returns -ENOSPC or -EIO. */
int pt_image_write_failed(const struct pt_image *s, int code,
			 struct pt_error *err);

/* pt_partial_claim makes NAME.partial anew and locks it: s->fd.  *was_stale: it
 * replaced the .partial of a dead receiver. */
int pt_partial_claim(struct pt_image *s, bool *was_stale, struct pt_error *err);

/* pt_partial_reopen opens and locks the existing NAME.partial: s->fd.  Errors
 * as pt_image_reopen. */
int pt_partial_reopen(struct pt_image *s, struct pt_error *err);

/* pt_partial_open opens, with flags, a file of an earlier receiver, NAME
 * followed by tail; returns a descriptor.  -ENOENT, -ELOOP, -EEXIST, or as the
 * system says; err is not filled for -ENOENT. */
int pt_partial_open(const struct pt_image *s, const char *name,
		    const char *tail, int flags, struct pt_error *err);

/* pt_partial_check: no other user can change the file fd.  -EPERM. */
int pt_partial_check(const struct pt_image *s, int fd, const char *tail,
		     struct pt_error *err);

/* pt_image_journal_remove removes the journal, even a half-written one, and no
 * other's file of that name. */
void pt_image_journal_remove(const struct pt_image *s);

/* The mark of unfinished files and folders: the sticky bit, which has no effect
 * on a file or on a folder that only its owner may write.  It is set when they
 * are made and cleared after the commit, so it outlives the process. */
#define PT_MARK		S_ISVTX

/* pt_is_left: it has that mark and mode, and is the effective user's: a receiver
 * of ours left it, and it may be removed.  A folder may have S_ISGID, too, which
 * it inherits. */
bool pt_is_left(const struct stat *st);

/* pt_left_check refuses the entry `name`, NAME followed by tail, if it exists
 * and no receiver left it.  -EEXIST. */
int pt_left_check(const struct pt_image *s, const char *name, const char *tail,
		  struct pt_error *err);

/* pt_name_is: the name in the folder leads to the file fd. */
bool pt_name_is(int parent, const char *name, int fd);

/* pt_partial_is_ours: NAME.partial leads to the file s->fd. */
bool pt_partial_is_ours(const struct pt_image *s);

/* pt_folder_remove removes a folder that a receiver left, or the open folder own
 * (-1: none), which needs no mark, and the plain files in it.  -ENOENT: there is
 * no folder; -EEXIST: no receiver left it; -ENOTEMPTY: it has other entries. */
int pt_folder_remove(int parent, const char *name, int own);

/* pt_folder_sync writes segments.json and unreadable.json where they are needed,
 * and syncs the folder. */
int pt_folder_sync(struct pt_image *s, struct pt_error *err);

void pt_folder_close(struct pt_folder *folder);

#endif
