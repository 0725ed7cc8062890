/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* process_maps: the mappings of a process that are sent: private, of no device, and
 * writable or with content that no file of a name has.  Threads: no locks. */
#ifndef SOURCE_PROCESS_MAPS_H
#define SOURCE_PROCESS_MAPS_H

#include <stdbool.h>
#include <sys/types.h>

#include <linux/types.h>
#include <pagetrim/error.h>
#include "memory/layout.h"

struct pt_process_map {
	struct pt_segment seg;	/* gfn: address / 4096 */
	bool is_anonymous;	/* a page that was never written reads as zero, not
				 * as a file's content */
	__u64 content_sz;	/* bytes from its start up to the end of its file,
				 * in whole pages: the rest cannot be read, and
				 * counts as zero; seg.sz: all */
	__u64 ino;		/* of its file; 0: none */
};

struct pt_process_maps {	/* zero: none */
	struct pt_process_map *all;	/* ascending */
	__u32 cnt, capacity;
};

/* pt_process_files: open files of /proc/PID. */
struct pt_process_files {
	int maps, smaps, pagemap;
};

/* pt_process_maps_read reads maps from its start, and looks in pagemap, or smaps, for
 * pages of mappings that cannot be written now; m forgets earlier mappings.  A mapping whose file cannot be seen is memory if it
 * was before: the reader may have given up privileges since.
 *   -ESRCH  the address space is gone
 *   -E2BIG  more than PT_SEGMENTS_MAX
 *   -ENOMEM, or as read(2) */
int pt_process_maps_read(struct pt_process_maps *m,
			 const struct pt_process_files *files, pid_t pid,
			 struct pt_error *err);
void pt_process_maps_free(struct pt_process_maps *m);

/* pt_process_maps_find returns the index of the first mapping that ends above page
 * gfn; m->cnt: there is none. */
__u32 pt_process_maps_find(const struct pt_process_maps *m, __u64 gfn);

#endif
