/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rights: the capabilities of this process, for messages that name the lacking
 * ones.
 *
 * The kernel loads BPF programs, and counts locked memory, by the capabilities in
 * the host's first user namespace.  Root of another one, as in a rootless
 * container, has none there.  Threads: any. */
#ifndef BASE_RIGHTS_H
#define BASE_RIGHTS_H

#include <linux/capability.h>
#include <linux/types.h>
#include <stdbool.h>

#define PT_RIGHT(cap)	(1ULL << (cap))
#define PT_RIGHTS_REMEDY_SZ 192
#define PT_RIGHTS_SZ	160	/* bytes of a list of names, with its NUL */

/* Those that load the receive program and attach it. */
#define PT_RIGHTS_LOAD	(PT_RIGHT(CAP_NET_ADMIN) | PT_RIGHT(CAP_BPF) | \
			 PT_RIGHT(CAP_PERFMON))

/* pt_rights_held returns the effective set; 0 if it is not known. */
__u64 pt_rights_held(void);

/* pt_rights_are_inner: the process is in another user namespace than the host's
 * first one; false also if /proc is not mounted. */
bool pt_rights_are_inner(void);

/* pt_rights_lacking writes the names of those of want that are not in held, as
 * "CAP_BPF, CAP_PERFMON", and returns list.  CAP_SYS_ADMIN includes those that
 * were split from it. */
const char *pt_rights_lacking(__u64 held, __u64 want, char list[PT_RIGHTS_SZ]);

/* pt_rights_remedy returns what helps, in parentheses behind a space, where the kernel
 * forbids what takes the capabilities of want: if one is lacking, to run as root, or
 * how ("with CAP_NET_RAW"); if not, inner in another user namespace than the host's
 * first one, where they do not count; else only a security module or a filter is left
 * as the cause.  It is valid until the thread's next call. */
const char *pt_rights_remedy(__u64 want, const char *how, const char *inner);

#endif
