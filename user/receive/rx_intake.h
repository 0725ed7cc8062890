/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_intake: makes a session's lanes, and adds them to queues and XDP.
 * Threads: control's.
 */
#ifndef RECEIVE_RX_INTAKE_H
#define RECEIVE_RX_INTAKE_H

#include "receive/rx_session.h"

/* pt_rx_intake_add requires the sink.  -EAGAIN: another process changes the XDP
 * maps; call it again at a later tick.  After 5 s: -EBUSY. */
int pt_rx_intake_add(struct pt_rx_session *s, struct pt_error *err);

#endif
