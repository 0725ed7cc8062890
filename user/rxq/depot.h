/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* depot: a queue's frames that wait to be placed, and come back afterwards.
 *
 *     queue's thread   take --> (parcel: frame, credit) --> a placer
 *     placer's thread                                       give_back
 *     queue's thread   collect <-- all that came back
 *
 * A parcel holds the chunks of its frame, so a depot with one parcel per chunk
 * of the queue never runs short.
 *
 * Threads: the queue's thread calls take, collect, put and wait; any thread
 * calls give_back.  No lock: the returned parcels are a list that one exchange
 * empties.
 */
#ifndef RXQ_DEPOT_H
#define RXQ_DEPOT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "xsk/xsk.h"

struct pt_depot;

struct pt_parcel {
	struct pt_parcel *next;
	struct pt_depot *depot;		/* its depot */
	__u32	credit_desc;	/* descriptors of credit that its placing
				 * frees */
	__u64	placed_upto;	/* all accepted frames below are placed then; 0:
				 * unknown */
	struct pt_rx_frame frame;
};

struct pt_depot {
	/* For the queue's thread only. */
	struct pt_parcel *parcels;	/* parcel_cnt of them */
	__u32	parcel_cnt;
	__u32	used_cnt;		/* parcels from here on were never
					 * used */
	struct pt_parcel *free;		/* used and free; the warmest first */
	__u32	chunk_cnt;		/* chunks of frames that wait */
	int	event_fd;		/* the caller's; wakes the queue's
					 * thread */

	_Atomic(struct pt_parcel *) back;	/* returned parcels, the last
						 * first */
	atomic_bool is_asleep;		/* the queue's thread must be woken */
	atomic_bool has_news;		/* a placer has told since it last went
					 * to sleep */
};

/* pt_depot_init: memory is touched when a parcel is first used.  -ENOMEM. */
int pt_depot_init(struct pt_depot *d, __u32 parcel_cnt, int event_fd);
void pt_depot_free(struct pt_depot *d);		/* all zero is allowed */

/* pt_depot_take returns a parcel with a copy of frame. */
struct pt_parcel *pt_depot_take(struct pt_depot *d,
				const struct pt_rx_frame *frame);

/* pt_depot_collect moves up to max returned frames to frames and returns their
 * count.  The caller owns their chunks again. */
__u32 pt_depot_collect(struct pt_depot *d, struct pt_rx_frame *frames,
		       __u32 max);

/* pt_parcels_give_back returns a list of parcels, each to its depot. */
void pt_parcels_give_back(struct pt_parcel *first);

/* pt_depot_tell has the queue's thread look at its lanes again: counts have
 * changed after parcels were given back.  Any thread. */
void pt_depot_tell(struct pt_depot *d);

/* pt_depot_sleep: the thread is about to wait on event_fd.  False: parcels have
 * come back, or a placer has told, already.  pt_depot_wake: it no longer waits. */
bool pt_depot_sleep(struct pt_depot *d);
void pt_depot_wake(struct pt_depot *d);

#endif
