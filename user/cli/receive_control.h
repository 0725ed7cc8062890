/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* receive_control: answers requests at a receiver's control socket, as
 * send_control does at a sender's: status, cancel of one transfer or of a receiver
 * of one, and drain of one that serves.
 * Threads: one. */
#ifndef CLI_RECEIVE_CONTROL_H
#define CLI_RECEIVE_CONTROL_H

#include "cli/arrival.h"
#include "cli/control.h"
#include "receive/receiver.h"

#define PT_RECEIVE_SHOWN_MAX	8	/* transfers in one answer */

/* pt_receive_control: the fields are for its own functions. */
struct pt_receive_control {
	struct pt_control *at;	/* the caller's; NULL: not opened */
	struct pt_receiver *receiver;
	const struct pt_receiver_cfg *cfg;
	const struct pt_arrival *arrival;	/* the caller's, for the status */
	struct pt_receive_report last;	/* the last that ended; total_ns 0: none */
};

/* pt_receive_control_open: as pt_send_control_open; cfg, the receiver's, and arrival, of
 * a guest or of none, must stay. */
int pt_receive_control_open(struct pt_receive_control *c, struct pt_control *at,
			    struct pt_receiver *receiver,
			    const struct pt_receiver_cfg *cfg,
			    const struct pt_arrival *arrival, struct pt_error *err);

/* pt_receive_control_ended notes a transfer that has ended, for the record. */
void pt_receive_control_ended(struct pt_receive_control *c,
			      const struct pt_receive_report *r);

/* pt_receive_control_end leaves the record of a receiver that has ended, before
 * close; see pt_record_end. */
void pt_receive_control_end(struct pt_receive_control *c, int ret,
			    const struct pt_error *err, const char *guest);

/* pt_receive_control_answer answers pending requests. */
void pt_receive_control_answer(struct pt_receive_control *c);

#endif
