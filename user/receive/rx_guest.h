/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_guest: the part of a session that serves the guest whose memory it receives.
 *
 *     OPEN: check --> SEGMENTs --> GUEST: match --> OPENED
 *     STATE, from OPENED to COMMIT --> relay <--> the guest's socket
 *
 * The first STATE makes the store's thread begin; bytes wait meanwhile.  Threads:
 * control's.
 */
#ifndef RECEIVE_RX_GUEST_H
#define RECEIVE_RX_GUEST_H

#include "receive/rx_session.h"

/* pt_rx_guest_check refuses the memory of a guest if the receiver has none, and
 * other memory if it has one. */
int pt_rx_guest_check(const struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_guest_match compares the guests.
 *   -EPROTO  the description is no text
 *   -ENOMEM, or as the guest's match */
int pt_rx_guest_match(const struct pt_rx_session *s,
		      const struct pt_msg_guest *m, struct pt_error *err);

/* pt_rx_guest_state takes bytes of the state.  Errors as pt_relay_open,
 * pt_relay_take, pt_store_put. */
int pt_rx_guest_state(struct pt_rx_session *s, const struct pt_msg_state *m,
		      struct pt_error *err);

/* pt_rx_guest_step carries the state, both ways; called by each tick.
 *   -ETIMEDOUT  the guest has read nothing for a deadline of progress, see due.h
 *   or as pt_relay_step */
int pt_rx_guest_step(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_guest_fd returns the descriptor to poll; -1: none. */
int pt_rx_guest_fd(const struct pt_rx_session *s);

/* pt_rx_guest_is_held: a step is due after a few milliseconds, see
 * pt_relay_is_held. */
bool pt_rx_guest_is_held(const struct pt_rx_session *s);

/* pt_rx_guest_sz returns the bytes of state that were carried, both ways; and
 * pt_rx_guest_waits whether some wait for the guest. */
__u64 pt_rx_guest_sz(const struct pt_rx_session *s);
bool pt_rx_guest_waits(const struct pt_rx_session *s);

/* pt_rx_guest_is_full: no more STATEs are read until the guest has read some. */
bool pt_rx_guest_is_full(const struct pt_rx_session *s);

/* pt_rx_guest_free follows the end of the session's store. */
void pt_rx_guest_free(struct pt_rx_session *s);

#endif
