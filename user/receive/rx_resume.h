/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_resume: gets a session's sink: a new one, that of an interrupted transfer,
 * or the caller's.  Threads: control's.
 */
#ifndef RECEIVE_RX_RESUME_H
#define RECEIVE_RX_RESUME_H

#include "receive/rx_session.h"

/* pt_rx_sink_prepare checks that there is a place for the memory that comes, before
 * a sender does, and sets *reserved: the caller's sink, or one that is allocated
 * already, or NULL.
 *   -EINVAL  a sink of the caller's beside what is of files
 *   -ECANCELED  stop_fd, while it was allocated
 *   or as pt_image_check_path, pt_image_reserve */
int pt_rx_sink_prepare(struct pt_sink **reserved,
		       const struct pt_receiver_cfg *cfg, int stop_fd,
		       struct pt_error *err);

/* pt_rx_sink_open makes the session's sink, for its path and layout.  With
 * --resume it is kept; if the sender asks to resume, too, and a .partial with a
 * journal is there, it is taken up, and report.is_resumed says so.
 *   -EBADMSG, -EPROTONOSUPPORT  the journal is damaged, or of another version
 *   -ESTALE  it is of another image
 *   or as pt_image_reopen, pt_image_create; what was kept stays as it is */
int pt_rx_sink_open(struct pt_rx_session *s, struct pt_error *err);

#endif
