/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room track: which pages of a memory are written while it is sent.
 *
 *   knows         trackers: page digests, write protection of this process and
 *                 of others; system calls done inside another process;
 *                 comparison of a source with the sent pages
 *   may use       base memory source
 *   must not know frames, connections, what the receiver holds
 */
/* tracker: reports the pages of a memory that changed since the last look.
 *
 *     open --> arm --> collect, collect, ... --> close
 *
 * A write that ends after arm returned is reported by the first collect that
 * begins after the write ended, or by an earlier one.  A page may be reported
 * though its bytes are the same, and more than once.
 *
 * Threads: one thread at a time uses a tracker.  Any other thread may call
 * pt_tracker_cancel.
 */
#ifndef TRACK_TRACKER_H
#define TRACK_TRACKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <linux/types.h>
#include <pagetrim/error.h>
#include "memory/digests.h"
#include "source/source.h"

struct pt_tracker;

/* pt_track_to: where a collect reports to.  dirty receives cnt pages, 1..512,
 * of one region.  It cannot fail: a page that was reported is not kept.  Calls
 * never overlap, but may come from other threads.
 *
 * coarse receives, in the same way, pages that are reported because some byte
 * of their 2 MiB was written, or may have been: those of large pages, or of a
 * process whose record was lost.  Most are the same as before: compare them
 * with the sent pages (track/compare.h) after the collect.  At the stop they
 * count as reported.  NULL: dirty receives them.
 *
 * is_sent returns whether these bytes are what was last sent of the page, by its
 * digest.  NULL: unknown. */
struct pt_track_to {
	void (*dirty)(void *arg, __u64 page_idx, __u32 cnt);
	void (*coarse)(void *arg, __u64 page_idx, __u32 cnt);
	bool (*is_sent)(void *arg, __u64 page_idx, const void *page);
	void *arg;
};

/* pt_track_misses: the changes that a tracker does not report; bits.  The pages
 * concerned must be compared by content at the stop. */
enum pt_track_misses {
	/* A hole that is punched into a page that was not written since the
	 * last look. */
	PT_TRACK_MISSES_HOLES = 1,
	/* Data of I/O that began before a look and ended after it: O_DIRECT,
	 * registered buffers, devices. */
	PT_TRACK_MISSES_IN_FLIGHT = 2,
	/* write(2) and the like to the file of the memory. */
	PT_TRACK_MISSES_FILE_WRITES = 4,
	/* Writes of other processes: some could not be looked at, and they may
	 * have the memory mapped. */
	PT_TRACK_MISSES_MAPPERS = 8,
};

/* pt_track_range: memory of a process, as it is mapped there. */
struct pt_track_range {
	__u64 addr;		/* a multiple of 4096, and of its pages' size */
	__u64 sz;		/* bytes, > 0, likewise */
	__u64 page_idx;		/* of its first page */
	/* Set for all ranges, which ascend, or for none: private memory that may be
	 * mapped and unmapped at any time, and that the source shows as holes
	 * where no page is, which the caller compares at the stop.  Memory that is
	 * not mapped is not watched, and no page table is made for pages that are
	 * not there.  Private memory of files is not watched, but reported by each
	 * pt_tracker_retarget: the caller compares it. */
	bool is_loose;
};

/* pt_track_moments: for tests, the moments of arming at which this process or
 * the watched one may end. */
enum pt_track_moment {
	PT_TRACK_MOMENT_STOPPED,	/* a thread of the process is stopped */
	PT_TRACK_MOMENT_ENTRY,		/* 4: a call before, exchanged, done, */
	PT_TRACK_MOMENT_FETCHED = PT_TRACK_MOMENT_ENTRY + 4, /* and undone */
	PT_TRACK_MOMENT_CLOSE,		/* 4 */
	PT_TRACK_MOMENT_RELEASED = PT_TRACK_MOMENT_CLOSE + 4,
	PT_TRACK_MOMENT_REGISTERED,
	PT_TRACK_MOMENT_ARMED,
	PT_TRACK_MOMENT_COLLECTED,
	PT_TRACK_MOMENT_CNT
};

struct pt_track_moments {
	void (*at)(void *arg, unsigned int moment);
	void *arg;
};

/* pt_tracker_open_wp watches ranges of process pid by asynchronous write
 * protection (Linux 6.7): "wp-async".  That process is entered (see
 * track/enter.h), and so is each other process that has a writable mapping of
 * the same files.  pid may be this process, whose ranges are its own: "own",
 * which enters the other ones only.  The ranges are copied, and the memory must
 * stay mapped until pt_tracker_close.  moments: NULL, or a test's.
 *   -EOPNOTSUPP  the kernel is too old, or the machine or process of another
 *                kind
 *   -EPERM       not permitted to trace a process, or another one traces it
 *   -EACCES      a process has a seccomp filter
 *   -EAGAIN      a process has no thread that waits in poll(2)
 *   -EBUSY       another tracker, or userfaultfd, has some of the memory
 *   -EINVAL      no range, or one that is not mapped to be written
 *   -ESRCH       the process ended
 *   -ENOMEM, -ETIMEDOUT, -EMFILE, ... */
