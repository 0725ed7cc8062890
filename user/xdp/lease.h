/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lease: the right to use one queue of a device, of one process on this host.
 *
 * Only one AF_XDP memory can own a (device, queue), for both directions; the
 * kernel says EBUSY and not who has it.  A lease is a locked part of a file of
 * the device under /run/pagetrim, where its owner stands:
 *
 *     /run/pagetrim/NETNS-IFINDEX-queues
 *     0                48               96
 *     | PID ROLE       | PID ROLE       | ...      queue 0, queue 1, ...
 *
 * It binds pagetrim's processes; the kernel frees it when its owner dies,
 * however it dies.  The file is opened once, and leases come and go by its
 * descriptor: a process that gave up its privileges can still take some.  The
 * last one to close the file removes it, if it may; else the next that may.
 *
 * Threads: none share a lease, or what it is of.
 */
#ifndef PT_XDP_LEASE_H
#define PT_XDP_LEASE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "xdp/device.h"

#define PT_LEASE_ROLE_SZ 32	/* bytes of a role, with its NUL */

struct pt_leases;
struct pt_lease;

struct pt_lease_owner {
	pid_t	pid;
	char	role[PT_LEASE_ROLE_SZ];	/* "receive", "send" */
};

/* pt_leases_open opens the file of a device's queues.  On success returns 0 and
 * *out is the caller's, to pt_leases_close after its last lease.
 *   -EACCES, -EROFS, ... /run/pagetrim cannot be written */
int pt_leases_open(struct pt_leases **out, const struct pt_device *dev,
		   struct pt_error *err);
void pt_leases_close(struct pt_leases *leases);	/* NULL is fine */

/* pt_lease_take takes a queue for this process; role, under
 * PT_LEASE_ROLE_SZ bytes of [a-z0-9_-], is the subcommand that others are told
 * of; one that is "receive" keeps a pinned program from being detached.  On
 * success returns 0 and *out is the caller's, to pt_lease_release.  Else:
 *   -EBUSY   taken; the text names the owner
 *   -EINVAL  the device has no such queue
 *   -ENOSPC, ... as the file system says */
int pt_lease_take(struct pt_lease **out, struct pt_leases *leases,
		  __u32 queue, const char *role, struct pt_error *err);

/* pt_lease_take_free takes the cnt lowest queues that are free, 1..256, all or
 * none.  -EBUSY: fewer than cnt are free; the text names an owner. */
int pt_lease_take_free(struct pt_lease **out, __u32 cnt,
		       struct pt_leases *leases, const char *role,
		       struct pt_error *err);

/* pt_lease_free_cnt returns how many of the queues 0..below - 1 nobody holds;
 * if there are others, *holder names who has the last of them. */
__u32 pt_lease_free_cnt(const struct pt_leases *leases, __u32 below,
			struct pt_error *holder);

__u32 pt_lease_queue(const struct pt_lease *lease);

void pt_lease_release(struct pt_lease *lease);	/* NULL is fine */

/* pt_lease_owner returns 1 and the process that holds the queue, 0: none does,
 * or -errno: the file of the leases cannot be read. */
int pt_lease_owner(const struct pt_device *dev, __u32 queue,
		   struct pt_lease_owner *owner);

#endif
