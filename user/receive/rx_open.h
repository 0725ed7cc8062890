/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_open: the handling of the messages that open a session.
 *
 *     pt_rx_offer > OPEN: pt_rx_open > SEGMENTs: pt_rx_segment
 *                 > GUEST, of a guest: pt_rx_guest > pt_rx_opened
 *
 * An error ends the transfer; err has the reason. */
#ifndef RECEIVE_RX_OPEN_H
#define RECEIVE_RX_OPEN_H

#include "receive/rx_session.h"

/* pt_rx_offer sends OFFER. */
int pt_rx_offer(struct pt_rx_session *s);

int pt_rx_open(struct pt_rx_session *s, const struct pt_msg_open *m,
	       struct pt_error *err);

/* pt_rx_segment: after the last segment the store opens the sink, unless LARGE or
 * GUEST follows. */
int pt_rx_segment(struct pt_rx_session *s, const struct pt_msg_segment *m,
		  struct pt_error *err);

/* pt_rx_large: likewise after the last LARGE, of a sender that has any. */
int pt_rx_large(struct pt_rx_session *s, const struct pt_msg_large *m,
		struct pt_error *err);

/* pt_rx_guest compares the guests; then the store opens the sink. */
int pt_rx_guest(struct pt_rx_session *s, const struct pt_msg_guest *m,
		struct pt_error *err);

/* pt_rx_opened, called when the sink is open, adds the session to XDP and sends
 * OPENED.  While another process changes the XDP maps, is_opening stays set,
 * and the caller calls it again. */
int pt_rx_opened(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_rest compares the guest, of whose memory the rest is sent. */
int pt_rx_rest(struct pt_rx_session *s, const struct pt_msg_rest *m,
	       struct pt_error *err);

#endif
