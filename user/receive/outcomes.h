/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* outcomes: how the last transfers of a receiver ended, for senders that lost
 * the answer and ask again.
 * Threads: control's. */
#ifndef RECEIVE_OUTCOMES_H
#define RECEIVE_OUTCOMES_H

#include <stdbool.h>

#include <linux/types.h>
#include <pagetrim/error.h>

#define PT_OUTCOMES_CNT	64	/* the oldest is forgotten for the next */

struct pt_outcome {
	__u64	transfer_id;	/* never 0 */
	int	result;		/* 0: committed; else -errno, with error */
	struct pt_error error;
	bool	is_told;	/* to somebody who asked; false at first */
};

/* pt_outcomes: all zero: none.  The caller's. */
struct pt_outcomes {
	struct pt_outcome list[PT_OUTCOMES_CNT];
	__u32	next;
};

/* pt_outcomes_note copies err, if result is not 0. */
void pt_outcomes_note(struct pt_outcomes *o, __u64 transfer_id, int result,
		      const struct pt_error *err);

/* pt_outcomes_find: NULL: not known (any more). */
struct pt_outcome *pt_outcomes_find(struct pt_outcomes *o, __u64 transfer_id);

#endif
