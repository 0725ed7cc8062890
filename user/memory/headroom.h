/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* headroom: memory headroom, which is the memory that this process can still
 * allocate before the kernel kills something: the least of the host's available
 * memory and of the remainders in its cgroup and the ancestors, for both
 * versions of cgroups.
 *
 *     host        MemAvailable
 *     each cgroup its limit - what is charged to it + page cache, which goes
 *                 before anybody is killed
 *
 * A reserve is subtracted: page tables, and the receiver's own 8 bytes per
 * page.
 */
#ifndef MEMORY_HEADROOM_H
#define MEMORY_HEADROOM_H

#include <limits.h>
#include <linux/types.h>

struct pt_headroom {
	__u64 sz;		/* bytes; ~0: unknown, so try */
	char limit[PATH_MAX];	/* the file of the cgroup's limit; "": the host
				 * is the limit */
	__u64 limit_sz;		/* of that file */
};

/* pt_headroom_look computes the headroom; files that cannot be read limit
 * nothing.  root is a prefix of all paths: "" except in tests.  Threads:
 * any. */
void pt_headroom_look(struct pt_headroom *room, const char *root);

#endif
