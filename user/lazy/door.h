/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* door: a VMM hands its memory over at a UNIX socket, as Firecracker does: one message,
 * with the userfaultfd as SCM_RIGHTS, and a JSON array of objects:
 *
 *     base_host_virt_addr, size, offset    bytes
 *     page_size                            bytes; or page_size_kib, which some versions
 *                                          fill with bytes all the same: below 4096 it
 *                                          is taken for KiB; neither: 4096
 *
 * The keeper receives it, and a server judges it: both hold what came.  It is not
 * trusted.  Threads: one at a time.
 * Source: Firecracker, docs/snapshotting/handling-page-faults-on-snapshot-resume.md.
 */
#ifndef LAZY_DOOR_H
#define LAZY_DOOR_H

#include <sys/types.h>

#include "lazy/record.h"

#define PT_LAZY_MESSAGE_MS	10000		/* from a VMM's connection on */

#define PT_LAZY_FDS_MAX		4	/* descriptors that are looked at */

/* pt_lazy_handed: the descriptors of a VMM's message, and its process. */
struct pt_lazy_handed {
	int fds[PT_LAZY_FDS_MAX];	/* -1: none; the first one is the userfaultfd */
	__u32 fd_cnt;		/* of the message: those above the maximum are closed */
	__u32 is_cut;		/* there were still more */
	int pidfd;		/* of the process that connected; -1: not seen here */
	pid_t pid;		/* 0 */
};

#define PT_LAZY_HANDED_NONE \
	((struct pt_lazy_handed){ .fds = { -1, -1, -1, -1 }, .pidfd = -1 })

/* pt_lazy_handed_close closes all. */
void pt_lazy_handed_close(struct pt_lazy_handed *h);

/* pt_lazy_door_receive reads the message of a connection, and finds the process that
 * made it; returns the bytes of text, of PT_LAZY_MESSAGE_MAX at most, or -errno. */
ssize_t pt_lazy_door_receive(struct pt_lazy_handed *h, int fd, char *text);

/* pt_lazy_door_judge stores the regions of a message, checked; the userfaultfd is
 * non-blocking from then on.
 *   -EPROTO  no message of this form, or not with one userfaultfd that can be served
 *   -EINVAL  as pt_lazy_regions_check */
int pt_lazy_door_judge(const struct pt_lazy_handed *h, const char *text, size_t sz,
		       __u64 image_sz,
		       struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX],
		       __u32 *cnt, struct pt_error *err);

/* pt_lazy_message_parse reads the JSON; regions are not checked yet.
 *   -EPROTO  it is none of this form */
int pt_lazy_message_parse(const char *text, size_t sz,
			  struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX],
			  __u32 *cnt, struct pt_error *err);

/* pt_lazy_bind returns a socket of a type (SOCK_STREAM, ...) with a name, for
 * listen(2); a name that a dead process left is replaced.
 *   -EADDRINUSE  another process listens there, or the path is no socket
 *   -ENAMETOOLONG, or as bind(2) says */
int pt_lazy_bind(const char *path, int type, struct pt_error *err);

#endif
