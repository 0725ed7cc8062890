/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* poison: memory that cannot be read, as where it is broken: a program that touches it
 * gets SIGBUS, a system call EFAULT or EIO (UFFDIO_POISON, Linux 6.6).
 *
 * A page of a file is marked in each address space that maps it, since the mark is in
 * the page tables of that one alone.  Each such process is entered, see track/enter.h;
 * the marks stay when this one ends.
 *
 * Threads: one at a time.
 */
#ifndef TRACK_POISON_H
#define TRACK_POISON_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>

struct pt_poison_range {
	__u64 addr, sz;		/* in the process; multiples of the size of its
				 * pages */
};

/* pt_poison_is_offered: the kernel can mark pages. */
bool pt_poison_is_offered(void);

/* pt_poison marks the ranges, which ascend, in process pid and in all others that map
 * the same bytes of the same files, now or a moment later.  maps is the descriptor of
 * its mappings (memory/mappings.h).  Pages that are marked already stay so.  On failure some may be
 * marked; err names the process.
 *   -EEXIST      a page is there: the file must have none at that place
 *   -EOPNOTSUPP  the kernel is too old; memory that is private; or as
 *                pt_enter
 *   -EINVAL      a file that is not on a tmpfs
 *   -EACCES      it has a seccomp filter; or it must not be looked at
 *   -EPERM       as pt_enter; or it cannot write what it maps
 *   -EBUSY       another userfaultfd has the memory
 *   -ESRCH       a range is not mapped: process pid has ended
 *   -EAGAIN, -ETIMEDOUT, -ENOMEM, ... */
int pt_poison(pid_t pid, int maps, const struct pt_poison_range *ranges, __u32 cnt,
	      struct pt_error *err);

#endif
