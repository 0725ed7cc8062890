/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* farewell: connections that linger: their peers get some time to read the last
 * message, without delaying anything else.
 *
 *	pt_conn_send(c, &abort, NULL);
 *	pt_farewell_take(f, c, 300);
 *	loop: poll(pt_farewell_fd(f), POLLIN), also now and then:
 *		pt_farewell_tick(f);
 *
 * Threads: one.
 */
#ifndef CHANNEL_FAREWELL_H
#define CHANNEL_FAREWELL_H

#include "channel/conn.h"

#define PT_FAREWELL_MAX	64	/* connections; a further one drops the
				 * oldest */

struct pt_farewell;

/* pt_farewell_open: on success returns 0 and *out is the caller's.
 *   -ENOMEM, or as epoll_create1(2) says */
int pt_farewell_open(struct pt_farewell **out);

/* pt_farewell_close closes all remaining connections.  NULL is allowed. */
void pt_farewell_close(struct pt_farewell *f);

/* pt_farewell_take owns c from now on, and closes it when the peer has closed,
 * or after timeout_ms, as by pt_conn_finish_step and pt_conn_close. */
void pt_farewell_take(struct pt_farewell *f, struct pt_conn *c,
		      int timeout_ms);

/* pt_farewell_fd returns a descriptor for poll and epoll, POLLIN only; valid
 * until close. */
int pt_farewell_fd(const struct pt_farewell *f);

/* pt_farewell_tick continues all connections; returns how many are left. */
unsigned pt_farewell_tick(struct pt_farewell *f);

/* pt_farewell_wait waits until none is left, at most to the last deadline. */
void pt_farewell_wait(struct pt_farewell *f);

#endif