int pt_tracker_open_wp(struct pt_tracker **out, pid_t pid,
		       const struct pt_track_range *ranges, __u32 cnt,
		       const struct pt_track_moments *moments,
		       struct pt_error *err);

/* pt_track_target: memory, as a process has it mapped and as a source shows it.
 * page_idx of the ranges are those of the layout. */
struct pt_track_target {
	pid_t pid;			/* 0: no process is known */
	const struct pt_track_range *ranges;
	__u32 range_cnt;
	/* NULL: digests are not wanted.  If the memory changes while it is
	 * read, then of a kind that is read once: pt_source_may_change. */
	struct pt_source *src;
	const struct pt_layout *layout;	/* made from the segments of src */
	const struct pt_digests *digests;	/* of the pages as sent */
	__u64 digest_key;
};

/* pt_tracker_open_digest watches any memory that a source can show, by the
 * digests of the pages as they were sent.  Arming costs nothing; every collect
 * reads all of the memory, except for holes, and reports what differs,
 * including what was never sent.  It takes no memory per page.  src, layout and
 * digests of target must live as long; the digests must not change during a
 * collect.  -ENOMEM. */
int pt_tracker_open_digest(struct pt_tracker **out,
			   const struct pt_track_target *target,
			   struct pt_error *err);

/* pt_tracker_open_told: the memory is written by the caller alone, whose collect
 * reports what it wrote, as pt_tracker_collect; it may wait, and returns
 * -ECANCELED soon after *is_cancelled was set.  -ENOMEM. */
int pt_tracker_open_told(struct pt_tracker **out,
			 int (*collect)(void *arg, const struct pt_track_to *to,
					const atomic_bool *is_cancelled,
					struct pt_error *err),
			 void *arg, struct pt_error *err);

/* pt_tracker_open opens the best tracker that there is for the target: own or
 * wp-async, else digest.  If it is digest, why receives the reason for which the
 * better one was refused, and *refused its error, as pt_tracker_open_wp; else
 * *refused is 0.  Errors as of the tracker that was tried last; those that no
 * digest would mend (-ESRCH, -EINVAL, -ENOMEM) at once. */
int pt_tracker_open(struct pt_tracker **out,
		    const struct pt_track_target *target, int *refused,
		    struct pt_error *why, struct pt_error *err);

/* pt_tracker_arm begins the watch.  It is called once, before the first
 * collect.  Errors as pt_tracker_collect. */
int pt_tracker_arm(struct pt_tracker *t, struct pt_error *err);

/* pt_tracker_review looks for processes that mapped the memory since it was
 * opened, and watches them, too: the next collect reports all pages that such a
 * process has mapped.  Errors as when it was opened, or 0. */
int pt_tracker_review(struct pt_tracker *t, struct pt_error *err);

/* pt_tracker_retarget: the loose ranges are those from now on.  Memory that was not
 * watched yet is, from now on, and all of it is reported by the next collect; memory
 * that is in no range any more is reported, and forgotten.  Memory that cannot be
 * watched is reported each time.  For trackers that watch no ranges, nothing
 * happens.  -ENOMEM, or as when it was opened. */
int pt_tracker_retarget(struct pt_tracker *t,
			const struct pt_track_range *ranges, __u32 cnt,
			const struct pt_track_to *to, struct pt_error *err);

/* pt_tracker_collect reports the pages that changed since the last collect, or
 * since arm.  After an error some of them may be lost.  Returns 0 or
 *   -EIO, -ESRCH, ...  as pt_source_view; -ESRCH: the process ended
 *   -ESTALE            its mappings are not those that were opened
 *   -ECANCELED         pt_tracker_cancel was called */
int pt_tracker_collect(struct pt_tracker *t, const struct pt_track_to *to,
		       struct pt_error *err);

/* pt_tracker_cancel has the present collect end within one region of 2 MiB, and
 * each later one at once. */
void pt_tracker_cancel(struct pt_tracker *t);

/* pt_tracker_name returns "wp-async", "own", "digest" or "told". */
const char *pt_tracker_name(const struct pt_tracker *t);

/* pt_tracker_odds returns the probability that one change of one page is
 * missed by chance; 0: none is. */
double pt_tracker_odds(const struct pt_tracker *t);

/* pt_tracker_misses returns bits of enum pt_track_misses. */
__u32 pt_tracker_misses(const struct pt_tracker *t);

/* pt_tracker_others returns how many other processes than the target's have the
 * memory mapped to be written, and are watched. */
__u32 pt_tracker_others(const struct pt_tracker *t);

void pt_tracker_close(struct pt_tracker *t);	/* NULL is allowed */

#endif
