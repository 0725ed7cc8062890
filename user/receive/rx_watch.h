/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_watch: checks that a session's sender lives, receives and makes progress.
 * Threads: control's. */
#ifndef RECEIVE_RX_WATCH_H
#define RECEIVE_RX_WATCH_H

#include "receive/rx_session.h"

/* pt_rx_watch checks, sends PING, and ends the session if necessary; call it at
 * least every 100 ms. */
void pt_rx_watch(struct pt_rx_session *s, __u64 now_ns);

#endif
