/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* joiner: the destination's end of a stream.
 *
 *     open --> (receiver: sink; begin: a thread) --> loaded --> close
 *         *fd of begin --> the head, the tail --> QEMU    (back channel: QEMU --> *fd)
 *         sink --> marked pages -- between them ---^
 *
 * A head that is not understood is all of the stream.
 *
 * Threads: its own, from begin on; the calls as in receive/guest.h.
 */
#ifndef PROXY_JOINER_H
#define PROXY_JOINER_H

#include <pagetrim/error.h>
#include "sink/sink.h"

struct pt_joiner;

/* pt_joiner_open: path, of QEMU's socket, stays the caller's, and is used by
 * begin.  -ENOMEM, -EMFILE. */
int pt_joiner_open(struct pt_joiner **out, const char *path,
		   struct pt_error *err);
void pt_joiner_close(struct pt_joiner *j);	/* NULL is allowed; the receiver
						 * is closed before */

struct pt_sink *pt_joiner_sink(struct pt_joiner *j);

/* The following are for struct pt_receive_guest; arg: the joiner. */

/* pt_joiner_begin: errors as pt_door_connect. */
int pt_joiner_begin(void *arg, int *fd, struct pt_error *err);

/* pt_joiner_loaded: both directions have ended.
 *   -ETIMEDOUT  not within 10 s
 *   or why the stream failed */
int pt_joiner_loaded(void *arg, struct pt_error *err);

/* pt_joiner_failure returns the first failure, or NULL. */
const struct pt_error *pt_joiner_failure(struct pt_joiner *j);

#endif
