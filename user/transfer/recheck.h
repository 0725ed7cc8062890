/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* recheck: reads a source again after it was sent, and compares it with the
 * digests of what was sent: a source that did not stand still must not be
 * committed.  In steps, so that the caller can do other things in between.
 * Threads: one.
 */
#ifndef TRANSFER_RECHECK_H
#define TRANSFER_RECHECK_H

#include "memory/source.h"
#include "transfer/digests.h"

struct pt_recheck {
	struct pt_source *source;
	const struct pt_layout *layout;
	const struct pt_digests *digests;
	__u64 digest_key;
	__u64 region_next;	/* done when it is the region count */
	__u64 read_sz;		/* bytes read so far; holes are not */
	struct pt_view view;
};

/* pt_recheck_init: the rest is to be set by the caller first. */
void pt_recheck_init(struct pt_recheck *r);
void pt_recheck_free(struct pt_recheck *r);

/* pt_recheck_step compares the next 64 MiB, holes not counted.  1: done; 0: call again;
 *   -ESTALE  a page has changed; err names it
 *   or as pt_source_view */
int pt_recheck_step(struct pt_recheck *r, struct pt_error *err);

#endif
