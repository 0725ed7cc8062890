/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* compare: reads pages of a source, and finds those that are not as they were
 * sent.
 *
 *     start --> (threads read) --> result --> stop
 *     run
 *
 * A page differs if its digest is not that of the sent bytes.  A hole has
 * digest 0, so a hole that was punched into sent data differs, too.
 *
 * One thread per CPU reads, up to PT_COMPARE_THREADS, since the work is bound
 * by CPU and memory.  Each thread takes the next region when it has finished
 * one.  The first error ends all threads.
 *
 * Threads: its own; one other thread calls start, result, run and stop.
 */
#ifndef TRACK_COMPARE_H
#define TRACK_COMPARE_H

#include <stdatomic.h>

#include "memory/digests.h"
#include "source/source.h"
#include "track/tracker.h"

#define PT_COMPARE_THREADS	8
#define PT_COMPARE_FEW		2048	/* pages that run reads by itself */

struct pt_compare;

struct pt_compare_cfg {		/* everything outlives the comparison */
	struct pt_source *source;
	const struct pt_layout *layout;
	const struct pt_digests *digests;	/* unchanged meanwhile */
	__u64 digest_key;
	/* One bit per page index, PT_REGION_WORDS words per region: the pages
	 * to be compared; NULL: all. */
	const __u64 *pages;
	/* dirty receives the pages that differ, in ascending order within a
	 * region, from any thread, but one call at a time. */
	struct pt_track_to to;
	bool is_first_only;	/* ends with the first call of dirty */
	int wake_fd;		/* eventfd, written when a result is ready; -1:
				 * none; for start alone */
};

/* pt_compare_start: -ENOMEM; -EAGAIN: no thread could be started. */
int pt_compare_start(struct pt_compare **out, const struct pt_compare_cfg *cfg,
		     struct pt_error *err);

/* pt_compare_result returns 1 once all pages are compared, or the first that
 * differs is found and no other is wanted; 0: not yet;
 *   -ECANCELED  it was cancelled
 *   or as pt_source_view */
int pt_compare_result(const struct pt_compare *c, struct pt_error *err);

/* pt_compare_read_sz returns the bytes read so far. */
__u64 pt_compare_read_sz(const struct pt_compare *c);

/* pt_compare_cancel has the threads end after their present read of the source.
 * pt_compare_stop also waits for that, and frees c.  All three allow NULL. */
void pt_compare_cancel(struct pt_compare *c);
bool pt_compare_has_ended(const struct pt_compare *c);
void pt_compare_stop(struct pt_compare *c);

/* pt_compare_run does the same at once, in the calling thread and, if the pages
 * are not few, in others.  *cancelled, which another thread may set, ends it;
 * NULL: none may.  Returns 0; errors as pt_compare_result. */
int pt_compare_run(const struct pt_compare_cfg *cfg,
		   const atomic_bool *cancelled, struct pt_error *err);

#endif
