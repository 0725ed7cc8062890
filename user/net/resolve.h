/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* resolve: pt_address_resolve in steps that never wait, since a name service may not
 * answer.
 *
 *	pt_resolve_begin(&q, ...)
 *	loop: poll(pt_resolve_fd(q), POLLIN); pt_resolve_result(q, ...)
 *	pt_resolve_end(q)
 *
 * Threads: one at a time.  It starts one for a name, and none for an address. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/address.h"

struct pt_resolve;

/* pt_resolve_begin asks for up to max (1..PT_ADDRESSES_MAX) addresses.  On success
 * returns 0 and *out is the caller's, to pt_resolve_end.
 *   -ENOMEM  no memory
 *   -EAGAIN  no thread
 *   or as eventfd(2) says */
int pt_resolve_begin(struct pt_resolve **out, unsigned max, const char *text,
		     __u16 default_port, struct pt_error *err);

/* pt_resolve_fd: for poll and epoll, POLLIN only: there is a result. */
int pt_resolve_fd(const struct pt_resolve *q);

/* pt_resolve_result returns 0 while there is none, else as pt_address_resolve. */
int pt_resolve_result(struct pt_resolve *q,
		      struct pt_address out[PT_ADDRESSES_MAX],
		      struct pt_error *err);

/* pt_resolve_end.  Without a result the thread remains until the name service returns.
 * NULL is fine. */
void pt_resolve_end(struct pt_resolve *q);

/* pt_resolve_silent and pt_resolve_stopped return -ETIMEDOUT and -ECANCELED, and write
 * why the caller waits no longer. */
int pt_resolve_silent(const struct pt_resolve *q, struct pt_error *err);
int pt_resolve_stopped(const struct pt_resolve *q, struct pt_error *err);

#endif
