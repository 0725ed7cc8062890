/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* room: memory headroom, which is what this process can still allocate before
 * the kernel kills something: the least of the host's available memory and of
 * the remainders in its cgroup and the ancestors, for both versions of cgroups.
 *
 *     host        MemAvailable
 *     each cgroup its limit - what is charged to it + page cache, which goes
 *                 before anybody is killed
 *
 * A reserve is subtracted: page tables, and the receiver's own 8 bytes per
 * page.
 */
#ifndef PT_MEMORY_ROOM_H
#define PT_MEMORY_ROOM_H

#include <limits.h>
#include <linux/types.h>

struct pt_room {
	__u64 sz;		/* bytes; ~0: unknown, so try */
	char limit[PATH_MAX];	/* the file of the cgroup's limit; "": the host
				 * is the limit */
	__u64 limit_sz;		/* of that file */
};

/* pt_room_look computes the headroom; files that cannot be read limit nothing.
 * root is a prefix of all paths: "" except in tests.  Threads: any. */
void pt_room_look(struct pt_room *room, const char *root);

#endif
