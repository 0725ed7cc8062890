/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_fill: the part of a session whose guest runs before its memory is whole.
 *
 *     PAGES_LACKING ..., DIGESTS of the rest --> compared, readied --> PAGES_READY
 *     STATE; data; PAGES_WANTED -->
 *     HAND_OVER --> the guest runs --> HANDED_OVER
 *     data; PAGES_WANTED -->
 *     DIGESTS, VERIFY, COMMIT: as ever, of all that came
 *
 * For a guest that runs already (PT_LIVE_REST) the receiver says PAGES_LACKING after
 * OPENED; then data, and as above.
 *
 * Threads: control's.
 */
#ifndef RECEIVE_RX_FILL_H
#define RECEIVE_RX_FILL_H

#include "receive/rx_session.h"

/* pt_rx_fill_lacking, pt_rx_fill_hand_over: -EPROTO, or as pt_rx_storage_lack and
 * pt_rx_storage_run. */
int pt_rx_fill_lacking(struct pt_rx_session *s, const struct pt_msg_pages_lacking *m,
		       struct pt_error *err);
int pt_rx_fill_hand_over(struct pt_rx_session *s, const struct pt_msg_hand_over *m,
			 struct pt_error *err);

/* pt_rx_fill_rest: the session is of a guest that runs already; before a page of it is
 * placed, and before OPENED is sent. */
int pt_rx_fill_rest(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_fill_step says what is due; called by each tick. */
int pt_rx_fill_step(struct pt_rx_session *s, struct pt_error *err);

#endif
