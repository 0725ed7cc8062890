/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* objects: the objects behind the handles of sources and sinks. */
#ifndef API_OBJECTS_H
#define API_OBJECTS_H

#include "api/handle.h"
#include "memory/regions.h"
#include "sink/sink.h"
#include "source/source.h"

struct api_source_object {
	struct pt_source *inner;
	bool is_process;	/* only the thread that opened it closes it */
	struct pt_region *table;	/* of regions, as the segments; else
					 * NULL */
	__u32 region_cnt;
	__u32 reader_cnt;	/* senders that read it; under the lock of memory.c */
	enum pt_on_unreadable on_unreadable;	/* theirs */
};

/* api_source_read: one more sender reads the source, which is held.
 *   -EINVAL  another one does, and treats unreadable pages in another way */
int api_source_read(struct api_source_object *o, enum pt_on_unreadable how,
		    struct api_error *err);
void api_source_unread(struct api_source_object *o);

/* api_sink_object: path is set for a file, inner for all others. */
struct api_sink_object {
	struct pt_sink *inner;
	int fd;			/* of a memfd, ours; -1: none */
	char *path;
	bool serve, resume;
	__u64 prealloc_sz;
	bool is_used;		/* a receiver used it: others than files
				 * take one transfer */
};

#endif
