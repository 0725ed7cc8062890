/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_resume: gets a session's sink: a new one, that of an interrupted transfer,
 * or the caller's.  Threads: control's.
 */
#ifndef RECEIVE_RX_RESUME_H
#define RECEIVE_RX_RESUME_H

#include "receive/rx_session.h"

/* pt_rx_sink_prepare checks, before a sender connects, that the memory can be
 * stored, and sets *reserved: the caller's sink, or an image with allocated
 * blocks, or NULL.
 *   -EINVAL  a sink of the caller's together with an option for files
 *   -ECANCELED  stop_fd became readable during the allocation
 *   or as pt_image_check_path, pt_image_reserve */
int pt_rx_sink_prepare(struct pt_sink **reserved,
		       const struct pt_receiver_cfg *cfg, int stop_fd,
		       struct pt_error *err);

/* pt_rx_sink_open opens the session's sink for its path and layout.  With
 * --resume its data is kept after a failure; if the sender asks to resume, too,
 * and a .partial with a journal exists, the transfer resumes from it and sets
 * report.is_resumed.
 *   -EBADMSG, -EPROTONOSUPPORT  the journal is damaged, or of another version
 *   -ESTALE  the journal names another image
 *   or as pt_image_reopen, pt_image_create; after a failure kept data is
 * unchanged */
int pt_rx_sink_open(struct pt_rx_session *s, struct pt_error *err);

#endif
