/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* recheck: reads a source again after it was sent, and compares it with the
 * digests of what was sent: a source that did not stand still must not be
 * committed.
 *
 *     start --> (threads read) --> result --> stop
 *
 * The reading is nothing but memory and arithmetic, so a thread a CPU takes
 * part, up to PT_RECHECK_THREADS; each takes the next region when it has done
 * one.  The first error ends all of them.
 *
 * Threads: its own; start, result and stop by one other.
 */
#ifndef SEND_RECHECK_H
#define SEND_RECHECK_H

#include "memory/digests.h"
#include "source/source.h"

#define PT_RECHECK_THREADS	8

struct pt_recheck;

struct pt_recheck_cfg {		/* all of it outlives the recheck */
	struct pt_source *source;
	const struct pt_layout *layout;
	const struct pt_digests *digests;	/* nobody writes them meanwhile */
	__u64 digest_key;
	int wake_fd;		/* eventfd: written when there is a result;
				 * -1: none */
};

/* pt_recheck_start: -ENOMEM; -EAGAIN: not one thread could be started. */
int pt_recheck_start(struct pt_recheck **out, const struct pt_recheck_cfg *cfg,
		     struct pt_error *err);

/* pt_recheck_result.  1: the source is what was sent; 0: not known yet;
 *   -ESTALE  a page has changed; err names it
 *   or as pt_source_view */
int pt_recheck_result(const struct pt_recheck *r, struct pt_error *err);

/* pt_recheck_read_sz returns the bytes read so far. */
__u64 pt_recheck_read_sz(const struct pt_recheck *r);

/* pt_recheck_cancel has the threads end, done or not, once the source lets them.
 * pt_recheck_stop does, too, waits until they have, and frees r.  NULL is fine for
 * all three. */
void pt_recheck_cancel(struct pt_recheck *r);
bool pt_recheck_has_ended(const struct pt_recheck *r);
void pt_recheck_stop(struct pt_recheck *r);

#endif
