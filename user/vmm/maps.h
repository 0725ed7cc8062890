/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* maps: the shared, writable file mappings of a process.  Threads: no state. */
#ifndef VMM_MAPS_H
#define VMM_MAPS_H

#include <linux/types.h>
#include <sys/types.h>

#define PT_MAPS_MAX	65536	/* mappings of one process (vm.max_map_count) */
#define PT_MAPS_NAME_SZ	256	/* a longer path is cut */

/* pt_map: pieces of one file that follow one another in it and in memory. */
struct pt_map {
	__u64 addr, sz;		/* bytes */
	__u64 piece_end;	/* address of the end of the first piece */
	__u64 off;		/* bytes into the file */
	__u64 dev;		/* major << 32 | minor */
	__u64 ino;
	char name[PT_MAPS_NAME_SZ];	/* the path, as /proc/PID/maps has it */
};

/* pt_maps_read lists them, ascending in address; *out is for free(3).
 *   -ESRCH           no such process
 *   -EACCES, -EPERM  not permitted to look at it
 *   -ENOMEM, -E2BIG */
int pt_maps_read(pid_t pid, struct pt_map **out, __u32 *cnt);

#endif
