/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_guest: a sink that is the memory of a guest that waits for it: files that
 * its process has mapped, shared.  Bytes are written through /proc/PID/mem, so
 * that the guest's cgroup is charged; the files only tell, and make, holes.
 *
 *     open --> fit: which pages are holes --> place, zero, ... --> commit: run
 *
 * Large pages (sink_large.h) are built by a first write through /proc/PID/mem, which
 * takes one where the file has them on demand, and by collapse(), in the address space
 * of the guest's process: a collapse through a mapping of ours would empty its page
 * tables.  All that is written is mapped there by the write.
 *
 * A hole stays one while only zeroes are written to it, and memory that was one
 * becomes one again when 2 MiB of it turn zero.  All else that the files hold at
 * fit, maybe data of a transfer that failed, is overwritten; it is never made a
 * hole, since its owner may have allocated it on purpose.  Neither is memory that is to
 * stand in a large page.
 *
 * Pages that could not be read at the source become holes, and are then marked
 * (poison()), when all has been placed, and once more when the guest runs.
 *
 * Memory: 2 bits a page.  Nobody else may write the memory from fit to commit.
 */
#ifndef SINK_SINK_GUEST_H
#define SINK_SINK_GUEST_H

#include <sys/types.h>

#include "sink/sink.h"

/* pt_sink_guest_range: the memory of one backend. */
struct pt_sink_guest_range {
	const char *name;	/* of its segment */
	__u64 sz;		/* bytes, a multiple of 4096 */
	__u64 addr;		/* in the process */
	const char *path;	/* opens the file that is mapped there */
	__u64 off;		/* of the range, bytes into that file */
};

/* pt_sink_guest_mark: pages that cannot be read. */
struct pt_sink_guest_mark {
	__u64 addr, sz;		/* in the process; bytes */
};

/* pt_sink_guest_fill: the memory of a guest that runs before all of it is here, for
 * pt_sink_fill.  Pages are those of the image, the bytes from page * 4096 on.  Any thread
 * calls them, but for arm and whole; they may wait. */
struct pt_sink_guest_fill {
	/* arm takes away the pages whose bit is set (page % 64 of [page / 64]), and has
	 * whoever touches one wait from now on. */
	int (*arm)(void *arg, const __u64 *lacks, __u64 page_cnt, struct pt_error *err);
	int (*page)(void *arg, __u64 page, const void *bytes, struct pt_error *err);
	int (*zero)(void *arg, __u64 page, __u64 cnt, struct pt_error *err);
	int (*lose)(void *arg, __u64 page, __u64 cnt, struct pt_error *err);
	/* whole: all have come, and nobody is to wait any more. */
	int (*whole)(void *arg, struct pt_error *err);
};

/* pt_sink_guest_cfg: only open follows the pointers. */
struct pt_sink_guest_cfg {
	pid_t pid;
	const struct pt_sink_guest_range *ranges;
	__u32 cnt;
	/* run runs the guest, for pt_sink_commit.  It may wait. */
	int (*run)(void *arg, struct pt_error *err);
	/* collapse makes sz bytes at addr, an address of the process, large pages.
	 * -errno: not all became one.  NULL: there is no way.  One thread at a
	 * time calls it. */
	int (*collapse)(void *arg, __u64 addr, __u64 sz);
	/* poison has a touch of these pages raise a memory error, in each process
	 * that maps them; marks ascend.  -EEXIST: one of them was touched
	 * since it was made a hole, and is to be made one again.  NULL: there is no
	 * way. */
	int (*poison)(void *arg, const struct pt_sink_guest_mark *marks,
		      __u32 cnt, struct pt_error *err);
	/* unmarked: the guest runs, and they could not be marked in a process that maps
	 * them since. */
	void (*unmarked)(void *arg, const struct pt_error *err);
	const struct pt_sink_guest_fill *fill;	/* outlives the sink; NULL: there is
						 * no way */
	bool is_rest;		/* the guest runs already, and was armed: only names,
				 * sizes and fill are used, and arm is not called */
	void *arg;
};

/* pt_sink_open_guest opens everything that needs a privilege.  pt_sink_fit then
 * wants a segment for each range, in their order, of its name and size.
 *   -EINVAL  a range is empty or not whole pages, or its file no regular
 *            one; none, or more than PT_SEGMENTS_MAX; pt_sink_fit: a segment
 *            is not its range's
 *   -ESRCH   no such process
 *   -EACCES, -EPERM  not allowed
 *   -ENOMEM, or as open(2) */
int pt_sink_open_guest(struct pt_sink **out,
		       const struct pt_sink_guest_cfg *cfg,
		       struct pt_error *err);

#endif
