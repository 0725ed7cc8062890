/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* room: how much memory this process may still take before something is killed
 * for it: what the host can give, and what each cgroup leaves that the process
 * is in, or that has such a one in it.  Of both versions of cgroups.
 *
 *     host        MemAvailable
 *     each cgroup its limit - what is charged to it + page cache, which goes
 *                 before anybody is killed
 *
 * The least counts, less a rest to live on: page tables, and the receiver's own
 * 8 bytes a page.
 */
#ifndef PT_MEMORY_ROOM_H
#define PT_MEMORY_ROOM_H

#include <limits.h>
#include <linux/types.h>

struct pt_room {
	__u64 sz;		/* bytes; ~0: nothing is known, so try */
	char limit[PATH_MAX];	/* the file of the cgroup's limit; "": the host
				 * has no more */
	__u64 limit_sz;		/* that it sets */
};

/* pt_room_look: what cannot be read limits nothing.  root stands before all
 * paths: "", but for tests.  Threads: any. */
void pt_room_look(struct pt_room *room, const char *root);

#endif
