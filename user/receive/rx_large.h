/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_large: the large pages that a session's memory is to stand in.
 *
 *     layout: init --> LARGE ...: take --> sink is fit: begin --> committed: report
 *
 * Threads: init and take, control's; the others, the store's.
 */
#ifndef RECEIVE_RX_LARGE_H
#define RECEIVE_RX_LARGE_H

#include "receive/rx_session.h"

/* pt_rx_large_is_due: LARGEs come, and not all have come yet. */
bool pt_rx_large_is_due(const struct pt_rx_session *s);

int pt_rx_large_init(struct pt_rx_session *s, struct pt_error *err);
int pt_rx_large_take(struct pt_rx_session *s, const struct pt_msg_large *m,
		     struct pt_error *err);
int pt_rx_large_begin(struct pt_rx_session *s, struct pt_error *err);
void pt_rx_large_report(struct pt_rx_session *s);

#endif
