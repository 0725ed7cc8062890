/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* make_impl: the internals that make.c and make_sink.c share. */
#ifndef TEMPLATE_MAKE_IMPL_H
#define TEMPLATE_MAKE_IMPL_H

#include <pthread.h>

#include "sink/sink_ops.h"
#include "sink/sink_parts.h"
#include "template/folder.h"
#include "template/holder.h"
#include "template/make.h"

struct pt_template_make {
	struct pt_sink sink;		/* first */
	struct pt_template made;
	char folder_path[PATH_MAX];
	enum pt_template_large large;
	int folder, memory;		/* descriptors; -1: none */
	struct pt_template_entry entry;
	struct pt_holder holder;
	bool is_committed;

	void *map;			/* NULL: not fit */
	struct pt_sink_part part;	/* the whole mapping */
	struct pt_sink_parts parts;	/* which is that one */
	pthread_mutex_t lock;		/* of building, and of: */
	__u64 begun_cnt;		/* units with data */
	_Atomic __u64 *begun;		/* bit: unit was built, or tried */

	int with, file;			/* the folder, the file that is written; -1 */
	__u64 file_left;		/* bytes */
	unsigned file_cnt;
	char file_name[PT_NAME_FILE_MAX + 1];
};

extern const struct pt_sink_ops pt_template_make_ops;

/* pt_template_make_unmap: no writable mapping is left, so it can be sealed. */
void pt_template_make_unmap(struct pt_template_make *m);

/* pt_template_make_files_end closes the small files; -EINVAL: one is not complete. */
int pt_template_make_files_end(struct pt_template_make *m, struct pt_error *err);

/* pt_template_make_commit is the sink's commit. */
int pt_template_make_commit(struct pt_template_make *m, struct pt_error *err);

#endif
