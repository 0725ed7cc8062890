/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_resume: how a session comes by its sink: made anew, or as an interrupted
 * transfer left it.
 * Threads: control's.
 */
#ifndef RECEIVE_RX_RESUME_H
#define RECEIVE_RX_RESUME_H

#include "receive/rx_session.h"

/* pt_rx_sink_open makes the session's sink, for its path and layout.  With
 * --resume it is kept; if the sender asks to resume, too, and a .partial with a
 * journal is there, it is taken up, and report.is_resumed says so.
 *   -EBADMSG, -EPROTONOSUPPORT  the journal is damaged, or of another version
 *   -ESTALE  it is of another image
 *   or as pt_sink_reopen, pt_sink_create; what was kept stays as it is */
int pt_rx_sink_open(struct pt_rx_session *s, struct pt_error *err);

#endif
