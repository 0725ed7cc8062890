/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* private_mapper: a process that has mapped a file privately, such as a guest's
 * QEMU without share=on: the memory that it writes is its own, and the file never
 * has it.  Threads: no state. */
#ifndef SOURCE_PRIVATE_MAPPER_H
#define SOURCE_PRIVATE_MAPPER_H

#include <linux/types.h>
#include <sys/types.h>

struct pt_private_mapper {
	pid_t pid;		/* 0: none */
	__u64 own_sz;		/* bytes in pages of its own */
};

/* pt_private_mapper_find finds the process with the most memory of its own in
 * private mappings of the file.  A look at all processes takes a while: files are
 * looked into where a guest's RAM is, in a tmpfs, or if they have no data.  Processes
 * that may not be looked at count as having none. */
void pt_private_mapper_find(struct pt_private_mapper *out, const char *path);

#endif
