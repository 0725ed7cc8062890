/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* mappers: the processes that have a guest's memory mapped.
 *
 * A userfaultfd belongs to one address space.  Where the memory is a file's (a memfd, a
 * hugetlbfs), another mapping of it reads zeroes for what is not placed yet, without an
 * event, and these zeroes then count as the page.  Threads: no state.
 */
#ifndef LAZY_MAPPERS_H
#define LAZY_MAPPERS_H

#include <sys/types.h>

#include "lazy/record.h"

struct pt_lazy_sight {
	bool is_seen;		/* the process's mappings could be read */
	bool is_owner;		/* they are the regions, with a userfaultfd */
	bool is_file;		/* some are a file's */
	__u32 unseen_cnt;	/* processes whose mappings could not, if is_file */
	pid_t other;		/* the one that maps the regions' bytes elsewhere; 0 */
	char other_name[64];	/* its command, clean */
};

/* pt_lazy_mappers_look looks at the process, and at all others if its regions are a
 * file's.
 *   -EBUSY   the regions' bytes are mapped elsewhere, too
 *   -ENOMEM, or as opendir(3) of /proc */
int pt_lazy_mappers_look(struct pt_lazy_sight *sight, pid_t vmm,
			 const struct pt_lazy_region *regions, __u32 cnt,
			 struct pt_error *err);

#endif
