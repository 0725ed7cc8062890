/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* live_recv: a program that arrives with its memory: options.live of a receiver.
 *
 *     open --> (receiver: match, begin, loaded) --> close
 *
 * A thread of its own reads the state, whose form is in live_send.h, gives it to
 * the program, and answers.  The program runs when the memory is committed, if
 * the state was taken.
 */
#ifndef API_LIVE_RECV_H
#define API_LIVE_RECV_H

#include "api/api.h"
#include "receive/receiver.h"

struct api_live_recv;

/* api_live_recv_open: live was given by the caller.  On success *out is the
 * caller's.
 *   -EINVAL  a field is out of its range
 *   -ENOMEM */
int api_live_recv_open(struct api_live_recv **out,
		       const struct pt_live_recv *live, struct api_error *err);

/* api_live_recv_guest returns the part of the receiver's cfg, valid until
 * close. */
const struct pt_receive_guest *
api_live_recv_guest(const struct api_live_recv *l);

/* api_live_recv_close follows a pt_receiver_close that returned true, and waits
 * for a callback that still runs.  NULL is allowed. */
void api_live_recv_close(struct api_live_recv *l);

#endif
