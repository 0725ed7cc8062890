/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_control: answers requests at a sender's control socket: status, and the
 * settings that may be changed.  A request is words with a blank between each;
 * an answer is a JSON object.
 * Threads: one. */
#ifndef CLI_SEND_CONTROL_H
#define CLI_SEND_CONTROL_H

#include "ctl/ctl.h"
#include "send/sender.h"

/* pt_send_look: the bytes sent up to a time. */
struct pt_send_look {
	__u64 ns;
	__u64 wire_bytes;
};

struct pt_send_control {
	struct pt_ctl *ctl;	/* NULL: there is no control socket */
	const char *path;
	struct pt_sender *sender;
	struct pt_send_look looks[2];	/* the second is at least half a second
					 * later */
};

/* pt_send_control_open: errors as pt_ctl_open and pt_record_begin.  path NULL: no
 * socket.  A record of another process at path is removed. */
int pt_send_control_open(struct pt_send_control *c, const char *path,
			 struct pt_sender *sender, struct pt_error *err);
void pt_send_control_close(struct pt_send_control *c);	/* a second call does
							 * nothing */

/* pt_send_control_end leaves the record of a sender that has ended, before close;
 * see pt_record_end.  Without a socket it does nothing. */
void pt_send_control_end(struct pt_send_control *c, int ret,
			 const struct pt_error *err, const char *guest);

/* pt_send_control_answer answers pending requests; to be called several times a
 * second. */
void pt_send_control_answer(struct pt_send_control *c);

#endif
