/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* linger: finished connections, which stay open for some time so that their
 * peers read the last message.  Nothing else is delayed by that.
 *
 *	pt_conn_send(c, &abort, NULL);
 *	pt_linger_take(l, c, 300);
 *	loop: poll(pt_linger_fd(l), POLLIN), also now and then:
 *		pt_linger_tick(l);
 *
 * Threads: one.
 */
#ifndef CHANNEL_LINGER_H
#define CHANNEL_LINGER_H

#include "channel/conn.h"

#define PT_LINGER_MAX	64	/* connections; a further one drops the
				 * oldest */

struct pt_linger;

/* pt_linger_open: on success returns 0 and *out is the caller's.
 *   -ENOMEM, or as epoll_create1(2) says */
int pt_linger_open(struct pt_linger **out);

/* pt_linger_close closes all remaining connections.  NULL is allowed. */
void pt_linger_close(struct pt_linger *l);

/* pt_linger_take owns c from now on, and closes it when the peer has closed,
 * or after timeout_ms, as by pt_conn_finish_step and pt_conn_close. */
void pt_linger_take(struct pt_linger *l, struct pt_conn *c, int timeout_ms);

/* pt_linger_fd returns a descriptor for poll and epoll, POLLIN only; valid
 * until close. */
int pt_linger_fd(const struct pt_linger *l);

/* pt_linger_tick continues all connections; returns how many are left. */
unsigned pt_linger_tick(struct pt_linger *l);

/* pt_linger_wait waits until none is left, at most to the last deadline. */
void pt_linger_wait(struct pt_linger *l);

#endif
