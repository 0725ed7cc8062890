/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room track: which pages of a memory are written while it is sent.
 *
 *   knows         trackers: page digests
 *   may use       trim memory source
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
 * Threads: one thread at a time uses a tracker.
 */
#ifndef TRACK_TRACKER_H
#define TRACK_TRACKER_H

#include <linux/types.h>
#include <pagetrim/error.h>
#include "source/source.h"

struct pt_tracker;

/* pt_track_to: where a collect reports to.  dirty receives cnt pages, 1..512,
 * of one region.  It cannot fail: a page that was reported is not kept. */
struct pt_track_to {
	void (*dirty)(void *arg, __u64 page_idx, __u32 cnt);
	void *arg;
};

/* pt_track_misses: the changes that a tracker does not report; bits.  The pages
 * concerned must be compared by content at the stop. */
enum pt_track_misses {
	/* A page that changed twice between two looks, and has its first bytes
	 * again.  Its other bytes may have been sent meanwhile. */
	PT_TRACK_MISSES_RETURNS = 1,
};

/* pt_tracker_open_digest watches any memory that a source can show, by a digest
 * of each page.  Every look reads all of it, except for holes.  It takes
 * digest_sz bytes per page that is not zero, 8 or 16.  src and l, made from the
 * segments of src, must live as long.  Returns 0 or
 *   -EINVAL  digest_sz
 *   -ENOMEM */
int pt_tracker_open_digest(struct pt_tracker **out, struct pt_source *src,
			   const struct pt_layout *l, __u32 digest_sz,
			   struct pt_error *err);

/* pt_tracker_arm begins the watch.  It is called once, before the first
 * collect.  Errors as pt_tracker_collect. */
int pt_tracker_arm(struct pt_tracker *t, struct pt_error *err);

/* pt_tracker_collect reports the pages that changed since the last collect, or
 * since arm.  After an error some of them may be lost.  Returns 0 or
 *   -EIO, -ESRCH, ...  as pt_source_view */
int pt_tracker_collect(struct pt_tracker *t, const struct pt_track_to *to,
		       struct pt_error *err);

/* pt_tracker_name returns "digest". */
const char *pt_tracker_name(const struct pt_tracker *t);

/* pt_tracker_odds returns the probability that one change of one page is
 * missed by chance; 0: none is. */
double pt_tracker_odds(const struct pt_tracker *t);

/* pt_tracker_misses returns bits of enum pt_track_misses. */
__u32 pt_tracker_misses(const struct pt_tracker *t);

void pt_tracker_close(struct pt_tracker *t);	/* NULL is allowed */

#endif
