/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* due: deadlines of progress, for a peer that answers but does not go on.  Each
 * state or phase waits for something with such a deadline.
 *
 *     begin --> look, look, ... (each 100 ms or so) --> is_over: end it
 *
 * The clock runs while the peer owes something and makes no progress.  It stops
 * while we owe the peer (credit, storage, our own work), and while nobody
 * looks, since a process that was stopped has not waited.  A peer that says
 * WORKING gets PT_DUE_WORK further deadlines.
 *
 * The deadline is PT_DUE_TIMEOUTS times --peer-timeout, for all states and
 * phases of both ends.  docs/security.md documents it.
 *
 * Pure.  Threads: one.
 */
#ifndef BASE_DUE_H
#define BASE_DUE_H

#include <stdbool.h>

#include <linux/types.h>

#define PT_PEER_TIMEOUT_MS	20000	/* the default */
#define PT_PEER_TIMEOUT_MAX_MS	3600000	/* that may be set */

#define PT_DUE_TIMEOUTS	3		/* times --peer-timeout */
#define PT_DUE_WORK	10		/* deadlines of a peer that says
					 * WORKING */
#define PT_DUE_LOOK_NS	1000000000ULL	/* a longer interval between looks
					 * counts as this */

struct pt_due {
	__u64 limit_ns;
	__u64 looked_ns;
	__u64 still_ns;		/* time that counts, since the last progress */
	__u64 quiet_ns;		/* the same, or since the last WORKING */
	__u64 amount;		/* progress at the last look */
};

static inline __u64 pt_due_limit_ns(__u32 peer_timeout_ms)
{
	return PT_DUE_TIMEOUTS * peer_timeout_ms * 1000000ULL;
}

/* pt_due_begin starts a deadline, for a new state. */
void pt_due_begin(struct pt_due *d, __u64 limit_ns, __u64 now_ns);

/* pt_due_look advances the clock.  owes: the peer owes something.  amount: the
 * progress so far; any change of it counts as progress. */
void pt_due_look(struct pt_due *d, __u64 now_ns, bool owes, __u64 amount);

/* pt_due_works notes that the peer said WORKING. */
void pt_due_works(struct pt_due *d);

/* pt_due_is_over: as of the last look. */
bool pt_due_is_over(const struct pt_due *d);

#endif
