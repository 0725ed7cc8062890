/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* depot: a queue's frames that wait to be placed, and come back when they are.
 *
 *     queue's thread   take --> (parcel: frame, credit) --> a placer
 *     placer's thread                                       give_back
 *     queue's thread   collect <-- all that came back
 *
 * A parcel holds the chunks of its frame, so there are never more parcels out
 * than the queue has chunks, and a depot of that many never runs short.
 *
 * Threads: take, collect, put and wait by the queue's; give_back by any.  No
 * lock: what comes back is a list that one exchange empties.
 */
#ifndef RXQ_DEPOT_H
#define RXQ_DEPOT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "xsk/xsk.h"

struct pt_depot;

struct pt_parcel {
	struct pt_parcel *next;
	struct pt_depot *depot;		/* where it goes back to */
	__u32	credit_desc;	/* descriptors of credit that placing it frees */
	__u64	upto;		/* then all frames accepted below are placed; 0:
				 * it does not say */
	struct pt_rx_frame frame;
};

struct pt_depot {
	/* The queue's thread's. */
	struct pt_parcel *parcels;	/* parcel_cnt of them */
	__u32	parcel_cnt;
	__u32	used_cnt;		/* those from here on were never used */
	struct pt_parcel *free;		/* used, and here; the warmest first */
	__u32	chunk_cnt;		/* of frames that are out */
	int	event_fd;		/* the caller's: wakes the queue's thread */

	_Atomic(struct pt_parcel *) back;	/* came back, the last first */
	atomic_bool is_asleep;		/* and wants to be woken for it */
};

/* pt_depot_init: memory is used only once a parcel is.  -ENOMEM. */
int pt_depot_init(struct pt_depot *d, __u32 parcel_cnt, int event_fd);
void pt_depot_free(struct pt_depot *d);		/* all zero is fine */

/* pt_depot_take returns a parcel with a copy of frame. */
struct pt_parcel *pt_depot_take(struct pt_depot *d,
				const struct pt_rx_frame *frame);

/* pt_depot_collect moves up to max frames that came back to frames, returns how
 * many.  Their chunks are the caller's again. */
__u32 pt_depot_collect(struct pt_depot *d, struct pt_rx_frame *frames,
		       __u32 max);

/* pt_parcels_give_back returns a list of parcels, each to its depot. */
void pt_parcels_give_back(struct pt_parcel *first);

/* pt_depot_sleep: the thread is about to wait on event_fd.  False: something has
 * come back already.  pt_depot_wake: it does not wait any more. */
bool pt_depot_sleep(struct pt_depot *d);
void pt_depot_wake(struct pt_depot *d);

#endif
