/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* outcomes: the results of a receiver's last transfers, for senders that lost
 * the answer and ask again.  Threads: control's. */
#ifndef RECEIVE_OUTCOMES_H
#define RECEIVE_OUTCOMES_H

#include <stdbool.h>

#include <linux/types.h>
#include <pagetrim/error.h>

#define PT_OUTCOMES_CNT	64	/* the next one replaces the oldest */

struct pt_outcome {
	__u64	transfer_id;	/* never 0 */
	int	result;		/* 0: committed; else -errno, with error */
	struct pt_error error;
	bool	is_told;	/* to a sender that asked; false at first */
};

/* pt_outcomes: all zero: none.  The caller owns it. */
struct pt_outcomes {
	struct pt_outcome list[PT_OUTCOMES_CNT];
	__u32	next;
};

/* pt_outcomes_note copies err, if result is not 0. */
void pt_outcomes_note(struct pt_outcomes *o, __u64 transfer_id, int result,
		      const struct pt_error *err);

/* pt_outcomes_find returns NULL if it is not, or no longer, known. */
struct pt_outcome *pt_outcomes_find(struct pt_outcomes *o, __u64 transfer_id);

#endif
