/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send_control: what a sender answers those who ask it on this host, and what it lets
 * be changed.  Requests are words apart by a blank each; answers are JSON objects.
 * Threads: one. */
#ifndef CLI_SEND_CONTROL_H
#define CLI_SEND_CONTROL_H

#include "ctl/ctl.h"
#include "send/sender.h"

/* pt_send_look: how much had been sent at some moment. */
struct pt_send_look {
	__u64 ns;
	__u64 wire_bytes;
};

struct pt_send_control {
	struct pt_ctl *ctl;	/* NULL: nobody asks */
	struct pt_sender *sender;
	struct pt_send_look looks[2];	/* the second at least half a second after
					 * the first */
};

/* pt_send_control_open: errors as pt_ctl_open.  path NULL: nobody will ask. */
int pt_send_control_open(struct pt_send_control *c, const char *path,
			 struct pt_sender *sender, struct pt_error *err);
void pt_send_control_close(struct pt_send_control *c);	/* twice is fine */

/* pt_send_control_answer answers those who ask; some times a second. */
void pt_send_control_answer(struct pt_send_control *c);

#endif
