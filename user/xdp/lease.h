/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* lease: one process's right to use one queue of a device on this host.
 *
 * Only one AF_XDP memory can own a (device, queue), for both directions; the
 * kernel's EBUSY does not name the owner.  A lease is a locked part of the
 * device's file under /run/pagetrim, which names its owner:
 *
 *     /run/pagetrim/NETNS-IFINDEX-queues
 *     0                48               96
 *     | PID ROLE       | PID ROLE       | ...      queue 0, queue 1, ...
 *
 * Only pagetrim's processes heed it; the kernel frees it when its owner dies,
 * in whatever way.  The file is opened once, and leases are taken and released
 * by its descriptor, so a process that dropped its privileges can still take
 * some.  The last process that closes the file removes it if it may, else a
 * later one does.
 *
 * Threads: none share a lease or its leases file.
 */
#ifndef XDP_LEASE_H
#define XDP_LEASE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "xdp/device.h"
#include "xdp/grant.h"

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

/* pt_lease_take takes a queue for this process; role, under PT_LEASE_ROLE_SZ
 * bytes of [a-z0-9_-], is the subcommand that other processes' errors name; the
 * role "receive" keeps a pinned program from being detached.  On success
 * returns 0 and *out is the caller's, to pt_lease_release.  Else:
 *   -EBUSY   it is taken; the text names the owner
 *   -EINVAL  the device has no such queue
 *   -ENOSPC, ... as the file system says */
int pt_lease_take(struct pt_lease **out, struct pt_leases *leases,
		  __u32 queue, const char *role, struct pt_error *err);

/* pt_lease_take_free takes the cnt lowest queues that are free, 1..256, all or
 * none.  -EBUSY: fewer than cnt are free; the text names an owner. */
int pt_lease_take_free(struct pt_lease **out, __u32 cnt,
		       struct pt_leases *leases, const char *role,
		       struct pt_error *err);

/* pt_lease_free_cnt returns the count of free queues among 0..below - 1; if
 * some are taken, *holder names the owner of the last of them. */
__u32 pt_lease_free_cnt(const struct pt_leases *leases, __u32 below,
			struct pt_error *holder);

/* pt_leases_grant lets the grant's user take the device's queues, until
 * pt_leases_recall, which only needs to know which device it was: the number and
 * the namespace.  Errors of pt_leases_open, -EPERM, ... */
int pt_leases_grant(const struct pt_device *dev, const struct pt_grant *grant,
		    struct pt_error *err);
void pt_leases_recall(const struct pt_device *dev);

__u32 pt_lease_queue(const struct pt_lease *lease);

void pt_lease_release(struct pt_lease *lease);	/* NULL is fine */

/* pt_lease_owner returns 1 and the process that holds the queue, 0 if the queue
 * is free, or -errno if the leases file cannot be read. */
int pt_lease_owner(const struct pt_device *dev, __u32 queue,
		   struct pt_lease_owner *owner);

#endif
