/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_messages: a receiving session's handling of each message. */
#ifndef RECEIVE_RX_MESSAGES_H
#define RECEIVE_RX_MESSAGES_H

#include "receive/rx_session.h"

/* pt_rx_take handles m.  -errno: the transfer has to end; err has the
 * reason. */
int pt_rx_take(struct pt_rx_session *s, const struct pt_message *m,
	       struct pt_error *err);

/* pt_rx_say_mismatch sends our page digests, by which the sender finds the page
 * that differs; returns an error. */
int pt_rx_say_mismatch(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_session_commit has memory and files synced and renamed.  It is in
 * rx_session.c. */
int pt_rx_session_commit(struct pt_rx_session *s, struct pt_error *err);

#endif
