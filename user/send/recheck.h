/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* recheck: reads a source again after it was sent, and compares it with the
 * digests of the sent pages, since the copy of a source that changed meanwhile
 * must not be committed.
 *
 *     start --> (threads read) --> result --> stop
 *
 * Threads: those of track/compare.h; one other thread calls start, result and
 * stop.
 */
#ifndef SEND_RECHECK_H
#define SEND_RECHECK_H

#include "memory/digests.h"
#include "source/source.h"

struct pt_recheck;

struct pt_recheck_cfg {		/* everything outlives the recheck */
	struct pt_source *source;
	const struct pt_layout *layout;
	const struct pt_digests *digests;	/* unchanged meanwhile */
	__u64 digest_key;
	int wake_fd;		/* eventfd, written when a result is ready; -1:
				 * none */
};

/* pt_recheck_start: -ENOMEM; -EAGAIN: no thread could be started. */
int pt_recheck_start(struct pt_recheck **out, const struct pt_recheck_cfg *cfg,
		     struct pt_error *err);

/* pt_recheck_result returns 1 if the source equals the sent pages; 0: not known
 * yet;
 *   -ESTALE  a page has changed; err names it
 *   or as pt_source_view */
int pt_recheck_result(const struct pt_recheck *r, struct pt_error *err);

/* pt_recheck_read_sz returns the bytes read so far. */
__u64 pt_recheck_read_sz(const struct pt_recheck *r);

/* pt_recheck_cancel has the threads end after their present read of the source.
 * pt_recheck_stop also waits for that, and frees r.  All three allow NULL. */
void pt_recheck_cancel(struct pt_recheck *r);
bool pt_recheck_has_ended(const struct pt_recheck *r);
void pt_recheck_stop(struct pt_recheck *r);

#endif
