/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_impl: what the parts of the sink share; for user/memory alone. */
#ifndef PT_MEMORY_SINK_IMPL_H
#define PT_MEMORY_SINK_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include "sink/sink.h"

enum sink_state {
	SINK_OPEN,	/* pages and files may be written */
	SINK_SYNCED,	/* all is on the disk */
	SINK_COMMITTED,
	SINK_DISCARDED,
};

/* pt_folder: NAME.with.partial/, made when the first file needs it. */
struct pt_folder {
	int fd;			/* -1: there is none */
	int file;		/* the file being written, or -1 */
	char file_name[NAME_MAX + 1];
	__u64 file_left;	/* bytes it still lacks */
	__u32 file_cnt;
};

struct pt_sink {
	const struct pt_layout *layout;
	enum sink_state state;
	bool is_kept;		/* it has a journal: close leaves it */
	int parent;		/* the folder in which NAME will stand */
	int fd;			/* NAME.partial, locked */
	__u8 *map;		/* NULL before it is mapped */
	__u64 map_sz;
	__u64 populated_sz;	/* of map, from its start: writing there faults
				 * and allocates nothing */
	bool takes_write;	/* write(2) works: no hugetlbfs */
	bool may_wait;		/* its file system is not memory alone */
	struct pt_folder folder;
	char *path;		/* as given, for messages */
	char name[NAME_MAX + 1];	/* the last part of path */
	char partial[NAME_MAX + 1];	/* name.partial */
	char journal[NAME_MAX + 1];	/* name.journal */
	char journal_new[NAME_MAX + 1];	/* name.with.journal: no image may end
					 * in .with, so it is no other's */
	char with[NAME_MAX + 1];	/* name.with */
	char with_partial[NAME_MAX + 1]; /* name.with.partial */
};

/* pt_sink_fail: "PATH: WHAT: errno's text", and the remedy of the common
 * errors; returns -errno.  Reads errno. */
int pt_sink_fail(const struct pt_sink *s, const char *what,
		 struct pt_error *err);

/* pt_sink_make: a sink that has its names and nothing else. */
int pt_sink_make(struct pt_sink **out, const char *path,
		 const struct pt_layout *l, struct pt_error *err);

/* pt_sink_claim makes sure that nothing has the final names, and makes
 * NAME.partial. */
int pt_sink_claim(struct pt_sink *s, struct pt_error *err);

/* pt_sink_map makes NAME.partial as large as the layout's image, and maps it;
 * if it is mapped already, what stays of it stays populated. */
int pt_sink_map(struct pt_sink *s, struct pt_error *err);

/* pt_sink_mount: the file system that the file is on; all empty if /proc does
 * not tell. */
struct pt_sink_mount {
	char type[64];
	char point[256];
	char options[256];	/* of the file system, "rw,size=...,huge=..." */
};

void pt_sink_mount(const struct pt_sink *s, struct pt_sink_mount *out);

/* pt_sink_write_failed: what to say of a write that failed with the errno
 * code; -ENOSPC or -EIO. */
int pt_sink_write_failed(const struct pt_sink *s, int code,
			 struct pt_error *err);

/* pt_partial_claim makes NAME.partial anew and locks it: s->fd.  *was_stale
 * says whether it replaced that of a dead receiver. */
int pt_partial_claim(struct pt_sink *s, bool *was_stale, struct pt_error *err);

/* pt_partial_reopen opens and locks the NAME.partial that is there: s->fd.
 * Errors as pt_sink_reopen. */
int pt_partial_reopen(struct pt_sink *s, struct pt_error *err);

/* pt_partial_open opens, with flags, what an earlier receiver left under name,
 * NAME followed by tail; returns a descriptor.  -ENOENT, -ELOOP, -EEXIST, or as
 * the system says; err is not filled for -ENOENT. */
int pt_partial_open(const struct pt_sink *s, const char *name,
		    const char *tail, int flags, struct pt_error *err);

/* pt_partial_check: nobody else can change the file that fd is.  -EPERM. */
int pt_partial_check(const struct pt_sink *s, int fd, const char *tail,
		     struct pt_error *err);

/* pt_sink_journal_remove removes the journal, one half written, too. */
void pt_sink_journal_remove(const struct pt_sink *s);

/* pt_name_is: what has the name in the folder is what fd is. */
bool pt_name_is(int parent, const char *name, int fd);

/* pt_partial_is_ours: NAME.partial is the file that s->fd is. */
bool pt_partial_is_ours(const struct pt_sink *s);

/* pt_folder_remove removes a folder and the plain files in it; -ENOENT if
 * there is none, -ENOTEMPTY if there is more in it. */
int pt_folder_remove(int parent, const char *name);

/* pt_folder_is_ours: it holds a segments.json. */
bool pt_folder_is_ours(int parent, const char *name);

/* pt_folder_sync writes segments.json if there is need of it, and brings the
 * folder to the disk. */
int pt_folder_sync(struct pt_sink *s, struct pt_error *err);

void pt_folder_close(struct pt_folder *folder);

#endif
