/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_messages: what a receiving session does with each message. */
#ifndef TRANSFER_RX_MESSAGES_H
#define TRANSFER_RX_MESSAGES_H

#include "transfer/rx_session.h"

/* pt_rx_offer sends OFFER. */
int pt_rx_offer(struct pt_rx_session *s);

/* pt_rx_take acts on m.  -errno: the transfer is over, err says why. */
int pt_rx_take(struct pt_rx_session *s, const struct pt_message *m,
	       struct pt_error *err);

/* pt_rx_session_commit, in rx_session.c: brings memory and files to disk and
 * under their names, in a thread. */
int pt_rx_session_commit(struct pt_rx_session *s, struct pt_error *err);

#endif
