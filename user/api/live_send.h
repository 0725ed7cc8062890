/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* live_send: a program that leaves with its memory: options.live of a sender.
 *
 *     open --> (sender: rounds; begin, stop, hand_over, resume) --> close
 *
 * The state is a stream in both directions, which the connection carries:
 *
 *     program's bytes:  size (8 bytes, big-endian), state
 *     receiver's:       one byte, 0: it has taken the state; else it refuses
 *
 * Threads: the functions of the guest are called by the sender's live thread, the
 * others by the sender's own thread.
 */
#ifndef API_LIVE_SEND_H
#define API_LIVE_SEND_H

#include "api/api.h"
#include "memory/regions.h"
#include "send/sender.h"

/* API_LIVE_PREFIX begins the description of a program that moves by this
 * library, so that it is not mistaken for a guest of a hypervisor. */
#define API_LIVE_PREFIX	"libpagetrim 1\n"

struct api_live_send;

/* api_live_send_open: live was given by the caller, the table has cnt regions in
 * the order of the source's segments.  On success *out is the caller's.
 *   -EINVAL  a field is out of its range
 *   -ENOMEM, -EMFILE */
int api_live_send_open(struct api_live_send **out,
		       const struct pt_live_send *live,
		       const struct pt_region *table, __u32 cnt,
		       struct api_error *err);

/* api_live_send_cfg returns the part of the sender's cfg, valid until close. */
const struct pt_send_live_cfg *
api_live_send_cfg(const struct api_live_send *l);

/* api_live_send_close follows pt_sender_close.  NULL is allowed. */
void api_live_send_close(struct api_live_send *l);

#endif
