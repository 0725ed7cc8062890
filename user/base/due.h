/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* due: does a peer that answers also go on?  Deadlines of progress, for what an end
 * waits for in a state or phase.
 *
 *     begin --> look, look, ... (each 100 ms or so) --> is_over: end it
 *
 * The clock runs while the peer owes something and nothing moves.  It stands while
 * we owe the peer (credit, storage, our own work), and while nobody looks: a process
 * that was stopped has not waited.  Who says WORKING is given PT_DUE_WORK deadlines
 * more.
 *
 * The deadline is PT_DUE_TIMEOUTS times --peer-timeout, for all states and phases of
 * both ends: the one place for this fact, in docs it is security.md.
 *
 * Pure.  Threads: one.
 */
#ifndef BASE_DUE_H
#define BASE_DUE_H

#include <stdbool.h>

#include <linux/types.h>

#define PT_PEER_TIMEOUT_MS	20000	/* where nobody asks for another */

#define PT_DUE_TIMEOUTS	3		/* times --peer-timeout */
#define PT_DUE_WORK	10		/* deadlines, of one that says it works */
#define PT_DUE_LOOK_NS	1000000000ULL	/* of time between two looks counts */

struct pt_due {
	__u64 limit_ns;
	__u64 looked_ns;
	__u64 still_ns;		/* of time that counts: since it moved, */
	__u64 quiet_ns;		/* and since it moved, or said that it works */
	__u64 amount;		/* of what was owed, when last looked at */
};

static inline __u64 pt_due_limit_ns(__u32 peer_timeout_ms)
{
	return PT_DUE_TIMEOUTS * peer_timeout_ms * 1000000ULL;
}

/* pt_due_begin: another state, and other things owed. */
void pt_due_begin(struct pt_due *d, __u64 limit_ns, __u64 now_ns);

/* pt_due_look.  owes: the peer does.  amount: of all it owed, how much has come; any
 * other amount than before is a move. */
void pt_due_look(struct pt_due *d, __u64 now_ns, bool owes, __u64 amount);

/* pt_due_works: it said WORKING. */
void pt_due_works(struct pt_due *d);

/* pt_due_is_over: as of the last look. */
bool pt_due_is_over(const struct pt_due *d);

#endif
