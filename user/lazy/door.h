/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* door: a VMM hands its memory over at a UNIX socket, as Firecracker does: one message,
 * with the userfaultfd as SCM_RIGHTS, and a JSON array of objects:
 *
 *     base_host_virt_addr, size, offset    bytes
 *     page_size                            bytes; or page_size_kib, which some versions
 *                                          fill with bytes all the same: below 4096 it
 *                                          is taken for KiB; neither: 4096
 *
 * The message is not trusted.  Threads: one at a time.
 * Source: Firecracker, docs/snapshotting/handling-page-faults-on-snapshot-resume.md.
 */
#ifndef LAZY_DOOR_H
#define LAZY_DOOR_H

#include <sys/types.h>

#include "lazy/record.h"

#define PT_LAZY_MESSAGE_MAX	(64u << 10)	/* bytes */
#define PT_LAZY_MESSAGE_MS	10000		/* from the connection on */

/* pt_lazy_guest: a VMM and its memory. */
struct pt_lazy_guest {
	int uffd;		/* non-blocking; the caller's */
	int pidfd;		/* the caller's; -1: the process cannot be seen here */
	pid_t pid;		/* 0 */
	__u32 region_cnt;
	struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];	/* checked */
};

/* pt_lazy_message_parse reads the JSON; regions are not checked yet.
 *   -EPROTO  it is none of this form */
int pt_lazy_message_parse(const char *text, size_t sz,
			  struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX],
			  __u32 *cnt, struct pt_error *err);

/* pt_lazy_listen returns a listening socket of a type (SOCK_STREAM, ...); one that a
 * dead process left is replaced.
 *   -EADDRINUSE  another process listens there, or the path is no socket
 *   -ENAMETOOLONG, or as bind(2) says */
int pt_lazy_listen(const char *path, int type, struct pt_error *err);

/* pt_lazy_door_take waits for a VMM and its message.
 *   -ECANCELED  stop_fd is readable
 *   -ETIMEDOUT  no message within PT_LAZY_MESSAGE_MS
 *   -EPROTO     no message of this form, or not with one userfaultfd
 *   -EINVAL     as pt_lazy_regions_check */
int pt_lazy_door_take(struct pt_lazy_guest *guest, int listen_fd, int stop_fd,
		      __u64 image_sz, struct pt_error *err);

#endif
