/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_control: answers requests at a sender's control socket: status, and the
 * settings that may be changed.  A request is words with a blank between each;
 * an answer is a JSON object.
 * Threads: one. */
#ifndef CLI_SEND_CONTROL_H
#define CLI_SEND_CONTROL_H

#include "cli/control.h"
#include "send/sender.h"

/* pt_send_look: the bytes sent up to a time. */
struct pt_send_look {
	__u64 ns;
	__u64 wire_bytes;
};

struct pt_send_control {
	struct pt_control *at;	/* the caller's; NULL: not opened */
	struct pt_sender *sender;
	struct pt_send_look looks[2];	/* the second is at least half a second
					 * later */
};

/* pt_send_control_open opens at, which was prepared and outlives c.  Errors as
 * pt_control_open.  The caller closes at. */
int pt_send_control_open(struct pt_send_control *c, struct pt_control *at,
			 struct pt_sender *sender, struct pt_error *err);

/* pt_send_control_end leaves the record of a sender that has ended, before close;
 * see pt_record_end.  Without a path of the user's it does nothing. */
void pt_send_control_end(struct pt_send_control *c, int ret,
			 const struct pt_error *err, const char *guest);

/* pt_send_control_answer answers pending requests; to be called several times a
 * second. */
void pt_send_control_answer(struct pt_send_control *c);

#endif
